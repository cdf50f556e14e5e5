"""What a user meets at the edges of a training: folders in use, refusals, runs where models are asked for, answers with gaps."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

import pybridge as pb
from pybridge import cli
from pybridge.deployment.server import named_models
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.training.run_directory import RunDirectory, RunFolderError

pytestmark = pytest.mark.slow


@pytest.fixture
def new(node: pb.Node) -> Any:
    return lambda **settings: pb.ImageClassifier(tiny.convolution(), epochs=2, seed=0, node=node, **settings)


@pytest.fixture
def run(trained: pb.ImageClassifier, tmp_path: Path) -> Path:
    trained.save(tmp_path / "s_run")
    return tmp_path / "s_run"


def test_a_refused_picture_leaves_no_run(new: Any, photos: Path, tmp_path: Path) -> None:
    root = shutil.copytree(photos, tmp_path / "photos")
    (root / "dark" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(DataError, match="cannot be decoded"):
        new().fit(root, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    new(skip_unreadable=True).fit(root, run_dir=tmp_path / "run")
    assert RunDirectory(tmp_path / "run").is_finished()


def test_a_folder_in_which_another_trains_is_in_use(new: Any, photos: Path, tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def try_too() -> None:
        try:
            new().fit(photos, run_dir=tmp_path / "run")
        except BridgeError as error:
            refused.append(error)

    def meanwhile(epoch: int, logs: Any) -> None:
        if epoch == 0:
            other = threading.Thread(target=try_too)
            other.start()
            other.join()

    new().fit(photos, run_dir=tmp_path / "run", validation_split=0.25, callbacks=[pb.callbacks.LambdaCallback(meanwhile)])
    assert isinstance(refused[0], RunFolderError)
    assert f"in use by process {os.getpid()}" in str(refused[0])
    assert RunDirectory(tmp_path / "run").is_finished()


def test_no_epochs_are_no_training(new: Any, photos: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        new().set_params(epochs=0).fit(photos)


def test_a_run_without_an_epoch_has_nothing_to_use(trained: pb.ImageClassifier, run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "training"}))
    (run / "history.jsonl").write_text("")
    with pytest.raises(ModelFormatError, match="has not finished its first epoch"):
        pb.ImageClassifier.load(run)


def test_a_run_is_a_model_too(node: pb.Node, run: Path, trained: pb.ImageClassifier, pixels: Any) -> None:
    model = node.load_model(run)
    assert model.outputs[0].shape[-1] == len(trained.class_names_)
    report = pb.convert(run, run.parent / "web", node=node)
    assert report.format == "tfjs_layers"


def test_a_served_folder_keeps_its_name() -> None:
    assert named_models(["runs/s_run", "runs/My Run", "x=runs/a"]) == {
        "s_run": "runs/s_run",
        "my-run": "runs/My Run",
        "x": "runs/a",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:100], "is damaged: it is no JSON"),
        (lambda text: text.replace('"seed"', '"speed"'), "is damaged: it lacks 'seed'"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "run format 2; this pybridge reads 1"),
    ],
)
def test_a_damaged_record_is_one_honest_line(run: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str) -> None:
    (run / "run.json").write_text(change((run / "run.json").read_text()))
    assert cli.main(["evaluate", str(run), str(run)]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert "Error" not in complaint


def test_predict_gives_the_answers_that_it_has(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, turned, cut, other = (tmp_path / name for name in ("good.png", "good.webp", "cut.png", "photo.jxl"))
    picture = Image.fromarray(tiny.pictures()[0][0])
    picture.save(good)
    picture.save(turned, lossless=True)
    cut.write_bytes(good.read_bytes()[:60])
    other.write_bytes(b"\xff\x0a\0\0")
    files = [good, cut, tmp_path / "missing.png", turned, other]
    assert cli.main(["predict", str(run), *map(str, files), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [fact["file"] for fact in facts] == list(map(str, files))
    assert ["error" in fact for fact in facts] == [False, True, True, False, True]
    assert facts[0]["label"] == facts[3]["label"]
    assert facts[0]["probability"] == pytest.approx(facts[3]["probability"], rel=1e-5)
    assert "JPEG XL" in facts[4]["error"]
    assert cli.main(["predict", str(run), str(cut), str(good)]) == 1
    assert "not read" in capsys.readouterr().out


def test_pictures_in_memory_are_what_their_files_are(trained: pb.ImageClassifier, tmp_path: Path) -> None:
    pixels = tiny.pictures()[0][:2]
    larger = np.asarray(Image.fromarray(pixels[1]).resize((20, 30)))
    Image.fromarray(larger).save(tmp_path / "larger.png")
    one = trained.predict_proba(pixels[0])
    assert one.shape == (1, len(trained.class_names_))
    mixed = trained.predict_proba([Image.fromarray(pixels[0]), larger])
    np.testing.assert_allclose(mixed[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(mixed[1], trained.predict_proba([tmp_path / "larger.png"])[0], rtol=1e-5)


def test_an_interrupted_training_says_how_to_go_on(run: Path) -> None:
    words = ["train", "my photos", "--out", str(run)]
    options = argparse.Namespace(out=run, resume=False)
    assert cli._way_on(options, words).endswith(f"pybridge train 'my photos' --out {run} --resume")
    assert cli._way_on(argparse.Namespace(out=run / "none", resume=False), words) == ""
    assert cli._way_on(None, words) == ""
