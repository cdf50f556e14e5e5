"""The options of a training: what they may be; and that functions, docstrings and flags say what the one definition says."""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.cli.options import add_flags, chosen
from pybridge.training.option_descriptions import described
from pybridge.training.options import ClassifierOptions, FineTuningOptions, TrainingOptions

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 0}, "epochs must be at least 1, but is 0"),
    ({"epochs": "ten"}, "epochs must be a whole number, not 'ten'"),
    ({"epochs": True}, "epochs must be a whole number, not True"),
    ({"batch_size": 0}, "batch_size must be at least 1, but is 0"),
    ({"batch_size": 1.5}, "batch_size must be a whole number, not 1.5"),
    ({"optimizer": "steepest"}, "optimizer must be one of adam, .*, sgd, not 'steepest'"),
    ({"loss": "hinge"}, "loss must be one of binary_crossentropy, .*, not 'hinge'"),
    ({"learning_rate": 0.0}, "learning_rate must be positive and finite, not 0.0"),
    ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, not nan"),
    ({"learning_rate": float("inf")}, "learning_rate must be positive and finite, not inf"),
    ({"learning_rate": None}, "learning_rate must be positive and finite, not None"),
    ({"momentum": 1.0}, r"momentum must be in \[0, 1\), not 1.0"),
    ({"nesterov": True}, "nesterov needs the optimizer sgd with a momentum, not adam with a momentum of 0.0"),
    ({"weight_decay": -1.0}, "weight_decay must be finite and not negative, not -1.0"),
    ({"weight_decay": float("inf")}, "weight_decay must be finite and not negative, not inf"),
    ({"global_clipnorm": 0}, "global_clipnorm must be positive or None, not 0"),
    ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), not 1.0"),
    ({"mixup": -0.1}, "mixup must be finite and not negative, not -0.1"),
    ({"schedule": "warp"}, "schedule must be one of constant, cosine, one_cycle, not 'warp'"),
    ({"warmup_epochs": -1}, "warmup_epochs must be finite and not negative, not -1"),
    ({"patience": -1}, "patience must not be negative, but is -1"),
    ({"monitor": "val_f1"}, "monitor must be one of val_loss, val_accuracy, loss, accuracy, not 'val_f1'"),
    ({"engine": "warp"}, "engine must be one of auto, compiled, layers, not 'warp'"),
    ({"seed": -1}, "seed must not be negative, but is -1"),
    ({"head": "new"}, "head must be one of auto, fitted, epochs, not 'new'"),
    ({"preset": "slow"}, "preset must be one of fast, balanced, best, not 'slow'"),
    ({"time_limit": 0}, "time_limit must be positive or None, not 0"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1.0"),
    ({"hidden_units": -1}, "hidden_units must not be negative, but is -1"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_an_option_may_not_be_is_refused_with_its_value(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ClassifierOptions(**wrong)


def test_every_option_with_a_check_or_choices_has_a_case_above() -> None:
    checked = {name for name, each in described(ClassifierOptions).items() if each.choices or each.about.check}
    assert checked | {"nesterov"} == {name for wrong, _ in WRONG for name in wrong}


def test_numbers_of_numpy_are_numbers() -> None:
    """A search over a grid gives them."""
    assert TrainingOptions(epochs=np.int64(3), learning_rate=np.float32(0.5)).epochs == 3  # type: ignore[arg-type]


def test_a_class_that_changes_a_default_keeps_what_is_said_of_the_option() -> None:
    training, classifier = described(TrainingOptions)["epochs"], described(ClassifierOptions)["epochs"]
    assert classifier.about.description == training.about.description
    assert classifier.about.flag == training.about.flag
    assert (training.default, classifier.default) == (1, 100)


FUNCTIONS: list[tuple[Callable[..., Any], str, type[TrainingOptions], set[str]]] = [
    # The loss depends on the targets; None draws a seed.
    (pb.Node.train, pb.Node.train.__doc__ or "", TrainingOptions, {"loss", "class_weight"}),
    (pb.ImageClassifier.__init__, pb.ImageClassifier.__doc__ or "", ClassifierOptions, {"seed"}),
    (pb.ImageClassifier.fine_tune, pb.ImageClassifier.fine_tune.__doc__ or "", FineTuningOptions, set()),
]


@pytest.mark.parametrize(("function", "docstring", "options", "own"), FUNCTIONS)
def test_a_function_has_the_defaults_types_and_descriptions_of_its_options(
    function: Callable[..., Any], docstring: str, options: type[TrainingOptions], own: set[str]
) -> None:
    parameters, documented = inspect.signature(function).parameters, arguments_of(docstring)
    same = [name for name in described(options) if name in parameters and name not in own]
    assert len(same) >= 4
    for name in same:
        option = described(options)[name]
        assert parameters[name].default == option.default, name
        assert documented[name] == option.about.description, name
        if option.choices:
            assert str(parameters[name].annotation).split(" | ")[0] in (
                "OptimizerName",
                "Schedule",
                "Monitor",
                "Engine",
                "Head",
                "Preset",
            ), name


def test_every_option_is_a_parameter_of_the_classifier_or_its_own_affair() -> None:
    parameters = set(inspect.signature(pb.ImageClassifier.__init__).parameters)
    decided = {"loss", "momentum", "nesterov", "keep_start", "hold_batch_normalization"}
    assert set(described(ClassifierOptions)) - parameters == decided


def test_every_option_of_a_training_is_a_parameter_of_node_train() -> None:
    parameters = set(inspect.signature(pb.Node.train).parameters)
    assert set(described(TrainingOptions)) - parameters == {"keep_start", "hold_batch_normalization"}


def with_flag(options: type[TrainingOptions]) -> list[str]:
    return [name for name, each in described(options).items() if each.about.flag]


@pytest.mark.parametrize("options", [ClassifierOptions, FineTuningOptions])
def test_flags_that_are_not_given_are_the_defaults(options: type[TrainingOptions]) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, options, with_flag(options))
    given = chosen(parser.parse_args([]), with_flag(options))
    assert given == {name: described(options)[name].default for name in with_flag(options)}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("--epochs 3", {"epochs": 3}),
        ("--learning-rate 1e-4", {"learning_rate": 1e-4}),
        ("--optimizer rmsprop", {"optimizer": "rmsprop"}),
        ("--patience 0", {"patience": None}),
        ("--patience 4", {"patience": 4}),
        ("--balanced", {"class_weight": "balanced"}),
        ("--augment 3", {"augment": 3}),
        ("--augment 0", {"augment": False}),
        ("--feature-memory 2GB", {"feature_memory": "2GB"}),
        ("--skip-unreadable", {"skip_unreadable": True}),
        ("--global-clipnorm 0.5", {"global_clipnorm": 0.5}),
        ("--monitor val_accuracy", {"monitor": "val_accuracy"}),
    ],
)
def test_flags_become_options(typed: str, expected: dict[str, Any]) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, ClassifierOptions, with_flag(ClassifierOptions))
    given = chosen(parser.parse_args(typed.split()), with_flag(ClassifierOptions))
    assert {name: given[name] for name in expected} == expected


