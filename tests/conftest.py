"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with photos and published models; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PYBRIDGE_TEST_DATA", default))
    if not (folder / "trashnet").is_dir():
        pytest.skip(f"the test data are not at {folder}; PYBRIDGE_TEST_DATA names another place")
    return folder
