"""From a Keras 3 model to a TF.js layers model: walks through it and writes it layer by layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.common_layers import emit_common
from pybridge.converters.keras.emitter import Container, EmittedLayer, Shape, Symbol
from pybridge.converters.keras.expressions import Weight
from pybridge.converters.keras.graph import GRAPH_FORMAT, graph_of, in_order_of, needed_nodes, shares_across_models, with_symbols
from pybridge.converters.keras.masks import RECURRENT, check_mask, makes_mask, travelling_mask, with_new_mask
from pybridge.converters.keras.own_operations import emit_operation
from pybridge.converters.keras.record import OWN_MODULES, record
from pybridge.converters.keras.registry import DECLINED
from pybridge.converters.keras.rewrites import LAYERS, OPERATIONS
from pybridge.converters.keras.training_config import training_config
from pybridge.converters.keras.variables import Variables
from pybridge.converters.refusals import Refused
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.metadata import with_keras_record
from pybridge.tfjs.topology.names import Names

_OWN_MODULES = ("keras.", *OWN_MODULES)


def from_keras(model: Any) -> LayersModel:
    """Convert a built Keras 3 model into a TF.js layers model.

    Layers that TF.js has are written as they are. Others are rewritten exactly into layers that it has, or become classes of our
    own, which ``LayersModel.write`` puts beside the model. The model is not changed.

    Args:
        model: A Sequential or Functional ``keras.Model``: with branches, several inputs and outputs (a dict counts in the order
            of ``model.inputs``), shared layers and models inside. Its optimizer, loss and metrics go along where TF.js has them.

    Returns:
        The model; ``to_keras`` makes the same Keras model of it again, also after further training in TF.js.

    Raises:
        ModelFormatError: It is not built or not made of layers, or some of its layers have no exact counterpart; each is named
            with the reason and the alternative.

    Example:
        >>> model = keras.applications.MobileNetV2(weights=None)
        >>> from_keras(model).write(Path("mobilenet"))
    """
    conversion = Conversion(model)
    container = conversion.run()
    weights = container.all_weights()
    arrays = {name: weight.value for name, weight in weights.items()}
    topology = container.sequential() if type(model).__name__ == "Sequential" and container.is_chain else container.topology()
    _check_json(topology, str(model.name))
    compiled = training_config(model, [symbol.layer for symbol in container.outputs])
    origin = record(model, conversion.variables.kept)
    metadata = with_keras_record(origin) if origin is not None else {}
    return LayersModel(topology, arrays, metadata, compiled)


def _check_json(topology: dict[str, Any], name: str) -> None:
    try:
        json.dumps(topology, allow_nan=False)
    except ValueError as error:
        raise ModelFormatError(
            f"the model {name!r} has a layer with an option that is infinite or not a number",
            hint="model.json cannot hold such numbers: use a large finite one.",
        ) from error


@dataclass(frozen=True)
class Refusal:
    """A layer that cannot be converted."""

    layer: str
    class_name: str
    reason: str
    alternative: str


class Conversion:
    """The conversion of one Keras model.

    Attributes:
        variables: The model's variables.
        emitted: The layers written so far, by container, Keras layer and part.
        refusals: What cannot be converted.
    """

    def __init__(self, model: Any) -> None:
        import keras

        if not isinstance(model, keras.Model):
            raise ModelFormatError(
                f"a {type(model).__name__} is not a Keras model", hint="Give a keras.Model (Sequential or Functional)."
            )
        self.model = model
        self.variables = Variables(model)
        self.names = Names()
        self.emitted: dict[tuple[int, int, str], EmittedLayer] = {}
        self.refusals: list[Refusal] = []
        self._alive: list[Any] = []
        self._own_names: dict[int, str] = {}
        self._inner: dict[tuple[int, Shape, str], tuple[dict[str, Any], dict[str, Weight], Container | None]] = {}
        self._inline = False
        self._masks: list[str] = []
        self._unmasked: list[Any] = []

    def run(self) -> Container:
        """Convert the model.

        Raises:
            ModelFormatError: It is not built or not made of layers, or layers cannot be converted; all are named.
        """
        try:
            graph = graph_of(self.model)
        except Refused as refused:
            name = str(getattr(self.model, "name", ""))
            raise _error(self.model, [Refusal(name, type(self.model).__name__, refused.reason, refused.alternative)]) from None
        self._inline = shares_across_models(graph)
        self._reserve(graph, set())
        container = Container(str(self.model.name), self.names, trainable=bool(self.model.trainable))
        self._fill(container, graph)
        self._check_unmasked()
        if not self.refusals:
            for variable in self.variables.lost(container.all_weights()):
                self._refuse(variable.path, "weight", Refused("would be lost: no layer of TF.js holds it"))
            for variable in self.variables.repeated(container.all_weights()):
                shared = Refused("is shared by two layers, which TF.js cannot do", "Use one layer twice instead of two.")
                self._refuse(variable.path, "weight", shared)
        if self.refusals:
            raise _error(self.model, self.refusals)
        return container

    def note_unmasked(self, layer: Any) -> None:
        """Remember a layer that takes no mask, but would apply any that TF.js gave to it."""
        self._unmasked.append(layer)

    @property
    def has_masks(self) -> bool:
        """Whether a layer before the one that is being converted makes a mask."""
        return bool(self._masks)

    def _check_unmasked(self) -> None:
        # execute() of tfjs-layers 4.22 keeps the last mask in the arguments of all layers that it runs after it.
        for layer in self._unmasked if self._masks else []:
            reason = f"is not masked, but TF.js would apply the mask of {self._masks[0]!r} to it"
            self._refuse(layer.name, type(layer).__name__, Refused(reason))

    def convert_inner(
        self, layer: Any, shape: Shape, dtype: str, trainable: bool
    ) -> tuple[dict[str, Any], dict[str, Weight], Container | None]:
        """Convert the layer that a wrapper holds; see ``Call.nested``."""
        key = (id(layer), shape, dtype)
        if key in self._inner:
            return self._inner[key]
        container = Container(self._name_of(layer), self.names, trainable=trainable)
        self._alive.append(container)
        entrance = container.add_input(self.names.reserve(f"{container.name}_input"), shape, dtype)
        specs = _flat_specs(layer.compute_output_spec(_keras_tensor(shape, dtype)))
        outputs = [(tuple(spec.shape), str(spec.dtype)) for spec in specs]
        result = self._convert_layer(container, layer, [entrance], {}, [entrance], outputs)
        container.outputs = result
        rest = [item for item in container.layers.values() if item.class_name != "InputLayer"]
        places = [(rest[0].name, index) for index in range(len(result))] if rest else []
        if len(rest) == 1 and rest[0].nodes == [[entrance]] and [(item.layer, item.index) for item in result] == places:
            only = rest[0].entry()
            entry = {"class_name": only["class_name"], "config": only["config"]}
            converted = (entry, rest[0].weights, rest[0].inner)
        else:
            container.name = self.names.reserve(f"{container.name}_model")
            converted = (container.topology(), {}, container)
        self._inner[key] = converted
        return converted

    def _fill(self, container: Container, graph: Any) -> None:
        self._alive.append(container)
        known: dict[int, Symbol] = {}
        for tensor in graph.inputs:
            layer = tensor._keras_history.operation
            try:
                known[id(tensor)] = container.add_input(
                    self._name_of(layer), tuple(tensor.shape), str(tensor.dtype), sparse=bool(tensor.sparse)
                )
                if not tensor.shape[1:] and graph is graph_of(self.model):
                    reason = "takes one number for each example; TF.js makes [batch, 1] of [batch]"
                    raise Refused(reason, "Give it the shape (1,) and reshape it behind, e.g. with layers.Reshape(()).")
            except Refused as refused:
                self._refuse(layer.name, type(layer).__name__, refused)
                known[id(tensor)] = container.add_input(self._name_of(layer), tuple(tensor.shape), "float32")
        container.outputs = container.distinct_outputs(self._walk(container, graph, known))
        if not self.refusals:
            container.part_repeated()
            container.settle()

    def _walk(self, container: Container, graph: Any, known: dict[int, Symbol]) -> list[Symbol]:
        for node in needed_nodes(graph):
            operation = node.operation
            outputs = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in node.outputs]
            travelling = travelling_mask(node)
            tensors = [tensor for tensor in node.input_tensors if tensor is not travelling]
            if any(id(tensor) not in known for tensor in tensors):
                continue
            inputs = [known[id(tensor)] for tensor in tensors]
            kwargs = {key: value for key, value in node.arguments.kwargs.items() if value is not travelling or value is None}
            args, kwargs = with_symbols(node.arguments.args, known), with_symbols(kwargs, known)
            try:
                check_mask(operation, inputs, travelling)
                if travelling is None and type(operation).__name__ in RECURRENT:
                    self.note_unmasked(operation)
                symbols = self._convert(container, operation, args, kwargs, inputs, outputs)
                symbols = with_new_mask(operation, node, symbols)
                if makes_mask(operation):
                    self._masks.append(operation.name)
            except Refused as refused:
                self._refuse(operation.name, type(operation).__name__, refused)
                symbols = self._placeholder(container, operation, outputs)
            known.update({id(tensor): symbol for tensor, symbol in zip(node.outputs, symbols, strict=True)})
        return [known[id(tensor)] for tensor in graph.outputs]

    def _convert(
        self,
        container: Container,
        operation: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Symbol],
        outputs: list[tuple[Shape, str]],
    ) -> list[Symbol]:
        import keras

        if isinstance(operation, keras.Model):
            return self._convert_model(container, operation, args, inputs, outputs)
        if isinstance(operation, keras.Layer):
            return self._convert_layer(container, operation, args, kwargs, inputs, outputs)
        call = Call(self, container, operation, self._name_of(operation), args, kwargs, inputs, outputs)
        return _converted(call, OPERATIONS.handlers(call.class_name), emit_operation)

    def _convert_layer(
        self,
        container: Container,
        layer: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Symbol],
        outputs: list[tuple[Shape, str]],
    ) -> list[Symbol]:
        import keras

        if isinstance(layer, keras.Model):
            return self._convert_model(container, layer, args, inputs, outputs)
        _check_class(layer)
        _check_dtype(layer)
        _check_plain_weights(layer)
        given = {key: value for key, value in kwargs.items() if key != "training" and not (key == "mask" and value is None)}
        call = Call(self, container, layer, self._name_of(layer), args, given, inputs, outputs)
        return _converted(call, LAYERS.handlers(call.class_name), emit_common)

    def _convert_model(
        self, container: Container, model: Any, args: Sequence[Any], inputs: list[Symbol], outputs: list[tuple[Shape, str]]
    ) -> list[Symbol]:
        graph = graph_of(model)
        taken = in_order_of(graph, args, inputs)
        for tensor, symbol in zip(graph.inputs, taken, strict=True):
            if len(tensor.shape) != len(symbol.shape):
                raise Refused(f"is called with a tensor of rank {len(symbol.shape)} where it takes rank {len(tensor.shape)}")
        if self._inline:
            known = {id(tensor): symbol for tensor, symbol in zip(graph.inputs, taken, strict=True)}
            return self._walk(container, graph, known)
        key = (id(container), id(model), "")
        layer = self.emitted.get(key)
        if layer is None:
            trainable = container.trainable and bool(model.trainable)
            inner = Container(self._name_of(model), self.names, trainable=trainable)
            self._fill(inner, graph)
            chain = type(model).__name__ == "Sequential" and inner.is_chain
            topology = inner.sequential() if chain else inner.topology()
            layer = EmittedLayer(inner.name, topology["class_name"], topology["config"], inner=inner, first_node=1)
            container.layers[layer.name] = layer
            self.emitted[key] = layer
        return container.call_layer(layer, taken, [shape for shape, _ in outputs], [dtype for _, dtype in outputs])

    def _placeholder(self, container: Container, operation: Any, outputs: list[tuple[Shape, str]]) -> list[Symbol]:
        layer = EmittedLayer(self.names.reserve(f"{operation.name}_refused"), type(operation).__name__, {})
        container.layers[layer.name] = layer
        return container.call_layer(layer, [], [shape for shape, _ in outputs], [dtype for _, dtype in outputs])

    def _refuse(self, layer: str, class_name: str, refused: Refused) -> None:
        refusal = Refusal(layer, class_name, refused.reason, refused.alternative)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def _name_of(self, operation: Any) -> str:
        name = self._own_names.get(id(operation))
        if name is None:
            name = self._own_names[id(operation)] = self.names.reserve(str(operation.name))
            self._alive.append(operation)
        return name

    def _reserve(self, graph: Any, seen: set[int]) -> None:
        """Give every Keras layer its own name before parts of rewrites take names."""
        import keras

        for operation in graph.operations:
            if id(operation) in seen:
                continue
            seen.add(id(operation))
            self._name_of(operation)
            if isinstance(operation, keras.Model):
                try:
                    self._reserve(graph_of(operation), seen)
                except Refused:
                    continue


def _keras_tensor(shape: Shape, dtype: str) -> Any:
    import keras

    return keras.KerasTensor(shape, dtype=dtype)


def _flat_specs(spec: Any) -> list[Any]:
    import keras

    return [item for item in keras.tree.flatten(spec) if item is not None]


def _check_class(layer: Any) -> None:
    module = type(layer).__module__
    if type(layer).__name__ == "Lambda":
        raise Refused("is Python code, which does not exist in JavaScript", "Replace it by layers or keras.ops.")
    if not module.startswith(_OWN_MODULES):
        raise Refused(f"is a class of your own ({module}.{type(layer).__name__}), which TF.js does not know")
    if not layer.built:
        raise Refused("is not built: it has no weights yet", "Call the model once before converting.")


def _check_dtype(layer: Any) -> None:
    dtype = str(layer.compute_dtype)
    if dtype in ("float16", "bfloat16", "float64"):
        raise Refused(
            f"computes in {dtype}; TF.js computes in float32",
            'Build the model with dtype "float32" and set_weights() of this one.',
        )


def _check_plain_weights(layer: Any) -> None:
    """Refuse weights that are stored otherwise than they are used, in the layers inside too."""
    for part in layer._flatten_layers():
        if getattr(part, "lora_enabled", False) or getattr(part, "quantization_mode", None):
            raise Refused("is quantized or has LoRA weights", "Merge them into plain weights before converting.")


def _converted(call: Call, rewrites: Sequence[Callable[[Call], Any]], otherwise: Callable[[Call], Any]) -> list[Symbol]:
    """What the first rewrite makes of a call that does not decline, else what all calls become."""
    for rewrite in (*rewrites, otherwise):
        try:
            result = rewrite(call)
        except (Refused, ModelFormatError):
            raise
        except Exception as error:
            raise Refused(f"cannot be converted ({type(error).__name__}: {error})") from error
        if result is not DECLINED:
            return _as_declared(result, call.outputs)
    raise Refused("has no exact counterpart")


def _as_declared(result: Any, outputs: list[tuple[Shape, str]]) -> list[Symbol]:
    symbols = _flat(result)
    if len(symbols) != len(outputs):
        raise Refused(f"became {len(symbols)} tensors where Keras has {len(outputs)}")
    return [replace(symbol, shape=shape, dtype=dtype) for symbol, (shape, dtype) in zip(symbols, outputs, strict=True)]


def _flat(value: Any) -> list[Symbol]:
    if isinstance(value, Symbol):
        return [value]
    import keras

    return [item for item in keras.tree.flatten(value) if isinstance(item, Symbol)]


def _error(model: Any, refusals: list[Refusal]) -> ModelFormatError:
    lines = [f"  - {item.layer!r} ({item.class_name}) {item.reason}" for item in refusals]
    count = "1 layer" if len(refusals) == 1 else f"{len(refusals)} layers"
    alternatives = dict.fromkeys(item.alternative or GRAPH_FORMAT for item in refusals)
    return ModelFormatError(
        f"{count} of the model {model.name!r} cannot become layers of TF.js:\n" + "\n".join(lines), hint=" ".join(alternatives)
    )
