"""Data sets that are split already are used as what they are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pybridge.data import Labelling, read_folder, read_test_images, read_training_images
from pybridge.data.parts import find_parts, role_of
from pybridge.errors import DataError

Split = Callable[..., Path]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Folders with one picture for each class, each of another shade."""

    def make(*parts: str, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
        for i, part in enumerate(parts):
            for k, name in enumerate(classes):
                folder = tmp_path / part / name
                folder.mkdir(parents=True)
                Image.fromarray(np.full((8, 8, 3), 10 * i + k, np.uint8)).save(folder / f"{i}.png")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", "training"),
        ("Training", "training"),
        ("TRAIN", "training"),
        ("training_set", "training"),
        ("seg_train", "training"),
        ("trainImages", "training"),
        ("images-train-224", "training"),
        ("valid", "validation"),
        ("val_data", "validation"),
        ("dev", "validation"),
        ("TestSet", "test"),
        ("test 2", "test"),
        ("seg_pred", "unlabelled"),
        ("trainer", None),
        ("contest", None),
        ("latest", None),
        ("cats", None),
    ],
)
def test_a_parts_name_says_what_it_is_for(name: str, role: str | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("parts", "training", "judging"),
    [
        (("train", "val"), "train", "val"),
        (("train", "val", "test"), "train", "val"),
        (("training_set", "test_set"), "training_set", "test_set"),
        (("Train", "Valid"), "Train", "Valid"),
        (("train", "images"), "train", None),
    ],
)
def test_one_part_is_trained_on_and_another_judges(
    split: Split, parts: tuple[str, ...], training: str, judging: str | None
) -> None:
    root = split(*parts)
    trained, judged = read_training_images(root)
    assert trained.class_names == ("cat", "dog")
    assert {Path(image).relative_to(root).parts[0] for image in trained.images if isinstance(image, Path)} == {training}
    found = (
        set()
        if judged is None
        else {Path(image).relative_to(root).parts[0] for image in judged.images if isinstance(image, Path)}
    )
    assert found == ({judging} if judging else set())


def test_what_each_part_is_used_for_is_said(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    root = split("train", "val", "test", "more")
    with caplog.at_level(logging.WARNING):
        read_training_images(root)
    assert "training on train, judging by val; not used: test, more" in caplog.text


def test_a_model_is_measured_on_the_test_part(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    root = split("train", "val", "test")
    images = read_test_images(root, class_names=["cat", "dog"])
    assert [Path(str(image)).parent.parent.name for image in images.images] == ["test", "test"]
    assert "measuring on test" in caplog.text


def test_a_part_may_lie_in_another_folder(split: Split) -> None:
    parts = find_parts(split("seg_train/seg_train", "seg_test/seg_test"))
    assert parts is not None
    assert (parts.training.parts[-2:], parts.judging) == (("seg_train", "seg_train"), parts.test)


def test_a_part_without_classes_is_left_alone(split: Split, caplog: pytest.LogCaptureFixture) -> None:
    root = split("train", "val")
    (root / "test").mkdir()
    Image.new("RGB", (8, 8)).save(root / "test" / "1.png")
    read_training_images(root)
    assert "not used: test" in caplog.text


def test_parts_are_found_through_links(split: Split, tmp_path: Path) -> None:
    root = split("a/train", "a/val")
    (tmp_path / "linked").mkdir()
    for part in ("train", "val"):
        (tmp_path / "linked" / part).symlink_to(root / "a" / part, target_is_directory=True)
    parts = find_parts(tmp_path / "linked")
    assert parts is not None
    assert parts.judging == tmp_path / "linked" / "val"


@pytest.mark.parametrize("parts", [("val", "test"), ("fold1", "fold2"), ("train_a", "train_b")])
def test_parts_without_one_to_train_on_are_named(split: Split, parts: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        read_training_images(split(*parts))
    assert all(part in str(caught.value) for part in parts)


def test_folders_that_may_be_parts_or_classes_are_asked_about(split: Split) -> None:
    root = split("anna", "ben")
    with pytest.raises(DataError, match="parts of the data set, or the classes"):
        read_training_images(root)
    outer, _ = read_training_images(root, Labelling(pattern="^([^/]+)/"))
    inner, _ = read_training_images(root, Labelling(pattern="^[^/]+/([^/]+)/"))
    assert (outer.class_names, inner.class_names) == (("anna", "ben"), ("cat", "dog"))


@pytest.mark.parametrize("names", [("train", "plane"), ("train_station", "bus_stop"), ("test", "tube")])
def test_a_class_may_be_called_train(tmp_path: Path, names: tuple[str, str]) -> None:
    for shade, name in enumerate(names):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(tmp_path / name / "1.png")
    trained, judged = read_training_images(tmp_path)
    assert (trained.class_names, judged) == (tuple(sorted(names)), None)


def test_years_inside_classes_are_no_classes(split: Split) -> None:
    trained, _ = read_training_images(split("cat", "dog", classes=("2023", "2024")))
    assert trained.class_names == ("cat", "dog")


def test_reading_class_folders_refuses_parts(split: Split) -> None:
    with pytest.raises(DataError, match="split already"):
        read_folder(split("train", "val"))
