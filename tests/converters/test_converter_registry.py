"""The registry of converters: what is declared twice is refused, and priorities decide, whatever is imported first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import permutations

import pytest

from pybridge.converters.registry import DuplicateHandlerError, Registry

Convert = Callable[[], str]


def general() -> str:
    """For every case."""
    return "general"


def special() -> str:
    return "special"


def last() -> str:
    return "last"


def registry() -> Registry[Convert]:
    return Registry("operation", aliases={"Halve": "Half"})


def test_a_handler_is_found_by_its_names_and_their_aliases() -> None:
    known = registry()
    known.handles("Half", "Third")(general)
    assert known.find("Third") is known.find("Half") is known.find("Halve") is general
    assert known.find("Quarter") is None
    assert "Halve" in known and "Quarter" not in known


def test_two_handlers_of_a_name_are_refused_and_both_places_named() -> None:
    known = registry()
    known.handles("Half")(general)
    with pytest.raises(DuplicateHandlerError) as caught:
        known.handles("Half")(special)
    for function in (general, special):
        assert f"{__name__}:{function.__code__.co_firstlineno} ({function.__name__})" in str(caught.value)


def test_a_refused_declaration_registers_none_of_its_names() -> None:
    known = registry()
    known.handles("Half")(general)
    with pytest.raises(DuplicateHandlerError):
        known.handles("Third", "Half")(special)
    assert "Third" not in known


def test_a_name_that_is_given_twice_in_one_declaration_is_refused() -> None:
    with pytest.raises(DuplicateHandlerError):
        registry().handles("Half", "Half")(general)


def test_an_alias_cannot_have_a_handler_of_its_own() -> None:
    with pytest.raises(DuplicateHandlerError, match="alias of 'Half'"):
        registry().handles("Halve")(general)


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_the_highest_priority_is_asked_first_in_whatever_order_they_are_declared(order: tuple[int, ...]) -> None:
    known = registry()
    declared = [(general, 0), (special, 1), (last, -1)]
    for place in order:
        function, priority = declared[place]
        known.handles("Half", priority=priority)(function)
    assert known.handlers("Half") == [special, general, last]
    assert known.find("Half") is special


def test_a_handler_holds_for_the_versions_that_it_means() -> None:
    known = registry()
    known.handles("Half", since=13)(general)
    known.handles("Half", until=12)(special)
    assert [known.find("Half", version) for version in (1, 12, 13, 99)] == [special, special, general, general]


def test_handlers_for_some_of_the_same_versions_are_refused() -> None:
    known = registry()
    known.handles("Half", since=13)(general)
    with pytest.raises(DuplicateHandlerError):
        known.handles("Half", until=13)(special)


def test_it_lists_what_it_knows_with_places_and_summaries() -> None:
    known = registry()
    known.handles("Third", "Half")(general)
    known.handles("Half", priority=1)(special)
    listed = [(entry.name, entry.priority, entry.summary) for entry in known.entries()]
    assert listed == [("Half", 1, ""), ("Half", 0, "For every case."), ("Third", 0, "For every case.")]


def test_its_text_says_where_each_handler_stands_and_when_it_is_asked() -> None:
    known = registry()
    known.handles("Third", since=13)(general)
    known.handles("Half", priority=1)(special)
    first, second, third = str(known).splitlines()
    assert first.split() == ["Half", "priority", "1", f"{__name__}:{special.__code__.co_firstlineno}", "(special)"]
    assert second.split()[:2] == ["Third", "13-"]
    assert third.split() == ["Halve", "as", "Half"]


def in_a_fresh_python(*lines: str) -> str:
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True).stdout.strip()


def test_the_order_of_imports_has_no_influence_on_the_rewrites_of_keras() -> None:
    """A module that is imported before all others declares first, and is asked where its priority says."""
    show = "print([(e.name, e.priority, e.place) for e in LAYERS.entries()])"
    last_first = "import pybridge.converters.keras.rewrites.wrappers, pybridge.converters.keras.rewrites.regularization"
    load = "from pybridge.converters.keras.rewrites import LAYERS"
    assert in_a_fresh_python(load, show) == in_a_fresh_python(last_first, load, show)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("onnx.operations", "Conv"),
        ("torch.operations", "conv2d"),
        ("tensorflow.operations", "Conv2D"),
        ("keras.rewrites", "Conv2D"),
    ],
)
def test_every_front_end_lists_what_it_converts_without_importing_its_framework(module: str, name: str) -> None:
    table = "LAYERS" if module.startswith("keras") else "OPERATIONS"
    answer = in_a_fresh_python(
        "import sys",
        f"from pybridge.converters.{module} import {table}",
        f"print({name!r} in {table}, [one for one in ('keras', 'torch', 'onnx', 'tensorflow') if one in sys.modules])",
    )
    assert answer == "True []"
