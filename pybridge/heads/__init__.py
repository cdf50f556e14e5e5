"""Heads that are fitted, not trained in epochs: penalised softmax regression and shrunken discriminant analysis, in Node."""

from pybridge.heads.fitting import STRENGTHS, HeadFit, HeadSetting, fit_head, is_uneven, softmax
from pybridge.heads.normalization import EPSILON, normalized
from pybridge.heads.program import head_program, is_head_cached
from pybridge.heads.solver import Examples, HeadSolver

__all__ = [
    "EPSILON",
    "STRENGTHS",
    "Examples",
    "HeadFit",
    "HeadSetting",
    "HeadSolver",
    "fit_head",
    "head_program",
    "is_head_cached",
    "is_uneven",
    "normalized",
    "softmax",
]
