"""What fine-tuning goes on from, and whether it made the classifier better, on the same held-out images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.evaluation import Evaluation
from pybridge.classifier.trained import TrainingResult
from pybridge.data import ImageSet
from pybridge.heads import HeadSetting, is_uneven
from pybridge.session import Session
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.fitted import run_settings
from pybridge.training.head import POOLING_LAYER
from pybridge.training.transfer import Transfer

_Z95 = 1.959963984540054
# The strength of the head that fine-tuning begins with, at most.
_SOFT = 1.0


@dataclass(frozen=True)
class Beginning:
    """What fine-tuning goes on from, where the head was fitted.

    Attributes:
        known: The classifier as it was, its head fitted to all images; what stays where fine-tuning does not help.
        model: The classifier that fine-tuning begins with; its head has not seen the validation images.
        probabilities: What the head that it is compared with gives for the validation images that can be read; it has not seen
            them either. None without validation images.
    """

    known: TrainingResult
    model: LayersModel
    probabilities: NDArray[np.float32] | None

    def compare(self, images: ImageSet, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """How the fine-tuned classifier does on the same images, as plain JSON values.

        Returns:
            ``images``, ``measure`` (``accuracy``, or ``balanced_accuracy`` where classes are uneven), ``before`` and ``after``
            by it, ``difference`` of the accuracies with its 95 % interval ``low`` to ``high`` (of paired shares, normal
            approximation), and ``helped``.
        """
        assert self.probabilities is not None
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


def fair_beginning(known: TrainingResult, transfer: Transfer, session: Session) -> Beginning | None:
    """What a fine-tuning goes on from so that it learns and can be judged; None where the head was not fitted.

    A head that was fitted to all images has seen those that shall judge: it is fitted once more, with the same setting, to the
    training part alone, for the comparison. Fine-tuning itself begins with a more strongly penalised head: one that is sure of
    its training images already leaves the base next to nothing to learn from (docs/defaults.md).

    Args:
        known: The classifier.
        transfer: What will be fine-tuned.
        session: Where.
    """
    if (fitted := known.record.data.get("head")) is None:
        return None
    setting = HeadSetting.from_dict(fitted)
    again = replace(transfer, model=known.model, cut=POOLING_LAYER, augmentation=None, fitted=True)
    fair, soft = run_settings(again, session, [setting, _softer(setting)])
    return Beginning(known, soft.model, None if transfer.validation is None else fair.probabilities)


def _softer(setting: HeadSetting) -> HeadSetting:
    if setting.method == "discriminant analysis":
        return HeadSetting(features=setting.features, strength=_SOFT)
    return replace(setting, strength=min(setting.strength / 10, _SOFT))
