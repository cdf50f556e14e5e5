from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pybridge.data import ImageSet, as_images, from_arrays
from pybridge.errors import DataError

PIXELS = np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3)


def test_string_labels_become_sorted_classes() -> None:
    images = from_arrays(PIXELS, ["dog", "cat", "dog", "emu"])
    assert images.class_names == ("cat", "dog", "emu")
    assert images.labels.tolist() == [1, 0, 1, 2]
    assert images.is_array


def test_number_labels_need_not_be_contiguous() -> None:
    images = from_arrays(PIXELS, np.array([[7], [3], [7], [3]]))
    assert images.class_names == ("3", "7")
    assert images.labels.tolist() == [1, 0, 1, 0]


def test_given_class_names_fix_the_numbers() -> None:
    assert from_arrays(PIXELS, [2, 0, 2, 2], ["a", "b", "c"]).labels.tolist() == [2, 0, 2, 2]
    assert from_arrays(PIXELS, list("caac"), ["a", "b", "c"]).labels.tolist() == [2, 0, 0, 2]


def test_grey_images_get_three_equal_channels() -> None:
    grey = PIXELS[..., :1]
    np.testing.assert_array_equal(as_images(grey), np.repeat(grey, 3, axis=-1))


def test_an_array_of_three_axes_is_one_picture() -> None:
    np.testing.assert_array_equal(as_images(PIXELS[1]), PIXELS[1:2])


def test_pillows_pictures_are_what_their_files_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[0]).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as turned:
        assert as_images(turned).shape == (1, 6, 5, 3)
    palette = Image.fromarray(PIXELS[0]).quantize(8)
    np.testing.assert_array_equal(as_images([palette, palette])[1], np.asarray(palette.convert("RGB")))
    clear = Image.fromarray(np.dstack([PIXELS[0], PIXELS[0, ..., 0]]))
    np.testing.assert_array_equal(as_images(clear)[0], PIXELS[0])


def test_a_list_may_hold_pictures_of_several_sizes() -> None:
    images = as_images([PIXELS[0], PIXELS[1, :2], Image.fromarray(PIXELS[2])])
    assert [image.shape for image in images] == [(5, 6, 3), (2, 6, 3), (5, 6, 3)]
    chosen = from_arrays([PIXELS[0], PIXELS[1, :2]], ["a", "b"]).take([1])
    assert (chosen.source(0), chosen.images[0].shape) == ("array[1]", (2, 6, 3))
    assert isinstance(as_images([PIXELS[0], PIXELS[1]]), np.ndarray)


def test_taking_remembers_where_each_picture_came_from() -> None:
    images = from_arrays(PIXELS, [0, 1, 0, 1]).take([3, 1, 2]).take(np.array([2, 0]))
    assert [images.source(i) for i in range(len(images))] == ["array[2]", "array[3]"]
    np.testing.assert_array_equal(np.asarray(images.images), PIXELS[[2, 3]])
    assert images.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (PIXELS / np.float32(255), r"\(x \* 255\)"),
        (PIXELS / np.float64(127.5) - 1, r"\(\(x \+ 1\) \* 127.5\)"),
        (PIXELS.astype(np.float32), r"clip\(0, 255\)"),
        (PIXELS.astype(np.int64), r"clip\(0, 255\)"),
        (np.full((4, 5, 6, 3), np.nan), "NaN"),
        (PIXELS > 3, "bool"),
        (np.zeros((4, 5, 6, 4), np.uint8), "alpha"),
        (np.zeros((4, 3, 5, 6), np.uint8), "transpose"),
        (np.zeros((4, 5, 6, 2), np.uint8), "not 2"),
        (np.zeros((0, 5, 6, 3), np.uint8), "shape"),
        (PIXELS[0, 0], "shape"),
        (PIXELS[..., 0], r"x\[\.\.\., None\]"),
        ([PIXELS[0], PIXELS[0] / np.float32(255)], r"\(x \* 255\)"),
        ([PIXELS[0], PIXELS[0, ..., 0]], "image 1 has the shape"),
        (["a.jpg", "b.jpg"], "shape"),
        (None, "shape"),
    ],
)
def test_pixels_that_cannot_be_used_are_explained(x: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(x)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 0], "4 images, but 3 labels"),
        ([1, 1, 1, 1], "only one class"),
        (np.eye(4), "argmax"),
        ([0.0, 1.0, 0.0, 1.0], "astype"),
        ([0.0, np.nan, 0.0, 1.0], "NaN"),
        (["a", None, "b", "c"], "None"),
        ([], "shape"),
        ([[1], [2, 3]], "one array"),
    ],
)
def test_labels_that_cannot_be_used_are_explained(y: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(PIXELS, y)


def test_labels_beyond_the_class_names() -> None:
    with pytest.raises(DataError, match="0 to 1"):
        from_arrays(PIXELS, [0, 1, 2, 0], ["a", "b"])
    with pytest.raises(DataError, match="'c'"):
        from_arrays(PIXELS, list("abca"), ["a", "b"])


def test_an_image_set_refuses_parts_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="4 images, but 1 labels"):
        ImageSet(PIXELS, np.zeros(1, np.int32), ("a", "b"))
    with pytest.raises(DataError, match="2 classes"):
        ImageSet(PIXELS, np.full(4, 2, np.int32), ("a", "b"))
