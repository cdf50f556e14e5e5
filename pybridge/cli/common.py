"""What all verbs share: how they are declared, how they answer and complain."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pybridge.text import json_text, printable_lines

SUCCESS, FAILED, MISUSED = 0, 1, 2

ALLOW_LAMBDA = "run the Python code in Lambda layers of a Keras file; only where you trust its author"
ALLOW_OPERATION = "let a SavedModel have this operation, which may reach files or run code; only where you trust its author"
INPUT_SHAPE = "of one example, for ONNX files with free sizes"


class Verbs:
    """The verbs of a command line.

    Args:
        parser: Of the program.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(self, name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str) -> argparse.ArgumentParser:
        """Declares a verb.

        Args:
            name: As it is typed.
            run: Does it, and gives the exit code.
            summary: One line, beginning in lower case.
            example: For its help; several lines are several examples.

        Returns:
            Its parser, for more arguments.
        """
        sub = self._verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--json", action="store_true", help="print one JSON document on stdout, nothing else")
        sub.add_argument("--verbose", "-v", action="store_true", help="show what Node.js and pybridge log")
        sub.set_defaults(run=run)
        return sub


def label_flags(parser: argparse.ArgumentParser) -> None:
    """Declares where labels come from, if not from the names of class folders."""
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="a CSV file with the columns file and label, instead of class folders"
    )
    parser.add_argument(
        "--label-from-name",
        metavar="REGEX",
        help=r"the label is what the first group of a regular expression finds in a file's name: '^(.+)_\d+'",
    )


def answer(options: argparse.Namespace, facts: Any, text: str) -> None:
    """Prints the answer: one JSON document where it was asked for, else text."""
    print(json_text(facts) if options.json else printable_lines(text), flush=True)


def say(text: str) -> None:
    """Prints a line for people, on stderr."""
    print(printable_lines(text), file=sys.stderr, flush=True)


def set_up() -> None:
    """Installs the Node.js side where it is not, and says so."""
    from pybridge.runtime import ensure

    ensure(report=say)


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between, as the type of an argument."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between, not {text!r}") from None
