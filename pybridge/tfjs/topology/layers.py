"""A parsed topology: models, their layers, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CONTAINERS = ("Functional", "Model", "Sequential")
"""The classes whose config holds layers."""

LAYER_LIMIT = 20_000
"""How many layers a model may have; the largest of Keras applications has 1,000."""

DAMAGED = "The model is damaged: export or download it again."


@dataclass(frozen=True)
class Reference:
    """One output of one use of a layer."""

    layer: str
    use: int = 0
    output: int = 0


@dataclass(frozen=True)
class Use:
    """One call of a layer: what flows in, and further arguments of the call."""

    inputs: tuple[Reference, ...]
    arguments: dict[str, Any]


@dataclass
class LayerNode:
    """A layer as the file describes it.

    Attributes:
        name: Unique within its model.
        class_name: As TF.js names it, such as ``Conv2D``.
        config: Its options, keys as in the file.
        uses: Its calls, in the order of TF.js; none for an InputLayer.
        model: The parsed content where the layer is itself a model.
        inner: The parsed models in its config, such as the one that a TimeDistributed wraps.
        implied: Whether it is an InputLayer that a Sequential model leaves out, and so not in the file.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    uses: list[Use] = field(default_factory=list)
    model: Topology | None = None
    inner: list[Topology] = field(default_factory=list)
    implied: bool = False


@dataclass
class Topology:
    """A model: its layers, and what goes in and out.

    Attributes:
        name: Of the model; ``model`` where the file gives none.
        sequential: Whether it is a plain chain of layers.
        trainable: False where the file freezes the whole model.
        layers: In the order of the file.
        inputs: Outputs of input layers.
        outputs: What the model returns.
        steps: ``(layer, use)`` in an order in which every use follows what it needs.
    """

    name: str
    sequential: bool
    trainable: bool
    layers: dict[str, LayerNode]
    inputs: list[Reference]
    outputs: list[Reference]
    steps: list[tuple[str, int]]

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], LayerNode]]:
        """All layers with their paths, those of nested models behind their container."""
        for node in self.layers.values():
            yield (*path, node.name), node
            if node.model is not None:
                yield from node.model.walk((*path, node.name))
            for inner in node.inner:
                yield from inner.walk((*path, node.name))
