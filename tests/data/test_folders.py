import logging
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pybridge.data import list_images, read_folder
from pybridge.errors import DataError

Tree = Callable[..., Path]


def write_image(path: Path, shade: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def make(*files: str) -> Path:
        for shade, file in enumerate(files):
            write_image(tmp_path / file, shade)
        return tmp_path

    return make


def test_each_folder_is_a_class_in_sorted_order(tree: Tree) -> None:
    images = read_folder(tree("dog/b.png", "dog/a.png", "cat/z.png"))
    assert images.class_names == ("cat", "dog")
    assert [Path(images.source(i)).name for i in range(3)] == ["z.png", "a.png", "b.png"]
    assert images.labels.tolist() == [0, 1, 1]
    assert images.labels.dtype == np.int32


def test_folders_inside_a_class_belong_to_it(tree: Tree) -> None:
    assert read_folder(tree("cat/a.png", "dog/2023/b.png", "dog/2024/05/c.png")).counts.tolist() == [1, 2]


def test_folders_inside_classes_are_said(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    root = tree("animal/cat/a.png", "animal/dog/b.png", "vehicle/car/c.png", "vehicle/bus/d.png")
    assert read_folder(root).class_names == ("animal", "vehicle")
    assert "classes are the outer folders" in caplog.text
    assert "animal (with cat, dog)" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_class_whose_name_is_no_text_is_refused(tree: Tree) -> None:
    root = tree("cat/a.png")
    write_image(root / os.fsdecode(b"caf\xe9") / "b.png")
    with pytest.raises(DataError, match="not UTF-8"):
        read_folder(root)


def test_a_folder_named_like_a_picture_is_a_folder(tree: Tree) -> None:
    assert read_folder(tree("cat/a.png", "dog/b.jpg/c.png")).counts.tolist() == [1, 1]


def test_real_photos_are_all_found(shared_data: Path) -> None:
    images = read_folder(shared_data / "trashnet")
    assert images.class_names == ("cardboard", "glass", "metal", "paper", "plastic", "trash")
    assert images.counts.tolist() == [403, 501, 410, 594, 482, 137]


def test_hidden_files_and_litter_are_silently_left_out(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    root = tree("cat/a.png", "dog/b.png", ".cache/c.png", "__MACOSX/cat/d.png", "cat/.ipynb_checkpoints/e.png")
    for litter in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini"):
        (root / litter).write_bytes(b"litter")
    shutil.copy(root / "cat/a.png", root / "cat/._a.png")
    assert read_folder(root).counts.tolist() == [1, 1]
    assert not caplog.records


def test_files_that_are_no_images_are_counted_in_a_warning(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    root = tree("cat/a.png", "dog/b.png")
    (root / "cat/notes.txt").write_text("BMX bikes")
    (root / "cat/empty.jpg").touch()
    (root / "cat/error.jpg").write_text("<!doctype html><title>404</title>")
    with caplog.at_level(logging.WARNING):
        assert read_folder(root).counts.tolist() == [1, 1]
    assert "3 files that are no images" in caplog.text
    assert "empty.jpg" in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF"])
def test_content_decides_not_the_extension(tree: Tree, kind: str) -> None:
    root = tree("cat/a.png")
    write_image(root / "dog/photo.txt", format=kind)
    assert read_folder(root).counts.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
    ],
)
def test_images_that_cannot_be_decoded_are_named_with_the_way_out(
    tree: Tree, header: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = tree("cat/a.png", "dog/b.png")
    (root / "dog/holiday.jpg").write_bytes(header)
    with pytest.raises(DataError, match=f"1 {kind}.*holiday.jpg") as caught:
        read_folder(root)
    assert "Convert" in str(caught.value.hint)
    assert read_folder(root, skip_unreadable=True).counts.tolist() == [1, 1]
    assert "They are left out" in caplog.text


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(tree: Tree) -> None:
    with pytest.raises(DataError, match="is a file"):
        read_folder(tree("cat/a.png") / "cat" / "a.png")


def test_images_without_class_folders(tree: Tree) -> None:
    with pytest.raises(DataError, match="2 images, but no class folders") as caught:
        read_folder(tree("a.png", "b.png"))
    assert "FOLDER/CLASS/IMAGE" in str(caught.value.hint)


def test_loose_images_beside_class_folders_are_left_out_with_a_warning(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    assert len(read_folder(tree("cat/a.png", "dog/b.png", "cover.png"))) == 2
    assert "cover.png" in caplog.text


def test_a_class_folder_without_images_is_named(tree: Tree) -> None:
    root = tree("cat/a.png", "dog/b.png")
    (root / "emu").mkdir()
    with pytest.raises(DataError, match="without any image: emu"):
        read_folder(root)


def test_only_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="hold no images"):
        read_folder(tmp_path)


def test_one_class_is_not_enough(tree: Tree) -> None:
    with pytest.raises(DataError, match="only one class, 'cat'"):
        read_folder(tree("cat/a.png", "cat/b.png"))


def test_a_folder_around_the_data_set_is_pointed_out(tree: Tree) -> None:
    with pytest.raises(DataError) as caught:
        read_folder(tree("photos/cat/a.png", "photos/dog/b.png"))
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("photos?")


def test_a_split_data_set_is_not_taken_for_classes(tree: Tree) -> None:
    with pytest.raises(DataError, match="split already"):
        read_folder(tree("train/cat/a.png", "val/cat/b.png"))


def test_the_same_picture_in_two_classes_is_warned_of(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    root = tree("cat/a.png", "dog/b.png")
    shutil.copy(root / "cat/a.png", root / "dog/copy.png")
    assert len(read_folder(root)) == 3
    assert "1 images are in two classes at once: cat/a.png = dog/copy.png" in caplog.text


def test_evaluation_keeps_the_models_class_numbers(tree: Tree) -> None:
    images = read_folder(tree("dog/a.png"), class_names=["cat", "dog", "emu"])
    assert images.class_names == ("cat", "dog", "emu")
    assert images.labels.tolist() == [1]


def test_evaluation_refuses_classes_that_the_model_does_not_know(tree: Tree) -> None:
    with pytest.raises(DataError, match="does not know: fox"):
        read_folder(tree("cat/a.png", "fox/b.png"), class_names=["cat", "dog"])


def test_accents_compare_equal_however_they_are_stored(tree: Tree) -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    assert read_folder(tree(f"{decomposed}/a.png"), class_names=["café", "bar"]).labels.tolist() == [0]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_that_leads_back_into_its_folder_ends(tree: Tree) -> None:
    root = tree("cat/a.png", "dog/b.png")
    (root / "cat/loop").symlink_to(root / "cat", target_is_directory=True)
    assert read_folder(root).counts.tolist() == [1, 1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_a_named_pipe_does_not_hang(tree: Tree) -> None:
    root = tree("cat/a.png", "dog/b.png")
    os.mkfifo(root / "cat/pipe.jpg")
    assert len(read_folder(root)) == 2


def test_list_images_keeps_the_order_given_and_opens_folders(tree: Tree) -> None:
    root = tree("b.png", "more/z.png", "more/y.png", "a.png")
    listed = list_images([root / "b.png", str(root / "more"), root / "a.png"])
    assert [path.name for path in listed] == ["b.png", "y.png", "z.png", "a.png"]
    assert list_images(root / "a.png") == [root / "a.png"]


def test_list_images_says_what_is_wrong(tree: Tree) -> None:
    root = tree("a.png")
    (root / "notes.txt").write_text("hello")
    (root / "empty").mkdir()
    (root / "b.jxl").write_bytes(b"\xff\x0a\0\0")
    for path, message in (
        ("x.png", "no image file"),
        ("notes.txt", "not an image"),
        ("b.jxl", "JPEG XL"),
        ("empty", "no images"),
    ):
        with pytest.raises(DataError, match=message):
            list_images(root / path)
    with pytest.raises(DataError, match="empty list"):
        list_images([])
