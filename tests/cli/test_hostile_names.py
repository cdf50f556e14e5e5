"""Names of classes and files come from others: whatever a verb shows to people cannot steer their terminal or forge a line."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from commands import CommandLine
from PIL import Image

from pybridge.cli import main

FORGED = "pybridge: forged"
CLASSES = (f"a\x1b[31m\u202egpj\n{FORGED}", f"b` | <b>\x9b2J\r{FORGED}\u2028{FORGED}")
FILE = f"\x1b]0;title\x07\u2066{FORGED}\n{FORGED}"

pytestmark = pytest.mark.slow


def picture(folder: Path, name: str | bytes, shade: int) -> None:
    """A picture; names are bytes to the system, and need not be UTF-8."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / os.fsdecode(name)).open("wb") as file:
        Image.new("RGB", (20, 20), (shade, shade, shade)).save(file, "PNG")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for label, name in enumerate(CLASSES):
        for i in range(8):
            picture(folder / name, f"{FILE}{i}.png", 100 * label + i)
        picture(folder / name, b"\xff\xfe%d.png" % label, 100 * label + 20)
        picture(folder / name, "the same.png", 77)
        (folder / name / f"{FILE}.txt").write_text("no picture")
    picture(folder, f"loose {FILE}.png", 5)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(photos), "--out", str(place), "--base", str(small_base), "--epochs", "1", "--seed", "0"]) == 0
    return place


def check(shown: str) -> None:
    """Nothing is obeyed or unseen, and no line begins with a forged word."""
    assert FORGED in shown
    found = {character for character in shown if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert found <= {"\n", "\t"}
    assert not [line for line in shown.splitlines() if line.lstrip().startswith(FORGED)]


def test_training_warns_of_files_by_names_that_do_nothing(
    photos: Path, small_base: Path, pybridge: CommandLine, tmp_path: Path
) -> None:
    done = pybridge("train", photos, "--out", tmp_path / "run", "--base", small_base, "--epochs", "1", "--seed", "0")
    assert "in two classes at once" in done.stderr
    assert "in no class folder" in done.stderr
    check(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (0, ["evaluate", "RUN", "PHOTOS"]),
        (0, ["predict", "RUN", "PHOTOS"]),
        (1, ["verify", "RUN", "PHOTOS", "--runtimes", "node,tfjs-cpu", "--tolerance", "0"]),
        (2, ["predict", "RUN", "TEXT"]),
        (2, ["evaluate", "RUN", "OTHERS"]),
        (2, ["train", "FLAT", "--out", "OUT"]),
        (2, ["evaluate", "RUN", "PHOTOS", FILE]),
        (2, ["train", "PHOTOS", "--out", "OUT", "--base", FILE]),
        (2, ["convert", FILE, "OUT"]),
        (2, ["convert", "RUN", "OUT", "--to", FILE]),
        (2, ["deploy", FILE, "OUT"]),
        (2, ["serve", FILE]),
        (0, ["fine-tune", "RUN", "PHOTOS", "--out", "OUT", "--epochs", "1", "--unfreeze", "2"]),
    ],
)
def test_what_people_read_is_only_text(
    code: int, command: list[str], run: Path, photos: Path, pybridge: CommandLine, tmp_path: Path
) -> None:
    picture(tmp_path / "others" / f"unknown {FILE}", "a.png", 3)
    picture(tmp_path / "flat", f"{FILE}.png", 3)
    text = next(file for file in (photos / CLASSES[0]).iterdir() if file.suffix == ".txt")
    places = {
        "RUN": run,
        "PHOTOS": photos,
        "TEXT": text,
        "OTHERS": tmp_path / "others",
        "FLAT": tmp_path / "flat",
        "OUT": tmp_path / "out",
    }
    done = pybridge(*(places.get(word, word) for word in command), code=code)
    check(done.stdout + done.stderr)


def test_images_that_cannot_be_decoded_are_named_harmlessly(run: Path, pybridge: CommandLine, tmp_path: Path) -> None:
    place = tmp_path / f"{FILE}.jpg"
    Image.new("RGB", (64, 64)).save(place, quality=95)
    place.write_bytes(place.read_bytes()[:-400])
    done = pybridge("predict", run, place, code=1)
    check(done.stdout + done.stderr)


def test_json_is_exact(run: Path, photos: Path, pybridge: CommandLine) -> None:
    answers = pybridge.json("predict", run, photos)
    assert {answer["label"] for answer in answers} <= set(CLASSES)
    assert {answer["file"] for answer in answers} == {str(file) for file in photos.rglob("*.png")}


def test_a_package_shows_labels_as_code_and_a_server_names_its_files_harmlessly(
    run: Path, pybridge: CommandLine, tmp_path: Path
) -> None:
    done = pybridge("deploy", run, tmp_path / "model", "--force")
    assert "\x1b" not in done.stdout + done.stderr
    readme = (tmp_path / "model" / "README.md").read_text("utf-8")
    check(readme)
    (labels,) = [line for line in readme.splitlines() if line.startswith("- Labels:")]
    assert "``b` | <b>\\x9b2J\\r" in labels
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text("utf-8"))
    assert manifest["labels"] == list(CLASSES)
    manifest["files"][f"model/{FILE}"] = {"sha256": "0" * 64, "bytes": 1}
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    check(pybridge("serve", tmp_path / "model", "--port", "0", code=1).stderr)
