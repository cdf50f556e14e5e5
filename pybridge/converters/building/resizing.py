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
    cubic: float = -0.75,
    exclude_outside: bool = False,
    antialias: bool = False,
    channels: int = 1,
    name: str,
) -> Value:
    """Resize images.

    Args:
        b: The builder.
        x: Any value.
        sizes: The new size of each logical axis that changes.
        method: nearest, bilinear or cubic.
        coordinates: half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners or asymmetric, as in the Resize operator
            of ONNX.
        scales: The factor of an axis where it is not new size / old size.
        rounding: How nearest finds a pixel: floor, ceil, round_prefer_floor or round_prefer_ceil.
        cubic: The coefficient of the cubic curve.
        exclude_outside: Whether pixels beyond the edges have no weight, instead of that of the edge.
        antialias: Whether filters are widened where images become smaller.
        channels: The logical axis of the channels of images.
        name: The name of the layer.
    """
    given = {x.axis(axis): factor for axis, factor in (scales or {}).items()}
    matrices = {
        axis: interpolation(
            x.shape[axis],
            size,
            method,
            coordinates,
            given.get(axis),
            rounding,
            cubic=cubic,
            exclude_outside=exclude_outside,
            antialias=antialias,
        )
        for axis, size in ((x.axis(axis), size) for axis, size in sizes.items())
    }
    # A factor that is nearly one moves pixels although it leaves their number as it is.
    matrices = {axis: matrix for axis, matrix in matrices.items() if not _is_identity(matrix)}
    if not matrices:
        return x
    changes = {axis: matrix.shape[1] for axis, matrix in matrices.items()}
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


def _is_identity(matrix: NDArray[np.float64]) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool(np.array_equal(matrix, np.eye(len(matrix))))


def interpolation(
    old: int,
    new: int,
    method: str,
    coordinates: str,
    scale: float | None = None,
    rounding: str = "floor",
    *,
    cubic: float = -0.75,
    exclude_outside: bool = False,
    antialias: bool = False,
) -> NDArray[np.float64]:
    """The matrix (old, new) that resizes one axis.

    The formulas are those of the Resize operator of ONNX: https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    if new < 1:
        raise Refused(f"a size of {new}")
    factor = scale or new / old
    # Scales need not give a whole number of pixels; the positions are those of the length before it is rounded.
    length = factor * old
    place = np.arange(new, dtype=np.float64)
    if coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and length > 1):
        source = (place + 0.5) / factor - 0.5
    elif coordinates == "half_pixel_symmetric":
        source = old / 2 * (1 - new / length) + (place + 0.5) / factor - 0.5
    elif coordinates == "asymmetric":
        source = place / factor
    elif coordinates == "align_corners":
        source = place * (old - 1) / (length - 1) if length != 1 else place * 0
    elif coordinates == "pytorch_half_pixel":
        source = place * 0
    else:
        raise Refused(f"coordinates {coordinates} are not known")
    if method == "nearest":
        matrix = np.zeros((old, new))
        matrix[np.clip(_rounded(source, rounding), 0, old - 1).astype(int), place.astype(int)] = 1
        return matrix
    if method not in ("bilinear", "cubic"):
        raise Refused(f"interpolation {method}; nearest, bilinear and cubic can be converted")
    return _weights(source, old, method, cubic, exclude_outside, min(factor, 1.0) if antialias else 1.0)


def _weights(
    source: NDArray[np.float64], old: int, method: str, cubic: float, exclude_outside: bool, shrink: float
) -> NDArray[np.float64]:
    """For each new pixel the weights of the old ones near it, which add up to 1."""
    reach = int(np.ceil((1 if method == "bilinear" else 2) / shrink))
    matrix = np.zeros((old, len(source)))
    for place, position in enumerate(source):
        near = np.arange(int(np.floor(position)) - reach + 1, int(np.floor(position)) + reach + 1)
        distance = np.abs(near - position) * shrink
        weight = np.maximum(1 - distance, 0) if method == "bilinear" else _cubic(distance, cubic)
        if exclude_outside:
            weight = np.where((near >= 0) & (near < old), weight, 0)
        if exclude_outside or shrink < 1:
            weight = weight / weight.sum()
        np.add.at(matrix[:, place], np.clip(near, 0, old - 1), weight)
    return matrix


def _cubic(distance: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Keys' convolution kernel (https://doi.org/10.1109/TASSP.1981.1163711)."""
    inner = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    outer = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, inner, np.where(distance < 2, outer, 0))


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
