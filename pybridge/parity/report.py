"""The result of `verify`: the findings, with what people make of them: a table, a page, an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pybridge.errors import ParityError
from pybridge.parity.findings import ParityFindings
from pybridge.parity.page import render
from pybridge.report.pages import write_page
from pybridge.text import printable


@dataclass(frozen=True)
class ParityReport(ParityFindings):
    """The result of `verify`; its attributes are those of `pybridge.parity.findings.ParityFindings`."""

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
        write_page(Path(path), render(self, title))

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
                lines.append(f"  worst: {printable(result.worst_image)}")
        return lines

    def _findings(self) -> list[str]:
        trained = [] if self.training is None else [str(self.training)]
        return [*(str(finding) for finding in self.layers or ()), *trained]
