"""Labels from tables, from names, and from zip files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pybridge.data import Labelling, read_test_images, read_training_images
from pybridge.errors import DataError

Photos = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    """A folder with pictures, each of another shade."""

    def make(*files: str) -> Path:
        for shade, file in enumerate(files):
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)
        return tmp_path

    return make


def labels_of(root: Path | None, labelling: Labelling | None = None, skip: bool = False) -> dict[str, str]:
    images, _ = read_training_images(root, labelling, skip_unreadable=skip)
    return {Path(images.source(i)).name: images.class_names[label] for i, label in enumerate(images.labels)}


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\nimages/1.png,cat\nimages/2.png,dog\n",
        "\ufeffFile;Class\nimages/1.png;cat\nimages/2.png;dog\n",
        "label\timage\ncat\t1.png\ndog\t2.png\n",
        "id,breed\n1,cat\n2,dog\n",
        "images\\1.png,cat\nimages\\2.png,dog\n",
        "file,label\r\n\r\n images/1.png , cat \r\nimages/2.png,dog\r\nimages/2.png,dog\r\n",
        'file,width,label\n"images/1.png",8,"cat"\nimages/2.png,8,dog\n',
        "picture of,what\nimages/1.png,cat\nimages/2.png,dog\n",
    ],
)
def test_tables_of_many_kinds_are_understood(photos: Photos, text: str) -> None:
    root = photos("images/1.png", "images/2.png")
    (root / "table.csv").write_bytes(text.encode())
    assert labels_of(root, Labelling(table=root / "table.csv")) == {"1.png": "cat", "2.png": "dog"}


def test_a_table_beside_the_images_is_found(photos: Photos, caplog: pytest.LogCaptureFixture) -> None:
    root = photos("images/1.png", "images/2.png")
    (root / "labels.csv").write_text("filename,label\nimages/1.png,cat\nimages/2.png,dog\n")
    (root / "notes.csv").write_text("a,b\n1,2\n")
    assert labels_of(root) == {"1.png": "cat", "2.png": "dog"}
    assert "the labels are those in labels.csv" in caplog.text


def test_class_folders_count_before_a_table(photos: Photos) -> None:
    root = photos("cat/1.png", "dog/2.png")
    (root / "labels.csv").write_text("filename,label\ncat/1.png,x\ndog/2.png,y\n")
    assert labels_of(root) == {"1.png": "cat", "2.png": "dog"}


def test_two_tables_of_parts_are_parts(photos: Photos) -> None:
    root = photos("train/1.png", "train/2.png", "test/3.png")
    (root / "train.csv").write_text("file,label\n1.png,cat\n2.png,dog\n")
    (root / "test.csv").write_text("file,label\n3.png,dog\n")
    training, judging = read_training_images(root)
    assert judging is not None
    assert (training.counts.tolist(), judging.counts.tolist()) == ([1, 1], [0, 1])


def test_two_tables_of_the_same_are_asked_about(photos: Photos) -> None:
    root = photos("images/1.png", "images/2.png")
    for name in ("old.csv", "new.csv"):
        (root / name).write_text("file,label\nimages/1.png,cat\nimages/2.png,dog\n")
    with pytest.raises(DataError, match=r"several tables of labels: new\.csv, old\.csv"):
        labels_of(root)


def test_a_column_may_say_the_part(photos: Photos) -> None:
    root = photos("1.png", "2.png", "3.png", "4.png")
    (root / "t.csv").write_text("file,label,split\n1.png,cat,train\n2.png,dog,train\n3.png,dog,val\n4.png,cat,test\n")
    training, judging = read_training_images(root, Labelling(table=root / "t.csv"))
    assert judging is not None
    assert [Path(judging.source(i)).name for i in range(len(judging))] == ["3.png"]
    tested = read_test_images(root, Labelling(table=root / "t.csv"), class_names=["cat", "dog"])
    assert (len(training), [Path(tested.source(i)).name for i in range(len(tested))]) == (2, ["4.png"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n1.png,cat\n9.png,dog\n", r"1 of the 2 files that .*t\.csv names are not there \(9\.png\)"),
        ("file,colour,size\n1.png,cat,3\n", r"no column for labels; its columns are file, colour, size"),
        ("a,b,c\n1,2,3\n", "no column for files and labels"),
        ("file,label\n1.png,cat\n1.png,dog\n", r"gives .*1\.png two labels: cat and dog"),
        ("file,label\n1.png,cat\n2.png,\n", r"1 rows without a label \(2\.png\)"),
        ("file,label\n1.png,cat\n2.png,cat\n", "only one class"),
        ("file,label\n", "no rows"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(photos: Photos, text: str, message: str) -> None:
    root = photos("1.png", "2.png")
    (root / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        labels_of(root, Labelling(table=root / "t.csv"))


def test_missing_files_may_be_left_out(photos: Photos, caplog: pytest.LogCaptureFixture) -> None:
    root = photos("1.png", "2.png")
    (root / "t.csv").write_text("file,label\n1.png,cat\n9.png,dog\n2.png,dog\n")
    assert labels_of(root, Labelling(table=root / "t.csv"), skip=True) == {"1.png": "cat", "2.png": "dog"}
    assert "left out" in caplog.text


def test_a_missing_table_or_one_of_another_encoding(photos: Photos) -> None:
    root = photos("1.png")
    with pytest.raises(DataError, match="there is no table"):
        labels_of(root, Labelling(table=root / "none.csv"))
    (root / "t.csv").write_bytes("file,label\n1.png,Käse\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        labels_of(root, Labelling(table=root / "t.csv"))


def test_a_data_frame_is_a_table(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    root = photos("images/1.png", "images/2.png")
    frame = pandas.DataFrame({"path": ["images/1.png", "images/2.png"], "label": [0, 1], "note": [None, "x"]})
    assert labels_of(root, Labelling(table=frame)) == {"1.png": "0", "2.png": "1"}
    monkeypatch.chdir(root)
    assert labels_of(None, Labelling(table=frame)) == {"1.png": "0", "2.png": "1"}


def test_labels_stand_in_names(photos: Photos) -> None:
    root = photos("great_dane_1.png", "more/beagle_2.png")
    expected = {"great_dane_1.png": "great_dane", "beagle_2.png": "beagle"}
    assert labels_of(root, Labelling(pattern=r"^(.+)_\d+")) == expected
    assert labels_of(root, Labelling(pattern=r"_(?P<number>\d+)|^(?P<label>[a-z_]+)_\d")) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("_(", "no regular expression"),
        (r"\d+", "has no group"),
        (r"^(x)_", "no label in 2 of 2 names"),
        (r"^(g)", "in 1 of 2 names"),
    ],
)
def test_expressions_that_find_no_labels_are_refused(photos: Photos, pattern: str, message: str) -> None:
    root = photos("great_dane_1.png", "beagle_2.png")
    with pytest.raises(DataError, match=message):
        labels_of(root, Labelling(pattern=pattern))


def test_two_sources_of_labels_are_one_too_many() -> None:
    with pytest.raises(DataError, match="both given"):
        Labelling(table="labels.csv", pattern="(.)")


def pack(file: Path, root: Path, names: dict[str, str]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for inside, outside in names.items():
            archive.write(root / outside, inside)
    return file


def test_a_zip_of_class_folders_is_a_folder(photos: Photos) -> None:
    root = photos("1.png", "2.png")
    for inside in ("cat/1.png", "dog/2.png"), ("photos/cat/1.png", "photos/dog/2.png"):
        packed = pack(root / f"{len(inside[0])}.zip", root, dict(zip(inside, ("1.png", "2.png"), strict=True)))
        assert labels_of(packed) == {"1.png": "cat", "2.png": "dog"}


def test_samples_of_teachable_machine_are_class_folders(photos: Photos, tmp_path: Path) -> None:
    root = photos("1.png", "2.png")
    (tmp_path / "downloads").mkdir()
    pack(tmp_path / "downloads" / "Class 1-samples.zip", root, {"0.png": "1.png"})
    pack(tmp_path / "downloads" / "Class 2-samples (1).zip", root, {"1.png": "2.png"})
    assert labels_of(tmp_path / "downloads") == {"0.png": "Class 1", "1.png": "Class 2"}
    project = pack(tmp_path / "project.tm", root, {"cat-!-0.png": "1.png", "dog-!-0.png": "2.png"})
    images, _ = read_training_images(project)
    assert (images.class_names, images.counts.tolist()) == (("cat", "dog"), [1, 1])


def test_a_model_of_teachable_machine_is_no_data_set(photos: Photos) -> None:
    root = photos("1.png")
    packed = pack(root / "converted_tfjs.zip", root, dict.fromkeys(("model.json", "metadata.json", "weights.bin"), "1.png"))
    with pytest.raises(DataError, match="trained model of Teachable Machine"):
        labels_of(packed)


def test_a_zip_writes_nowhere_else(photos: Photos) -> None:
    root = photos("1.png", "2.png")
    packed = pack(root / "evil.zip", root, {"cat/../../../../escaped.png": "1.png", "dog/2.png": "2.png"})
    with pytest.raises(DataError):
        labels_of(packed)
    assert not (root.parent / "escaped.png").exists()
    damaged = root / "damaged.zip"
    damaged.write_bytes(packed.read_bytes()[:60] + os.urandom(40) + packed.read_bytes()[100:])
    with pytest.raises(DataError):
        labels_of(damaged)
