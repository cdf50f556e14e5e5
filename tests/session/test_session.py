"""One Node.js process and one TensorFlow process for what works together."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.data import ImageSet, Preprocessing
from pybridge.errors import BridgeError
from pybridge.session import Session

pytestmark = pytest.mark.slow

SOURCES = [Preprocessing(16, 16), tiny.convolution()]


@pytest.fixture
def images(pixels: Any) -> ImageSet:
    return ImageSet(pixels[0], pixels[1].astype(np.int32), ("a", "b"))


def test_making_a_session_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another environment is another process than that of the other tests.
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    with Session() as session, session.tensorflow() as tensorflow:
        assert not session.runner.alive
        assert not tensorflow.alive


def test_it_ends_the_process_that_it_started(images: ImageSet) -> None:
    with Session() as session:
        session.extractor.compute(session.programs(SOURCES), images)
        assert session.runner.alive
    assert not session.runner.alive
    with pytest.raises(BridgeError, match="closed"):
        session.extractor.compute(session.programs(SOURCES), images)


def test_it_leaves_alone_the_process_that_it_was_given(node: pb.Node, images: ImageSet) -> None:
    with Session(node.runner) as session:
        session.extractor.compute(session.programs(SOURCES), images)
    assert node.runner.alive


def test_it_computes_on_after_a_crash(images: ImageSet) -> None:
    with Session() as session:
        stages = session.programs(SOURCES)
        before = session.extractor.compute(stages, images)
        assert session.runner.pid is not None
        os.kill(session.runner.pid, signal.SIGKILL)
        with pytest.raises(pb.NodeCrashedError):
            while True:
                session.runner.call("echo", {"value": 1})
        np.testing.assert_array_equal(session.extractor.compute(stages, images), before)
        assert session.runner.generation > 1


def test_sessions_that_work_at_the_same_time_have_one_tensorflow(node: pb.Node) -> None:
    one, other = Session(node.runner), Session(node.runner)
    with one.tensorflow() as first, other.tensorflow() as second:
        assert first is second


def test_a_classifier_works_in_the_process_of_its_node(trained: pb.ImageClassifier, node: pb.Node) -> None:
    assert trained.session.runner is node.runner
    assert not trained.session.owns_runner


def test_a_closed_classifier_starts_another_process_when_it_needs_one(
    trained: pb.ImageClassifier, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    with pb.ImageClassifier.load(tmp_path / "run") as classifier:
        before = classifier.predict_proba(pixels[0])
        first = classifier.session.runner
        classifier.close()
        assert not first.alive
        np.testing.assert_array_equal(classifier.predict_proba(pixels[0]), before)
        second = classifier.session.runner
    assert not second.alive


def test_a_classifier_that_gets_another_node_leaves_its_own_process(
    trained: pb.ImageClassifier, node: pb.Node, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    classifier = pb.ImageClassifier.load(tmp_path / "run")
    before = classifier.predict_proba(pixels[0])
    own = classifier.session.runner
    classifier.set_params(node=node)
    np.testing.assert_array_equal(classifier.predict_proba(pixels[0]), before)
    assert classifier.session.runner is node.runner
    assert not own.alive


def test_a_classifier_at_work_is_pickled_without_its_processes(trained: pb.ImageClassifier, pixels: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    with pb.ImageClassifier.load(tmp_path / "run") as classifier:
        expected = classifier.predict_proba(pixels[0])
        with pickle.loads(pickle.dumps(classifier)) as copy:
            assert copy.session.runner.generation == 0
            np.testing.assert_array_equal(copy.predict_proba(pixels[0]), expected)
