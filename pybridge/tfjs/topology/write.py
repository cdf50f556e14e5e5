"""Writes topologies, in the style of Keras 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Place = Sequence[Any]
"""``(layer, use, output)`` as a file counts them: a nested model's own graph is its use 0, so that its first call is 1."""


def layer_entry(name: str, class_name: str, config: dict[str, Any], uses: Iterable[Iterable[Place]]) -> dict[str, Any]:
    """One layer of a ``Functional`` model.

    Args:
        name: Its name, the same as in its config.
        class_name: Its class in TF.js.
        config: Its options.
        uses: What flows in, for each of its calls; no calls for an InputLayer.
    """
    nodes = [[[*place, {}] for place in inputs] for inputs in uses]
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes}


def functional(
    name: str,
    layers: Iterable[dict[str, Any]],
    inputs: Iterable[Place],
    outputs: Iterable[Place],
    *,
    trainable: bool | None = None,
) -> dict[str, Any]:
    """The topology of a ``Functional`` model.

    Args:
        name: Of the model.
        layers: From `layer_entry`, each behind those that feed it.
        inputs: Outputs of its input layers.
        outputs: What it returns.
        trainable: Whether it may be trained at all; by default the file does not say.
    """
    config: dict[str, Any] = {
        "name": name,
        **({} if trainable is None else {"trainable": trainable}),
        "layers": list(layers),
        "input_layers": [list(place) for place in inputs],
        "output_layers": [list(place) for place in outputs],
    }
    return {"class_name": "Functional", "config": config}


def sequential(name: str, layers: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The topology of a ``Sequential`` model.

    Args:
        name: Of the model.
        layers: The class and the config of each layer, the InputLayer first.
    """
    entries = [{"class_name": class_name, "config": config} for class_name, config in layers]
    return {"class_name": "Sequential", "config": {"name": name, "layers": entries}}
