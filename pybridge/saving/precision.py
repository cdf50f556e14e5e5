"""Weights in fewer bits, and how far they may then be from what they were."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ParityError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.precision import Precision

_STEPS = {"uint8": 255, "uint16": 65535}


def rounded(model: LayersModel, precision: Precision) -> LayersModel:
    """A model whose weights are those that the precision can hold, as float32.

    Example:
        >>> rounded(model, "float16").weights["dense/kernel"]
    """
    if precision == "float32":
        return model
    with tempfile.TemporaryDirectory(prefix="pybridge-precision-") as folder:
        model.write(Path(folder), precision=precision)
        return LayersModel.read(Path(folder))


def largest_error(weights: Mapping[str, NDArray[Any]], stored: Mapping[str, NDArray[Any]], precision: Precision) -> float:
    """The largest difference between weights and what was stored of them.

    Raises:
        ParityError: A weight is missing, or further off than the precision explains: not at all with float32; half a unit in
            the last place, 2^-11 of its size, with float16; half a step of its own range / 255 or 65535 with uint8 or uint16.
    """
    if set(weights) != set(stored):
        raise ParityError(f"The saved model lacks the weights {sorted(set(weights) ^ set(stored))[:5]}; it was not kept")
    worst = 0.0
    for name, value in weights.items():
        if value.dtype.kind != "f":
            if not np.array_equal(value, stored[name]):
                raise ParityError(f"The saved model has another weight {name!r} than the one in memory; it was not kept")
            continue
        error = np.abs(value.astype(np.float64) - stored[name])
        if value.size and not (error <= _bound(value, precision)).all():
            raise ParityError(f"The saved weight {name!r} is off by {error.max():.3g}, more than {precision} explains")
        worst = max(worst, float(error.max(initial=0.0)))
    return worst


def _bound(value: NDArray[Any], precision: Precision) -> Any:
    wide = value.astype(np.float64)
    if precision == "float16":
        # 2^-25 is half of the smallest float16 above zero.
        return np.abs(wide) * 2.0**-11 + 2.0**-25
    if precision in _STEPS:
        step = (wide.max() - wide.min()) / _STEPS[precision]
        # TF.js moves the range so that zero is exact, which costs up to half a step more; and float32 rounds the result, or
        # float16 where a depthwise kernel is kept in it.
        return step * 1.01 + np.abs(wide) * 2.0 ** (-11 if precision == "uint8" else -22)
    return 0.0
