"""Collects everything about a graph that cannot be converted, to tell it all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from pybridge.errors import ModelFormatError


@dataclass
class Refusals:
    """What could not be converted.

    Args:
        source: What is converted, such as ``the module MyNet``.
    """

    source: str
    found: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, operation: str, where: str, reason: str) -> None:
        """Remember one: the operation, the place of it in the source, and why."""
        self.found.append((operation, where, reason))

    def raise_all(self) -> None:
        """Tell all of them.

        Raises:
            ModelFormatError: If there are any.
        """
        if not self.found:
            return
        lines = [f"  {operation} at {where}: {reason}" for operation, where, reason in dict.fromkeys(self.found)]
        raise ModelFormatError(
            f"{self.source} cannot become a TF.js layers model:\n" + "\n".join(lines),
            hint="Replace these operations, or convert the part of the model that has none of them.",
        )
