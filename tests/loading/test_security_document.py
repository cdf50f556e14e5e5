"""The figures in docs/security.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybridge.loading import keras_files, keras_safety, memory_limit
from pybridge.loading.operations import known_operations

_DOCUMENT = " ".join((Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8").split())


@pytest.mark.parametrize(
    "sentence",
    [
        f"all {len(known_operations().known):,} operations of the registry",
        f"{len(known_operations().computing):,} of which compute",
        f"at most {keras_safety._RATIO_LIMIT} times its size, or {keras_safety._SMALL // 2**20} MB",
        f"never more than {keras_safety.SIZE_LIMIT // 2**30} GB",
        f"its configuration at most {keras_safety.CONFIG_LIMIT // 2**20} MB",
        f"may take {keras_files._TIMEOUT_SECONDS / 60:g} minutes, and {memory_limit._SHARE * 100:g} % of the free memory",
    ],
)
def test_a_limit_stands_in_the_document_as_in_the_code(sentence: str) -> None:
    assert sentence in _DOCUMENT


def test_the_savers_operations_stand_in_the_document() -> None:
    assert all(f"`{name}`" in _DOCUMENT for name in known_operations().saver)
