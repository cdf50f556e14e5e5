"""Every rearrangement of weights is undone number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pybridge.converters.keras.expressions import Weight, scatter
from pybridge.errors import ModelFormatError


def test_rearranged_weights_are_found_again() -> None:
    kernel, bias = np.arange(24.0).reshape(2, 3, 4), np.arange(4.0)
    first, second = Weight.of(0, kernel).transpose((2, 0, 1)).split(2, axis=0)
    joined = Weight.concat([Weight.of(1, bias).reshape((1, 4)), Weight.constant(np.ones((2, 4)))], axis=0)
    made = {"first": first, "second": second.reshape((12,)), "bias": joined}
    found = scatter(
        {name: weight.expression for name, weight in made.items()},
        {name: weight.value for name, weight in made.items()},
        [(2, 3, 4), (4,), (1,)],
    )
    assert found[0] is not None
    assert found[1] is not None
    np.testing.assert_array_equal(found[0], kernel)
    np.testing.assert_array_equal(found[1], bias)
    assert found[2] is None


def test_numbers_that_are_not_all_there_are_not_found() -> None:
    part = Weight.of(0, np.arange(6.0)).slice(0, 0, 3)
    assert scatter({"part": part.expression}, {"part": part.value}, [(6,)]) == [None]


@pytest.mark.parametrize(
    "expression",
    [
        ["variable", 7],
        ["variable", "0"],
        ["constant", [10**9, 10**9]],
        ["reshape", ["variable", 0], [5]],
        ["transpose", ["variable", 0], [1]],
        ["slice", ["variable", 0], 9, 0, 1],
        ["concat", [], 0],
        ["execute", "code"],
        [],
        None,
    ],
    ids=str,
)
def test_malformed_expressions_are_refused(expression: Any) -> None:
    with pytest.raises(ModelFormatError):
        scatter({"w": expression}, {"w": np.zeros((2, 2))}, [(4,)])
