"""ONNX's own tests of its operations pass or are refused by name; none gives a wrong answer, crashes or is called damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pybridge[onnx]'")

sys.path.insert(0, str(Path(__file__).parent))

from backend import Case, all_cases, frozen, run

import pybridge as pb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# `python tests/onnx_backend` runs all of them; here every eighth stands for its neighbours in the alphabet.
_SAMPLED = 8


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return all_cases()[::_SAMPLED]


def test_none_is_wrong_crashes_or_is_called_damaged(cases: list[Case], node: pb.Node, tmp_path: Path) -> None:
    ways = [(case.name, one) for case in cases for one in (case, frozen(case)) if one is not None]
    outcomes = {(name, place): run(one, node, tmp_path) for place, (name, one) in enumerate(ways)}
    assert {key: one for key, one in outcomes.items() if one.result not in ("passes", "refused")} == {}
    assert sum(one.result == "passes" for one in outcomes.values()) > len(outcomes) // 3
