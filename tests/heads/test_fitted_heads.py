"""Heads that are fitted: what they are, how they are chosen, and that Node and Python compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

import pybridge as pb
from pybridge.graphs import Program, TensorFlowProcess, run_reference
from pybridge.heads import Examples, HeadFit, HeadSetting, HeadSolver, fit_head, head_program, normalized, softmax
from pybridge.heads.folds import fold_count, stratified_folds
from pybridge.heads.solver import Folds
from pybridge.runtime import ensure

SOFTMAX, DISCRIMINANT = HeadSetting(strength=30.0), HeadSetting("discriminant analysis")


@pytest.fixture(scope="module")
def program(tensorflow: TensorFlowProcess) -> Program:
    return head_program(ensure(), tensorflow)


def blobs(
    counts: tuple[int, ...], channels: int = 12, seed: int = 0, apart: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Clouds of points around a centre for each class, some directions of which are wider than others."""
    random = np.random.default_rng(seed)
    targets = random.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    centres = apart * random.normal(size=(len(counts), channels))
    noise = random.normal(size=(len(targets), channels)) * np.linspace(0.5, 2, channels)
    return (centres[targets] + noise + 3).astype(np.float32), targets


def solver(
    node: pb.Node, program: Program, x: NDArray[np.float32], targets: NDArray[np.int32], weights: NDArray[Any] | None = None
) -> HeadSolver:
    connection = node.runner.start().connection
    store = connection.call("features.put", {"values": x})
    weights = np.ones(len(x)) if weights is None else weights / weights.mean()
    rows = np.arange(len(x), dtype=np.int32)
    examples = Examples(store, rows, targets, int(targets.max()) + 1, weights.astype(np.float32), x.shape[1])
    return HeadSolver(connection, program, examples)


def fit(node: pb.Node, program: Program, *data: Any, **options: Any) -> HeadFit:
    with solver(node, program, *data) as one:
        return fit_head(one, 0, **options)


