"""The command line. Each verb reads its arguments, calls the package, and prints the answer."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pybridge._version import __version__
from pybridge.cli import bench, evaluation, exporting, machine, serving, training
from pybridge.cli.common import FAILED, MISUSED, Verbs, say
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.text import printable, printable_lines

# What the user can mend by another argument; everything else means that the thing asked failed.
_MISTAKES = (DataError, ModelFormatError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit code: 0 success, 1 the thing asked failed, 2 the user's mistake.
    """
    options: argparse.Namespace | None = None
    try:
        options = build_parser().parse_args(arguments)
        _configure_logging(options.verbose)
        code: int = options.run(options)
    except KeyboardInterrupt:
        return _complain(f"Interrupted.{_way_on(options, arguments)}", 130)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again when it flushes at exit.
        sys.stdout = None
        return FAILED
    except _MISTAKES as error:
        return _complain(_on_one_line(str(error), arguments), MISUSED)
    except BridgeError as error:
        return _complain(_on_one_line(str(error), arguments), FAILED)
    except OSError as error:
        # A full disk, a folder that is read-only: nothing in pybridge can mend it.
        place = f": {printable(error.filename)}" if error.filename else ""
        return _complain(f"{error.strerror or error}{place}", FAILED)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line, with each verb's own."""
    parser = _Parser(
        prog="pybridge",
        description="Train image classifiers in Node.js from Python, and prove that both agree.",
        epilog="New here? `pybridge demo` trains on real pictures in about a minute.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pybridge {__version__}")
    verbs = Verbs(parser)
    for family in (machine, training, evaluation, exporting, serving, bench):
        family.add(verbs)
    return parser


def _on_one_line(message: str, arguments: Sequence[str] | None) -> str:
    """A message in which no argument begins a line of its own, as the name of a file can have ends of lines."""
    for word in sys.argv[1:] if arguments is None else arguments:
        for part in (word, *Path(word).parts):
            if "\n" in part:
                message = message.replace(printable_lines(part), printable(part))
    return message


def _way_on(options: argparse.Namespace | None, arguments: Sequence[str] | None) -> str:
    """How to go on with a training that was interrupted, where something of it is there."""
    out = getattr(options, "out", None)
    if not hasattr(options, "resume") or out is None or not (out / "run.json").is_file():
        return ""
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != "--resume"]
    return f" What was trained is in {printable(out)}; go on with: pybridge {shlex.join([*words, '--resume'])}"


def _complain(text: str, code: int) -> int:
    say(f"pybridge: {text}")
    return code


def _configure_logging(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(name)s: %(message)s" if verbose else "%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("pybridge").setLevel(logging.DEBUG if verbose else logging.WARNING)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Complains; a shell's wildcard may have put file names of others where they are no arguments."""
        super().error(printable(message))
