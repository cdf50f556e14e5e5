"""Losses and hits in a training's graph. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pybridge.graphs.training.program import TrainingRecipe

SPARSE = "sparse_categorical_crossentropy"
_CLASSIFICATION = {SPARSE, "categorical_crossentropy", "binary_crossentropy"}


def target_spec(recipe: TrainingRecipe, output_shape: Any) -> tf.TensorSpec:
    """What the targets are: int32 classes, or float32 of the shape of the model's output."""
    if recipe.loss == SPARSE:
        return tf.TensorSpec([None, *output_shape[1:-1]], tf.int32, name="targets")
    return tf.TensorSpec([None, *output_shape[1:]], tf.float32, name="targets")


def targets(recipe: TrainingRecipe, values: tf.Tensor, output_shape: Any, numbers: tf.Tensor) -> tf.Tensor:
    """Targets as the loss takes them: classes become one-hot rows where they are smoothed or mixed.

    Args:
        recipe: Names the loss.
        values: Of `target_spec`.
        output_shape: Of the model.
        numbers: The fourth is the label smoothing.
    """
    if recipe.loss != SPARSE or not (recipe.label_smoothing or recipe.mixup):
        return values
    classes = output_shape[-1]
    hot = tf.one_hot(values, classes)
    return hot * (1.0 - numbers[3]) + numbers[3] / classes if recipe.label_smoothing else hot


def losses(recipe: TrainingRecipe, wanted: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """One loss for each example: float32 of shape (examples,)."""
    name = recipe.loss
    if name == SPARSE and wanted.dtype != tf.int32:
        name = "categorical_crossentropy"
    each = getattr(keras.losses, name)(wanted, output)
    return each if each.shape.rank == 1 else tf.reduce_mean(each, axis=list(range(1, each.shape.rank)))


def hits(recipe: TrainingRecipe, wanted: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """How many examples the model gets right; 0 for losses without classes. Of several outputs of an example, their share."""
    if recipe.loss not in _CLASSIFICATION:
        return tf.constant(0.0)
    if recipe.loss == "binary_crossentropy":
        equal = tf.reduce_all((output > 0.5) == (wanted > 0.5), axis=-1)
    else:
        classes = wanted if wanted.dtype == tf.int32 else tf.argmax(wanted, -1, tf.int32)
        equal = tf.argmax(output, -1, tf.int32) == classes
    places = tf.size(equal) // tf.shape(equal)[0]
    return tf.reduce_sum(tf.cast(equal, tf.float32)) / tf.cast(places, tf.float32)
