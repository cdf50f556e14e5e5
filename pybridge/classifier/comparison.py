"""What fine-tuning goes on from, and whether it made the classifier better, on the same held-out images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.evaluation import Evaluation
from pybridge.classifier.trained import TrainedClassifier, TrainingResult
from pybridge.data import ImageSet
from pybridge.heads import HeadSetting, is_uneven
from pybridge.session import Session
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.fitted import run_fitted
from pybridge.training.head import POOLING_LAYER
from pybridge.training.transfer import Transfer

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Beginning:
    """What fine-tuning goes on from, where the head was fitted.

    Attributes:
        known: The classifier as it was, its head fitted to all images; what stays where fine-tuning does not help.
        model: The classifier whose head has not seen the validation images.
        judged: The validation images that can be read.
        probabilities: What it gives for them.
    """

    known: TrainingResult
    model: LayersModel
    judged: ImageSet
    probabilities: NDArray[np.float32]

    def compare(self, images: ImageSet, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """How the fine-tuned classifier does on the same images, as plain JSON values.

        Returns:
            ``images``, ``measure`` (``accuracy``, or ``balanced_accuracy`` where classes are uneven), ``before`` and ``after``
            by it, ``difference`` of the accuracies with its 95 % interval ``low`` to ``high`` (of paired shares, normal
            approximation), and ``helped``.
        """
        measure = "balanced_accuracy" if is_uneven(images.counts) else "accuracy"
        before, after = (Evaluation(images, each).summary()[measure] for each in (self.probabilities, probabilities))
        right = [each.argmax(axis=1) == images.labels for each in (self.probabilities, probabilities)]
        gains = right[1].astype(np.float64) - right[0]
        half = _Z95 * float(gains.std()) / np.sqrt(len(gains))
        return {
            "images": len(images),
            "measure": measure,
            "before": before,
            "after": after,
            "difference": float(gains.mean()),
            "low": float(gains.mean() - half),
            "high": float(gains.mean() + half),
            "helped": after > before,
        }


def fair_beginning(known: TrainingResult, transfer: Transfer, session: Session, *, parted: bool) -> Beginning | None:
    """What a fine-tuning goes on from so that it can be judged; None where the head was not fitted, or nothing judges.

    A head that was fitted to all images has seen those that shall judge: it is fitted once more, with the same setting, to the
    training part alone.

    Args:
        known: The classifier.
        transfer: What will be fine-tuned.
        session: Where.
        parted: Whether the validation images are a part of those that the classifier was fitted to.
    """
    fitted = known.record.data.get("head")
    if fitted is None or transfer.validation is None:
        return None
    if not parted:
        probabilities = TrainedClassifier(known, session).probabilities(transfer.validation)
        return Beginning(known, known.model, transfer.validation, probabilities)
    again = replace(transfer, model=known.model, cut=POOLING_LAYER, augmentation=None, fitted=True)
    result = run_fitted(again, session, setting=HeadSetting.from_dict(fitted))
    return Beginning(known, result.model, result.judged, result.probabilities)
