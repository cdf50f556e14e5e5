from pathlib import Path

import numpy as np
import pytest

from pybridge.data import ImageSet, load_digits_images, read_folder, write_folder
from pybridge.errors import DataError


def test_the_digits_are_dark_ink_on_white_paper() -> None:
    digits = load_digits_images(limit_per_class=5)
    assert np.asarray(digits.images).shape == (50, 96, 96, 3)
    assert digits.counts.tolist() == [5] * 10
    assert np.median(np.asarray(digits.images)) > 200
    assert np.asarray(digits.images).min(axis=(1, 2, 3)).max() < 60


def test_all_digits_of_scikit_learn_are_there() -> None:
    assert len(load_digits_images(size=8)) == 1797


def test_a_written_folder_reads_back_equal(tmp_path: Path) -> None:
    digits = load_digits_images(limit_per_class=2, size=16)
    back = read_folder(write_folder(digits, tmp_path / "digits"))
    assert back.class_names == digits.class_names
    assert back.counts.tolist() == [2] * 10
    from PIL import Image

    for i in range(len(back)):
        original = int(Path(back.source(i)).stem)
        assert digits.labels[original] == back.labels[i]
        np.testing.assert_array_equal(np.asarray(Image.open(back.source(i))), digits.images[original])


def test_files_are_copied_as_they_are(shared_data: Path, tmp_path: Path) -> None:
    photos = read_folder(shared_data / "trashnet").take([0, 500, 2000])
    back = read_folder(write_folder(photos, tmp_path), class_names=photos.class_names)
    assert [Path(back.source(i)).read_bytes() for i in range(3)] == [Path(photos.source(i)).read_bytes() for i in range(3)]


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\\b"])
def test_class_names_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    images = ImageSet(np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1, np.int32), (name, "ok"))
    with pytest.raises(DataError, match="folder"):
        write_folder(images, tmp_path)


def test_arguments_are_checked() -> None:
    with pytest.raises(DataError, match="limit_per_class"):
        load_digits_images(limit_per_class=0)
    with pytest.raises(DataError, match="size"):
        load_digits_images(size=100_000)
