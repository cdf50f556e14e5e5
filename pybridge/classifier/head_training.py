"""A new head: on the base that was asked for, or on the best of those at hand."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from pybridge.classifier.inputs import Images, TrainingImages, training_images
from pybridge.classifier.presets import Budget
from pybridge.classifier.settings import Parameters, options_of, recorded
from pybridge.classifier.trained import TrainingResult
from pybridge.classifier.training_run import new_record, train
from pybridge.classifier.transfers import new_head
from pybridge.data import Labelling
from pybridge.errors import ModelFormatError
from pybridge.loading import BaseModel, resolve
from pybridge.progress import download_progress
from pybridge.session import Session
from pybridge.training.callbacks import Callback
from pybridge.training.run_directory import RunDirectory

logger = logging.getLogger(__name__)

_SHARE_TO_JUDGE_BY = 0.2


@dataclass(frozen=True)
class Given:
    """The images that a user gives to learn from, and what judges; see `ImageClassifier.fit`.

    Attributes:
        x: Images.
        y: Their labels.
        labelling: Where else the labels are.
        split: Share that is kept to judge by; None leaves it to the head.
        validation: What judges instead.
    """

    x: Images
    y: ArrayLike | None
    labelling: Labelling
    split: float | None
    validation: Any

    def images(self, seed: int, *, fitted: bool, skip_unreadable: bool) -> TrainingImages:
        """What to train on, and to judge by."""
        usual = 0.0 if fitted else _SHARE_TO_JUDGE_BY
        return training_images(
            self.x,
            self.y,
            split=usual if self.split is None else self.split,
            validation=self.validation,
            seed=seed,
            labelling=self.labelling,
            skip_unreadable=skip_unreadable,
        )


def load_base(parameters: Parameters) -> BaseModel:
    """The base model that a classifier's parameters name.

    Raises:
        ModelFormatError: It cannot be used.
    """
    with download_progress() as report:
        return resolve(
            parameters["base"],
            preprocessing=parameters["preprocessing"],
            input_shape=parameters["input_shape"],
            allow_lambda=parameters["allow_lambda"],
            progress=report,
        )


def train_head(
    given: Given,
    parameters: Parameters,
    seed: int,
    session: Session,
    run: RunDirectory | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Makes a head as a classifier's parameters say.

    Args:
        given: What to learn from.
        parameters: Of the classifier.
        seed: The seed in use.
        session: Where.
        run: Where the run is written, or None.
        callbacks: Called around the steps or epochs.

    Raises:
        DataError: The images or labels cannot be used.
        ModelFormatError: The base model cannot be used.
    """
    if run is not None and run.exists() and "head" not in run.read()[0].settings:
        parameters = {**parameters, "head": "epochs"}  # all that there was when that run was begun
    options = options_of(parameters, seed)
    images = given.images(seed, fitted=options.fits_head, skip_unreadable=options.skip_unreadable)
    with session.tensorflow():
        base = load_base(parameters)
        transfer = new_head(base, images, options, session)
        record = new_record(
            transfer,
            {"name": base.name, **base.origin},
            recorded(parameters, images.classes, images.class_names),
            images.classes.dtype.kind,
            session.runtime,
        )
        return train(transfer, record, session, run, callbacks=callbacks)


def best_head(
    bases: Sequence[Any],
    given: Given,
    parameters: Parameters,
    seed: int,
    session: Session,
    budget: Budget,
    callbacks: Sequence[Callback] = (),
) -> tuple[TrainingResult, float]:
    """The head with the lowest loss of those on several bases, and the seconds that it took.

    The loss is that of the images which judge: with a head that is fitted, all images, by folds that had not seen them.

    Args:
        bases: The first is the one that was asked for; of the others those are left out that cannot be loaded, or for which
            there is no time.
        given: See `train_head`.
        parameters: See `train_head`.
        seed: See `train_head`.
        session: See `train_head`.
        budget: The time.
        callbacks: See `train_head`.
    """
    tried: list[tuple[TrainingResult, float]] = []
    for base in bases:
        if tried and budget.left < 2 * tried[-1][1]:
            logger.warning("There is no time left to try the base %s.", base)
            continue
        begun = budget.spent
        chosen: Mapping[str, Any] = {**parameters, "base": base, "preprocessing": None} if tried else parameters
        try:
            result = train_head(given, chosen, seed, session, None, callbacks)
        except ModelFormatError as error:
            if not tried:
                raise
            logger.warning("The base %s cannot be tried: %s", base, error.message)
            continue
        tried.append((result, budget.spent - begun))
        if len(bases) > 1:
            metrics = result.record.metrics
            name = result.record.base["name"]
            logger.warning("On the base %s: accuracy %.4f, loss %.4f", name, metrics["accuracy"], metrics["loss"])
    return min(tried, key=lambda one: one[0].record.metrics["loss"])
