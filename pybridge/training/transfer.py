"""One transfer: the frozen part of a model runs once for each image, the rest trains on what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pybridge.data import Augmentation, ImageSet, Preprocessing, class_weights
from pybridge.errors import DataError
from pybridge.features import FeatureExtractor
from pybridge.graphs import Program
from pybridge.heads import HeadFit
from pybridge.session import Session
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import split, truncate
from pybridge.training.callbacks import Callback
from pybridge.training.engines import create_trainer
from pybridge.training.keras_callbacks import as_callbacks
from pybridge.training.loop import FitResult, FitState, fit
from pybridge.training.options import TrainingOptions
from pybridge.training.preparation import EnginePreparation
from pybridge.training.rate_finder import RateCurve, RateSearch, find_rates
from pybridge.training.trainer import Examples

JudgedBy = Literal["validation", "held-out folds", "training"]
"""Which images a training is judged by."""


@dataclass(frozen=True)
class Transfer:
    """What shall be trained, on what, and how.

    Args:
        model: The whole classifier, from preprocessed images to probabilities, with its present weights.
        cut: Its last frozen layer; None to train every layer.
        preprocessing: What turns images into its input.
        training: Images to train on.
        validation: Images to judge by, or None.
        options: How.
        augmentation: Which views of the training images to use beside the images themselves.
        class_weight: None, ``"balanced"``, or weights by class number or name.
        skip_unreadable: Leave out images that cannot be decoded.
        fitted: Whether what trains is a head that is fitted; see `run_fitted`.
    """

    model: LayersModel
    cut: str | None
    preprocessing: Preprocessing
    training: ImageSet
    validation: ImageSet | None
    options: TrainingOptions
    augmentation: Augmentation | None = None
    class_weight: object = None
    skip_unreadable: bool = False
    fitted: bool = False


@dataclass(frozen=True)
class TransferResult:
    """What a transfer gave.

    Attributes:
        model: The classifier with the best weights.
        fit: History, and whether Ctrl-C ended it.
        judged: The images that it is judged by, as far as they could be read.
        probabilities: What is given for them, float32 of shape (images, classes).
        judged_by: What these images are: ``validation`` data; ``held-out folds``, each of the training images judged by a head
            that had not seen it; or ``training`` data themselves.
        head: How the head was fitted, where it was.
    """

    model: LayersModel
    fit: FitResult
    judged: ImageSet
    probabilities: NDArray[np.float32]
    judged_by: JudgedBy
    head: HeadFit | None = None


def frozen_programs(model: LayersModel, cut: str | None, preprocessing: Preprocessing, session: Session) -> list[Program]:
    """The programs from images to the activations where the frozen part of a model ends."""
    return session.programs([preprocessing, *([] if cut is None else [truncate(model, cut)])])


def trainable_part(model: LayersModel, cut: str | None, shape: Sequence[int]) -> LayersModel:
    """The part of a model behind the cut, whose input has the given shape; all of it where there is no cut."""
    return model if cut is None else split(model, cut, shape)[1]


def classifier_programs(model: LayersModel, cut: str | None, preprocessing: Preprocessing, session: Session) -> list[Program]:
    """The programs from images to probabilities. The frozen part is the one that training used."""
    frozen = frozen_programs(model, cut, preprocessing, session)
    return [*frozen, *session.programs([trainable_part(model, cut, frozen[-1].output_shape)])]


def run_transfer(
    transfer: Transfer,
    session: Session,
    *,
    callbacks: Sequence[Callback] = (),
    resume: FitState | None = None,
    on_epoch: Callable[[FitState], None] | None = None,
) -> TransferResult:
    """Extracts features, trains, and judges the best weights.

    Args:
        transfer: What to do.
        session: Where.
        callbacks: Called around the epochs.
        resume: Where to go on.
        on_epoch: Told the state after each epoch.

    Raises:
        DataError: Images cannot be decoded, or too few are left.
    """
    monitor = transfer.options.monitor or ("loss" if transfer.validation is None else "val_loss")
    callbacks = as_callbacks(callbacks, monitor=monitor)
    stages, tail = _parts(transfer, session)
    # What trains is traced while features are extracted.
    with (
        EnginePreparation(transfer.options.engine, tail, transfer.options, session.runtime) as preparation,
        ExitStack() as stores,
    ):
        training, images = training_data(transfer, session.extractor, stages, stores)
        validation: Examples | None = None
        if transfer.validation is not None:
            validation, images = validation_data(transfer, transfer.validation, session.extractor, stages, stores)
        trainer = create_trainer(preparation.result(), session.runner, tail, transfer.options)
        try:
            result = fit(
                trainer,
                training,
                validation,
                transfer.options,
                callbacks=callbacks,
                resume=resume,
                on_epoch=on_epoch,
            )
            _, probabilities = trainer.evaluate(validation or training, batch_size=256)
            weights = trainer.weights()
        finally:
            trainer.dispose()
    model = replace(transfer.model, weights={**transfer.model.weights, **weights})
    judged_by: JudgedBy = "training" if validation is None else "validation"
    return TransferResult(model, result, images, probabilities, judged_by)


def find_rate(transfer: Transfer, session: Session, search: RateSearch) -> RateCurve:
    """Extracts features of the training images, and runs a learning-rate range test on them.

    Args:
        transfer: What would be trained.
        session: Where.
        search: Which rates.

    Raises:
        DataError: Images cannot be decoded, or too few are left.
    """
    stages, tail = _parts(transfer, session)
    with (
        EnginePreparation(transfer.options.engine, tail, transfer.options, session.runtime) as preparation,
        ExitStack() as stores,
    ):
        examples, _ = training_data(transfer, session.extractor, stages, stores)
        trainer = create_trainer(preparation.result(), session.runner, tail, transfer.options)
        try:
            return find_rates(trainer, examples, search)
        finally:
            trainer.dispose()


def _parts(transfer: Transfer, session: Session) -> tuple[list[Program], LayersModel]:
    """The programs of what stays frozen, and what trains on their output."""
    stages = frozen_programs(transfer.model, transfer.cut, transfer.preprocessing, session)
    return stages, trainable_part(transfer.model, transfer.cut, stages[-1].output_shape)


def training_data(
    transfer: Transfer, extractor: FeatureExtractor, stages: Sequence[Program], stores: ExitStack
) -> tuple[Examples, ImageSet]:
    """The activations of the training images that can be read, in a store that is released with ``stores``; and these images.

    Raises:
        DataError: Images cannot be decoded, or too few are left.
    """
    store, readable = extractor.extract(
        stages,
        transfer.training,
        batch_size=32,
        augmentation=transfer.augmentation,
        seed=transfer.options.seed,
        description="Training images",
        skip_unreadable=transfer.skip_unreadable,
    )
    stores.callback(extractor.release, store)
    return _examples(transfer, store, readable), transfer.training.take(readable)


def validation_data(
    transfer: Transfer, images: ImageSet, extractor: FeatureExtractor, stages: Sequence[Program], stores: ExitStack
) -> tuple[Examples, ImageSet]:
    """As `training_data`, of the validation images."""
    store, readable = extractor.extract(stages, images, description="Validation images", skip_unreadable=transfer.skip_unreadable)
    stores.callback(extractor.release, store)
    if not len(readable):
        raise DataError("None of the validation images can be decoded", hint="Choose other validation images.")
    return Examples(store, images.labels.astype(np.int32), order=readable.astype(np.int32)), images.take(readable)


def _examples(transfer: Transfer, store: int, readable: NDArray[np.int64]) -> Examples:
    labels = transfer.training.labels.astype(np.int32)
    present = np.unique(labels[readable])
    if len(present) < 2:
        raise DataError(
            f"Only {len(present)} class has images that can be used; a classifier needs two",
            hint="Add images of another class.",
        )
    names = transfer.training.class_names
    weights = class_weights(labels[readable], len(names), transfer.class_weight, names)  # type: ignore[arg-type]
    return Examples(
        store,
        labels,
        views=transfer.augmentation.views if transfer.augmentation else 1,
        sample_weights=None if weights is None else weights[labels],
        order=readable.astype(np.int32),
    )
