"""A step of an optimizer on all weights. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pybridge.graphs.training.program import TrainingRecipe
from pybridge.optimizers import StepInputs, training_optimizer


def slot_shapes(recipe: TrainingRecipe, shapes: Sequence[Any]) -> list[tuple[int, ...]]:
    """Shapes of the optimizer's slots for weights of these shapes; all begin as zeros."""
    count = training_optimizer(recipe.optimizer).slots(momentum=recipe.momentum)
    return [tuple(shape) for _ in range(count) for shape in shapes]


def update(
    recipe: TrainingRecipe,
    weights: Sequence[tf.Tensor],
    gradients: Sequence[Any],
    slots: Sequence[tf.Tensor],
    decayed: Sequence[bool],
    rate: tf.Tensor,
    step: tf.Tensor,
    numbers: tf.Tensor,
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """One step of the optimizer.

    Args:
        recipe: Names the optimizer.
        weights: The trainable weights.
        gradients: Of the cost by each of them; None where it does not depend on one.
        slots: As `slot_shapes` orders them.
        decayed: Whether each weight decays.
        rate: The learning rate of this step.
        step: Its number, from 1.
        numbers: Momentum, weight decay, clip norm, label smoothing.

    Returns:
        The next weights and slots.
    """
    momentum, decay, clip = numbers[0], numbers[1], numbers[2]
    present = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    if recipe.global_clipnorm:
        present, _ = tf.clip_by_global_norm(present, clip)
    number = len(weights)
    columns = [slots[i * number : (i + 1) * number] for i in range(len(slots) // number)]
    inputs = StepInputs(rate, step, momentum if recipe.momentum else None, recipe.nesterov)
    rule = training_optimizer(recipe.optimizer).rule(inputs)
    after: list[tf.Tensor] = []
    after_columns: list[list[tf.Tensor]] = [[] for _ in columns]
    for i, (weight, gradient) in enumerate(zip(weights, present, strict=True)):
        old = [column[i] for column in columns]
        if gradient is None:
            after.append(weight)
            new = old
        else:
            # Decoupled (Loshchilov and Hutter 2019, arXiv:1711.05101), before the update as in Keras.
            kept = weight * (1.0 - rate * decay) if recipe.weight_decay and decayed[i] else weight
            change, new = rule(gradient, old)
            after.append(kept - change)
        for column, value in zip(after_columns, new, strict=True):
            column.append(value)
    return after, [value for column in after_columns for value in column]
