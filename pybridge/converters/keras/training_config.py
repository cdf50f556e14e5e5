"""Optimizer, loss and metrics of a compiled Keras model as the ``trainingConfig`` of TF.js.

``tf.loadLayersModel`` compiles a model from ``{"optimizer_config", "loss", "metrics"}`` beside ``modelTopology``. (Python's
converters write it inside of ``modelTopology``, where TF.js 4.22 does not look.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.converters.keras.configs import plain_value
from pybridge.converters.refusals import Refused
from pybridge.optimizers import written_for_tfjs
from pybridge.tfjs.topology.names import snake

# Keras takes the logits in front of any softmax or sigmoid for those of the loss.
_OTHER_ACTIVATION = {
    "binary_crossentropy": "softmax",
    "categorical_crossentropy": "sigmoid",
    "sparse_categorical_crossentropy": "sigmoid",
}
_LOSSES = {
    "mean_squared_error": "mean_squared_error",
    "mse": "mean_squared_error",
    "mean_absolute_error": "mean_absolute_error",
    "mae": "mean_absolute_error",
    "mean_absolute_percentage_error": "mean_absolute_percentage_error",
    "mape": "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error": "mean_squared_logarithmic_error",
    "msle": "mean_squared_logarithmic_error",
    "categorical_hinge": "categorical_hinge",
    "log_cosh": "logcosh",
    "logcosh": "logcosh",
    "categorical_crossentropy": "categorical_crossentropy",
    "sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
    "binary_crossentropy": "binary_crossentropy",
    "kl_divergence": "kullback_leibler_divergence",
    "kullback_leibler_divergence": "kullback_leibler_divergence",
    "poisson": "poisson",
    "cosine_similarity": "cosine_proximity",
}
_LOSS_OPTIONS: dict[str, tuple[Any, ...]] = {
    "reduction": ("sum_over_batch_size", None),
    "from_logits": (False, None),
    "label_smoothing": (0, None),
    "axis": (-1, None),
    "ignore_class": (None,),
}
_METRICS = {
    "accuracy": "accuracy",
    "acc": "accuracy",
    "binary_accuracy": "binary_accuracy",
    "categorical_accuracy": "categorical_accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "mean_squared_error": "mse",
    "mse": "mse",
    "mean_absolute_error": "mae",
    "mae": "mae",
    "mean_absolute_percentage_error": "mape",
    "mape": "mape",
    "categorical_crossentropy": "categorical_crossentropy",
}


def training_config(model: Any, outputs: Sequence[str]) -> dict[str, Any] | None:
    """The compile state of a Keras model for TF.js, or None where it has none or TF.js lacks its optimizer or a loss.

    Metrics that TF.js lacks are left out, as they do not change the training. None is also the answer where TF.js would train
    otherwise: where a mask reaches the loss, or an optimizer of TF.js computes something else.

    Args:
        model: A Keras model.
        outputs: The TF.js names of the layers that give its outputs.
    """
    if not getattr(model, "compiled", False):
        return None
    try:
        config = plain_value(model.get_compile_config() or {})
        optimizer = written_for_tfjs(*_object(config.get("optimizer")))
        loss = _losses(config.get("loss"), model)
    except (Refused, TypeError, ValueError):
        return None
    losses = loss if isinstance(loss, list) else [loss] * len(model.outputs)
    masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in model.outputs)
    mismatched = any(
        _activation(tensor) == _OTHER_ACTIVATION.get(name) for tensor, name in zip(model.outputs, losses, strict=False)
    )
    if config.get("loss_weights") is not None or masked or mismatched:
        return None
    # With this loss TF.js takes "accuracy" for the binary one, whatever the outputs.
    several = any(
        name == "binary_crossentropy" and tensor.shape[-1] != 1 for tensor, name in zip(model.outputs, losses, strict=False)
    )
    metrics = _metrics(config.get("metrics"), list(outputs))
    return {"optimizer_config": optimizer, "loss": loss, "metrics": _categorical(metrics) if several else metrics}


def _activation(tensor: Any) -> str:
    layer = tensor._keras_history.operation
    while hasattr(layer, "outputs") and len(layer.outputs) == 1:
        layer = layer.outputs[0]._keras_history.operation
    if type(layer).__name__ in ("Softmax", "Sigmoid"):
        return type(layer).__name__.lower()
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _categorical(metrics: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
    named = {"accuracy": "categorical_accuracy"}
    if isinstance(metrics, dict):
        return {output: named.get(metric, metric) for output, metric in metrics.items()}
    return [named.get(metric, metric) for metric in metrics]


def _losses(value: Any, model: Any) -> str | list[str]:
    names = [str(tensor._keras_history.operation.name) for tensor in model.outputs]
    if isinstance(value, Mapping) and "class_name" not in value:
        value = [value.get(name) for name in names]
    if isinstance(value, list):
        losses = [_loss(item) for item in value]
        return losses[0] if len(names) == 1 and len(losses) == 1 else losses
    return _loss(value)


def _loss(value: Any) -> str:
    name, config = _object(value)
    written = _LOSSES.get(snake(name))
    if written is None or any(config.get(key) not in allowed for key, allowed in _LOSS_OPTIONS.items()):
        raise Refused(f"TF.js has no loss {name}")
    return written


def _metrics(value: Any, outputs: list[str]) -> list[str] | dict[str, str]:
    if isinstance(value, list) and all(isinstance(item, list) for item in value) and value:
        # TF.js restores one metric for each output, or the same ones for all.
        if len(outputs) == 1 or all(item == value[0] for item in value):
            return _known(value[0])
        named = {name: _known(items)[:1] for name, items in zip(outputs, value, strict=False)}
        return {name: items[0] for name, items in named.items() if items}
    return _known(value if isinstance(value, list) else [])


def _known(values: Sequence[Any]) -> list[str]:
    found = [_METRICS.get(snake(_object(value)[0])) for value in values]
    return list(dict.fromkeys(name for name in found if name is not None))


def _object(value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping):
        return "", {}
    config = value.get("config")
    if isinstance(config, str):
        return config, {}
    return str(value.get("class_name", "")), dict(config) if isinstance(config, Mapping) else {}
