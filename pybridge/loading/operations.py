"""Which operations a graph of a stranger may have: an allowlist, kept as data beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

OPERATIONS_FILE = Path(__file__).with_name("operations.txt")
"""The list; the server looks at the graphs of packages with it too."""

_COMPUTING, _SAVER = "computing", "saver"


@dataclass(frozen=True)
class Operations:
    """TensorFlow's operations by what they may do.

    Attributes:
        computing: Those that any graph may have.
        saver: Those that a model may have where they keep its own variables.
        refused: The others, each with the reason.
    """

    computing: frozenset[str]
    saver: frozenset[str]
    refused: dict[str, str]

    def reason(self, name: str) -> str:
        """Why an operation that is not allowed is refused."""
        return self.refused.get(name, "is no operation that pybridge knows")

    @property
    def known(self) -> frozenset[str]:
        """All operations of the list."""
        return self.computing | self.saver | frozenset(self.refused)


@cache
def known_operations() -> Operations:
    """The list; it is read once.

    Example:
        >>> known_operations().reason("ReadFile")
        'takes the name of a file'
    """
    groups = read_groups()
    refused = {name: reason for group, (reason, names) in groups.items() if group not in (_COMPUTING, _SAVER) for name in names}
    return Operations(frozenset(groups[_COMPUTING][1]), frozenset(groups[_SAVER][1]), refused)


def read_groups() -> dict[str, tuple[str, list[str]]]:
    """The groups of the list: for each name its reason and its operations, as they stand in the file."""
    groups: dict[str, tuple[str, list[str]]] = {}
    names: list[str] = []
    for line in OPERATIONS_FILE.read_text("utf-8").splitlines():
        if line.startswith("["):
            group, _, reason = line[1:].partition("] ")
            names = []
            groups[group] = (reason, names)
        elif not line.startswith("#"):
            names += line.split()
    return groups
