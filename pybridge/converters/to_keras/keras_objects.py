"""Activations, initializers, regularizers and constraints: from the names of TF.js to objects of Keras 3."""

from __future__ import annotations

import re
from typing import Any

from pybridge.converters.to_keras import custom_objects
from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology.names import snake

ACTIVATIONS = {
    name: name
    for name in (
        "elu",
        "gelu",
        "linear",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "softmax",
        "softplus",
        "softsign",
        "tanh",
    )
} | {"swish": "silu", "silu": "silu"}
_OWN_ACTIVATIONS = {"hard_sigmoid": "hard_sigmoid_tfjs", "gelu_new": "gelu_new"}

# Keras 3 class and the keys that it takes, by the name without underscores in lower case.
_INITIALIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "constant": ("Constant", ("value",)),
    "glorotnormal": ("GlorotNormal", ("seed",)),
    "glorotuniform": ("GlorotUniform", ("seed",)),
    "henormal": ("HeNormal", ("seed",)),
    "heuniform": ("HeUniform", ("seed",)),
    "identity": ("Identity", ("gain",)),
    "lecunnormal": ("LecunNormal", ("seed",)),
    "lecununiform": ("LecunUniform", ("seed",)),
    "ones": ("Ones", ()),
    "orthogonal": ("Orthogonal", ("gain", "seed")),
    "randomnormal": ("RandomNormal", ("mean", "stddev", "seed")),
    "randomuniform": ("RandomUniform", ("minval", "maxval", "seed")),
    "truncatednormal": ("TruncatedNormal", ("mean", "stddev", "seed")),
    "variancescaling": ("VarianceScaling", ("scale", "mode", "distribution", "seed")),
    "zeros": ("Zeros", ()),
} | {
    "identityinitializer": ("Identity", ("gain",)),
    "orthogonalinitializer": ("Orthogonal", ("gain", "seed")),
}
_CONSTRAINTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "maxnorm": ("MaxNorm", ("max_value", "axis")),
    "minmaxnorm": ("MinMaxNorm", ("min_value", "max_value", "rate", "axis")),
    "nonneg": ("NonNeg", ()),
    "unitnorm": ("UnitNorm", ("axis",)),
}
_L1_L2 = ("l1l2", "l1", "l2")


def activation(written: object, layer: str) -> Any:
    """What Keras takes as ``activation``: its own name for it, or a function of `functions` where the two differ."""
    if written is None:
        return "linear"
    name = written if isinstance(written, str) else _parts(written, "activation", layer)[0]
    known = snake(name)
    if known in _OWN_ACTIVATIONS:
        return getattr(custom_objects, _OWN_ACTIVATIONS[known])
    if known not in ACTIVATIONS:
        raise ModelFormatError(
            f"the layer {layer!r} has the activation {name[:80]!r}, which cannot be rebuilt in Keras",
            hint=f"Known activations: {', '.join(sorted({*ACTIVATIONS, *_OWN_ACTIVATIONS}))}.",
        )
    return ACTIVATIONS[known]


def initializer(written: object, layer: str) -> Any:
    """A Keras initializer."""
    import keras

    name, config = _parts(written, "initializer", layer)
    found = _INITIALIZERS.get(_key(name))
    if found is None:
        raise _unknown("initializer", name, layer, [known for known, _ in _INITIALIZERS.values()])
    options = {key: config[key] for key in found[1] if config.get(key) is not None}
    if "seed" in options:
        options["seed"] = int(options["seed"])
    if found[0] == "VarianceScaling":
        options["mode"] = snake(str(options.get("mode", "fan_in")))
        distribution = snake(str(options.get("distribution", "normal")))
        # TF.js draws its normal distribution truncated, as Keras does under this name.
        options["distribution"] = "truncated_normal" if distribution == "normal" else distribution
    return getattr(keras.initializers, found[0])(**options)


def regularizer(written: object, layer: str) -> Any:
    """A Keras regularizer, or None."""
    import keras

    if written is None:
        return None
    name, config = _parts(written, "regularizer", layer)
    if _key(name) not in _L1_L2:
        raise _unknown("regularizer", name, layer, ["L1L2"])
    # TF.js takes 0.01 for what is not given (tfjs-layers, regularizers.js); l1 and l2 alone come from Keras.
    missing = 0.01 if _key(name) == "l1l2" else 0.0
    amounts = {key: missing if config.get(key) is None else float(config[key]) for key in ("l1", "l2")}
    return keras.regularizers.L1L2(**amounts)


def constraint(written: object, layer: str) -> Any:
    """A Keras constraint, or None."""
    import keras

    if written is None:
        return None
    name, config = _parts(written, "constraint", layer)
    # DepthwiseConv2D of TF.js saves its regularizer under the name of its constraint (convolutional_depthwise.js).
    if _key(name) in _L1_L2:
        return None
    found = _CONSTRAINTS.get(_key(name))
    if found is None:
        raise _unknown("constraint", name, layer, [known for known, _ in _CONSTRAINTS.values()])
    options = {key: config[key] for key in found[1] if config.get(key) is not None}
    return getattr(keras.constraints, found[0])(**options)


def _parts(written: object, kind: str, layer: str) -> tuple[str, dict[str, Any]]:
    if isinstance(written, str):
        return written, {}
    name = written.get("class_name", written.get("className")) if isinstance(written, dict) else None
    if not isinstance(written, dict) or not isinstance(name, str):
        raise ModelFormatError(f"the layer {layer!r} has no valid {kind}: {str(written)[:80]}", hint="The model is damaged.")
    config = written.get("config")
    return name, {snake(key): value for key, value in config.items()} if isinstance(config, dict) else {}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unknown(kind: str, name: str, layer: str, known: list[str]) -> ModelFormatError:
    return ModelFormatError(
        f"the layer {layer!r} has the {kind} {name[:80]!r}, which TF.js does not know",
        hint=f"Known: {', '.join(sorted(set(known)))}.",
    )
