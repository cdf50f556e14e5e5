"""What a comparison of runtimes found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ParityError


@dataclass(frozen=True)
class RuntimeResult:
    """How one runtime compares with the reference.

    Attributes:
        name: Which runtime.
        max_abs_diff: Largest absolute difference of a probability.
        max_abs_diff_features: Largest absolute difference of an activation where the frozen part ends.
        max_ulp_diff: The same in units in the last place of float32.
        label_agreement: Share of the images that get the same label.
        identical: Whether every bit is the same.
        worst_image: The image with the largest difference; None where there is none.
        seconds: Time for all images, loading included.
    """

    name: str
    max_abs_diff: float
    max_abs_diff_features: float
    max_ulp_diff: int
    label_agreement: float
    identical: bool
    worst_image: str | None
    seconds: float


@dataclass(frozen=True)
class ParityReport:
    """The result of `verify`.

    Attributes:
        reference: What the runtimes were compared with.
        tolerance: The largest ``max_abs_diff`` that passes.
        images: How many images were compared.
        runtimes: One result for each runtime.
    """

    reference: str
    tolerance: float
    images: int
    runtimes: tuple[RuntimeResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every runtime is within the tolerance and gives every image the same label."""
        return all(
            result.max_abs_diff <= self.tolerance
            and result.max_abs_diff_features <= self.tolerance
            and result.label_agreement == 1
            for result in self.runtimes
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; ``runtimes`` by name."""
        return {
            "passed": self.passed,
            "reference": self.reference,
            "tolerance": self.tolerance,
            "images": self.images,
            "runtimes": {result.name: asdict(result) for result in self.runtimes},
        }

    def raise_for_status(self) -> None:
        """Does nothing where the report passed.

        Raises:
            ParityError: A runtime differs by more than the tolerance.
        """
        if not self.passed:
            raise ParityError(f"Runtimes disagree:\n{self}", hint="The worst images are named; look at them first.")

    def __str__(self) -> str:
        lines = [
            f"{self.images} images against {self.reference}, tolerance {self.tolerance:g}",
            f"{'runtime':24} {'max difference':>14} {'in features':>12} {'last places':>11} {'same labels':>11} {'seconds':>8}",
        ]
        for result in self.runtimes:
            lines.append(
                f"{result.name:24} {result.max_abs_diff:14.3g} {result.max_abs_diff_features:12.3g} {result.max_ulp_diff:11d} "
                f"{result.label_agreement:11.2%} {result.seconds:8.2f}"
            )
            if result.worst_image is not None:
                lines.append(f"  worst: {result.worst_image}")
        lines.append("passed" if self.passed else "FAILED")
        return "\n".join(lines)


def max_ulp_diff(one: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """The largest distance of two float32 arrays in units in the last place: how many floats lie between.

    The bits of a float, read as a sign and a magnitude, count the floats from zero on; the two's complement is
    undone for negative numbers (Bruce Dawson, "Comparing Floating Point Numbers", 2012).
    """
    if not one.size:
        return 0

    def ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
        bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    return int(np.abs(ordered(one) - ordered(other)).max())
