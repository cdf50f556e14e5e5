"""What an option is: a field of a dataclass with a description, a check and a flag in its annotation."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin

Check = Callable[[str, Any], None]
"""Raises ValueError where an option (its name, its value) is what it may not be."""


def whole(least: int) -> Check:
    """Whole numbers from ``least`` on."""
    limit = "not be negative" if least == 0 else f"be at least {least}"

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name} must be a whole number, not {value!r}")
        if int(value) < least:
            raise ValueError(f"{name} must {limit}, but is {value!r}")

    return check


def number(accepts: Callable[[float], bool], must: str) -> Check:
    """Numbers that are accepted; ``must`` says which, as in "must be positive"."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Real) or not accepts(float(value)):
            raise ValueError(f"{name} must {must}, not {value!r}")

    return check


def one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Checks a choice.

    Raises:
        ValueError: It is none of ``choices``.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


@dataclass(frozen=True)
class Flag:
    """An option's flag on the command line, where it is not what the option's name, type and description say.

    Args:
        metavar: What stands for the value in the help.
        help: Instead of the description.
        parse: From the text to the value.
        name: ``--NAME``; by default the option's.
        const: What a flag without a value stands for.
    """

    metavar: str | None = None
    help: str | None = None
    parse: Callable[[str], Any] | None = None
    name: str | None = None
    const: Any = None


@dataclass(frozen=True)
class About:
    """What is known of an option beside its name, type and default.

    Args:
        description: As docstrings and ``--help`` have it.
        check: For values other than None; choices are checked by their type.
        flag: On the command line; None where it has none.
    """

    description: str
    check: Check | None = None
    flag: Flag | None = None


@dataclass(frozen=True)
class Option:
    """An option as a class of options has it.

    Attributes:
        default: Its default.
        kind: Its type.
        optional: Whether it may be None.
        choices: What it may be, where that is one of some names.
        about: What else is known of it.
    """

    default: Any
    kind: Any
    optional: bool
    choices: tuple[str, ...]
    about: About

    def check(self, name: str, value: Any) -> None:
        """Checks a value.

        Raises:
            ValueError: It is not what the option may be.
        """
        if value is None and self.optional:
            return
        if self.choices:
            one_of(name, value, self.choices)
        if self.about.check is not None:
            self.about.check(name, value)


def described(options: type[Any]) -> Mapping[str, Option]:
    """The options of a class by name; a class that only changes a default keeps what its base says of the option.

    Args:
        options: A dataclass whose fields are annotated with `About`, or a class derived from one.

    Example:
        >>> described(TrainingOptions)["schedule"].choices
        ('constant', 'cosine', 'one_cycle')
    """
    return _described(typing.cast(Any, options))


@functools.cache
def _described(options: Any) -> Mapping[str, Option]:
    abouts: dict[str, About] = {}
    kinds: dict[str, Any] = {}
    for base in reversed(options.__mro__):
        for name, hint in typing.get_type_hints(base, include_extras=True).items():
            annotated = get_origin(hint) is Annotated
            kinds[name] = get_args(hint)[0] if annotated else hint
            if annotated:
                abouts[name] = get_args(hint)[1]
    return {each.name: _option(each.default, kinds[each.name], abouts[each.name]) for each in fields(options)}


def _option(default: Any, hint: Any, about: About) -> Option:
    parts = [part for part in get_args(hint) if part is not type(None)]
    optional = hint is Any or type(None) in get_args(hint)
    kind = parts[0] if optional and len(parts) == 1 else hint
    return Option(default, kind, optional, get_args(kind) if get_origin(kind) is Literal else (), about)
