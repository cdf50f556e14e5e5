"""Inputs that are made for any model."""

from __future__ import annotations

import numpy as np
import pytest

from pybridge.errors import DataError
from pybridge.parity.edge_cases import InputSpec, edge_cases


def test_extremes_are_among_them() -> None:
    cases = edge_cases([InputSpec("image", (None, 4, 4, 3), "float32")])
    (values,) = cases.inputs
    assert values.dtype == np.float32
    assert values.shape == (len(cases), 4, 4, 3)
    by_name = dict(zip(cases.names, values, strict=True))
    assert not by_name["zeros"].any()
    assert (by_name["minus ones"] == -1).all()
    assert np.abs(by_name["large, up to 1000"]).max() > 900
    assert 0 < np.abs(by_name["denormal, 1e-40"]).max() < np.finfo(np.float32).tiny
    assert np.count_nonzero(by_name["one element"]) == 1


def test_the_same_seed_gives_the_same() -> None:
    spec = [InputSpec("x", (None, 5), "float32")]
    assert np.array_equal(edge_cases(spec, 3).inputs[0], edge_cases(spec, 3).inputs[0])
    assert not np.array_equal(edge_cases(spec, 3).inputs[0], edge_cases(spec, 4).inputs[0])


def test_each_input_gets_its_own_noise() -> None:
    one, two = edge_cases([InputSpec("a", (None, 5), "float32"), InputSpec("b", (None, 5), "float32")]).inputs
    assert not np.array_equal(one, two)


def test_indices_stay_within_their_table() -> None:
    (values,) = edge_cases([InputSpec("words", (None, 20), "int32", below=7)]).inputs
    assert values.dtype == np.int32
    assert (values.min(), values.max()) == (0, 6)


def test_free_sizes_are_chosen() -> None:
    assert edge_cases([InputSpec("image", (None, None, None, 3), "float32")]).inputs[0].shape[1:] == (32, 32, 3)


def test_a_fixed_batch_is_filled() -> None:
    assert len(edge_cases([InputSpec("x", (4, 2), "float32")])) % 4 == 0


def test_what_no_memory_holds_is_refused() -> None:
    with pytest.raises(DataError, match="too large"):
        edge_cases([InputSpec("x", (None, 100_000, 100_000, 3), "float32")])
