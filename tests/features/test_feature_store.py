"""Where activations lie: in memory up to a budget, else in a file that nobody has to clean up."""

from __future__ import annotations

import json
import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray
from PIL import Image

import pybridge as pb
from pybridge.data import ImageSet, Preprocessing
from pybridge.errors import DataError, NodeCrashedError, RemoteError
from pybridge.features import FeatureExtractor, FeatureMemory, parse_memory
from pybridge.graphs import Program, programs_for
from pybridge.runtime import ensure

NODE_RUNNER = Path(__file__).resolve().parents[2] / "node_runner"


@pytest.fixture(scope="module")
def stages() -> list[Program]:
    return programs_for([Preprocessing(16, 16), tiny.convolution()], ensure())


@pytest.fixture
def arrays() -> ImageSet:
    images, labels = tiny.pictures()
    return ImageSet(images, labels.astype(np.int32), ("dark", "light"))


@pytest.fixture
def filing(node: pb.Node, tmp_path: Path) -> FeatureExtractor:
    """Keeps everything in files."""
    return FeatureExtractor(node.runner, FeatureMemory(budget=0, folder=tmp_path))


def open_files(pid: int, folder: Path) -> list[str]:
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return [name for name in found if name.startswith(str(folder))]


def test_a_file_holds_what_memory_holds(node: pb.Node, filing: FeatureExtractor, stages: list[Program], arrays: ImageSet) -> None:
    rows = np.array([23, 0, 1, 2, 2, 7, 8, 5], np.int32)
    expected = FeatureExtractor(node.runner).compute(stages, arrays)
    store, _ = filing.extract(stages, arrays, batch_size=5)
    np.testing.assert_array_equal(filing.read(store, rows), expected[rows])
    filing.release(store)


def test_the_file_has_no_name_and_is_closed_with_its_store(
    filing: FeatureExtractor, stages: list[Program], arrays: ImageSet, node: pb.Node, tmp_path: Path
) -> None:
    pid = node.runner.start().pid
    store, _ = filing.extract(stages, arrays)
    assert list(tmp_path.iterdir()) == []
    (left,) = open_files(pid, tmp_path)
    assert left.endswith("(deleted)")
    filing.release(store)
    assert open_files(pid, tmp_path) == []


@pytest.mark.kills_node
def test_a_killed_node_leaves_no_file(
    filing: FeatureExtractor, stages: list[Program], arrays: ImageSet, node: pb.Node, tmp_path: Path
) -> None:
    store, _ = filing.extract(stages, arrays)
    process = node.runner.start()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(NodeCrashedError):
        process.connection.call("echo", {"value": 1})
    filing.release(store)
    assert list(tmp_path.iterdir()) == []


def test_all_space_is_taken_before_the_work_begins(node: pb.Node, tmp_path: Path) -> None:
    with FeatureMemory(0, tmp_path).file(3 * 2**20, rows=3) as file:
        descriptor = os.open(file, os.O_RDONLY)
    assert os.fstat(descriptor).st_blocks * 512 >= 3 * 2**20
    os.close(descriptor)


def test_what_fits_neither_in_memory_nor_on_the_disk_is_refused_with_the_sizes(tmp_path: Path) -> None:
    memory = FeatureMemory(budget=2 * 10**9, folder=tmp_path)
    assert not memory.fits(10**18)
    sizes = r"9,000 images need 1000000000\.0 GB: more than the 2\.0 GB.* free in"
    with pytest.raises(DataError, match=sizes) as caught, memory.file(10**18, rows=9000):
        pass
    assert "Unfreeze less" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = FeatureMemory(0, tmp_path / "file" / "scratch")
    with pytest.raises(DataError, match=r"Cannot keep 0\.0 GB of activations in .*file/scratch"), memory.file(1, rows=1):
        pass


def test_a_full_disk_is_not_blamed_on_a_picture(
    node: pb.Node, stages: list[Program], arrays: ImageSet, filing: FeatureExtractor
) -> None:
    shape = list(stages[-1].output_shape)
    handles = [node.runner.call("program.load", stage.to_dict()) for stage in stages]
    store = node.runner.call("features.create", {"rows": 1, "shape": shape, "file": "/dev/full"})
    inputs = [np.asarray(arrays.images[:1]), np.float32([[0, 0, 1, 1]]), np.array([False]), np.float32([1])]
    call = {"store": store, "stages": handles, "signature": "pixels", "inputs": inputs, "rows": np.array([0], np.int32)}
    with pytest.raises(RemoteError, match="ENOSPC"):
        node.runner.call("features.extract", call)


