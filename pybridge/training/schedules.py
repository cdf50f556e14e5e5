"""Schedules: what the learning rate is multiplied by in each step, a function of the step and the plan alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pybridge.training.options import Schedule

# Defaults of PyTorch's OneCycleLR, after Smith and Topin 2018 (arXiv:1708.07120): three tenths of the steps up, from a 25th.
_RISE = 0.3
_START = 1 / 25
_END = _START / 1e4


def _constant(_progress: float) -> float:
    return 1.0


def _cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _one_cycle(progress: float) -> float:
    if progress < _RISE:
        return 1 + (_START - 1) * _cosine(progress / _RISE)
    return _END + (1 - _END) * _cosine((progress - _RISE) / (1 - _RISE))


SCHEDULES: dict[Schedule, Callable[[float], float]] = {"constant": _constant, "cosine": _cosine, "one_cycle": _one_cycle}


def rate_factors(schedule: Schedule, warmup_epochs: float, *, epochs: int, epoch: int, steps: int) -> NDArray[np.float32]:
    """What the learning rate is multiplied by in each step of one epoch.

    Args:
        schedule: ``constant``, ``cosine`` (down to 0 over all epochs) or ``one_cycle`` (up from a 25th for 30 % of the steps,
            then down to almost 0).
        warmup_epochs: The factor rises linearly over so many epochs, from one step's share; the schedule begins behind them.
        epochs: Of the whole training.
        epoch: Which one, from 0.
        steps: In an epoch.

    Returns:
        float32 of shape (steps,).

    Example:
        >>> rate_factors("constant", 1, epochs=3, epoch=0, steps=4)
        array([0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    warmup = round(warmup_epochs * steps)
    behind = max(epochs * steps - warmup, 1)
    factors = [
        (step + 1) / warmup if step < warmup else SCHEDULES[schedule](min((step - warmup) / behind, 1.0))
        for step in range(epoch * steps, (epoch + 1) * steps)
    ]
    return np.array(factors, np.float32)


def mixing_shares(mixup: float, *, seed: int, epoch: int, steps: int) -> NDArray[np.float32] | None:
    """The share that examples keep of themselves in each step under mixup.

    Args:
        mixup: Both parameters of the beta distribution that shares are drawn from (Zhang et al. 2018, arXiv:1710.09412;
            0.1 to 0.4 is usual); 0 for none.
        seed: Of the training.
        epoch: From 0; a continued training draws the same shares.
        steps: In the epoch.

    Returns:
        float32 of shape (steps,), or None.
    """
    if not mixup:
        return None
    return np.random.default_rng([seed, epoch, 1]).beta(mixup, mixup, steps).astype(np.float32)
