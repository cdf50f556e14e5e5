"""Finds each weight of a file among the variables of the Keras model.

The names of weights differ between the writers: TF.js has ``layer/kernel``, ``bidirectional/forward_lstm/kernel`` and
``rnn/RNNCell_0/kernel``; the converter of Keras 2 has ``lstm/lstm_cell/kernel`` and sometimes the enclosing models in
front; both may count copies (``kernel_1``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.to_keras.own_layers import OWN
from pybridge.errors import ModelFormatError
from pybridge.text import listed, printable
from pybridge.tfjs.topology import Topology

_INCOMPLETE = "The model is damaged or incomplete: export or download it again."
_Key = tuple[str, int, str]
"""Direction (of Bidirectional), number of the cell (of stacked cells), name of the weight."""


def owned_weights(topology: Topology, weights: Mapping[str, NDArray[Any]]) -> dict[int, dict[str, NDArray[Any]]]:
    """The weights of each layer by their names within it; layers by the identity of their nodes."""
    leaves = {path: node for path, node in topology.walk() if node.model is None and node.class_name != "InputLayer"}
    owners = _owners(weights, list(leaves))
    return {
        id(node): {relative: weights[name] for relative, name in owners.get(path, {}).items()} for path, node in leaves.items()
    }


def assign_weights(topology: Topology, layers: Mapping[int, Any], owned: Mapping[int, dict[str, NDArray[Any]]]) -> None:
    """Set all variables of the layers.

    Args:
        topology: The model.
        layers: Keras layers by the identity of their nodes.
        owned: From `owned_weights`.

    Raises:
        ModelFormatError: If a variable has no weight of its shape, or a layer's weight no variable.
    """
    for _, node in topology.walk():
        layer = layers.get(id(node))
        # A wrapper's own variables are those of the layer inside; a model inside it has leaves of its own.
        if layer is None or node.inner or node.model is not None:
            continue
        found = owned[id(node)]
        pairs = (_by_path if node.class_name.startswith(OWN) else _by_key)(layer, found)
        _set(node.name, pairs, found)


def _owners(weights: Mapping[str, Any], paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], dict[str, str]]:
    """For each layer, its weights: name within the layer -> name in the file."""
    known: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        known.setdefault(path[-1], []).append(path)
    owned: dict[tuple[str, ...], dict[str, str]] = {}
    for weight in weights:
        parts = weight.split("/")
        last = len(parts) - 1
        for start, end in ((first, behind) for first in range(last) for behind in range(last, first, -1)):
            candidates = known.get("/".join(parts[start:end]))
            if candidates:
                # Layers of one name in several nested models are told apart by the models' names in front.
                chosen = max(candidates, key=lambda path: _common(path[:-1], parts[:start]))
                owned.setdefault(chosen, {})["/".join(parts[end:])] = weight
                break
    return owned


def _common(containers: tuple[str, ...], scopes: list[str]) -> int:
    return sum(name in scopes for name in containers)


def _by_key(layer: Any, found: Mapping[str, NDArray[Any]]) -> list[tuple[str, Any, NDArray[Any] | None]]:
    variables = _variables(layer)
    stacked = any(cell for (_, cell, _), _ in variables)
    given = _keyed(found, stacked)
    pairs = []
    for key, variable in variables:
        value = given.get(key)
        if value is None:
            counted = [one for one in given if one[:2] == key[:2] and re.fullmatch(rf"{re.escape(key[2])}_\d+", one[2])]
            value = given[counted[0]] if len(counted) == 1 else None
        pairs.append((key[2], variable, value))
    return pairs


def _variables(layer: Any) -> list[tuple[_Key, Any]]:
    if hasattr(layer, "forward_layer"):
        both = (("forward", layer.forward_layer), ("backward", layer.backward_layer))
        return [((direction, cell, name), variable) for direction, one in both for (_, cell, name), variable in _variables(one)]
    if type(layer).__name__ == "TimeDistributed":
        return _variables(layer.layer)
    cell = getattr(layer, "cell", None)
    if cell is not None:
        cells = getattr(cell, "cells", [cell])
        return [(("", number, variable.name), variable) for number, one in enumerate(cells) for variable in _own(one)]
    renamed = {"kernel": "depthwise_kernel"} if type(layer).__name__ == "DepthwiseConv2D" else {}
    return [(("", 0, renamed.get(variable.name, variable.name)), variable) for variable in _own(layer)]


def _own(layer: Any) -> list[Any]:
    return [variable for variable in layer.weights if "seed_generator" not in variable.path]


def _keyed(found: Mapping[str, NDArray[Any]], stacked: bool) -> dict[_Key, NDArray[Any]]:
    keyed: dict[_Key, NDArray[Any]] = {}
    scopes: dict[str, list[str]] = {}
    for relative, value in found.items():
        *scope, name = relative.split("/")
        direction = next((word for word in ("forward", "backward") for part in scope if part.startswith(f"{word}_")), "")
        cell = 0
        if stacked:
            numbered = [re.fullmatch(r"(?:RNNCell|rnn_cell)_(\d+)", part) for part in scope]
            numbers = [int(match[1]) for match in numbered if match]
            order = scopes.setdefault(direction, [])
            if "/".join(scope) not in order:
                order.append("/".join(scope))
            cell = numbers[-1] if numbers else order.index("/".join(scope))
        keyed[(direction, cell, name)] = value
    return keyed


def _by_path(layer: Any, found: Mapping[str, NDArray[Any]]) -> list[tuple[str, Any, NDArray[Any] | None]]:
    """Our own classes name weights as Keras does, below the layer."""
    pairs = []
    for variable in _own(layer):
        parts = variable.path.split("/")
        options = ["/".join(parts[start:]) for start in range(len(parts))]
        name = next((one for one in options if one in found), None)
        pairs.append((variable.name, variable, found[name] if name is not None else None))
    return pairs


def _check_constraint(layer: str, name: str, variable: Any) -> None:
    """TF.js applies constraints to the weights that it loads; those of a trained model already keep them."""
    if getattr(variable, "constraint", None) is None:
        return
    value = np.asarray(variable)
    kept = np.asarray(variable.constraint(variable.value))
    if not np.allclose(kept, value, rtol=1e-5, atol=1e-6):
        raise ModelFormatError(
            f"the weight {printable(f'{layer}/{name}')} does not keep its constraint; TF.js would change it in loading",
            hint="Load the model in TF.js and save it again, or take the constraint out of its config.",
        )


def _set(layer: str, pairs: list[tuple[str, Any, NDArray[Any] | None]], found: Mapping[str, Any]) -> None:
    used = 0
    for name, variable, value in pairs:
        if value is None or tuple(value.shape) != tuple(variable.shape) or value.dtype.kind not in "fiub":
            state = "missing" if value is None else f"{value.dtype} of shape {list(value.shape)}"
            raise ModelFormatError(
                f"the weight {printable(f'{layer}/{name}')} is {state}; the layer needs {list(variable.shape)}",
                hint=_INCOMPLETE,
            )
        variable.assign(np.asarray(value, dtype=variable.dtype))
        _check_constraint(layer, name, variable)
        used += 1
    if used < len(found):
        raise ModelFormatError(
            f"the layer {layer!r} has {len(found)} weights in the file, but only {used} in Keras: {listed(found)}",
            hint=_INCOMPLETE,
        )
