"""Training of a model of one's own, with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.errors import ModelFormatError
from pybridge.node.model import Model
from pybridge.node.targets import default_loss, example_weights, training_pair
from pybridge.rpc.runner import Runner
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.callbacks import Callback
from pybridge.training.engines import create_trainer
from pybridge.training.history import History
from pybridge.training.keras_callbacks import as_callbacks
from pybridge.training.loop import fit
from pybridge.training.options import ClassWeight, Loss, TrainingOptions
from pybridge.training.trainer import Examples


def train_model(
    runner: Runner,
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    options: TrainingOptions,
    *,
    loss: Loss | None,
    validation_data: tuple[ArrayLike, ArrayLike] | None,
    class_weight: ClassWeight,
    sample_weight: ArrayLike | None,
    callbacks: Sequence[Callback | Any],
) -> History:
    """Trains all trainable weights; afterwards the model has the best of them.

    Args:
        runner: The process that holds the model, and shall train it.
        model: The model.
        x: Inputs of shape (N, ...).
        y: Targets.
        options: How.
        loss: Instead of the one that suits targets and model.
        validation_data: ``(x, y)`` to judge by, or None.
        class_weight: As `Node.train` takes it.
        sample_weight: How much each example counts, or None.
        callbacks: Called around the epochs; those of Keras that can work here too.

    Raises:
        ModelFormatError: The model cannot be trained.
        BridgeError: A callback of Keras cannot work here.
        DataError: The arrays do not fit the model.
        ValueError: The options do not fit the loss.
    """
    source = _trainable(model)
    monitor = options.monitor or ("loss" if validation_data is None else "val_loss")

    def save_keras(path: str, weights_only: bool) -> None:
        from pybridge.converters.to_keras import to_keras

        trained = to_keras(replace(source, weights={**source.weights, **trainer.weights()}))
        trained.save_weights(path) if weights_only else trained.save(path)

    callbacks = as_callbacks(callbacks, monitor=monitor, save=save_keras)
    options = replace(options, loss=loss or default_loss(source, y))
    if (options.label_smoothing or class_weight is not None) and options.loss != "sparse_categorical_crossentropy":
        raise ValueError(f"label_smoothing and class_weight need targets that are classes; the loss is {options.loss}")
    inputs, targets = training_pair(model, x, y, options.loss)
    weights = example_weights(targets, model.outputs[0].shape[-1], class_weight, sample_weight)
    trainer = create_trainer(options.engine, runner, source, options)
    stores: list[int] = []

    def examples(values: NDArray[Any], labels: NDArray[Any], weights: NDArray[np.float32] | None = None) -> Examples:
        stores.append(runner.call("features.put", {"values": values}))
        return Examples(stores[-1], labels, sample_weights=weights)

    try:
        training = examples(inputs, targets, weights)
        validation = None
        if validation_data is not None:
            validation = examples(*training_pair(model, *validation_data, options.loss))
        result = fit(trainer, training, validation, options, callbacks=callbacks)
        model.replace_weights(trainer.weights())
    finally:
        trainer.dispose()
        for store in stores:
            if runner.alive:
                runner.call("features.dispose", {"store": store})
    return result.history


def _trainable(model: Model) -> LayersModel:
    source = model.become_layers()
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelFormatError(
            f"The model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; only models with one of each train",
            hint="Train it in Keras, or train a part of it that has one of each.",
        )
    if not any(layer.trainable and layer.parameters for layer in model.layers):
        raise ModelFormatError("The model has no trainable weights", hint="Unfreeze a layer that has weights.")
    return source
