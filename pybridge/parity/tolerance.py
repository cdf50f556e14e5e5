"""How far two runtimes may be apart, derived from the model and from how it answers to noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybridge.tfjs.layers_model import LayersModel

SAFETY = 16.0
"""How many times the expected rounding error passes. The error is estimated, and not bounded, by the formula below."""

PERTURBATION = 4 * 2.0**-24
"""The relative size of the noise that is put on inputs: four half units in the last place of float32."""

FLUSHED = float(np.finfo(np.float32).tiny) * 2**24
"""What is smaller than this may be lost: TensorFlow takes denormal numbers for zero, JavaScript does not."""

EPSILON = {16: 2.0**-11, 32: 2.0**-24}
"""Half a unit in the last place of 1: the largest relative rounding error of one operation (IEEE 754), by bits."""

FORMULA = "16 * (epsilon * sqrt(depth) * largest output + noise floor)"


@dataclass(frozen=True)
class Precision:
    """What rounds in a runtime.

    Attributes:
        bits: Of its floating-point numbers: 32, or 16 where a browser has only half floats.
        slack: How many times less precise than correctly rounded its elementary functions are. GLSL lets ``exp`` and ``pow``
            err by several units in the last place (OpenGL ES Shading Language 3.00, section 4.5.1): 4 for WebGL.
    """

    bits: int = 32
    slack: float = 1.0


def accumulation_depth(model: LayersModel | None, unknown: int = 4096) -> int:
    """How many roundings lie on the way through a model, layer after layer.

    Each output of a layer with a kernel is a sum of as many products as the kernel has entries for it; every other weight
    counts for one. Roundings that are independent add up like a random walk, with the square root of their number
    (N. Higham and T. Mary, "A New Approach to Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput. 41, 2019).

    Args:
        model: The model.
        unknown: The answer for a model whose layers are not known.

    Example:
        >>> accumulation_depth(tiny)  # one 3 x 3 convolution of RGB images with batch normalization
        31
    """
    if model is None:
        return unknown
    return max(sum(_terms(name, value) for name, value in model.weights.items()), 1)


def derived(
    reference: list[NDArray[np.float64]], noise: NDArray[np.float64], depth: int, precision: Precision = Precision()
) -> NDArray[np.float64]:
    """The largest difference that passes, for each example: ``16 * (epsilon * sqrt(depth) * largest output + noise floor)``.

    Args:
        reference: The outputs of the reference, each of shape (examples, ...).
        noise: The model's noise floor for each example: how far its outputs move when its inputs are moved by two units in the
            last place, or when Keras computes it eagerly instead of as a graph; whichever is more.
        depth: As `accumulation_depth` gives it.
        precision: Of the runtime.

    Returns:
        float64 of shape (examples,).
    """
    epsilon = EPSILON[precision.bits] * precision.slack
    wider = precision.slack * (EPSILON[precision.bits] / EPSILON[32])
    scale = np.max([largest(output) for output in reference], axis=0)
    tolerances: NDArray[np.float64] = SAFETY * (epsilon * math.sqrt(depth) * scale + noise * wider) + FLUSHED
    return tolerances


def largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest finite absolute value of each example: float64 of shape (examples,)."""
    flat = np.abs(values.reshape(len(values), -1))
    found: NDArray[np.float64] = np.where(np.isfinite(flat), flat, 0).max(axis=1, initial=0.0)
    return found


def perturbed(inputs: list[NDArray[np.generic]], seed: int = 0) -> list[NDArray[np.generic]]:
    """The inputs with noise of relative size `PERTURBATION` on every number; integers stay as they are."""
    random = np.random.default_rng(seed)
    moved: list[NDArray[np.generic]] = []
    for values in inputs:
        if values.dtype.kind != "f":
            moved.append(values)
            continue
        signs = random.choice([-1.0, 1.0], values.shape)
        moved.append((values.astype(np.float64) * (1 + PERTURBATION * signs)).astype(values.dtype))
    return moved


def _terms(name: str, value: NDArray[np.generic]) -> int:
    if value.ndim < 2:
        return 1
    if name.rpartition("/")[2] == "depthwise_kernel":
        return int(np.prod(value.shape[:-2]))
    return int(np.prod(value.shape[:-1]))
