"""Flags of the command line that are options of a training: their names, defaults and help come from `TrainingOptions`."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from pybridge.training.option_descriptions import Option, described
from pybridge.training.options import TrainingOptions


def add_flags(parser: argparse.ArgumentParser, options: type[TrainingOptions], names: Collection[str]) -> None:
    """Declares the flags of some options.

    Args:
        parser: Of a verb.
        options: Whose defaults they have.
        names: Which of them, in the order of the help.
    """
    for name in names:
        _add_flag(parser, name, described(options)[name])


def chosen(namespace: argparse.Namespace, names: Collection[str]) -> dict[str, Any]:
    """What was asked for by the flags of `add_flags`, by the names of the options."""
    return {name: getattr(namespace, name) for name in names}


def _add_flag(parser: argparse.ArgumentParser, name: str, option: Option) -> None:
    flag = option.about.flag
    if flag is None:
        raise TypeError(f"the option {name} has no flag")
    text = flag.help or _help(option.about.description)
    if option.default not in (None, False) and "(default" not in text:
        shown = f"{option.default:g}" if isinstance(option.default, float) else option.default
        text = f"{text} (default {shown})"
    spelled = f"--{(flag.name or name).replace('_', '-')}"
    if option.kind is bool:
        parser.add_argument(spelled, dest=name, action="store_true", help=text)
    elif flag.const is not None:
        parser.add_argument(spelled, dest=name, action="store_const", const=flag.const, default=option.default, help=text)
    elif option.choices:
        parser.add_argument(spelled, dest=name, choices=option.choices, default=option.default, help=text)
    else:
        kind = flag.parse or option.kind
        parser.add_argument(spelled, dest=name, type=kind, default=option.default, metavar=flag.metavar, help=text)


def _help(description: str) -> str:
    """A sentence of a docstring as argparse's helps are: no capital, no full stop, no marks for code."""
    plain = description.replace("``", "").rstrip(".")
    return f"{plain[0].lower()}{plain[1:]}"
