"""Optimizers are found by the files of their folders, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

import pybridge
from pybridge.optimizers import OPTIMIZERS, TrainingOptimizer, keras_options, training_optimizer, written_for_tfjs
from pybridge.optimizers.registry import optimizers, unique

NODE_RUNNER = Path(pybridge.__file__).parent.parent / "node_runner"
TRAINING = {name: each for name, each in optimizers().items() if isinstance(each, TrainingOptimizer)}


def test_the_type_of_their_names_has_all_that_train() -> None:
    assert set(OPTIMIZERS) == set(TRAINING)


@pytest.mark.parametrize("name", TRAINING)
def test_an_optimizer_is_called_as_its_file(name: str) -> None:
    assert training_optimizer(name).name == name


def test_node_has_a_file_for_each_algorithm() -> None:
    files = {path.stem for path in (NODE_RUNNER / "engines" / "optimizers").glob("*.js")} - {"index"}
    assert files == {each.algorithm for each in TRAINING.values()}


@pytest.mark.parametrize("name", TRAINING)
def test_each_has_a_test_of_its_own(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name}.py").exists()


def test_an_unknown_one_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of adam, .*, sgd, not 'steepest'"):
        training_optimizer("steepest")


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two optimizers are called Adam"):
        unique([("Adam", 1), ("SGD", 2), ("Adam", 3)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": {"class_name": "CosineDecay"}}, "learning rate schedules"),
        ({"learning_rate": 0.1, "clipnorm": 1.0}, "an option"),
        ({"learning_rate": 0.1, "weight_decay": 0.1}, "an option"),
    ],
)
def test_what_tfjs_has_for_no_optimizer_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        written_for_tfjs("SGD", options)


def test_unknown_classes_are_refused_or_not_found() -> None:
    with pytest.raises(ValueError, match="no optimizer Steepest"):
        written_for_tfjs("Steepest", {"learning_rate": 0.1})
    assert keras_options("Steepest") is None


def test_optimizers_that_only_models_are_compiled_with_are_known_to_the_converters() -> None:
    assert written_for_tfjs("Adamax", {"learning_rate": 1, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 0.5})["config"] == {
        "learning_rate": 1,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "epsilon": 0.5,
        "decay": 0,
    }
    assert keras_options("Adadelta") == ("Adadelta", {"rho": "rho", "epsilon": "epsilon"})
