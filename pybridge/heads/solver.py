"""The Python side of what fits heads in Node."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import NodeCrashedError
from pybridge.graphs import Program
from pybridge.rpc import Connection

FeatureKind = Literal["raw", "normalized"]
"""Features as they are, or each image's with a mean of 0 and a variance of 1."""

# A call blocks Node: so much work it may have, for progress and cancelling to be noticed in between.
_CALL_OPERATIONS = 2e10
_MOST_STEPS = 1000


@dataclass(frozen=True)
class Examples:
    """Labelled features in a feature store in Node.

    Attributes:
        store: Its handle.
        rows: int32 of shape (N,): where in the store the examples are.
        targets: int32 of shape (N,), the classes.
        classes: How many there are.
        weights: float32 of shape (N,): how much each counts, 1 on average.
        channels: Length of a feature vector.
    """

    store: int
    rows: NDArray[np.int32]
    targets: NDArray[np.int32]
    classes: int
    weights: NDArray[np.float32]
    channels: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Folds:
    """Which examples are held out by which fold.

    Attributes:
        parts: int32 of shape (N,): the fold that does not learn from an example; -1 where all do.
        count: How many folds there are.
    """

    parts: NDArray[np.int32]
    count: int

    @classmethod
    def none(cls, examples: int) -> Folds:
        """One fold that learns from all."""
        return cls(np.full(examples, -1, np.int32), 1)


@dataclass(frozen=True)
class Solution:
    """What minimising gave.

    Attributes:
        logits: float32 of shape (N, K): what each example is given by the fold that does not learn from it.
        loss: Mean weighted log loss of what the folds learn from.
        accuracy: Share of it that they name right.
        steps: How many there were, at most.
    """

    logits: NDArray[np.float32]
    loss: float
    accuracy: float
    steps: int


class HeadSolver:
    """Fits heads in Node; the coefficients stay there, as the last call left them.

    Args:
        connection: To the process that has the feature store.
        program: From `head_program`.
        examples: What to learn from.
    """

    def __init__(self, connection: Connection, program: Program, examples: Examples) -> None:
        self.examples = examples
        self._connection = connection
        parameters = {
            "program": program.to_dict(),
            "store": examples.store,
            "rows": examples.rows,
            "targets": examples.targets,
            "weights": examples.weights,
        }
        self._solver: int = connection.call("heads.create", parameters)
        self._squares: dict[FeatureKind, float] = {}

    def square(self, kind: FeatureKind) -> float:
        """The mean square of the length of the centred features, which are prepared where they are not."""
        if kind not in self._squares:
            self._squares[kind] = self._call("prepare", kind=kind)
        return self._squares[kind]

    def solve(
        self, kind: FeatureKind, folds: Folds, penalty: float, *, tolerance: float, warm: bool, exact: bool = False
    ) -> Solution:
        """Minimises the sum of weighted log losses plus ``penalty / 2`` times the squared coefficients, for each fold.

        Args:
            kind: Of the features.
            folds: Which examples each fold learns from.
            penalty: scikit-learn's ``1 / C``.
            tolerance: The folds are done where the next step promises to lower the cost by less than this share of it.
            warm: Go on from the present coefficients where they have the same shape.
            exact: Compute in float64.
        """
        self.square(kind)
        size = len(self.examples) * self.examples.channels * self.examples.classes * folds.count * 4
        answer = self._call(
            "solve",
            kind=kind,
            classes=self.examples.classes,
            parts=folds.parts,
            folds=folds.count,
            penalty=penalty,
            tolerance=tolerance,
            steps=_MOST_STEPS,
            callSteps=int(np.clip(_CALL_OPERATIONS / size, 1, 50)),
            exact=exact,
            warm=warm,
        )
        return Solution(answer["logits"], answer["loss"], answer["accuracy"], answer["iterations"])

    def discriminate(self, kind: FeatureKind, folds: Folds) -> NDArray[np.float32]:
        """Shrunken linear discriminant analysis; gives the held-out logits, which are not calibrated."""
        self.square(kind)
        logits: NDArray[np.float32] = self._call(
            "discriminate", kind=kind, classes=self.examples.classes, parts=folds.parts, folds=folds.count
        )
        return logits

    def result(self, kind: FeatureKind, scale: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel (D, K) and bias (K,) of the first fold, with the logits scaled."""
        answer = self._call("result", kind=kind, scale=scale)
        return answer["kernel"], answer["bias"]

    def dispose(self) -> None:
        """Frees what it holds in Node."""
        with suppress(NodeCrashedError):
            self._call("dispose")

    def __enter__(self) -> HeadSolver:
        return self

    def __exit__(self, *exception: object) -> None:
        self.dispose()

    def _call(self, method: str, **parameters: Any) -> Any:
        return self._connection.call(f"heads.{method}", {"solver": self._solver, **parameters})
