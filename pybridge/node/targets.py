"""What a model of one's own is trained to give: targets, their weights, and the loss that suits them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.data import class_weights
from pybridge.errors import DataError
from pybridge.node.model import Model
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import parse_nested
from pybridge.training.options import Loss

# Layers behind the one whose activation says what the outputs are.
_CHANGE_NO_VALUES = {"Dropout", "Flatten", "Reshape"}


def default_loss(model: LayersModel, y: ArrayLike) -> Loss:
    """Cross-entropy where the targets are classes or the output is a softmax or sigmoid, else the mean squared error."""
    layers = parse_nested(model.topology)[0].layers
    layer = next(layer for layer in reversed(layers) if layer.class_name not in _CHANGE_NO_VALUES)
    activation = "softmax" if layer.class_name == "Softmax" else layer.config.get("activation")
    if activation == "softmax":
        targets = np.asarray(y)
        is_classes = targets.dtype.kind in "iu" and targets.ndim == 1
        return "sparse_categorical_crossentropy" if is_classes else "categorical_crossentropy"
    return "binary_crossentropy" if activation == "sigmoid" else "mean_squared_error"


def training_pair(model: Model, x: ArrayLike, y: ArrayLike, loss: Loss) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs and targets as a loss takes them; TensorFlow.js would silently broadcast what does not fit.

    Args:
        model: With one input and one output.
        x: Inputs of shape (N, ...).
        y: Targets: int classes of shape (N,), or numbers of the output's shape.
        loss: What they are for.

    Returns:
        Inputs in the model's dtype; int32 classes or float32 targets.

    Raises:
        DataError: They do not fit the model, each other or the loss.
    """
    inputs, given, output = model.as_inputs(x)[0], np.asarray(y), model.outputs[0].shape[1:]
    if given.dtype.kind not in "fiub" or given.ndim == 0:
        raise DataError(f"Targets must be int classes of shape (N,) or floats of shape (N, ...), not {given.dtype}")
    if len(inputs) != len(given):
        raise DataError(f"{len(inputs)} inputs were given, but {len(given)} targets")
    if not len(inputs):
        raise DataError("There is nothing to train on: the inputs are empty")
    if loss == "sparse_categorical_crossentropy":
        return inputs, _as_classes(given, output[-1])
    targets = given[:, None] if given.ndim == 1 and output == (1,) else given
    fits = targets.ndim == len(output) + 1 and all(
        size is None or size == have for size, have in zip(output, targets.shape[1:], strict=True)
    )
    if not fits:
        raise DataError(f"Targets of shape {given.shape} do not fit the model's output {(None, *output)} under {loss}")
    return inputs, targets.astype(np.float32)


def example_weights(
    targets: NDArray[Any], classes: int | None, class_weight: Any, sample_weight: ArrayLike | None
) -> NDArray[np.float32] | None:
    """How much each example counts: float32 of shape (N,), or None where all count alike.

    Args:
        targets: Of `training_pair`.
        classes: How many there are; None where the model does not say.
        class_weight: None, ``"balanced"``, or a dict from class to weight.
        sample_weight: N numbers, or None.

    Raises:
        DataError: The weights do not fit the targets.
    """
    by_class = None
    if class_weight is not None:
        by_class = class_weights(targets, classes or int(targets.max()) + 1, class_weight)
    if sample_weight is None:
        return None if by_class is None else by_class[targets]
    given = np.asarray(sample_weight)
    if given.dtype.kind not in "fiub" or given.shape != (len(targets),):
        raise DataError(f"sample_weight must be {len(targets)} numbers, not {given.dtype} of shape {given.shape}")
    shares = given.astype(np.float32)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise DataError("sample_weight must be finite and not negative")
    return shares if by_class is None else shares * by_class[targets]


def _as_classes(targets: NDArray[Any], classes: int | None) -> NDArray[np.int32]:
    if targets.dtype.kind not in "iu" or targets.ndim != 1:
        raise DataError(
            f"sparse_categorical_crossentropy needs int classes of shape (N,), not {targets.dtype} of shape {targets.shape}",
            hint="For one row of probabilities each, use categorical_crossentropy.",
        )
    if targets.min() < 0 or (classes is not None and targets.max() >= classes):
        raise DataError(f"Classes must be 0 to {(classes or 0) - 1}, but are {targets.min()} to {targets.max()}")
    return targets.astype(np.int32)
