"""What the parameters of a classifier mean for a training, and how a run records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pybridge.classifier.inputs import weights_by_name
from pybridge.data import Augmentation
from pybridge.training.option_descriptions import described
from pybridge.training.options import ClassifierOptions
from pybridge.training.run_directory import RunRecord

Parameters = Mapping[str, Any]
"""The parameters of `ImageClassifier`, by name; for fine-tuning with what it does otherwise."""

# Said elsewhere in the record, or not part of the model.
_NOT_RECORDED = ("allow_lambda", "base", "feature_memory", "input_shape", "node", "preprocessing")

# What runs did before there were these settings.
_BEFORE = {
    "head": "epochs",
    "preset": "fast",
    "time_limit": None,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "mixup": 0.0,
    "global_clipnorm": None,
}


def options_of(parameters: Parameters, seed: int, kind: type[ClassifierOptions] = ClassifierOptions) -> ClassifierOptions:
    """How a training is done; what the parameters do not say is as ``kind`` has it.

    Raises:
        ValueError: A parameter is what it may not be.
    """
    given = {name: parameters[name] for name in described(kind).keys() & parameters.keys()}
    options = kind(**{**given, "seed": seed})
    return replace(options, momentum=options.chosen_optimizer.classifier_momentum)


def recorded(parameters: Parameters, classes: NDArray[Any], class_names: tuple[str, ...]) -> dict[str, Any]:
    """The parameters as the run's record holds them: plain JSON values.

    Args:
        parameters: Those of the classifier.
        classes: The classes as the user knows them.
        class_names: Their names.
    """
    settings = {name: value for name, value in parameters.items() if name not in _NOT_RECORDED}
    augmentation = Augmentation.parse(parameters["augment"])
    settings["augment"] = augmentation.to_dict() if augmentation else False
    if isinstance(parameters["class_weight"], dict):
        by_name = weights_by_name(parameters["class_weight"], classes, class_names)
        settings["class_weight"] = {name: float(weight) for name, weight in by_name.items()}
    if isinstance(parameters["base"], str | Path):
        settings["base"] = str(parameters["base"])
    return settings


def in_use(record: RunRecord) -> dict[str, Any]:
    """The parameters that a run was trained with; for a fine-tuned one with what fine-tuning did otherwise."""
    return {**_BEFORE, **record.settings, **record.data.get("fine_tuning", {})}
