"""Adadelta, which models of TF.js may be compiled with; trainings in Node do not use it."""

from __future__ import annotations

from typing import ClassVar

from pybridge.optimizers.optimizer import Optimizer


class Adadelta(Optimizer):
    """As TF.js writes it. It is not written for TF.js, which divides by the mean of the squares before a step, not after it."""

    keras = "Adadelta"
    tfjs: ClassVar = {"Adadelta": {"rho": "rho", "epsilon": "epsilon"}}


OPTIMIZER = Adadelta()
