"""What would help a classifier next: one line, from what its training measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.classifier.evaluation import Evaluation
from pybridge.text import printable
from pybridge.training.run_directory import RunRecord

# Who is so sure of another class is right about every second label at least (confident learning, Northcutt et al. 2021).
_SURE, _UNLIKELY = 0.9, 0.02
_SUSPECTS, _SUSPECT_SHARE = 3, 0.015
_FEW, _BEHIND = 20, 0.1
_NEARLY_ALL = 0.99


def advise(record: RunRecord, evaluation: Evaluation | None) -> str:
    """What to do next, the most promising first; what is not measured says so.

    Args:
        record: Of the training.
        evaluation: Of the images that it was judged by, if they are known.
    """
    found = None if evaluation is None or record.data["judged_by"] == "training" else _of_images(record, evaluation)
    if found is not None:
        return found
    comparison: dict[str, Any] | None = record.data.get("comparison")
    if record.metrics["accuracy"] >= _NEARLY_ALL:
        return "few of these photos are named wrong: judge it on photos from where it will be used (pybridge evaluate)"
    if comparison is not None and not comparison["helped"]:
        return "more photos: fine-tuning did not help (measured), and few photos are the usual reason (estimated)"
    if comparison is not None or "fine_tuning" in record.data:
        return "more photos of the classes that are confused most; the report shows which"
    return (
        "fine-tuning: it gained 0 to 3 points on the data sets of docs/defaults.md (estimated, not measured on these photos); "
        "try --preset balanced"
    )


def _of_images(record: RunRecord, evaluation: Evaluation) -> str | None:
    images, probabilities = evaluation.images, evaluation.probabilities
    given = probabilities[np.arange(len(images)), images.labels]
    suspects = int(((probabilities.max(axis=1) > _SURE) & (given < _UNLIKELY)).sum())
    if suspects >= max(_SUSPECTS, _SUSPECT_SHARE * len(images)):
        return (
            f"the labels: {suspects} of {len(images)} photos look like another class with over {_SURE:.0%} certainty to a model "
            "that had not seen them; they come first in the report (some of them are the model's mistakes)"
        )
    recalls = {name: each["recall"] for name, each in evaluation.metrics()["per_class"].items() if each["support"]}
    counts: dict[str, int] = record.data["training"]
    few = [name for name in recalls if counts[name] < _FEW and recalls[name] < np.mean(list(recalls.values())) - _BEHIND]
    if few:
        worst = min(few, key=lambda name: recalls[name])
        share = f"{recalls[worst]:.0%} of those that judge were named right (measured)"
        return f"more photos of {printable(worst)}: it has {counts[worst]}, and {share}"
    return None
