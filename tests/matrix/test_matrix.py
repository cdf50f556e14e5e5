"""Every Keras layer crosses to TensorFlow.js and back as `docs/keras-layers.md` says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import keras
from cases import ABSTRACT, Case, all_cases
from crossing import Outcome, cross
from table import summary

import pybridge as pb

DOCUMENT = Path(__file__).parents[2] / "docs" / "keras-layers.md"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def outcomes(node: pb.Node) -> list[tuple[Case, Outcome]]:
    found = []
    for case in all_cases():
        try:
            found.append((case, cross(case, node)))
        except Exception as error:
            found.append((case, Outcome(problem=f"{type(error).__name__}: {error}")))
    return found


def test_every_case_passes_or_is_refused_for_the_reason_that_is_written_down(outcomes: list[tuple[Case, Outcome]]) -> None:
    wrong = {case.name: outcome for case, outcome in outcomes if not outcome.passes(case)}
    assert not wrong


def test_every_class_of_keras_layers_has_a_case() -> None:
    covered = {case.class_name for case in all_cases()} | set(ABSTRACT)
    classes = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    aliases = {name for name in classes if getattr(keras.layers, name).__name__ in covered}
    assert classes - covered - aliases == set()


def test_the_document_has_the_counts_of_this_run(outcomes: list[tuple[Case, Outcome]]) -> None:
    written = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in summary(outcomes) if line not in written] == []
