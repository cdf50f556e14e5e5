"""Guesses why a layer gave something else, each one tried.

The reference's layer is changed, run on the same inputs, and the change is named as the cause where the layer then gives what
the other side gave. Imports Keras, so it runs in the TensorFlow process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.parity.findings import differing_options
from pybridge.parity.weight_causes import describe_weights

Arrays = list[NDArray[Any]]
Guess = tuple[str, dict[str, Any]]

_MOST_CAUSES = 3
_EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-12, 1e-2, 1e-4, 0.0)
_RECTIFIERS = ("relu", "relu6", "elu", "selu", "gelu", "silu")
_ACTIVATIONS = ("linear", *_RECTIFIERS, "sigmoid", "hard_sigmoid", "tanh", "softmax", "softplus", "softsign")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


@dataclass(frozen=True)
class Evidence:
    """A layer that differs.

    Attributes:
        class_name: Its Keras class.
        config: Its Keras config in the reference.
        weights: Its weights there, in Keras's order.
        inputs: What went in.
        found: What the other side made of that.
        other_config: The other side's config, as far as it is known, with Keras's keys.
        other_weights: The other side's weights.
        tolerance: How near an explanation must come.
    """

    class_name: str
    config: dict[str, Any]
    weights: Arrays
    inputs: Arrays
    found: Arrays
    other_config: dict[str, Any]
    other_weights: Arrays | None
    tolerance: float


def guess(evidence: Evidence) -> list[str]:
    """Changes to the reference's layer that give what the other side gave: the likely causes, at most three.

    Tried in this order: options and weights in which the two are known to differ; then what is done in another way although
    it is called the same.
    """
    import keras

    if not isinstance(getattr(keras.layers, evidence.class_name, None), type):
        return []
    causes = list(dict.fromkeys(text for text in _known(evidence)))
    if not causes:
        causes = list(dict.fromkeys(_suspected(evidence)))
    return causes[:_MOST_CAUSES]


def _known(evidence: Evidence) -> Iterator[str]:
    changed = differing_options(evidence.config, evidence.other_config)
    for key, value in changed:
        if _explains(evidence, {key: value}):
            yield _option(evidence, key, value)
    weights = evidence.other_weights
    if weights is None or [value.shape for value in weights] != [value.shape for value in evidence.weights]:
        return
    if all(np.array_equal(one, other) for one, other in zip(evidence.weights, weights, strict=True)):
        if len(changed) > 1 and _explains(evidence, dict(changed)):
            yield "; ".join(_option(evidence, key, value) for key, value in changed)
        return
    if _explains(evidence, {}, weights=weights):
        yield describe_weights(evidence.class_name, evidence.weights, weights)
    elif _explains(evidence, dict(changed), weights=weights):
        options = [_option(evidence, key, value) for key, value in changed]
        yield "; ".join([*options, describe_weights(evidence.class_name, evidence.weights, weights)])


def _suspected(evidence: Evidence) -> Iterator[str]:
    for text, changes in [*_other_values(evidence), *_ignored(evidence)]:
        if _explains(evidence, changes):
            yield text
    reversed_inputs = [value[..., ::-1] if value.ndim > 2 else value for value in evidence.inputs]
    if _explains(evidence, {}, inputs=reversed_inputs):
        yield "channel order: the other side takes the channels in reverse order (RGB and BGR)"
    if evidence.class_name == "BatchNormalization" and _explains(evidence, {}, training=True):
        yield "batch normalization: the other side uses the statistics of the batch, as in training, not the moving ones"
    if evidence.class_name in ("Flatten", "Reshape") and _explains(
        evidence, {}, inputs=[_channels_first(v) for v in evidence.inputs]
    ):
        yield "data layout: the other side takes the elements channels first (NCHW)"
    yield from _padding(evidence)
    if evidence.class_name.startswith(("Max", "GlobalMax")) and _explains(evidence, {}, then=lambda value: np.maximum(value, 0)):
        yield (
            "maximum: the other side gives 0 where all inputs are negative; its search starts at the smallest positive number, "
            "as in the WebAssembly backend of TensorFlow.js 4.22 for MaxPooling3D"
        )


def _other_values(evidence: Evidence) -> Iterator[Guess]:
    config = evidence.config
    if "epsilon" in config:
        for value in _EPSILONS:
            yield (
                f"epsilon: the other side behaves as with {value:g}, the reference has {config['epsilon']:g}",
                {"epsilon": value},
            )
    if config.get("padding") in ("same", "valid"):
        other = "valid" if config["padding"] == "same" else "same"
        yield f"padding: the other side behaves as with {other!r}, the reference has {config['padding']!r}", {"padding": other}
    if isinstance(config.get("activation"), str):
        for name in _ACTIVATIONS:
            text = f"activation: the other side behaves as with {name!r}, the reference has {config['activation']!r}"
            yield text, {"activation": name}
    if "interpolation" in config:
        for name in _INTERPOLATIONS:
            text = f"resize method: the other side behaves as with {name!r}, the reference has {config['interpolation']!r}"
            yield text, {"interpolation": name}
    if config.get("data_format") in ("channels_last", "channels_first"):
        other = "channels_first" if config["data_format"] == "channels_last" else "channels_last"
        yield f"data layout: the other side behaves as with {other!r}", {"data_format": other}


def _ignored(evidence: Evidence) -> Iterator[Guess]:
    """Options that the other side may not know: as if each had its default."""
    import keras

    parameters = inspect.signature(getattr(keras.layers, evidence.class_name).__init__).parameters
    for key, value in evidence.config.items():
        default = parameters[key].default if key in parameters else inspect.Parameter.empty
        if default is inspect.Parameter.empty or default == value or key in ("name", "dtype", "padding", "epsilon", "activation"):
            continue
        yield f"{key}: the other side seems to ignore {key}={value!r} and to take the default {default!r}", {key: default}


def _padding(evidence: Evidence) -> Iterator[str]:
    """Padding of 'same' that is put before and after in equal parts, as PyTorch does; TensorFlow puts the odd one after."""
    config = evidence.config
    size = config.get("kernel_size") or config.get("pool_size")
    if config.get("padding") != "same" or not isinstance(size, list | tuple) or evidence.inputs[0].ndim != len(size) + 2:
        return
    pads = [(0, 0), *((int(extent) // 2, int(extent) // 2) for extent in size), (0, 0)]
    fill = -np.inf if evidence.class_name.startswith("Max") else 0.0
    padded = np.pad(evidence.inputs[0], pads, constant_values=fill)
    if _explains(evidence, {"padding": "valid"}, inputs=[padded]):
        yield "padding: the other side pads equally before and after, as PyTorch does; with 'same' the odd one comes after"


def _explains(
    evidence: Evidence,
    changes: dict[str, Any],
    *,
    weights: Arrays | None = None,
    inputs: Arrays | None = None,
    training: bool = False,
    then: Callable[[NDArray[Any]], NDArray[Any]] = lambda value: value,
) -> bool:
    try:
        outputs = [
            then(value) for value in _run(evidence, changes, weights or evidence.weights, inputs or evidence.inputs, training)
        ]
    # A guess that does not fit the layer raises errors of many types; it is then no explanation.
    except Exception:
        return False
    return len(outputs) == len(evidence.found) and all(
        one.shape == other.shape and bool(np.all(np.abs(one - other) <= evidence.tolerance))
        for one, other in zip(outputs, evidence.found, strict=True)
    )


def _run(evidence: Evidence, changes: dict[str, Any], weights: Arrays, inputs: Arrays, training: bool) -> Arrays:
    import keras

    layer_class = getattr(keras.layers, evidence.class_name)
    layer = layer_class.from_config({**evidence.config, **changes})
    tensors = [keras.ops.convert_to_tensor(value) for value in inputs]
    argument = tensors if len(tensors) > 1 else tensors[0]
    layer(argument)
    layer.set_weights(weights)
    settings = {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(layer(argument, **settings))]


def _option(evidence: Evidence, key: str, value: Any) -> str:
    kind = {"data_format": "data layout", "interpolation": "resize method"}.get(key, key)
    return f"{kind}: {key} is {value!r} there, and {evidence.config[key]!r} in the reference"


def _channels_first(value: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(value, -1, 1).reshape(value.shape) if value.ndim > 2 else value
