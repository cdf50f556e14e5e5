"""What a comparison of runtimes found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pybridge.errors import ParityError

if TYPE_CHECKING:
    from pathlib import Path

    from pybridge.parity.training import TrainingCheck
    from pybridge.parity.walk import LayerFinding

Status = Literal["compared", "unavailable", "unsupported", "failed"]
"""Compared; not on this machine; the runtime cannot run this model; it should have run it, but did not."""


# The heat map's data, and what is the same for every runtime that was compared.
_NOT_IN_JSON = ("asked", "examples", "outputs", "reason", "status")


@dataclass(frozen=True)
class RuntimeResult:
    """How one runtime compares with the reference.

    Attributes:
        name: Which runtime.
        max_abs_diff: Largest absolute difference of an output.
        max_abs_diff_features: Of a classifier's run: largest absolute difference of an activation where the frozen part ends.
        max_ulp_diff: The largest difference in units in the last place of float32.
        label_agreement: Share of the examples that get the same label, ties within the tolerance included; None where the
            model has no scores of classes.
        identical: Whether every bit is the same.
        worst_image: The example with the largest difference, measured by its tolerance; None where there is no difference.
        seconds: Time for all examples.
        max_rel_diff: Largest difference as a share of the largest output of its example.
        inputs: How many examples this runtime computed; slow ones get a few only.
        tolerance: The largest difference that passes for the worst example.
        excess: The largest ratio of a difference to its tolerance: above 1 fails.
        status: Whether it was compared, and if not, why not.
        reason: Why it was not compared.
        asked: Whether the caller asked for this runtime by name.
        note: What else is worth knowing.
        examples: For each example that was computed, by its position: the difference, and its ratio to the tolerance.
        outputs: For the worst example, the differences of its outputs, at most 4096 of them.
    """

    name: str
    max_abs_diff: float
    max_abs_diff_features: float | None
    max_ulp_diff: int
    label_agreement: float | None
    identical: bool
    worst_image: str | None
    seconds: float
    max_rel_diff: float = 0.0
    inputs: int | None = None
    tolerance: float | None = None
    excess: float | None = None
    status: Status = "compared"
    reason: str | None = None
    asked: bool = False
    note: str | None = None
    examples: dict[int, tuple[float, float]] = field(default_factory=dict)
    outputs: tuple[float, ...] = ()

    @classmethod
    def missing(cls, name: str, status: Status, reason: str, *, asked: bool) -> RuntimeResult:
        """The row of a runtime that gave nothing."""
        return cls(name, math.nan, None, 0, None, False, None, 0.0, math.nan, 0, status=status, reason=reason, asked=asked)

    def passes(self, tolerance: float | None) -> bool:
        """Whether it is within the tolerance, the derived one where there is no other, and gives the same labels.

        A runtime that this machine does not have, or that lacks an operation, counts only where it was asked for.
        """
        if self.status != "compared":
            return self.status != "failed" and not self.asked
        plain = tolerance is not None and self.max_abs_diff <= tolerance
        within = plain if self.excess is None else self.excess <= 1
        features = self.max_abs_diff_features
        return within and (features is None or features <= (tolerance or 0)) and self.label_agreement in (None, 1)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; what is not finite is None."""
        facts = {key: value for key, value in asdict(self).items() if key not in _NOT_IN_JSON}
        return {key: _plain(value) for key, value in facts.items()}


