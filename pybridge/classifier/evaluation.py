"""How good a classifier is: metrics, and what the report of a training shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data import ImageSet
from pybridge.report import Prediction, ReportData, metrics_from_confusion, thumbnail
from pybridge.training.history import History

# More thumbnails than these make a report that browsers open slowly.
_MOST_WRONG = 300
_MOST_RIGHT = 60

# Keras clips probabilities here before it takes their logarithm.
_EPSILON = 1e-7


@dataclass(frozen=True)
class Evaluation:
    """Labelled images, and what a classifier gave for them.

    Attributes:
        images: With their true labels.
        probabilities: float32 of shape (images, classes).

    Example:
        >>> Evaluation(images, classifier.probabilities(images)).metrics()["accuracy"]
        0.93
    """

    images: ImageSet
    probabilities: NDArray[np.float32]

    def metrics(self) -> dict[str, Any]:
        """How good the classifier is, as plain JSON values.

        Returns:
            ``accuracy``, ``loss``, ``balanced_accuracy``, ``macro_f1``, ``images``, ``per_class`` (precision, recall, f1 and
            support by class) and ``confusion`` (true by predicted).
        """
        confusion = self.confusion()
        metrics = metrics_from_confusion(confusion)
        chosen = self.probabilities[np.arange(len(self.images)), self.images.labels].astype(np.float64)
        return {
            "accuracy": metrics.accuracy,
            "loss": float(-np.log(np.clip(chosen, _EPSILON, 1)).mean()),
            "balanced_accuracy": metrics.balanced_accuracy,
            "macro_f1": metrics.macro_f1,
            "images": len(self.images),
            "per_class": {
                name: {
                    "precision": float(metrics.precision[i]),
                    "recall": float(metrics.recall[i]),
                    "f1": float(metrics.f1[i]),
                    "support": int(metrics.support[i]),
                }
                for i, name in enumerate(self.images.class_names)
            },
            "confusion": confusion.tolist(),
        }

    def summary(self) -> dict[str, float]:
        """The figures that a run's record keeps."""
        metrics = self.metrics()
        return {name: metrics[name] for name in ("accuracy", "loss", "balanced_accuracy", "macro_f1")}

    def confusion(self) -> NDArray[np.int64]:
        """Counts of shape (classes, classes), true class by most probable class."""
        classes = len(self.images.class_names)
        cells = self.images.labels.astype(np.int64) * classes + self.probabilities.argmax(axis=1)
        return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)

    def sample(self, limit: int) -> ImageSet:
        """At most ``limit`` of the images, spread over all of them."""
        count = min(limit, len(self.images))
        return self.images.take(np.linspace(0, len(self.images) - 1, count).astype(np.int64))


def report_data(
    title: str,
    evaluation: Evaluation,
    history: History,
    settings: Mapping[str, object],
    versions: Mapping[str, str],
) -> ReportData:
    """What the report of a training shows; with thumbnails of the wrong predictions, most confident first."""
    images, probabilities = evaluation.images, evaluation.probabilities
    predicted = probabilities.argmax(axis=1)
    certainty = probabilities[np.arange(len(images)), predicted]
    wrong = np.flatnonzero(predicted != images.labels)
    wrong = wrong[np.argsort(-certainty[wrong], kind="stable")][:_MOST_WRONG]
    right = np.flatnonzero(predicted == images.labels)[:_MOST_RIGHT]
    predictions = [
        Prediction(
            _short_source(images, i),
            int(images.labels[i]),
            int(predicted[i]),
            float(certainty[i]),
            thumbnail(images.images[i]),
        )
        for i in (int(position) for position in [*wrong, *right])
    ]
    return ReportData(
        title=title,
        class_names=images.class_names,
        history=history.rows,
        best_epoch=history.best_epoch,
        confusion=evaluation.confusion(),
        predictions=predictions,
        settings=settings,
        versions=versions,
    )


def _short_source(images: ImageSet, index: int) -> str:
    source = images.source(index)
    return source if images.is_array else "/".join(Path(source).parts[-2:])
