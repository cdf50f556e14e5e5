"""What saving a model found out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SaveReport:
    """A saved model, compared with the one in memory on random inputs.

    Attributes:
        path: Where it is.
        format: ``tfjs_layers``, ``tfjs_graph``, ``saved_model`` or ``keras``.
        precision: Of its weights.
        size_bytes: Of all its files.
        max_abs_diff: The largest difference of an output; with float32 that of other kernels, else the drift of the precision.
        max_rel_diff: The same as a share of the largest output.
        max_weight_error: The largest difference of a weight; None where the format fuses weights.
        tolerance: The ``max_rel_diff`` that was allowed; None with a lower precision, where each weight is held to the
            precision's own bound instead.
    """

    path: Path
    format: str
    precision: str
    size_bytes: int
    max_abs_diff: float
    max_rel_diff: float
    max_weight_error: float | None
    tolerance: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        drift = "equal to the last bit" if self.max_abs_diff == 0 else f"differs by at most {self.max_abs_diff:.3g}"
        return f"{self.path}: {self.format}, {self.precision}, {self.size_bytes / 1e6:.1f} MB, {drift}"
