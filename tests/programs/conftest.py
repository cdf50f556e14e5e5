"""One TensorFlow process for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pybridge.programs import TensorFlowProcess
from pybridge.runtime import ensure


@pytest.fixture(scope="session")
def tensorflow() -> Iterator[TensorFlowProcess]:
    with TensorFlowProcess(ensure().environment()) as process:
        yield process