def test_the_budget_is_that_of_all_stores_together(
    node: pb.Node, stages: list[Program], arrays: ImageSet, tmp_path: Path
) -> None:
    one = 4 * len(arrays) * int(np.prod(stages[-1].output_shape))
    extractor = FeatureExtractor(node.runner, FeatureMemory(budget=2 * one, folder=tmp_path))
    pid = node.runner.start().pid
    stores = [extractor.extract(stages, arrays)[0] for _ in range(3)]
    assert len(open_files(pid, tmp_path)) == 1
    extractor.release(*stores)
    assert extractor.memory.fits(2 * one)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("500m", 5 * 10**8), (1000, 1000), ("0", 0), ("12 kb", 12_000), (None, None)],
)
def test_an_amount_of_memory_is_bytes_or_a_text(given: Any, expected: int | None) -> None:
    assert parse_memory(given) == expected


@pytest.mark.parametrize("given", ["much", "-1", "2 PB of it", True, float("nan"), ""])
def test_what_is_no_amount_of_memory_is_refused(given: Any) -> None:
    with pytest.raises(DataError, match="no amount of memory"):
        parse_memory(given)


def test_training_gives_the_same_weights_from_a_file(
    trained: pb.ImageClassifier, pixels: tuple[NDArray[np.uint8], NDArray[np.int64]], node: pb.Node
) -> None:
    classifier = pb.ImageClassifier(**{**trained.get_params(), "feature_memory": 1, "node": node})
    classifier.fit(*pixels)
    np.testing.assert_array_equal(classifier.predict_proba(pixels[0]), trained.predict_proba(pixels[0]))


def test_values_are_in_a_tensor_or_in_javascript_never_in_both(node: pb.Node, tmp_path: Path) -> None:
    script = tmp_path / "stores.js"
    script.write_text(f"""
      const {{ FeatureStore }} = require({json.dumps(str(NODE_RUNNER / "engines" / "feature_store.js"))});
      const {{ loadTensorflow }} = require({json.dumps(str(NODE_RUNNER / "tensorflow"))});
      exports.run = () => {{
        const tf = loadTensorflow();
        const before = tf.memory().numTensors;
        const store = new FeatureStore(3, [2]);
        store.write([2, 0, 1], Float32Array.of(4, 5, 0, 1, 2, 3));
        const {{ x, rows }} = store.source([2, 1]);
        const answer = {{ whole: Array.from(x.dataSync()), rows: Array.from(rows), stored: store.stored }};
        answer.read = Array.from(store.read([1, 1, 0]));
        const gathered = store.gather([2]);
        answer.gathered = Array.from(gathered.dataSync());
        gathered.dispose();
        store.write([1], Float32Array.of(8, 9));
        answer.rewritten = Array.from(store.source([0]).x.dataSync());
        store.announce([0]);
        store.dispose();
        answer.tensors = tf.memory().numTensors - before;
        return answer;
      }};
    """)
    assert node.call(script, "run") == {
        "whole": [0, 1, 2, 3, 4, 5],
        "rows": [2, 1],
        "stored": None,
        "read": [2, 3, 2, 3, 0, 1],
        "gathered": [4, 5],
        "rewritten": [0, 1, 8, 9, 4, 5],
        "tensors": 0,
    }


def test_rows_that_are_announced_are_read_as_others(node: pb.Node, tmp_path: Path) -> None:
    script, file = tmp_path / "rows.js", tmp_path / "rows"
    file.write_bytes(b"")
    script.write_text(f"""
      const {{ rowsInFile }} = require({json.dumps(str(NODE_RUNNER / "engines" / "rows.js"))});
      exports.run = async (path) => {{
        const rows = rowsInFile(path, 1024);
        const all = Int32Array.from({{ length: 64 }}, (_, i) => 63 - i);
        rows.write(all, Float32Array.from({{ length: 64 * 1024 }}, (_, i) => all[i >> 10]));
        rows.warm([5, 6, 7, 1, 63, 63]);
        const target = new Float32Array(6 * 1024);
        rows.read([5, 6, 7, 1, 63, 63], target);
        await new Promise(setImmediate);
        rows.warm([1, 2]);
        rows.close();
        return Array.from({{ length: 6 }}, (_, i) => [target[i << 10], target[(i << 10) + 1023]]);
      }};
    """)
    assert node.call(script, "run", str(file)) == [[row, row] for row in (5, 6, 7, 1, 63, 63)]


def test_python_holds_a_few_batches_of_files_whatever_their_number(node: pb.Node, stages: list[Program], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    size = (tmp_path / "noise.png").stat().st_size
    images = ImageSet([tmp_path / "noise.png"] * 240, np.zeros(240, np.int32), ("noise",))
    extractor = FeatureExtractor(node.runner)
    extractor.compute(stages, images.take(range(4)))
    tracemalloc.start()
    try:
        store, _ = extractor.extract(stages, images, batch_size=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    extractor.release(store)
    # Two batches are on their way to Node, up to three are read ahead, one is being handed over.
    assert peak < 8 * 4 * size < 240 * size / 5
