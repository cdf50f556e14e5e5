"""Whether a run trains alike: in Node.js and in Python to the last bit, and with both engines along one curve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.trained import TrainedClassifier
from pybridge.data import ImageSet
from pybridge.graphs.training.reference import train_reference
from pybridge.parity.findings import TrainingCheck
from pybridge.rpc.runner import Runner
from pybridge.session import Session
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import with_options
from pybridge.training.engines import create_trainer
from pybridge.training.options import ENGINES, EngineName, TrainingOptions
from pybridge.training.preparation import EngineChoice, EnginePreparation
from pybridge.training.schedules import mixing_shares
from pybridge.training.trainer import Examples, Trainer
from pybridge.training.transfer import trainable_part

MOST_IMAGES = 64
# TensorFlow.js alone takes a second for each image where convolutions train.
_MOST_FOR_LAYERS = 16
_STEPS_OF_AN_EPOCH = 2


def check_training(classifier: TrainedClassifier, images: ImageSet, epochs: int) -> TrainingCheck:
    """Trains a run's trainable part for some epochs in Node and in Python, and by both engines in Node.

    Nothing of the run changes. Images in folders with the names of classes have these labels, others get one class after the
    other: equality does not depend on what the labels mean.

    Args:
        classifier: A trained classifier.
        images: At most 64 of them are trained on.
        epochs: How many.

    Raises:
        ModelFormatError: Keras cannot train this model, so that there is nothing to compare.
    """
    some = images.take(np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).astype(np.int64))
    stages, session = classifier.programs[:-1], classifier.session
    options = classifier.options
    tail = trainable_part(classifier.model, classifier.record.cut, stages[-1].output_shape)
    with session.tensorflow(), EnginePreparation("compiled", tail, options, session.runtime) as preparation:
        store, _ = session.extractor.extract(stages, some, description="Features")
        try:
            choice = preparation.result()
            course = _Course(Examples(store, _labels(some)), options, epochs)
            return _compare(session, tail, choice, course)
        finally:
            session.extractor.release(store)


@dataclass(frozen=True)
class _Course:
    """What both sides train on, and in which order."""

    examples: Examples
    options: TrainingOptions
    epochs: int

    @property
    def used(self) -> NDArray[np.int32]:
        return self.examples.used

    @property
    def batch_size(self) -> int:
        return max(-(-len(self.used) // _STEPS_OF_AN_EPOCH), 1)

    @property
    def steps(self) -> int:
        return -(-len(self.used) // self.batch_size)

    @property
    def orders(self) -> list[NDArray[np.int32]]:
        return [np.random.default_rng([self.options.seed, i]).permutation(self.used) for i in range(self.epochs)]

    @property
    def mixing(self) -> list[NDArray[np.float32]] | None:
        shares = [
            mixing_shares(self.options.mixup, seed=self.options.seed, epoch=i, steps=self.steps) for i in range(self.epochs)
        ]
        return [share for share in shares if share is not None] or None

    def losses(self, trainer: Trainer) -> list[float]:
        """Trains, and gives the loss of each epoch."""
        mixing = self.mixing
        return [
            trainer.train_epoch(
                self.examples,
                order,
                np.zeros_like(order),
                batch_size=self.batch_size,
                learning_rate=self.options.learning_rate,
                mixing=None if mixing is None else mixing[i],
            )["loss"]
            for i, order in enumerate(self.orders)
        ]

    def means(self, losses: NDArray[np.float32]) -> list[float]:
        """The loss of each epoch out of those of the steps, summed as Node sums them."""
        means = []
        for epoch in range(self.epochs):
            total = 0.0
            for i in range(self.steps):
                count = min(self.batch_size, len(self.used) - i * self.batch_size)
                total += float(losses[epoch * self.steps + i]) * count
            means.append(total / len(self.used))
        return means


def _compare(session: Session, tail: LayersModel, choice: EngineChoice, course: _Course) -> TrainingCheck:
    assert choice.program is not None
    trainer = create_trainer(choice, session.runner, tail, course.options)
    try:
        in_node = course.losses(trainer)
        weights = trainer.weights()
    finally:
        trainer.dispose()
    with session.tensorflow() as tensorflow:
        reference = train_reference(
            choice.program,
            tail.weights,
            session.extractor.read(course.examples.store, np.arange(len(course.examples.targets), dtype=np.int32)),
            course.examples.targets,
            course.orders,
            batch_size=course.batch_size,
            settings=course.options,
            tensorflow=tensorflow,
            learning_rate=course.options.learning_rate,
            mixing=course.mixing,
        )
    gaps = {name: _gap(weights[name], reference.weights[name]) for name in choice.program.weights}
    worst = max(gaps, key=lambda name: gaps[name][1])
    few = replace(course, examples=replace(course.examples, order=course.used[:_MOST_FOR_LAYERS]))
    by_engine: dict[str, list[float]] = {
        engine: _losses(engine, session.runner, with_options(tail, "Dropout", rate=0.0), few) for engine in ENGINES
    }
    compiled, layers = (np.array(by_engine[engine]) for engine in ENGINES)
    return TrainingCheck(
        images=len(course.used),
        epochs=course.epochs,
        values=sum(value.size for value in reference.weights.values()),
        different=sum(different for different, _ in gaps.values()),
        max_abs_diff=gaps[worst][1],
        worst_weight=worst if gaps[worst][0] else None,
        changed=sum(_gap(value, tail.weights[name])[0] for name, value in reference.weights.items()),
        losses={"node": in_node, "python": course.means(reference.losses)},
        engine_images=len(few.used),
        engine_losses=by_engine,
        max_loss_diff=float((np.abs(compiled - layers) / np.maximum(np.abs(layers), np.finfo(np.float32).tiny)).max()),
    )


def _losses(engine: EngineName, runner: Runner, model: LayersModel, course: _Course) -> list[float]:
    trainer = create_trainer(engine, runner, model, course.options)
    try:
        return course.losses(trainer)
    finally:
        trainer.dispose()


def _gap(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[int, float]:
    """How many values have other bits, and the largest difference."""
    different = one.view(np.uint32) != other.view(np.uint32)
    return int(different.sum()), float(np.abs(one - other).max(initial=0.0))


def _labels(images: ImageSet) -> NDArray[np.int32]:
    numbers = {name: i for i, name in enumerate(images.class_names)}
    folders = ["" if images.is_array else Path(images.source(i)).parent.name for i in range(len(images))]
    return np.array([numbers.get(folder, i % len(numbers)) for i, folder in enumerate(folders)], np.int32)
