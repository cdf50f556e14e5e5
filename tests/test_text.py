from __future__ import annotations

import json
import unicodedata

import pytest

from pybridge.errors import DataError
from pybridge.text import json_text, markdown_code, printable, printable_lines

OBEYED = [
    "\x1b[2J",
    "\x9b2J",
    "\x1b]0;title\x07",
    "\r\x08",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\udcff",
    "\U000e0041",
]


@pytest.mark.parametrize("hostile", OBEYED)
def test_nothing_that_a_terminal_obeys_or_that_nobody_sees_is_left(hostile: str) -> None:
    for shown in (printable(f"cat{hostile}dog"), printable_lines(f"cat{hostile}dog"), json_text(f"cat{hostile}dog")):
        assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_name_is_one_line_and_a_message_keeps_its_lines() -> None:
    assert printable("cat\npybridge: passed") == "cat\\npybridge: passed"
    assert printable_lines("first\n\tsecond") == "first\n\tsecond"


@pytest.mark.parametrize("name", ["Käse", "猫", "نمی‌خواهم", "👩‍🔬", "C:\\new", "a b\N{NO-BREAK SPACE}c"])
def test_what_people_write_stays_as_it_is(name: str) -> None:
    assert printable(name) == name


def test_json_says_the_same_to_a_program() -> None:
    document = {"".join(OBEYED): ["\n", "\x7f", "ä", 1.5, None]}
    assert json.loads(json_text(document)) == document


@pytest.mark.parametrize("name", ["cat", "a`b", "`", "``a``", "", " ", "a\n\n# b", "x` <b>"])
def test_a_name_cannot_leave_the_code_that_it_is_in(name: str) -> None:
    code = markdown_code(name)
    fence = code[: len(code) - len(code.lstrip("`"))]
    inside = code[len(fence) : -len(fence)]
    assert fence
    assert fence not in inside
    assert "\n" not in code
    assert printable(name).strip("` ") in inside


def test_errors_show_no_control_characters() -> None:
    error = DataError("there is no \x1b[31mfile\n  of yours", hint="look\u202e")
    assert str(error) == "there is no \\x1b[31mfile\n  of yours\n  look\\u202e"
