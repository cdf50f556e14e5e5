"""What a training leaves, in memory and as a run directory."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.inputs import parse_class_values
from pybridge.classifier.judging import measure, report_data
from pybridge.data import ImageSet
from pybridge.report import render
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import layer_names, truncate
from pybridge.training.head import POOLING_LAYER
from pybridge.training.run_directory import REPORT_FILE, RunDirectory, RunRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """The images that a training was judged by, and what its model gave for them.

    Attributes:
        images: With their true labels.
        probabilities: float32 of shape (images, classes).
    """

    images: ImageSet
    probabilities: NDArray[np.float32]

    def metrics(self) -> dict[str, float]:
        """The figures that the run's record keeps."""
        measured = measure(self.images, self.probabilities)
        return {name: measured[name] for name in ("accuracy", "loss", "balanced_accuracy", "macro_f1")}

    def sample(self, limit: int) -> ImageSet:
        """At most ``limit`` of the images, spread over all of them."""
        count = min(limit, len(self.images))
        return self.images.take(np.linspace(0, len(self.images) - 1, count).astype(np.int64))


@dataclass(frozen=True)
class Trained:
    """A trained classifier: its record and its model.

    Attributes:
        record: What ``run.json`` says.
        model: From preprocessed images to probabilities.
        judged: What the training was judged by; None where the run was read from disk.
        report: The report as it was read from disk.
    """

    record: RunRecord
    model: LayersModel
    judged: Judged | None = None
    report: str | None = None

    @property
    def classes(self) -> NDArray[Any]:
        """The classes as the user gave them, in the order of the probabilities."""
        return parse_class_values(self.record.class_names, self.record.data.get("label_dtype"))

    @classmethod
    def read(cls, run: RunDirectory) -> Trained:
        """Reads a run directory; while it is in training, with the best weights so far.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        record, model = run.read()
        if record.status == "training":
            logger.warning("%s is not finished: it has the best weights of %d epochs.", run.path, len(record.history))
        report = run.path / REPORT_FILE
        return cls(record, model, report=report.read_text("utf-8") if report.exists() else None)

    def write(self, run: RunDirectory) -> None:
        """Writes the run directory with its model and report."""
        run.write(self.record, self.model, self._report(run.path.name))

    def write_with_parity(self, run: RunDirectory, parity: dict[str, Any]) -> Trained:
        """Adds a comparison of runtimes to the record and the report of a run that was just written."""
        proved = replace(self, record=replace(self.record, data={**self.record.data, "parity": parity}))
        run.write(proved.record, report=proved._report(run.path.name))
        return proved

    def _report(self, title: str) -> str | None:
        if self.judged is None:
            return self.report
        record = self.record
        counts = {part: sum(record.data[part].values()) for part in ("training", "validation")}
        settings = {
            "base model": record.base["name"],
            "trained on": f"{counts['training']} images",
            "judged on": f"{len(self.judged.images)} {'validation' if counts['validation'] else 'training'} images",
            "frozen up to": record.cut or "nothing: every layer trained",
            **record.settings,
            "engine": record.history.engine,
            **record.data.get("fine_tuning", {}),
            "seed": record.seed,
        }
        shown = report_data(title, self.judged.images, self.judged.probabilities, record.history, settings, record.versions)
        return render(replace(shown, parity=record.data.get("parity")))


def without_head(model: LayersModel) -> LayersModel:
    """The base model of a classifier, up to its last feature map."""
    names = layer_names(model)
    return truncate(model, names[names.index(POOLING_LAYER) - 1])
