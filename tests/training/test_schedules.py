"""Schedules of the learning rate, and shares of mixup."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pybridge.training.schedules import SCHEDULES, mixing_shares, rate_factors


def all_factors(schedule: str, warmup: float = 0.0, epochs: int = 4, steps: int = 10) -> NDArray[np.float32]:
    return np.concatenate([rate_factors(schedule, warmup, epochs=epochs, epoch=epoch, steps=steps) for epoch in range(epochs)])


def test_a_constant_rate_stays() -> None:
    assert (all_factors("constant") == 1).all()


def test_a_cosine_falls_from_one_over_a_half_to_nothing() -> None:
    factors = all_factors("cosine")
    assert factors[0] == 1
    assert factors[20] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.01
    assert (np.diff(factors) < 0).all()


def test_one_cycle_rises_from_a_25th_for_three_tenths_and_falls_to_almost_nothing() -> None:
    factors = all_factors("one_cycle")
    assert factors[0] == pytest.approx(1 / 25)
    assert factors.argmax() == 12
    assert factors[12] == 1
    assert factors[-1] < 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_rises_in_a_line_and_then_the_schedule_begins(schedule: str) -> None:
    factors = all_factors(schedule, warmup=1.5)
    np.testing.assert_allclose(factors[:15], np.arange(1, 16) / 15, rtol=1e-6)
    assert factors[15] == pytest.approx(1 if schedule != "one_cycle" else 1 / 25)


def test_shares_of_mixup_depend_on_seed_and_epoch_alone() -> None:
    first = mixing_shares(0.2, seed=1, epoch=0, steps=5)
    assert first is not None
    assert ((first >= 0) & (first <= 1)).all()
    np.testing.assert_array_equal(mixing_shares(0.2, seed=1, epoch=0, steps=5), first)
    assert not np.array_equal(mixing_shares(0.2, seed=1, epoch=1, steps=5), first)
    assert mixing_shares(0.0, seed=1, epoch=0, steps=5) is None
