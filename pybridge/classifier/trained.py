"""What a training leaves: a result, in memory and as a run directory; and a trained classifier at work in a session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.evaluation import Evaluation, report_data
from pybridge.classifier.inputs import parse_class_values
from pybridge.classifier.settings import in_use, options_of
from pybridge.data import ImageSet
from pybridge.errors import ModelFormatError
from pybridge.graphs import Program
from pybridge.heads import HeadSetting
from pybridge.report import render
from pybridge.session import Session
from pybridge.text import printable
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.options import ClassifierOptions
from pybridge.training.run_directory import REPORT_FILE, RunDirectory, RunRecord
from pybridge.training.transfer import JudgedBy, classifier_programs

logger = logging.getLogger(__name__)

_KINDS: dict[JudgedBy, str] = {
    "validation": "validation images",
    "held-out folds": "images, each by a head that had not seen it",
    "training": "training images",
}


@dataclass
class TrainingResult:
    """What a training leaves: its record and its model.

    Attributes:
        record: What ``run.json`` says.
        model: From preprocessed images to probabilities.
        evaluation: Of the images that the training was judged by; None where the run was read from disk.
        report: The report as it was read from disk.
    """

    record: RunRecord
    model: LayersModel
    evaluation: Evaluation | None = None
    report: str | None = None

    @property
    def classes(self) -> NDArray[Any]:
        """The classes as the user gave them, in the order of the probabilities."""
        return parse_class_values(self.record.class_names, self.record.data.get("label_dtype"))

    @classmethod
    def read(cls, run: RunDirectory) -> TrainingResult:
        """Reads a run directory; while it is in training, with the best weights so far.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        record, model = run.read()
        if record.status == "training" and not record.history.rows:
            raise ModelFormatError(
                f"{printable(run.path)} has not finished its first epoch: there is nothing to use yet",
                hint="Wait for it, or go on with it by --resume (resume=True).",
            )
        if record.status == "training":
            logger.warning("%s is not finished: it has the best weights of %d epochs.", run.path, len(record.history))
        report = run.path / REPORT_FILE
        return cls(record, model, report=report.read_text("utf-8") if report.exists() else None)

    def write(self, run: RunDirectory) -> None:
        """Writes the run directory with its model and report."""
        run.write(self.record, self.model, self._report(run.path.name))

    def record_parity(self, parity: dict[str, Any], run: RunDirectory) -> None:
        """Adds a comparison of runtimes to the record, and to the record and report of the run that was just written.

        Args:
            parity: As `ParityReport.to_dict` gives it.
            run: The run.
        """
        self.record = replace(self.record, data={**self.record.data, "parity": parity})
        run.write(self.record, report=self._report(run.path.name))

    def _report(self, title: str) -> str | None:
        if self.evaluation is None:
            return self.report
        record = self.record
        counts = {part: sum(record.data[part].values()) for part in ("training", "validation")}
        settings = {
            "base model": record.base["name"],
            "trained on": f"{counts['training']} images",
            "judged on": f"{len(self.evaluation.images)} {_KINDS[record.data['judged_by']]}",
            **({"fitted head": str(HeadSetting.from_dict(record.data["head"]))} if "head" in record.data else {}),
            **({"fine-tuning": _told(record.data["comparison"])} if "comparison" in record.data else {}),
            "frozen up to": record.cut or "nothing: every layer trained",
            **record.settings,
            "engine": record.history.engine,
            **record.data.get("fine_tuning", {}),
            "seed": record.seed,
        }
        shown = report_data(title, self.evaluation, record.history, settings, record.versions)
        return render(replace(shown, parity=record.data.get("parity")))


def _told(comparison: Mapping[str, Any]) -> str:
    """What fine-tuning was good for."""
    change = f"{comparison['measure'].replace('_', ' ')} {comparison['before']:.4f} to {comparison['after']:.4f}"
    return f"{'helped' if comparison['helped'] else 'did not help'}: {change} on {comparison['images']} images kept to judge by"


class TrainedClassifier:
    """A trained classifier at work in a session: what predicts, and what parity and deployment are about.

    Args:
        result: What the training left.
        session: Where it computes.

    Attributes:
        result: The same.
        session: The same.

    Example:
        >>> with Session() as session:
        ...     probabilities = TrainedClassifier.read("run/", session).probabilities(images)
    """

    def __init__(self, result: TrainingResult, session: Session) -> None:
        self.result = result
        self.session = session

    @classmethod
    def read(cls, run: str | Path, session: Session) -> TrainedClassifier:
        """The classifier of a run directory.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        return cls(TrainingResult.read(RunDirectory(run)), session)

    @property
    def record(self) -> RunRecord:
        """What ``run.json`` says."""
        return self.result.record

    @property
    def model(self) -> LayersModel:
        """From preprocessed images to probabilities."""
        return self.result.model

    @cached_property
    def programs(self) -> list[Program]:
        """The programs from images to probabilities: preprocessing, frozen part (if any), trained part."""
        return classifier_programs(self.model, self.record.cut, self.record.preprocessing, self.session)

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """What the classifier gives for images: float32 of shape (images, classes).

        Raises:
            DataError: An image cannot be decoded.
        """
        return self.session.extractor.compute(self.programs, images)

    def probabilities_of_readable(self, images: ImageSet) -> tuple[NDArray[np.float32], dict[int, str]]:
        """The same for those of the images that can be decoded.

        Returns:
            float32 of shape (readable images, classes), and what is wrong with the others, by position.
        """
        return self.session.extractor.compute_readable(self.programs, images)

    def activations(self, images: ImageSet) -> NDArray[np.float32]:
        """What its frozen part gives for images: float32 of shape (images, ...).

        Raises:
            DataError: An image cannot be decoded.
        """
        return self.session.extractor.compute(self.programs[:-1], images, description="Features")

    @property
    def options(self) -> ClassifierOptions:
        """How it was trained."""
        return options_of(in_use(self.record), self.record.seed)
