"""What every verb promises: help with an example, one JSON document on stdout, and a mistake in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import CommandLine

from pybridge.cli import build_parser, main


def _verbs() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(choices)


VERBS = _verbs()

# What each verb is asked with --json, and what its answer is known by. RUN is a trained run, PHOTOS a folder of photos, BASE a
# small base model, OUT a place that does not exist yet. `serve` answers while it runs (tests/server), `demo` is a whole training
# (tests/end_to_end).
QUESTIONS: dict[str, tuple[list[str], Callable[[Any], bool]]] = {
    "doctor": ([], lambda facts: facts["ok"] is True),
    "setup": ([], lambda facts: Path(facts["addon"]).is_file() and Path(facts["node"]).is_file()),
    "zoo": ([], lambda entries: entries[0]["name"] == "efficientnet_lite0"),
    "train": (
        ["PHOTOS", "--out", "OUT", "--base", "BASE", "--epochs", "1", "--seed", "0"],
        lambda facts: 0 <= facts["accuracy"] <= 1,
    ),
    "fine-tune": (
        ["RUN", "PHOTOS", "--out", "OUT", "--unfreeze", "2", "--epochs", "1"],
        lambda facts: 0 <= facts["accuracy"] <= 1,
    ),
    "evaluate": (["RUN", "PHOTOS"], lambda facts: 0 <= facts["accuracy"] <= 1),
    "predict": (["RUN", "PHOTOS"], lambda answers: all({"file", "label", "probability"} <= answer.keys() for answer in answers)),
    "verify": (["RUN", "PHOTOS", "--runtimes", "node,tfjs-cpu"], lambda facts: facts["passed"] is True),
    "convert": (["BASE", "OUT"], lambda facts: facts["format"] == "tfjs_layers"),
    "deploy": (["RUN", "OUT", "--images", "PHOTOS"], lambda facts: Path(facts["path"]).is_dir()),
    "bench": (["--list"], lambda facts: "features" in facts["works"]),
}
ELSEWHERE = {"serve", "demo"}

# A mistake that each verb can be typed with beside an unknown option.
MISTAKES: dict[str, list[str]] = {
    "train": ["NOWHERE", "--out", "OUT"],
    "fine-tune": ["NOWHERE", "PHOTOS", "--out", "OUT"],
    "evaluate": ["NOWHERE", "PHOTOS"],
    "predict": ["NOWHERE", "PHOTOS"],
    "verify": ["NOWHERE", "PHOTOS"],
    "convert": ["NOWHERE", "OUT"],
    "deploy": ["NOWHERE", "OUT"],
    "serve": ["NOWHERE", "--port", "0"],
    "bench": ["--work", "nothing"],
}


@pytest.fixture
def words(waste: Path, small_base: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[list[str]], list[str]]:
    """What the capital words of a command stand for."""

    def spoken(arguments: list[str]) -> list[str]:
        places = {"PHOTOS": waste, "BASE": small_base, "OUT": tmp_path / "out", "NOWHERE": tmp_path / "nowhere"}
        if "RUN" in arguments:
            places["RUN"] = request.getfixturevalue("waste_run")
        return [str(places.get(word, word)) for word in arguments]

    return spoken


def test_the_tables_know_every_verb() -> None:
    assert QUESTIONS.keys() | ELSEWHERE == VERBS.keys()
    assert MISTAKES.keys() | {"doctor", "setup", "demo", "zoo"} == VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main([verb, "--help"])
    assert exit_of.value.code == 0
    assert f"example:\n  pybridge {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_it_takes_json(verb: str) -> None:
    assert "--json" in VERBS[verb].format_help()


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_mistake(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main([verb, "--no-such-option"])
    printed = capsys.readouterr()
    assert (exit_of.value.code, printed.out) == (2, "")
    assert "usage: pybridge" in printed.err


@pytest.mark.parametrize("verb", MISTAKES)
def test_what_is_not_there_is_a_mistake_and_leaves_nothing(
    verb: str, words: Callable[[list[str]], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([verb, *words(MISTAKES[verb])])
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, ""), printed.err
    assert "Traceback" not in printed.err
    assert ("nowhere" if "NOWHERE" in MISTAKES[verb] else MISTAKES[verb][-1]) in printed.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("verb", QUESTIONS)
def test_json_is_one_document_and_nothing_else(verb: str, words: Callable[[list[str]], list[str]], pybridge: CommandLine) -> None:
    arguments, known = QUESTIONS[verb]
    answer = pybridge.json(verb, *words(arguments))
    assert known(answer), answer
