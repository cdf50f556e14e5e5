"""Thousands of damaged models: each is refused, or is a valid model; nothing crashes, hangs, or reads what it must not."""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import mutate_bytes, mutate_shards, mutate_tree

import pybridge as pb
from pybridge.errors import BridgeError, CallTimeoutError, ModelFormatError, NodeCrashedError, RemoteError
from pybridge.tfjs.layers_model import LayersModel

SCRIPT = Path(__file__).parents[1] / "support" / "tfjs_models.js"
SEEDS = (
    *("residual", "shared", "nested", "crossed", "sequential_nested", "options", "lstm_initial_state", "masked_bidirectional"),
    *("rnn_stacked", "time_distributed_model", "separable", "dot_matrices", "embedding", "prelu", "conv_lstm", "stateful"),
)
DEADLINE_SECONDS = 20
MEMORY_MARGIN_BYTES = 2 * 2**30

_opened: set[str] = set()
_watching = 0


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    # Python's own modules are opened when they are first needed; other threads do other things.
    if event != "open" or _watching != threading.get_ident() or not isinstance(arguments[0], str):
        return
    if not arguments[0].endswith((".py", ".pyc")):
        _opened.add(arguments[0])


sys.addaudithook(_note_opened)


@contextmanager
def watched(case: object) -> Iterator[set[str]]:
    """Notes which files are opened inside, and ends what takes too long."""
    global _watching

    def hung(_signal: int, _frame: object) -> None:
        raise AssertionError(f"case {case} hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(DEADLINE_SECONDS)
    _opened.clear()
    _watching = threading.get_ident()
    try:
        yield _opened
    finally:
        _watching = 0
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def seeds(node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that TF.js wrote."""
    folder = tmp_path_factory.mktemp("seeds")
    written = node.call(SCRIPT, "writeAll", str(folder), list(SEEDS))
    assert not [name for name, result in written.items() if "error" in result]
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    file = tmp_path / "canary"
    file.write_bytes(bytes(256))
    return file


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """What a test allocates beyond a margin fails in it, instead of taking the machine's memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_MARGIN_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def damaged(seeds: Path, canary: Path, case: int, folder: Path) -> Path:
    """Writes the model of a case: a seed with damage to its bytes, its JSON, or its shards."""
    random_ = random.Random(case)
    target = folder / "model"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(seeds / random_.choice(SEEDS), target)
    file = target / "model.json"
    kind = random_.random()
    if kind < 0.15:
        mutate_shards(target, canary, random_)
    elif kind < 0.4:
        file.write_bytes(mutate_bytes(file.read_bytes(), random_))
    else:
        tree = mutate_tree(json.loads(file.read_bytes()), random_)
        file.write_text(json.dumps(tree), encoding="utf-8")
    return target


def read(target: Path, canary: Path, case: int) -> LayersModel | None:
    """Reads a damaged model; the canary and all files outside of the folder stay closed."""
    with watched(case) as opened:
        try:
            model = LayersModel.read(target)
        except ModelFormatError:
            model = None
    outside = {file for file in opened if not Path(file).resolve().is_relative_to(target.resolve())}
    assert str(canary.resolve()) not in {str(Path(file).resolve()) for file in opened}
    assert not outside, f"case {case} opened {outside}"
    return model


def read_many(cases: range, seeds: Path, canary: Path, folder: Path) -> int:
    """How many of the cases are still models."""
    kept = 0
    for case in cases:
        model = read(damaged(seeds, canary, case, folder), canary, case)
        if model is not None:
            kept += 1
            assert all(isinstance(value, np.ndarray) for value in model.weights.values())
            model.sha256()
    return kept


@pytest.mark.usefixtures("bounded_memory")
def test_damaged_files_are_refused_or_read(seeds: Path, canary: Path, tmp_path: Path) -> None:
    kept = read_many(range(300), seeds, canary, tmp_path)
    assert 0 < kept < 300


@pytest.mark.slow
@pytest.mark.usefixtures("bounded_memory")
def test_thousands_of_damaged_files_are_refused_or_read(seeds: Path, canary: Path, tmp_path: Path) -> None:
    read_many(range(1000, 6000), seeds, canary, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.exhaustive
def test_damaged_models_are_rebuilt_in_keras_or_refused(seeds: Path, canary: Path, tmp_path: Path) -> None:
    import keras

    from pybridge.models import to_keras

    rebuilt = refused = 0
    for case in range(10_000, 10_500):
        model = read(damaged(seeds, canary, case, tmp_path), canary, case)
        if model is None:
            continue
        with watched(case):
            try:
                built = to_keras(model)
            except ModelFormatError:
                refused += 1
                continue
        assert isinstance(built, keras.Model), case
        rebuilt += 1
        keras.backend.clear_session()
    assert rebuilt > 20
    assert refused > 20


@pytest.mark.slow
def test_damaged_models_never_hang_or_kill_node(node: pb.Node, seeds: Path, canary: Path, tmp_path: Path) -> None:
    node.runner.start()
    generation = node.runner.generation
    loaded = 0
    for case in range(20_000, 21_500):
        model = read(damaged(seeds, canary, case, tmp_path), canary, case)
        if model is None:
            continue
        with watched(case):
            try:
                node.load_model(model).dispose()
                loaded += 1
            except (CallTimeoutError, NodeCrashedError) as error:
                raise AssertionError(f"case {case} ended Node") from error
            except (ModelFormatError, RemoteError):
                pass
            except BridgeError as error:
                raise AssertionError(f"case {case}: {error}") from error
    assert node.runner.generation == generation
    assert loaded > 100


def test_node_makes_no_room_for_weights_that_the_model_does_not_have(node: pb.Node) -> None:
    dense = {"class_name": "Dense", "config": {"name": "huge", "units": 2**29, "batch_input_shape": [None, 4]}}
    topology = {"class_name": "Sequential", "config": {"name": "model", "layers": [dense]}}
    with pytest.raises(RemoteError, match="the model has no such weight"):
        node.load_model(LayersModel(topology, {"huge/kernel": np.zeros((4, 2), np.float32)}))