def probabilities(head: HeadFit, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return softmax((normalized(x) if head.setting.features == "normalized" else x) @ head.kernel + head.bias)


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_regression_is_that_of_scikit_learn(node: pb.Node, program: Program, weighted: bool) -> None:
    x, targets = blobs((30, 20, 10))
    weights = np.random.default_rng(1).uniform(0.2, 2, len(x)) if weighted else np.ones(len(x))
    head = fit(node, program, x, targets, weights, setting=SOFTMAX)
    exact = x.astype(np.float64)
    theirs = LogisticRegression(C=head.c, tol=1e-10, max_iter=10_000).fit(exact, targets, weights / weights.mean())
    np.testing.assert_allclose(probabilities(head, x), theirs.predict_proba(exact), atol=2e-4)


@pytest.mark.parametrize("channels", [12, 80])
def test_discriminant_analysis_shrinks_its_covariance_as_ledoit_and_wolf_say(
    node: pb.Node, program: Program, channels: int
) -> None:
    x, targets = blobs((30, 20, 10), channels)
    head = fit(node, program, x, targets, setting=DISCRIMINANT)
    means = np.stack([x[targets == each].mean(axis=0) for each in range(3)]).astype(np.float64)
    covariance, shrinkage = ledoit_wolf(x - means[targets], assume_centered=True)
    assert 0 < shrinkage < 1
    kernel = np.linalg.solve(covariance, means.T)
    logits = x @ kernel - (means.T * kernel).sum(axis=0) / 2 + np.log(np.bincount(targets) / len(x))
    np.testing.assert_allclose(probabilities(head, x), softmax(logits), atol=2e-3)


@pytest.mark.slow
def test_node_and_python_solve_to_the_same_bits(node: pb.Node, program: Program, tensorflow: TensorFlowProcess) -> None:
    x, targets = blobs((30, 20, 10))
    folds, weights = stratified_folds(targets, 5, 0), np.ones(len(x), np.float32)
    shape = (x.shape[1], 5, 3)
    memory = [np.zeros((10, *shape), np.float32), np.zeros((10, *shape), np.float32), np.zeros((10, 5), np.float32)]
    numbers = [np.float32(0.3), np.float32(1e-6), np.int32(50)]
    given = [x, targets, folds.parts, np.int32(5), weights, np.zeros(shape, np.float32), *memory, *numbers]
    given = [np.asarray(each) for each in given]
    connection = node.runner.start().connection
    for signature in ("solve", "refine"):
        [expected] = run_reference([program], signature, [given], tensorflow, [0])
        handle = connection.call("program.load", program.to_dict())
        first, *_ = connection.call("program.runAll", {"program": handle, "signature": signature, "inputs": given})
        connection.call("program.dispose", {"program": handle})
        assert np.abs(first).max() > 0.1
        assert first.tobytes() == expected.tobytes()


def test_the_same_seed_gives_the_same_bits(node: pb.Node, program: Program) -> None:
    x, targets = blobs((30, 20, 10))
    one, other = (fit(node, program, x, targets) for _ in range(2))
    assert one.kernel.tobytes() == other.kernel.tobytes()
    assert one.probabilities.tobytes() == other.probabilities.tobytes()


def test_folds_judge_what_they_have_not_seen(node: pb.Node, program: Program) -> None:
    x, targets = blobs((25, 25), channels=200, apart=0)
    head = fit(node, program, x, targets, setting=None)
    assert head.folds == 5
    assert len(head.held_out) == 50
    assert (head.probabilities.argmax(axis=1) == targets).mean() < 0.75  # there is nothing to be learned


def test_where_little_is_to_be_learned_the_penalty_is_strong(node: pb.Node, program: Program) -> None:
    clear, noisy = (fit(node, program, *blobs((60, 60), apart=apart)) for apart in (1.0, 0.1))
    assert min(row["val_loss"] for row in noisy.rows) > min(row["val_loss"] for row in clear.rows)
    assert noisy.setting.strength < clear.setting.strength or noisy.setting.method != clear.setting.method


def test_a_setting_is_fitted_without_a_search(node: pb.Node, program: Program) -> None:
    head = fit(node, program, *blobs((20, 20)), setting=HeadSetting(features="normalized", strength=3.0))
    assert (head.folds, head.rows, head.best) == (0, [], None)
    assert head.setting.features == "normalized"


def test_a_search_ends_where_it_is_told_to(node: pb.Node, program: Program) -> None:
    head = fit(node, program, *blobs((20, 20)), on_step=lambda row: True)
    assert len(head.rows) == 1


def test_one_photo_of_each_class_is_enough(node: pb.Node, program: Program) -> None:
    x, targets = blobs((1, 1, 1))
    head = fit(node, program, x, targets)
    assert head.folds == 0
    assert (probabilities(head, x).argmax(axis=1) == targets).all()


def test_a_class_of_two_is_learned_where_classes_weigh_alike(node: pb.Node, program: Program) -> None:
    x, targets = blobs((202, 102), channels=60, apart=0.6)
    rare = np.flatnonzero(targets == 1)
    learned = np.concatenate([np.flatnonzero(targets == 0)[:200], rare[:2]])
    weights = np.where(targets[learned] == 1, 100.0, 1.0)
    head = fit(node, program, x[learned], targets[learned], weights)
    theirs = LogisticRegression(class_weight="balanced", max_iter=10_000).fit(x[learned], targets[learned])
    found = (probabilities(head, x[rare[2:]]).argmax(axis=1) == 1).mean()
    assert "every class counts alike" in head.to_dict()["chosen_by"]
    assert found >= (theirs.predict(x[rare[2:]]) == 1).mean() - 0.02


def test_members_of_a_small_class_are_held_out_one_by_one() -> None:
    targets = np.repeat([0, 1, 2], [20, 2, 1]).astype(np.int32)
    folds = stratified_folds(targets, 5, 0)
    assert folds.count == 5
    assert len(set(folds.parts[targets == 1].tolist())) == 2
    assert folds.parts[targets == 2].tolist() == [-1]
    assert np.bincount(folds.parts[targets < 2]).tolist() == [5, 5, 4, 4, 4]


@pytest.mark.parametrize(("most", "count"), [(2, 2), (3, 3), (9, 5)])
def test_there_are_no_more_folds_than_a_class_has_members(most: int, count: int) -> None:
    assert stratified_folds(np.repeat([0, 1], most).astype(np.int32), 5, 0).count == count


def test_there_are_fewer_folds_where_there_is_much_to_compute() -> None:
    assert [fold_count(size, 1280, classes) for size, classes in ((2_500, 10), (10_000, 60), (20_000, 100))] == [5, 3, 2]


def test_one_fold_that_holds_out_nothing_learns_from_all() -> None:
    assert Folds.none(3).parts.tolist() == [-1, -1, -1]
