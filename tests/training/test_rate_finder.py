"""The learning-rate range test."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.cli import main
from pybridge.errors import DataError
from pybridge.rpc.runner import Runner
from pybridge.training.engines import create_trainer
from pybridge.training.options import TrainingOptions
from pybridge.training.rate_finder import RateCurve, RateSearch, find_rates
from pybridge.training.trainer import Examples, Trainer

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
LINE = (X @ np.array([[1.0], [-2.0], [0.5]])).astype(np.float32)


@pytest.fixture
def runner(node: pb.Node) -> Runner:
    node.runner.start()
    return node.runner


@pytest.fixture
def put(runner: Runner) -> Callable[..., Examples]:
    def put(x: Any, y: Any) -> Examples:
        return Examples(runner.call("features.put", {"values": x}), y)

    return put


@pytest.fixture(params=[pytest.param("compiled", marks=pytest.mark.slow), "layers"])
def trainer(request: pytest.FixtureRequest, runner: Runner) -> Trainer:
    settings = TrainingOptions(optimizer="sgd", loss="mean_squared_error")
    return create_trainer(request.param, runner, tiny.regression(), settings)


def test_the_loss_falls_and_explodes_and_the_weights_are_as_before(trainer: Trainer, put: Any) -> None:
    before = trainer.weights()
    curve = find_rates(trainer, put(X, LINE), RateSearch(1e-4, 1e4, steps=60, batch_size=10))
    assert curve.exploded
    assert len(curve.rates) < 60
    # The mean squared error of three unit normals has a curvature of about 2: steps beyond 2 / 2 move away.
    assert 0.01 < curve.tenth_of_minimum < 1
    assert curve.rates[0] <= curve.steepest <= 10 * curve.tenth_of_minimum
    assert min(curve.smoothed) < curve.smoothed[0] / 2
    for name, value in trainer.weights().items():
        np.testing.assert_array_equal(value, before[name])


def test_equal_seeds_give_equal_curves(trainer: Trainer, put: Any) -> None:
    examples = put(X, LINE)
    curves = [find_rates(trainer, examples, RateSearch(1e-3, 0.1, 10, 8, seed)) for seed in (0, 0, 1)]
    assert curves[0] == curves[1] != curves[2]


def test_a_loss_that_is_no_number_ends_the_test_where_it_begins(trainer: Trainer, put: Any) -> None:
    with pytest.raises(DataError, match="no loss to follow"):
        find_rates(trainer, put(np.full_like(X, np.nan), LINE), RateSearch())


def test_the_suggestions_are_where_the_curve_says() -> None:
    rates = tuple(10.0**power for power in range(-5, 1))
    curve = RateCurve(rates, (2.0,) * 6, (2.0, 1.9, 1.0, 0.7, 0.6, 5.0), exploded=True)
    assert curve.tenth_of_minimum == pytest.approx(1e-2)
    assert curve.steepest == pytest.approx(1e-3)
    assert curve.suggestion == curve.steepest
    late = RateCurve(rates, (2.0,) * 6, (2.0, 1.9, 1.8, 1.7, 0.6, 5.0), exploded=True)
    assert late.suggestion == late.tenth_of_minimum < late.steepest
    assert f"{curve.suggestion:.2g}" in str(curve)


def test_jumps_between_the_first_batches_are_no_descent() -> None:
    rates = tuple(np.geomspace(1e-6, 1.0, 61).tolist())
    # From 1.9 by jumps to 1.2, then down from 1.2 to 0.4 between 1e-3 and 1e-1, as with small data sets.
    falling = np.interp(np.log10(rates), [-3, -1], [1.2, 0.4])
    smoothed = (1.9, 1.2, *falling[2:].tolist())
    curve = RateCurve(rates, smoothed, smoothed, exploded=False)
    assert 1e-3 <= curve.steepest <= 1e-1


def test_the_picture_and_the_page_need_nothing_else(tmp_path: Path) -> None:
    curve = RateCurve((1e-4, 1e-3, 1e-2, 1e-1), (2.0, 1.0, 0.5, 9.0), (2.0, 1.5, 1.0, 4.5), exploded=True)
    curve.write_html(tmp_path / "lr.html")
    page = (tmp_path / "lr.html").read_text("utf-8")
    assert curve.svg() in page
    assert not re.search(r"(src|href)=", page)
    assert math.isfinite(curve.suggestion)


@pytest.mark.parametrize(
    "options", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 1}, {"batch_size": 0}, {"highest": math.inf}]
)
def test_impossible_searches_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        RateSearch(**options)


@pytest.mark.slow
def test_a_classifier_finds_a_rate_that_trains_it(node: pb.Node, pixels: Any) -> None:
    classifier = pb.ImageClassifier(tiny.convolution(), epochs=10, seed=0, node=node)
    curve = classifier.find_learning_rate(*pixels)
    assert not hasattr(classifier, "classes_")
    classifier.set_params(learning_rate=curve.suggestion)
    classifier.fit(*pixels)
    assert classifier.metrics_["accuracy"] >= 0.75


@pytest.mark.slow
def test_the_command_line_suggests_a_rate_and_leaves_no_run(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.convolution().write(tmp_path / "base")
    arguments = ["train", str(photos), "--base", str(tmp_path / "base" / "model.json"), "--find-lr", "--seed", "0"]
    assert main([*arguments, "--out", str(tmp_path / "lr.html"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["rates"]) == len(facts["losses"]) == len(facts["smoothed"])
    assert facts["suggestion"] > 0
    assert "<svg" in (tmp_path / "lr.html").read_text("utf-8")
    assert not (tmp_path / "run").exists()


def test_without_the_search_a_run_needs_its_folder(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(photos)]) == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"), [(["--resume"], "--resume could go on with"), (["--out", "."], "--out . is a folder")]
)
def test_what_the_search_cannot_use_is_a_mistake(
    photos: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(photos), "--find-lr", *options]) == 2
    assert message in capsys.readouterr().err