def test_train_has_a_flag_for_every_option_that_can_have_one() -> None:
    """What the help names is what the verb takes."""
    shown = subprocess.run(
        [sys.executable, "-m", "pybridge", "train", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for name in with_flag(ClassifierOptions):
        flag = described(ClassifierOptions)[name].about.flag
        assert flag is not None
        assert f"--{(flag.name or name).replace('_', '-')}" in shown


TYPO = """
import pybridge as pb

pb.ImageClassifier(optimizer="adan")
pb.ImageClassifier(monitor="val_acc")
pb.ImageClassifier(schedule="linear")
pb.ImageClassifier(engine="fast")
pb.ImageClassifier().fine_tune("photos", schedule="cosin")
pb.convert("model.keras", "web", to="tfjs")
pb.deploy("run", "package", precision="float8")
pb.callbacks.EarlyStopping(monitor="val_los")


def train(node: pb.Node, model: pb.Model) -> None:
    node.train(model, [1.0], [1.0], loss="mse")
    node.train(model, [1.0], [1.0], optimizer="adan")
    model.save("web", "tfjs_layer")
    model.save("web", precision="int8")
    node.train(model, [1.0], [1.0], optimizer="adamw", loss="mean_squared_error", engine="layers", class_weight="balanced")
    model.save("web", "keras", precision="float16")
"""


@pytest.mark.slow
def test_a_type_checker_finds_a_choice_that_there_is_not(tmp_path: Path) -> None:
    file = tmp_path / "typo.py"
    file.write_text(TYPO, "utf-8")
    (tmp_path / "mypy.ini").write_text("[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n", "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path), str(file)]
    root = Path(pb.__file__).parents[1]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root).stdout
    lines = {int(number) for number in re.findall(r"typo\.py:(\d+): error: .* has incompatible type ", found)}
    wrong = {i for i, line in enumerate(TYPO.splitlines(), 1) if re.match(r" *(pb|node|model)\.", line)}
    right = {i for i, line in enumerate(TYPO.splitlines(), 1) if "adamw" in line or "float16" in line}
    assert lines == wrong - right, found


def arguments_of(docstring: str) -> dict[str, str]:
    """The descriptions in the section ``Args`` of a docstring, by name, each in one line."""
    section = inspect.cleandoc(docstring).split("Args:\n")[1].split("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


@pytest.mark.parametrize(
    ("asked", "fitted"),
    [
        ({}, True),
        ({"head": "epochs"}, False),
        ({"class_weight": "balanced", "skip_unreadable": True, "engine": "compiled"}, True),
        ({"epochs": 5}, False),
        ({"augment": 4}, False),
        ({"hidden_units": 16}, False),
        ({"engine": "layers"}, False),
        ({"head": "fitted", "epochs": 5}, True),
    ],
)
def test_a_head_is_fitted_unless_an_option_concerns_epochs(asked: dict[str, Any], fitted: bool) -> None:
    assert ClassifierOptions(**asked).fits_head is fitted


@pytest.mark.parametrize("asked", [{"hidden_units": 8}, {"mixup": 0.2}, {"augment": True}])
def test_what_cannot_be_fitted_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"for {next(iter(asked))} take head='epochs'"):
        ClassifierOptions(head="fitted", **asked)
