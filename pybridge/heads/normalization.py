"""What normalised features are, for those who compute them outside of the traced graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Added to the variance, as the layer has it that normalises in the model.
EPSILON = 1e-6


def normalized(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each image's features with a mean of 0 and a variance of 1: float32 of shape (N, D)."""
    centred = features - features.mean(axis=1, keepdims=True)
    result: NDArray[np.float32] = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(EPSILON))
    return result
