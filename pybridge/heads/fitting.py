"""Chooses and fits a linear head: the setting by cross-validation on the log loss, the coefficients on all examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pybridge.heads.folds import fold_count, stratified_folds
from pybridge.heads.solver import FeatureKind, Folds, HeadSolver

Method = Literal["softmax regression", "discriminant analysis"]

OnStep = Callable[[dict[str, float]], bool]
"""Told the figures of each step of the search; True ends it."""

# From strong to weak penalties: C times the mean square of the features' length.
STRENGTHS: tuple[float, ...] = tuple(float(10 ** (i / 2)) for i in range(-2, 11))
_WITHOUT_FOLDS = 100.0
_SEARCH_TOLERANCE, _NEAR, _TOLERANCE = 1e-3, 1e-6, 1e-10
_UNEVEN = 10.0
_TINY = float(np.finfo(np.float32).tiny)
# Of examples for each feature: with more, discriminant analysis is never the best, and takes long.
_DISCRIMINANT_UP_TO = 4


@dataclass(frozen=True)
class HeadSetting:
    """How a head is fitted.

    Attributes:
        method: What is fitted.
        features: What it takes.
        strength: For softmax regression: C times the mean square of the length of the centred features.
        scale: For discriminant analysis: what its logits are multiplied by, so that they are probabilities' logits.
    """

    method: Method = "softmax regression"
    features: FeatureKind = "raw"
    strength: float = _WITHOUT_FOLDS
    scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> HeadSetting:
        """The inverse of `to_dict`; other entries are ignored."""
        return cls(**{name: plain[name] for name in ("method", "features", "strength", "scale")})

    def __str__(self) -> str:
        if self.method == "discriminant analysis":
            return f"shrunken discriminant analysis of {self.features} features"
        return f"softmax regression on {self.features} features"


@dataclass(frozen=True)
class HeadFit:
    """A fitted head, and how the choice was made.

    Attributes:
        kernel: float32 of shape (D, K).
        bias: float32 of shape (K,).
        setting: What was chosen.
        c: scikit-learn's C of it; None for discriminant analysis.
        folds: How many folds there were; 0 where there were too few examples for any, or the setting was given.
        held_out: Positions of the examples that were held out by a fold, int64.
        probabilities: float32 of shape (held out, K): what the fold that had not seen an example gave for it.
        rows: The figures of each step of the search.
        best: Position of the chosen one in ``rows``; None without a search.
        even: Whether every example counted alike in the choice.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    setting: HeadSetting
    c: float | None
    folds: int
    held_out: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    rows: list[dict[str, float]]
    best: int | None
    even: bool

    def to_dict(self) -> dict[str, Any]:
        """What a run's record says of it."""
        return {
            **self.setting.to_dict(),
            "C": self.c,
            "folds": self.folds,
            "chosen_by": "log loss" if self.even else "log loss, in which every class counts alike",
        }


@dataclass(frozen=True)
class _Candidate:
    setting: HeadSetting
    logits: NDArray[np.float32]
    loss: float
    step: int


def fit_head(solver: HeadSolver, seed: int, on_step: OnStep | None = None, setting: HeadSetting | None = None) -> HeadFit:
    """Fits a head.

    Softmax regression on raw features, on normalised ones, and shrunken discriminant analysis (whose logits get one scale) are
    compared by their mean log loss on what each fold had not seen; the penalty goes from strong to weak, each fit beginning
    where the one before ended, until the loss has risen twice. The best setting is then fitted to all examples.

    Args:
        solver: Has the examples.
        seed: Of the folds.
        on_step: Told each step.
        setting: What to fit, without a search.

    Example:
        >>> fit_head(solver, seed=0).setting.features
        'raw'
    """
    if setting is not None:
        return _fitted(solver, setting, None, Folds.none(len(solver.examples)), [], True)
    examples = solver.examples
    search = _Search(solver, seed, on_step or (lambda _: False))
    if not len(search.held_out):
        return _fitted(solver, HeadSetting(), None, search.folds, [], search.even)
    best = search.path("raw", STRENGTHS)
    candidates = [best]
    near = max(STRENGTHS.index(best.setting.strength) - 2, 0)
    if not search.ended:
        candidates.append(search.path("normalized", STRENGTHS[near:]))
    if not search.ended and len(examples) <= _DISCRIMINANT_UP_TO * examples.channels:
        candidates.append(search.discriminant())
    best = min(candidates, key=lambda each: each.loss)
    return _fitted(solver, best.setting, best, search.folds, search.rows, search.even)


