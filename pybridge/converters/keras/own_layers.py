"""Layer classes of our own, where TF.js has no class or computes an option otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.common_layers import COMMON, common_config
from pybridge.converters.refusals import Refused
from pybridge.tfjs.custom_layers import OWN, own_classes

_REGULARIZERS = ("L1", "L2", "L1L2")
_CONSTRAINTS = ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")
_ACTIVATIONS = frozenset(
    (
        *("celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh"),
        *(
            "leaky_relu",
            "linear",
            "log_sigmoid",
            "log_softmax",
            "mish",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
            "silu",
            "soft_shrink",
        ),
        *("softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh"),
        "tanh_shrink",
    )
)


def own(
    call: Call,
    *,
    class_name: str | None = None,
    config: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    inputs: Sequence[Symbol] | None = None,
) -> Any:
    """Write a layer as our class of the same name, with its Keras config and all its weights.

    Args:
        call: The call of the layer.
        class_name: The name of the Keras class, where its ``__name__`` is another.
        config: Its config, where it is not the plain Keras config.
        arguments: How it is called, beside its tensors; kept as ``pybridge_call`` in the config.
        inputs: The tensors that it takes, where they are not simply all of them.

    Raises:
        Refused: A regularizer, constraint or activation has no counterpart.
    """
    name = f"{OWN}{class_name or call.class_name}"
    if name not in own_classes():
        raise Refused("is a class that TF.js does not have")
    written = dict(call.config if config is None else config)
    _check(written)
    if arguments:
        written["pybridge_call"] = dict(arguments)
    weights = {}
    for key, variable in weight_names(call.layer).items():
        if str(variable.dtype).startswith("float"):
            weights[key] = call.weight(variable)
        else:
            call.keep(variable)
    shapes, dtypes = [shape for shape, _ in call.outputs], [dtype for _, dtype in call.outputs]
    symbols = call.emit_many(name, written, list(inputs or call.inputs), shapes=shapes, weights=weights, dtypes=dtypes)
    return symbols[0] if len(symbols) == 1 else symbols


def weight_names(layer: Any) -> dict[str, Any]:
    """The variables of a layer by Keras's own names, with that of the sublayer in front where two agree."""
    variables = [variable for variable in layer.weights if variable.name != "rnn_state"]
    names = [variable.name for variable in variables]
    if len(set(names)) == len(names):
        return dict(zip(names, variables, strict=True))
    return {"/".join(variable.path.split("/")[-2:]): variable for variable in variables}


def serves(call: Call) -> bool:
    """Whether the class of TF.js does the same with the options that this layer has."""
    if call.class_name not in COMMON:
        return False
    try:
        common_config(call.class_name, call.config)
    except Refused:
        return False
    return True


def known_activation(activation: Any) -> bool:
    """Whether our classes compute an activation."""
    return activation is None or (isinstance(activation, str) and activation in _ACTIVATIONS)


def _check(config: Mapping[str, Any]) -> None:
    for key, value in config.items():
        if value is None:
            continue
        named = value.get("class_name") if isinstance(value, Mapping) else value
        if key == "activity_regularizer":
            raise Refused("has an activity_regularizer", "Put an ActivityRegularization layer behind it instead.")
        if key.endswith("_regularizer") and named not in _REGULARIZERS:
            raise Refused(f"has the {key} {named!r}, which TF.js does not have", "Set it to None before converting.")
        if key.endswith("_constraint") and named not in _CONSTRAINTS:
            raise Refused(f"has the {key} {named!r}, which TF.js does not have", "Set it to None before converting.")
        if key in ("activation", "recurrent_activation") and not isinstance(value, Mapping) and not known_activation(value):
            raise Refused(f"has {key}={value!r}, which is not one of Keras's own")
        if key in ("activation", "recurrent_activation") and isinstance(value, Mapping):
            raise Refused(f"has an {key} that is a function or layer of its own", "Put an Activation layer behind it instead.")
        if key in ("lora_rank", "quantization_config"):
            raise Refused("is quantized or has LoRA weights", "Merge them into plain weights before converting.")