@dataclass(frozen=True)
class ParityReport:
    """The result of `verify`.

    Attributes:
        reference: What the runtimes were compared with.
        tolerance: The largest ``max_abs_diff`` that passes; None where each example has a tolerance of its own.
        images: How many examples the reference computed.
        runtimes: One result for each runtime.
        names: What the examples are.
        formula: How the tolerances were derived.
        noise_floor: The largest share of its largest output by which an example's outputs move under noise.
        depth: How many roundings lie on the way through the model.
        layers: The first layer that differs, for each runtime that was walked; None where nobody asked.
        training: Whether the run's training gives the same weights in Node and in Python; None where nobody asked.
    """

    reference: str
    tolerance: float | None
    images: int
    runtimes: tuple[RuntimeResult, ...]
    names: tuple[str, ...] = ()
    formula: str | None = None
    noise_floor: float | None = None
    depth: int | None = None
    layers: tuple[LayerFinding, ...] | None = None
    training: TrainingCheck | None = None

    @property
    def passed(self) -> bool:
        """Whether every runtime is within the tolerance and gives every example the same label, and at least one was compared.

        Where the training was compared it must pass too.
        """
        if self.training is not None and not self.training.passed:
            return False
        compared = any(result.status == "compared" for result in self.runtimes)
        return compared and all(result.passes(self.tolerance) for result in self.runtimes)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; ``runtimes`` by name, and in ``not_compared`` those that gave nothing, with the reason."""
        facts: dict[str, Any] = {
            "passed": self.passed,
            "reference": self.reference,
            "tolerance": self.tolerance,
            "images": self.images,
            "runtimes": {result.name: result.to_dict() for result in self.runtimes if result.status == "compared"},
        }
        missing = [result for result in self.runtimes if result.status != "compared"]
        if missing:
            facts["not_compared"] = {result.name: {"status": result.status, "reason": result.reason} for result in missing}
        if self.formula is not None:
            facts |= {"formula": self.formula, "noise_floor": _plain(self.noise_floor), "depth": self.depth}
        if self.layers is not None:
            facts["layers"] = [finding.to_dict() for finding in self.layers]
        if self.training is not None:
            facts["training"] = self.training.to_dict()
        return facts

    def raise_for_status(self) -> None:
        """Does nothing where the report passed.

        Raises:
            ParityError: A runtime differs by more than the tolerance.
        """
        if not self.passed:
            raise ParityError(
                f"Runtimes disagree:\n{self}",
                hint="The worst inputs are named; `layers=True` (`--layers`) finds the first layer that differs, and why.",
            )

    def write_html(self, path: str | Path, title: str = "Parity") -> None:
        """Writes the report as one HTML file with a heat map of examples by runtimes.

        Raises:
            DataError: The file cannot be written.
        """
        from pathlib import Path as PathClass

        from pybridge.parity.html import write_html

        write_html(PathClass(path), self, title)

    def __str__(self) -> str:
        return "\n".join([self._headline(), *self._table(), *self._findings(), "passed" if self.passed else "FAILED"])

    def _headline(self) -> str:
        tolerance = f"tolerance {self.tolerance:g}" if self.tolerance is not None else f"tolerance {self.formula}"
        measured = f", depth {self.depth}, noise floor {self.noise_floor:.2g}" if self.noise_floor is not None else ""
        return f"{self.images} inputs against {self.reference}, {tolerance}{measured}"

    def _table(self) -> list[str]:
        features = any(result.max_abs_diff_features is not None for result in self.runtimes)
        head = f"{'runtime':18} {'inputs':>6} {'max difference':>14} {'relative':>9} {'last places':>11} {'allowed':>9} "
        lines = [head + (f"{'in features':>11} " if features else "") + f"{'same labels':>11} {'seconds':>8}"]
        for result in self.runtimes:
            if result.status != "compared":
                lines.append(f"{result.name:18} {result.status}: {result.reason}")
                continue
            allowed = result.tolerance if result.tolerance is not None else self.tolerance
            labels = f"{result.label_agreement:.2%}" if result.label_agreement is not None else "-"
            row = (
                f"{result.name:18} {result.inputs if result.inputs is not None else self.images:6d} "
                f"{result.max_abs_diff:14.3g} {result.max_rel_diff:9.2g} {result.max_ulp_diff:11d} {allowed or 0:9.2g} "
            )
            if features:
                row += f"{result.max_abs_diff_features:11.3g} " if result.max_abs_diff_features is not None else f"{'-':>11} "
            lines.append(row + f"{labels:>11} {result.seconds:8.2f}{'' if result.passes(self.tolerance) else '  FAILED'}")
            if result.worst_image is not None:
                lines.append(f"  worst: {result.worst_image}")
        return lines

    def _findings(self) -> list[str]:
        trained = [] if self.training is None else [str(self.training)]
        return [*(str(finding) for finding in self.layers or ()), *trained]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
