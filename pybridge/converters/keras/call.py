"""One call of a Keras layer or operation, as a rewrite sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pybridge.converters.keras.configs import plain_config, tfjs_values
from pybridge.converters.keras.emitter import Container, EmittedLayer, Shape, Symbol
from pybridge.converters.keras.expressions import Weight
from pybridge.converters.keras.variables import Variables
from pybridge.converters.refusals import Refused

__all__ = ["Call", "Symbol", "Weight"]


class Walk(Protocol):
    """What a call needs of the walk through the model that it is met on."""

    @property
    def variables(self) -> Variables:
        """The model's variables."""

    @property
    def emitted(self) -> dict[tuple[int, int, str], EmittedLayer]:
        """The layers written so far, by container, Keras layer and part."""

    @property
    def has_masks(self) -> bool:
        """Whether a layer before the one that is being converted makes a mask."""

    def note_unmasked(self, layer: Any) -> None:
        """Remember a layer that takes no mask, but would apply any that TF.js gave to it."""

    def convert_inner(
        self, layer: Any, shape: Shape, dtype: str, trainable: bool
    ) -> tuple[dict[str, Any], dict[str, Weight], Container | None]:
        """Convert the layer that a wrapper holds."""


class Call:
    """A call of a Keras layer or operation, with what a rewrite needs to write TF.js layers in its place.

    Attributes:
        walk: The walk through the model that it is met on.
        layer: The Keras layer or operation.
        name: Its name in the TF.js model.
        class_name: The name of its class.
        config: Its ``get_config()`` as plain JSON; dtype as a string. Empty for operations.
        args: The positional arguments, with symbols in place of tensors.
        kwargs: The other arguments, without ``training`` and without a ``mask`` that is None.
        inputs: All symbols among the arguments.
        outputs: Shape and dtype of each output in Keras, flat.
    """

    def __init__(
        self,
        walk: Walk,
        container: Container,
        layer: Any,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: Sequence[Symbol],
        outputs: Sequence[tuple[Shape, str]],
    ) -> None:
        self.walk = walk
        self.container = container
        self.layer = layer
        self.name = name
        self.class_name = type(layer).__name__
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._config: dict[str, Any] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The layer's Keras config as plain JSON."""
        if self._config is None:
            self._config = self.keras_config()
        return self._config

    @property
    def input(self) -> Symbol:
        """The first tensor that it takes."""
        if not self.inputs:
            raise Refused("is called without a tensor")
        return self.inputs[0]

    @property
    def output_shape(self) -> Shape:
        """The shape of the first output, with the batch."""
        return self.outputs[0][0]

    @property
    def trainable(self) -> bool:
        """Whether the layer trains: it and everything around it are trainable."""
        return self.container.trainable and bool(getattr(self.layer, "trainable", True))

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """An argument by name, by position, or as an attribute of the operation."""
        if name in self.kwargs:
            return self.kwargs[name]
        if position < len(self.args):
            return self.args[position]
        return getattr(self.layer, name, default)

    def keras_config(self) -> dict[str, Any]:
        """Exactly the layer's Keras 3 config, as plain JSON."""
        return plain_config(self.layer)

    def tfjs_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Initializers, regularizers, constraints and lists of a Keras config in the words of TF.js."""
        return tfjs_values(config)

    def weight(self, variable: Any) -> Weight:
        """A Keras variable as a weight of TF.js, unchanged."""
        return self.walk.variables.weight(variable, self.layer)

    def keep(self, variable: Any) -> None:
        """Keep a variable's numbers in the record alone: they appear in no weight of TF.js."""
        self.walk.variables.keep(variable)

    def emit(
        self,
        class_name: str,
        config: Mapping[str, Any] | None = None,
        inputs: Symbol | Sequence[Symbol] | None = None,
        *,
        part: str = "",
        weights: Mapping[str, Weight] | None = None,
        trainable: bool | None = None,
        shape: Shape | None = None,
        dtype: str | None = None,
    ) -> Symbol:
        """Write one TF.js layer with one output, and a call of it.

        Args:
            class_name: Its class in TF.js.
            config: Its config; ``name``, ``trainable`` and ``dtype`` are added.
            inputs: What it takes; by default the first input of this call.
            part: What it does, where a Keras layer becomes several: it is named ``<layer>_<part>``.
            weights: Its weights by name within the layer.
            trainable: By default as the Keras layer.
            shape: Of its output with the batch; by default that of its first input.
            dtype: Of its output; by default that of its first input.
        """
        taken = self._symbols(inputs)
        shapes = [shape if shape is not None else taken[0].shape]
        dtypes = [dtype or taken[0].dtype]
        return self._emit(class_name, config, taken, part, weights, trainable, shapes, dtypes)[0]

    def emit_many(
        self,
        class_name: str,
        config: Mapping[str, Any] | None = None,
        inputs: Symbol | Sequence[Symbol] | None = None,
        *,
        shapes: Sequence[Shape],
        part: str = "",
        weights: Mapping[str, Weight] | None = None,
        trainable: bool | None = None,
        dtypes: Sequence[str] | None = None,
    ) -> list[Symbol]:
        """Write one TF.js layer with several outputs, and a call of it."""
        taken = self._symbols(inputs)
        kinds = list(dtypes) if dtypes is not None else [taken[0].dtype] * len(shapes)
        return self._emit(class_name, config, taken, part, weights, trainable, shapes, kinds)

    def emit_inner(
        self,
        class_name: str,
        config: Mapping[str, Any],
        inputs: Sequence[Symbol],
        *,
        weights: Mapping[str, Weight] | None = None,
        inner: Container | None = None,
    ) -> list[Symbol]:
        """Write a layer that holds another one (a wrapper), with the outputs of this call."""
        shapes, dtypes = [shape for shape, _ in self.outputs], [dtype for _, dtype in self.outputs]
        return self._emit(class_name, config, list(inputs), "", weights, None, shapes, dtypes, inner)

    def nested(self, layer: Any, shape: Shape, dtype: str = "float32") -> tuple[dict[str, Any], dict[str, Weight], Any]:
        """Convert the inner layer of a wrapper.

        Returns:
            Its entry ``{"class_name", "config"}``; its weights by name within it, where it is one layer; else the container
            that holds the layers of its rewrite (for ``emit_inner``), or None.
        """
        return self.walk.convert_inner(layer, shape, dtype, self.trainable)

    def _symbols(self, inputs: Symbol | Sequence[Symbol] | None) -> list[Symbol]:
        if inputs is None:
            return [self.input]
        return [inputs] if isinstance(inputs, Symbol) else list(inputs)

    def _emit(
        self,
        class_name: str,
        config: Mapping[str, Any] | None,
        inputs: Sequence[Symbol],
        part: str,
        weights: Mapping[str, Weight] | None,
        trainable: bool | None,
        shapes: Sequence[Shape],
        dtypes: Sequence[str],
        inner: Container | None = None,
    ) -> list[Symbol]:
        layer = self._layer(class_name, dict(config or {}), part, dict(weights or {}), trainable, inner)
        return self.container.call_layer(layer, inputs, shapes, dtypes)

    def _layer(
        self,
        class_name: str,
        config: dict[str, Any],
        part: str,
        weights: dict[str, Weight],
        trainable: bool | None,
        inner: Container | None,
    ) -> EmittedLayer:
        key = (id(self.container), id(self.layer), part)
        known = self.walk.emitted.get(key)
        trains = self.trainable if trainable is None else trainable
        if known is not None:
            wanted = {**config, "name": known.name, "trainable": trains, "dtype": config.get("dtype") or "float32"}
            if known.class_name == class_name and (known.config == wanted or (inner is not None and known.inner is not None)):
                return known
            if weights or known.weights:
                raise Refused("is called with inputs that its weights cannot be shared for in TF.js")
        wanted_name = f"{self.name}_{part}" if part else self.name
        # The Keras names of all layers were reserved before anything was written.
        own = not part and known is None
        name = self.name if own else self.container.names.reserve(wanted_name)
        layer = self.container.add_layer(name, class_name, config, weights=weights, trainable=trains, inner=inner)
        self.walk.emitted[key] = layer
        return layer
