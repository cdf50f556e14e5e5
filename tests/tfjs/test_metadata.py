"""What pybridge notes in a model.json."""

from __future__ import annotations

from typing import Any

import pytest

from pybridge.tfjs.metadata import keras_record, with_keras_record, without_keras_record


def test_a_record_is_found_again_and_forgotten() -> None:
    metadata = {**with_keras_record({"version": 1}), "theirs": 3}
    assert keras_record(metadata) == {"version": 1}
    assert without_keras_record(metadata) == {"theirs": 3}
    assert keras_record(metadata) == {"version": 1}, "the metadata given stay as they are"


def test_only_the_record_is_forgotten() -> None:
    assert without_keras_record({"pybridge": {"keras": {}, "more": 1}}) == {"pybridge": {"more": 1}}


@pytest.mark.parametrize("metadata", [{}, {"pybridge": 3}, {"pybridge": {}}, {"pybridge": {"keras": 1}}])
def test_damaged_metadata_hold_no_record(metadata: dict[str, Any]) -> None:
    assert keras_record(metadata) is None
