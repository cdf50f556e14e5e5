"""Resizing of images, as products with matrices or as upsampling."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.dense import axis_product
from pybridge.converters.building.values import Value
from pybridge.converters.refusals import Refused


def resize(
    b: Builder,
    x: Value,
    sizes: Mapping[int, int],
    *,
    method: str,
    coordinates: str = "half_pixel",
    scales: Mapping[int, float] | None = None,
    rounding: str = "floor",
    channels: int = 1,
    name: str,
) -> Value:
    """Resize images.

    Args:
        b: The builder.
        x: Any value.
        sizes: The new size of each logical axis that changes.
        method: nearest or bilinear.
        coordinates: half_pixel, align_corners or asymmetric, as in the Resize operator of ONNX.
        scales: The factor of an axis where it is not new size / old size.
        rounding: How nearest finds a pixel: floor, ceil, round_prefer_floor or round_prefer_ceil.
        channels: The logical axis of the channels of images.
        name: The name of the layer.
    """
    changes = {x.axis(axis): size for axis, size in sizes.items() if x.shape[axis] != size}
    if not changes:
        return x
    given = {x.axis(axis): factor for axis, factor in (scales or {}).items()}
    matrices = {
        axis: interpolation(x.shape[axis], size, method, coordinates, given.get(axis), rounding) for axis, size in changes.items()
    }
    spatial = [axis for axis in range(1, x.rank) if axis != x.axis(channels)]
    if x.rank == 4 and set(changes) <= set(spatial) and all(map(_repeats, matrices.values())):
        x = b.ordered(x, [0, *spatial, x.axis(channels)], name=name)
        height, width = (changes.get(axis, x.shape[axis]) // x.shape[axis] for axis in spatial)
        physical = (x.physical[0], x.physical[1] * height, x.physical[2] * width, x.physical[3])
        config = {"size": [height, width], "data_format": "channels_last", "interpolation": "nearest"}
        axes = [(0,), *((1 + spatial.index(axis),) if axis in spatial else (3,) for axis in range(1, 4))]
        return b.layer("UpSampling2D", config, [x], name=name, physical=physical, axes=axes, nonnegative=x.nonnegative)
    for axis, matrix in sorted(matrices.items(), reverse=True):
        x = axis_product(b, x, axis, matrix, name=f"{name}_axis{axis}")
    return x


def _repeats(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix repeats each element a whole number of times."""
    old, new = matrix.shape
    return new % old == 0 and bool(np.array_equal(matrix, np.repeat(np.eye(old), new // old, axis=1)))


def interpolation(
    old: int, new: int, method: str, coordinates: str, scale: float | None = None, rounding: str = "floor"
) -> NDArray[np.float64]:
    """The matrix (old, new) that resizes one axis.

    The formulas are those of the Resize operator of ONNX: https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    factor = scale or new / old
    place = np.arange(new, dtype=np.float64)
    if coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and new > 1):
        source = (place + 0.5) / factor - 0.5
    elif coordinates == "asymmetric":
        source = place / factor
    elif coordinates in ("align_corners", "pytorch_half_pixel"):
        source = place * (old - 1) / (new - 1) if new > 1 else place * 0
    else:
        raise Refused(f"coordinates {coordinates} are not known")
    matrix = np.zeros((old, new))
    if method == "nearest":
        found = _rounded(source, rounding)
        matrix[np.clip(found, 0, old - 1).astype(int), place.astype(int)] = 1
        return matrix
    if method != "bilinear":
        raise Refused(f"interpolation {method}; nearest and bilinear can be converted")
    source = np.clip(source, 0, old - 1)
    low = np.floor(source).astype(int)
    share = source - low
    np.add.at(matrix, (low, place.astype(int)), 1 - share)
    np.add.at(matrix, (np.minimum(low + 1, old - 1), place.astype(int)), share)
    return matrix


def _rounded(source: NDArray[np.float64], rounding: str) -> NDArray[np.float64]:
    # Dividing by a factor such as 1.3 leaves what should be whole a little below it.
    functions = {
        "floor": lambda: np.floor(source + 1e-9),
        "ceil": lambda: np.ceil(source - 1e-9),
        "round_prefer_floor": lambda: np.ceil(source - 0.5 - 1e-9),
        "round_prefer_ceil": lambda: np.floor(source + 0.5 + 1e-9),
    }
    if rounding not in functions:
        raise Refused(f"rounding {rounding} is not known")
    return functions[rounding]()
