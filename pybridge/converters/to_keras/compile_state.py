"""Optimizer, loss and metrics of a model that was compiled before it was saved."""

from __future__ import annotations

from typing import Any

from pybridge.optimizers import keras_options
from pybridge.tfjs.topology.names import snake

_LOSSES = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
)
_METRICS = ("accuracy", "binary_accuracy", "categorical_accuracy", "mae", "mse", "sparse_categorical_accuracy", *_LOSSES)
_OTHER_NAMES = {
    "acc": "accuracy",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
}


def restore_compile_state(model: Any, training_config: object) -> None:
    """Compile a Keras model as its file says, or leave it as it is where a part has no name that Keras knows.

    Args:
        model: A Keras model.
        training_config: ``{"loss": ..., "metrics": ..., "optimizer_config": {"class_name": ..., "config": {...}}}``.
    """
    if not isinstance(training_config, dict):
        return
    optimizer = _optimizer(training_config.get("optimizer_config"))
    loss = _named(training_config.get("loss"), _LOSSES)
    if optimizer is None or loss is None or training_config.get("loss_weights") is not None:
        return
    metrics = _named(training_config.get("metrics"), _METRICS)
    try:
        model.compile(optimizer=optimizer, loss=loss, metrics=metrics or None)
    # The file may name losses for outputs that there are not; the model itself is whole without them.
    except (ValueError, TypeError):
        return


def _optimizer(description: object) -> Any:
    import keras

    if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
        return None
    name = description.get("class_name")
    found = keras_options(name) if isinstance(name, str) else None
    if found is None:
        return None
    keras_name, keys = found
    config = {snake(key): value for key, value in description["config"].items()}
    options = {to: _number(config[key]) for key, to in keys.items() if _is_plain(config.get(key))}
    rate = config.get("learning_rate", config.get("lr"))
    if not isinstance(rate, (int, float)) or isinstance(rate, bool):
        return None
    try:
        return getattr(keras.optimizers, keras_name)(learning_rate=float(rate), **options)
    except (ValueError, TypeError):
        return None


def _is_plain(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _number(value: bool | int | float) -> bool | float:
    # JavaScript writes 0.0 as 0, which SGD refuses as its momentum.
    return value if isinstance(value, bool) else float(value)


def _named(written: object, known: tuple[str, ...]) -> Any:
    """The same structure with the names of Keras; None where one is unknown."""
    if isinstance(written, str):
        name = snake(written)
        name = _OTHER_NAMES.get(name, name)
        return name if name in known else None
    if isinstance(written, list):
        names = [_named(one, known) for one in written]
        return None if any(name is None for name in names) else names
    if isinstance(written, dict):
        if "class_name" in written:
            return _named(written["class_name"], known)
        found = {key: _named(one, known) for key, one in written.items()}
        return None if any(name is None for name in found.values()) else found
    return None
