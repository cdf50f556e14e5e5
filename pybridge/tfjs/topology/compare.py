"""Whether two topologies describe the same layers, up to what TF.js changes when it saves a model."""

from __future__ import annotations

import math
from typing import Any

from pybridge.tfjs.topology.layers import LayerNode, Topology
from pybridge.tfjs.topology.names import snake

# What changes in training or in saving without making another model of it.
_INCIDENTAL = ("trainable", "name", "seed", "dtype", "implementation", "sparse", "ragged", "batch_size", "input_dtype")
_INCIDENTAL_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def same_layers(wanted: Topology, found: Topology) -> bool:
    """Tell whether two models have layers of the same names, classes and options, which take the same from each other.

    A Sequential model and the Functional model of the same chain are the same. Options that only one of the two names count as
    equal, and so do those that say how a layer is trained or how its weights were first drawn.
    """
    if wanted.layers.keys() != found.layers.keys() or (wanted.inputs, wanted.outputs) != (found.inputs, found.outputs):
        return False
    return all(_same_layer(node, found.layers[name]) for name, node in wanted.layers.items())


def _same_layer(wanted: LayerNode, found: LayerNode) -> bool:
    if [use.inputs for use in wanted.uses] != [use.inputs for use in found.uses]:
        return False
    if wanted.model is not None and found.model is not None:
        return same_layers(wanted.model, found.model)
    return wanted.class_name == found.class_name and _agrees(wanted.config, found.config)


def _agrees(wanted: Any, found: Any, key: str = "") -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        known = {snake(name): value for name, value in found.items()}
        return all(
            _agrees(value, known[snake(name)], snake(name))
            for name, value in wanted.items()
            if snake(name) in known and name not in _INCIDENTAL and not name.endswith(_INCIDENTAL_ENDINGS)
        )
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(wanted) == len(found) and all(_agrees(one, other, key) for one, other in zip(wanted, found, strict=True))
    if isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(wanted, found, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(wanted, str) and isinstance(found, str):
        return snake(wanted) == snake(found)
    if key == "target_shape":
        # TF.js saves the -1 of a Reshape as null.
        return all(one in (None, -1) for one in (wanted, found))
    # A scalar that TF.js spreads over the axes, or null for an option that it does not keep.
    if isinstance(found, list) and isinstance(wanted, (int, float)):
        return all(_agrees(wanted, item) for item in found)
    if isinstance(wanted, list) and isinstance(found, (int, float)):
        return all(_agrees(item, found) for item in wanted)
    return wanted == found or found is None
