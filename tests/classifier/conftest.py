"""Classifiers for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tiny

import pybridge as pb


@pytest.fixture
def new(node: pb.Node) -> Callable[..., pb.ImageClassifier]:
    """Makes a classifier on a tiny base that trains in a moment."""

    def make(**settings: Any) -> pb.ImageClassifier:
        return pb.ImageClassifier(tiny.convolution(), node=node, **{"seed": 0, **settings})

    return make
