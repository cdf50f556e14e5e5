"""What has been written of a TF.js model so far: its layers, their nodes, their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from pybridge.converters.keras.expressions import Weight
from pybridge.converters.refusals import Refused
from pybridge.tfjs.topology.names import Names
from pybridge.tfjs.topology.write import functional, layer_entry, sequential

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Symbol:
    """A tensor of the TF.js model that is being written.

    Attributes:
        layer: The TF.js layer that gives it.
        node: Which call of that layer, counted as TF.js counts.
        index: Which of the outputs of that call.
        shape: Its shape with the batch; None where a size is open.
        dtype: As in Keras.
        mask: Which mask TF.js carries along with it: a number for each mask that Keras knows, -1 for any other, None for none.
    """

    layer: str
    node: int
    index: int
    shape: Shape
    dtype: str = "float32"
    mask: int | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """As ``inbound_nodes`` names it."""
        return self.layer, self.node, self.index


# Layers of TF.js 4.22 that hand the mask of their input on (``supportsMasking``); all others drop it.
_KEEP_MASK = {
    *("Activation", "AlphaDropout", "BatchNormalization", "Dense", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("LayerNormalization", "Masking", "PReLU", "ReLU", "SpatialDropout1D", "TimeDistributed"),
}
_KEEP_MASK_OF_SEQUENCES = {"Bidirectional", "GRU", "LSTM", "RNN", "SimpleRNN", "PybridgeGRU", "PybridgeLSTM"}
_MERGE_MASKS = {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply"}


@dataclass
class EmittedLayer:
    """A layer of the TF.js model.

    Attributes:
        name: Its name, unique in the whole model.
        class_name: Its class in TF.js.
        config: Its config in the style of Keras 2.
        weights: By name within the layer, in the order of TF.js.
        nodes: The inputs of each call.
        inner: The container that it holds (nested models, and models within wrappers), whose weights keep their own names.
        first_node: 1 for nested models: a container of TF.js owns node 0 itself.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    weights: dict[str, Weight] = field(default_factory=dict)
    nodes: list[list[Symbol]] = field(default_factory=list)
    inner: Container | None = None
    first_node: int = 0

    def entry(self) -> dict[str, Any]:
        """As the topology lists it."""
        uses = [[symbol.place for symbol in inputs] for inputs in self.nodes if inputs]
        return layer_entry(self.name, self.class_name, self.config, uses)


