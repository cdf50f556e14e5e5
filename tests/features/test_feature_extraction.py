"""Running the frozen part over pictures in Node."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

import pybridge as pb
from pybridge.data import Augmentation, ImageSet, Preprocessing
from pybridge.errors import BridgeError, DataError, NodeCrashedError
from pybridge.features import FeatureExtractor, image_batches
from pybridge.graphs import Program, programs_for
from pybridge.runtime import ensure

PREPROCESSING = Preprocessing(16, 16)


@pytest.fixture(scope="module")
def stages() -> list[Program]:
    return programs_for([PREPROCESSING, tiny.convolution()], ensure())


@pytest.fixture
def extractor(node: pb.Node) -> FeatureExtractor:
    return FeatureExtractor(node.runner)


@pytest.fixture
def arrays() -> ImageSet:
    images, labels = tiny.pictures()
    return ImageSet(images, labels.astype(np.int32), ("dark", "light"))


@pytest.fixture
def files(tmp_path: Path, arrays: ImageSet) -> ImageSet:
    """The same pictures as files, of which four cannot be read, each in its own way."""
    paths = []
    for position, pixels in enumerate(arrays.images):
        paths.append(tmp_path / f"{position:02}.png")
        Image.fromarray(np.asarray(pixels)).save(paths[-1])
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(jpeg, "JPEG")
    paths[3].write_bytes(jpeg.getvalue()[:-200])
    paths[4].write_bytes(b"\xff\xd8\xff\xe0 this is a text")
    paths[17].write_bytes(b"")
    paths[20].write_bytes(paths[20].read_bytes()[:-60])
    return ImageSet(paths, arrays.labels, arrays.class_names)


BAD = [3, 4, 17, 20]


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_all_unreadable_files_are_found_and_named(
    extractor: FeatureExtractor, stages: list[Program], files: ImageSet, batch_size: int
) -> None:
    with pytest.raises(DataError, match="4 of 24 images cannot be decoded") as caught:
        extractor.extract(stages, files, batch_size=batch_size)
    assert all(str(files.images[position]) in str(caught.value) for position in BAD)
    assert str(caught.value).count(".png") == 4
    assert "--skip-unreadable" in str(caught.value)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_unreadable_files_are_left_out_on_request_and_rows_stay_aligned(
    extractor: FeatureExtractor,
    stages: list[Program],
    files: ImageSet,
    arrays: ImageSet,
    batch_size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        store, readable = extractor.extract(stages, files, batch_size=batch_size, skip_unreadable=True)
    assert readable.tolist() == [position for position in range(24) if position not in BAD]
    assert "They are left out" in caplog.text
    expected = extractor.compute(stages, arrays)
    np.testing.assert_allclose(extractor.read(store, readable.astype(np.int32)), expected[readable], atol=1e-5)
    with pytest.raises(BridgeError, match="Row 3 holds no features"):
        extractor.read(store, np.array([3], np.int32))
    extractor.release(store)


def test_nothing_is_left_behind_in_node_when_reading_fails(
    extractor: FeatureExtractor, stages: list[Program], files: ImageSet, node: pb.Node
) -> None:
    before = node.runner.call("features.create", {"rows": 1, "shape": [1]})
    with pytest.raises(DataError):
        extractor.extract(stages, files)
    with pytest.raises(BridgeError, match="no feature store"):
        node.runner.call("features.read", {"store": before + 1, "rows": np.array([0], np.int32)})
    extractor.release(before)


def test_no_picture_depends_on_its_neighbours(extractor: FeatureExtractor, stages: list[Program], arrays: ImageSet) -> None:
    together = extractor.compute(stages, arrays, batch_size=24)
    np.testing.assert_array_equal(extractor.compute(stages, arrays.take([5]))[0], together[5])


def test_view_v_of_image_i_lies_in_row_i_times_views_plus_v(
    extractor: FeatureExtractor, stages: list[Program], arrays: ImageSet
) -> None:
    """Without crops a view is the picture itself or its mirror image."""
    augmentation = Augmentation(views=3, min_crop_area=1.0, max_aspect=1.0)
    store, _ = extractor.extract(stages, arrays, batch_size=7, augmentation=augmentation, seed=9)
    rows = extractor.read(store, np.arange(72, dtype=np.int32)).reshape(24, 3, 8, 8, 4)
    extractor.release(store)
    mirror = ImageSet(np.asarray(arrays.images)[:, :, ::-1], arrays.labels, arrays.class_names)
    plain, mirrored = extractor.compute(stages, arrays), extractor.compute(stages, mirror)
    np.testing.assert_array_equal(rows[:, 0], plain)
    flips = []
    for image in range(24):
        for view in (1, 2):
            is_plain = np.allclose(rows[image, view], plain[image], atol=1e-5)
            assert is_plain or np.allclose(rows[image, view], mirrored[image], atol=1e-5)
            flips.append(not is_plain)
    assert 5 < sum(flips) < 43


def test_views_depend_on_the_seed_alone(arrays: ImageSet) -> None:
    def boxes(seed: int, batch_size: int) -> Any:
        batches = image_batches(arrays, batch_size=batch_size, augmentation=Augmentation(views=2), seed=seed)
        return np.concatenate([batch.inputs[1] for batch in batches])

    np.testing.assert_array_equal(boxes(1, 5), boxes(1, 24))
    assert not np.array_equal(boxes(1, 24), boxes(2, 24))


class Dying(list[Path]):
    """Files; Node is killed when the seventh is read."""

    node: pb.Node

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            return super().__getitem__(key)
        rest = Dying(super().__getitem__(key))
        rest.node = self.node
        return rest

    def __iter__(self) -> Iterator[Path]:
        for position, file in enumerate(super().__iter__()):
            if position == 6 and self.node.runner.pid is not None:
                os.kill(self.node.runner.pid, signal.SIGKILL)
            yield file


@pytest.mark.kills_node
def test_a_crash_of_node_is_reported_and_the_next_call_works(
    extractor: FeatureExtractor, stages: list[Program], arrays: ImageSet, node: pb.Node, photos: Path
) -> None:
    files = sorted(photos.glob("*/*.png"))
    images = ImageSet(files, np.zeros(24, np.int32), ("any",))
    expected = extractor.compute(stages, images)
    dying = Dying(files)
    dying.node = node
    with pytest.raises(NodeCrashedError, match="SIGKILL"):
        extractor.extract(stages, ImageSet(dying, images.labels, images.class_names), batch_size=1)
    np.testing.assert_array_equal(extractor.compute(stages, images), expected)


@pytest.mark.kills_node
def test_what_lay_in_a_process_that_died_is_not_looked_for_in_the_next(
    extractor: FeatureExtractor, stages: list[Program], arrays: ImageSet, node: pb.Node
) -> None:
    store, _ = extractor.extract(stages, arrays)
    process = node.runner.start()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(NodeCrashedError):
        process.connection.call("echo", {"value": 1})
    with pytest.raises(NodeCrashedError, match="SIGKILL"):
        extractor.read(store, np.array([0], np.int32))
    other = node.runner.call("features.create", {"rows": 1, "shape": [1]})
    extractor.release(store)
    assert node.runner.call("features.dispose", {"store": other}) is None


def test_a_program_of_an_earlier_process_is_not_mistaken_for_a_damaged_picture(node: pb.Node, arrays: ImageSet) -> None:
    store = node.runner.call("features.create", {"rows": 1, "shape": [1]})
    call = {"store": store, "stages": [999_999], "signature": "pixels", "inputs": [], "rows": np.array([0], np.int32)}
    with pytest.raises(BridgeError, match="no program 999999"):
        node.runner.call("features.extract", call)


def test_the_programs_of_an_extractor_that_is_gone_are_freed(node: pb.Node, stages: list[Program], arrays: ImageSet) -> None:
    first = FeatureExtractor(node.runner)
    first.compute(stages, arrays)
    handles = first._load(stages)
    del first
    FeatureExtractor(node.runner).compute(stages, arrays)
    for handle in handles:
        with pytest.raises(BridgeError, match=f"program.*{handle}"):
            node.runner.call("program.runAll", {"program": handle, "signature": "default", "inputs": []})
