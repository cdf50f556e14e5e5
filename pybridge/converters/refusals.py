"""What has no exact counterpart in TF.js: said where it is noticed, collected, and told all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from pybridge.errors import ModelFormatError
from pybridge.text import printable

OTHERWISE = "Replace these operations, or convert the part of the model that has none of them."
"""What to do about operations that cannot be converted."""


class Refused(Exception):  # noqa: N818, it is an answer, not a fault, and never leaves the converters
    """A layer or operation has no exact counterpart; the front end names it together with all the others.

    Args:
        reason: What about it cannot be converted.
        alternative: What to do instead, where that is not what the front end says of all of them.
    """

    def __init__(self, reason: str, alternative: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.alternative = alternative


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
        lines = [
            f"  {printable(operation)} at {printable(where)}: {printable(reason)}"
            for operation, where, reason in dict.fromkeys(self.found)
        ]
        raise ModelFormatError(
            f"{self.source} cannot become a TF.js layers model:\n" + "\n".join(lines),
            hint=OTHERWISE,
        )