class Container:
    """The layers of one model: the whole one, a nested one, or the few that stand for a layer in a wrapper."""

    def __init__(self, name: str, names: Names, *, trainable: bool = True) -> None:
        self.name = name
        self.names = names
        self.trainable = trainable
        self.layers: dict[str, EmittedLayer] = {}
        self.inputs: list[Symbol] = []
        self.outputs: list[Symbol] = []

    def add_input(self, name: str, shape: Shape, dtype: str, *, sparse: bool = False) -> Symbol:
        """Write an InputLayer."""
        config = {"batch_input_shape": [*shape], "dtype": tfjs_input_dtype(dtype), "sparse": sparse, "name": name}
        self.layers[name] = EmittedLayer(name, "InputLayer", config, nodes=[[]])
        symbol = Symbol(name, 0, 0, shape, dtype)
        self.inputs.append(symbol)
        return symbol

    def add_layer(
        self,
        name: str,
        class_name: str,
        config: Mapping[str, Any],
        *,
        weights: Mapping[str, Weight] | None = None,
        trainable: bool = True,
        inner: Container | None = None,
        first_node: int = 0,
    ) -> EmittedLayer:
        """Write a layer under a name that was reserved; it is not called yet."""
        full = {**config, "name": name, "trainable": trainable, "dtype": config.get("dtype") or "float32"}
        layer = EmittedLayer(name, class_name, full, dict(weights or {}), inner=inner, first_node=first_node)
        self.layers[name] = layer
        return layer

    def call_layer(
        self, layer: EmittedLayer, inputs: Sequence[Symbol], shapes: Sequence[Shape], dtypes: Sequence[str]
    ) -> list[Symbol]:
        """Write a call of a layer of this container."""
        for symbol in inputs:
            if symbol.layer not in self.layers:
                raise Refused(f"takes a tensor of another model ({symbol.layer!r})")
        node = layer.first_node + len(layer.nodes)
        layer.nodes.append(list(inputs))
        mask = _mask_behind(layer, inputs)
        return [
            Symbol(layer.name, node, index, tuple(shape), dtype, mask if index == 0 else None)
            for index, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]

    def distinct_outputs(self, symbols: Sequence[Symbol]) -> list[Symbol]:
        """Outputs of which none is given twice, which TF.js cannot return: a copy is written for each repetition."""
        result: list[Symbol] = []
        for symbol in symbols:
            if symbol in result:
                layer = self.add_layer(self.names.reserve(f"{symbol.layer}_again"), "Activation", {"activation": "linear"})
                symbol = self.call_layer(layer, [symbol], [symbol.shape], [symbol.dtype])[0]
            result.append(symbol)
        return result

    def part_repeated(self) -> None:
        """Write a copy wherever a layer takes a tensor twice that others take as well.

        ``execute`` of tfjs-layers counts such a layer once among those that wait for the tensor, but counts down twice, and so
        disposes of the tensor before the others have read it.
        """
        takers = Counter(symbol for layer in self.layers.values() for inputs in layer.nodes for symbol in set(inputs))
        takers.update(self.outputs)
        for name, layer in list(self.layers.items()):
            for place, inputs in enumerate(layer.nodes):
                if any(count > 1 and takers[symbol] > 1 for symbol, count in Counter(inputs).items()):
                    layer.nodes[place] = self.distinct_outputs(inputs)
            self.layers[name] = self.layers.pop(name)

    def settle(self) -> None:
        """Number the calls of layers that are called several times as TF.js will number them.

        ``Container.fromConfig`` of tfjs-layers goes through the list of layers again and again, and makes each call whose inputs
        are there; a later call of a layer may so come before an earlier one.
        """
        # Each round puts at least one more call in its final place.
        if all(len(layer.nodes) < 2 for layer in self.layers.values()):
            return
        for _ in range(1 + sum(len(layer.nodes) for layer in self.layers.values())):
            order = self._order_of_calls()
            moved = {
                (name, layer.first_node + old): layer.first_node + new
                for name, layer in self.layers.items()
                for new, old in enumerate(order[name])
                if new != old
            }
            if not moved:
                return
            for name, layer in self.layers.items():
                layer.nodes = [layer.nodes[old] for old in order[name]]

            def renumbered(symbol: Symbol, moved: dict[tuple[str, int], int] = moved) -> Symbol:
                return replace(symbol, node=moved.get((symbol.layer, symbol.node), symbol.node))

            for layer in self.layers.values():
                layer.nodes = [[renumbered(symbol) for symbol in inputs] for inputs in layer.nodes]
            self.outputs = [renumbered(symbol) for symbol in self.outputs]
        raise Refused("calls its layers in an order that TF.js cannot rebuild")

    def _order_of_calls(self) -> dict[str, list[int]]:
        done = {name: [] if layer.nodes and layer.nodes[0] else [0] for name, layer in self.layers.items()}
        waiting = {name: list(range(len(layer.nodes))) for name, layer in self.layers.items() if not done[name]}
        while waiting:
            before = sum(len(calls) for calls in waiting.values())
            for name in list(self.layers):
                for call in waiting.pop(name, []):
                    inputs = self.layers[name].nodes[call]
                    if all(symbol.node - self.layers[symbol.layer].first_node in done[symbol.layer] for symbol in inputs):
                        done[name].append(call)
                    else:
                        waiting.setdefault(name, []).append(call)
            if sum(len(calls) for calls in waiting.values()) == before:
                raise Refused("calls its layers in an order that TF.js cannot rebuild")
        return done

    def topology(self) -> dict[str, Any]:
        """As ``model.json`` has it."""
        return functional(
            self.name,
            [layer.entry() for layer in self.layers.values()],
            [symbol.place for symbol in self.inputs],
            [symbol.place for symbol in self.outputs],
            trainable=self.trainable,
        )

    def sequential(self) -> dict[str, Any]:
        """As a ``Sequential``; only for a chain (``is_chain``)."""
        return sequential(self.name, [(layer.class_name, layer.config) for layer in self.layers.values()])

    @property
    def is_chain(self) -> bool:
        """Whether each layer is called once, with the output of the one before."""
        layers = list(self.layers.values())
        if len(self.inputs) != 1 or len(self.outputs) != 1 or len(layers) < 2 or layers[0].class_name != "InputLayer":
            return False
        for before, layer in pairwise(layers):
            if layer.inner is not None or len(layer.nodes) != 1 or [item.layer for item in layer.nodes[0]] != [before.name]:
                return False
        return self.outputs[0].layer == layers[-1].name and all(
            symbol.index == 0 for layer in layers for symbol in layer.nodes[0]
        )

    def all_weights(self) -> dict[str, Weight]:
        """The weights by their TF.js names, those of nested models included."""
        found: dict[str, Weight] = {}
        for layer in self.layers.values():
            found.update({f"{layer.name}/{key}": weight for key, weight in layer.weights.items()})
            if layer.inner is not None:
                found.update(layer.inner.all_weights())
        return found


def _mask_behind(layer: EmittedLayer, inputs: Sequence[Symbol]) -> int | None:
    masks = [symbol.mask for symbol in inputs]
    if layer.class_name in _MERGE_MASKS:
        return -1 if any(mask is not None for mask in masks) else None
    if not masks or layer.inner is not None:
        return None
    inner = layer.config.get("layer")
    options = inner.get("config", {}) if isinstance(inner, dict) else layer.config
    kept = layer.class_name in _KEEP_MASK or (
        layer.class_name in _KEEP_MASK_OF_SEQUENCES and options.get("return_sequences", False)
    )
    return masks[0] if kept else None


def tfjs_input_dtype(dtype: str) -> str:
    """The type of a TF.js input that holds the values of a Keras type.

    Raises:
        Refused: There is none.
    """
    if dtype in ("float32", "float16", "bfloat16", "float64"):
        return "float32"
    if dtype in ("int32", "uint8", "int8", "uint16", "int16", "int64"):
        return "int32"
    if dtype in ("bool", "string"):
        return dtype
    raise Refused(f"has the type {dtype}, which TF.js does not have")
