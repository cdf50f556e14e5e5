"""How far runtimes may be apart."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from pybridge.parity.difference import classes_output, difference, labels_agree, max_ulp_diff
from pybridge.parity.tolerance import EPSILON, Precision, accumulation_depth, derived, perturbed


def test_the_depth_counts_the_products_behind_each_output() -> None:
    # A 3 x 3 kernel on 3 channels, and four vectors of batch normalization.
    assert accumulation_depth(tiny.convolution()) == 27 + 4
    assert accumulation_depth(tiny.entrance(3)) == 1


def test_the_tolerance_grows_with_depth_output_and_noise() -> None:
    outputs = [np.array([[1.0, -4.0], [0.5, 0.5]])]
    none = np.zeros(2)
    allowed = derived(outputs, none, 100)
    assert allowed == pytest.approx([16 * EPSILON[32] * 10 * 4, 16 * EPSILON[32] * 10 * 0.5], rel=1e-6)
    assert derived(outputs, none, 400) == pytest.approx(2 * allowed, rel=1e-6)
    assert derived(outputs, np.array([0.1, 0]), 100) == pytest.approx(allowed + np.array([1.6, 0]), rel=1e-6)


def test_half_floats_may_be_further_apart() -> None:
    outputs, noise = [np.ones((1, 2))], np.zeros(1)
    assert derived(outputs, noise, 1, Precision(16))[0] == pytest.approx(2**13 * derived(outputs, noise, 1)[0], rel=1e-3)


def test_noise_moves_every_float_by_two_units_in_the_last_place_at_most() -> None:
    values = np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)
    integers = np.arange(4, dtype=np.int32)
    moved, same = perturbed([values, integers])
    assert same is integers
    assert 0 < max_ulp_diff(values, moved) <= 4
    assert (moved != values).mean() > 0.9


def test_a_tie_is_not_another_label() -> None:
    reference = np.array([[0.5, 0.5 - 1e-7], [0.9, 0.1]])
    swapped = reference[:, ::-1]
    assert labels_agree(reference, swapped, np.full(2, 1e-6)).tolist() == [True, False]
    assert labels_agree(reference, swapped, np.zeros(2)).tolist() == [False, False]
    assert labels_agree(reference, reference, np.zeros(2)).all()


def test_nothing_that_is_no_number_passes_for_equal() -> None:
    reference = [np.array([[1.0, np.nan], [np.inf, 2.0]], np.float32)]
    assert difference(reference, [reference[0].copy()]).identical
    assert difference(reference, [reference[0].copy()]).absolute.tolist() == [0, 0]
    assert difference(reference, [np.ones((2, 2), np.float32)]).absolute.tolist() == [np.inf, np.inf]
    assert difference(reference, [-reference[0]]).absolute.tolist() == [2, np.inf]


def test_differences_are_shares_of_the_largest_output() -> None:
    found = difference([np.array([[10.0, 0.0]])], [np.array([[10.0, 1.0]])])
    assert (found.absolute.tolist(), found.relative.tolist()) == ([1.0], [0.1])


def test_scores_of_classes_are_told_from_other_outputs() -> None:
    assert classes_output([np.zeros((2, 4, 4, 1)), np.zeros((2, 1)), np.zeros((2, 3))]) == 2
    assert classes_output([np.zeros((2, 1))]) is None