class _Search:
    """The comparison, as far as it has come."""

    def __init__(self, solver: HeadSolver, seed: int, on_step: OnStep) -> None:
        examples = solver.examples
        self.solver = solver
        count = fold_count(len(examples), examples.channels, examples.classes)
        self.folds = stratified_folds(examples.targets, count, seed)
        self.held_out = np.flatnonzero(self.folds.parts >= 0)
        self.targets = examples.targets[self.held_out]
        self.rows: list[dict[str, float]] = []
        self.ended = False
        self._patience = 2 if count == 5 else 1
        self._on_step = on_step
        counts = np.bincount(examples.targets)
        self.even = not is_uneven(counts) and len(np.unique(examples.weights)) == 1
        weights = examples.weights[self.held_out].astype(np.float64)
        if not self.even and len(np.unique(examples.weights)) == 1:
            weights = 1.0 / counts[self.targets]
        self._weights = weights / weights.mean() if len(weights) else weights

    def path(self, kind: FeatureKind, strengths: tuple[float, ...]) -> _Candidate:
        best: _Candidate | None = None
        worse = 0
        square = max(self.solver.square(kind), _TINY)
        for position, strength in enumerate(strengths):
            solution = self.solver.solve(kind, self.folds, square / strength, tolerance=_SEARCH_TOLERANCE, warm=position > 0)
            each = self._candidate(HeadSetting("softmax regression", kind, strength), solution.logits)
            self._tell(each, {"loss": solution.loss, "accuracy": solution.accuracy}, {"C": strength / square})
            if best is None or each.loss < best.loss:
                best, worse = each, 0
            else:
                worse += 1
            if self.ended or worse == self._patience:
                break
        assert best is not None
        return best

    def discriminant(self) -> _Candidate:
        # Imported here: most of SciPy's loading time is worth nothing to those who load a trained run.
        from scipy.optimize import minimize_scalar

        logits = self.solver.discriminate("raw", self.folds)

        def loss(exponent: float) -> float:
            return self._loss(logits * np.float32(np.exp(exponent)))

        scale = float(np.exp(minimize_scalar(loss, bounds=(-10, 3), method="bounded", options={"xatol": 1e-4}).x))
        setting = HeadSetting("discriminant analysis", "raw", scale=scale)
        each = self._candidate(setting, logits * np.float32(scale))
        self._tell(each, {}, {})
        return each

    def _candidate(self, setting: HeadSetting, logits: NDArray[np.float32]) -> _Candidate:
        return _Candidate(setting, logits[self.held_out], self._loss(logits), len(self.rows))

    def _loss(self, logits: NDArray[np.float32]) -> float:
        known = logits[self.held_out].astype(np.float64)
        known -= known.max(axis=1, keepdims=True)
        chosen = known[np.arange(len(known)), self.targets]
        return float((self._weights * (np.log(np.exp(known).sum(axis=1)) - chosen)).mean())

    def _tell(self, candidate: _Candidate, learned: dict[str, float], chosen: dict[str, float]) -> None:
        right = candidate.logits.argmax(axis=1) == self.targets
        row = {**learned, "val_loss": candidate.loss, "val_accuracy": float(right.mean()), **chosen}
        if not self.even:
            hits = np.bincount(self.targets, right)[np.bincount(self.targets) > 0]
            counts = np.bincount(self.targets)
            row["val_balanced_accuracy"] = float((hits / counts[counts > 0]).mean())
        self.rows.append(row)
        self.ended = self._on_step(row) or self.ended


def _fitted(
    solver: HeadSolver,
    setting: HeadSetting,
    chosen: _Candidate | None,
    folds: Folds,
    rows: list[dict[str, float]],
    even: bool,
) -> HeadFit:
    everyone = Folds.none(len(solver.examples))
    c: float | None = None
    if setting.method == "discriminant analysis":
        solver.discriminate(setting.features, everyone)
    else:
        square = max(solver.square(setting.features), _TINY)
        c = setting.strength / square
        solver.solve(setting.features, everyone, 1 / c, tolerance=_NEAR, warm=False)
        solver.solve(setting.features, everyone, 1 / c, tolerance=_TOLERANCE, warm=True, exact=True)
    kernel, bias = solver.result(setting.features, setting.scale)
    held_out = np.flatnonzero(folds.parts >= 0) if chosen is not None else np.zeros(0, np.int64)
    logits = np.zeros((0, solver.examples.classes), np.float32) if chosen is None else chosen.logits
    return HeadFit(
        kernel=kernel,
        bias=bias,
        setting=setting,
        c=c,
        folds=0 if chosen is None else folds.count,
        held_out=held_out.astype(np.int64),
        probabilities=softmax(logits),
        rows=rows,
        best=None if chosen is None else chosen.step,
        even=even,
    )


def is_uneven(counts: NDArray[np.integer]) -> bool:
    """Whether one class has so many times the examples of another that a choice should count the classes alike.

    Args:
        counts: Examples of each class; classes without any do not matter.
    """
    present = counts[counts > 0]
    return bool(len(present)) and bool(present.max() >= _UNEVEN * present.min())


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of shape (N, K)."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    probabilities: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities
