"""Train, evaluate, predict, verify, fine-tune: with real photos and real base models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import CommandLine, link_photos, record, weight_hashes

import pybridge as pb
from pybridge.classifier.inputs import unlabelled
from pybridge.data import list_images
from pybridge.parity import verify

FEW_EPOCHS = ("--seed", 0, "--epochs", 2)


def check_whole_job(pybridge: CommandLine, base: object, waste: Path, other: Path, *, tune: bool = False, **env: str) -> None:
    trained = pybridge.json("train", waste, "--out", "run", "--base", base, *FEW_EPOCHS, **env)
    assert trained["labels"] == ["cardboard", "glass", "metal", "paper", "plastic", "trash"]
    assert trained["epochs"] == 2
    check_run(pybridge, "run", other)
    if not tune:
        return
    tuned = pybridge.json("fine-tune", "run", waste, "--out", "tuned", "--unfreeze", 3, "--epochs", 1, **env)
    assert tuned["epochs"] == 3
    assert record(pybridge.folder / "run")["status"] == "finished"
    check_run(pybridge, "tuned", other)


def check_run(pybridge: CommandLine, run: str, photos: Path) -> None:
    measured = pybridge.json("evaluate", run, photos)
    assert measured["images"] == 30
    predicted = pybridge.json("predict", run, photos)
    assert [set(one) for one in predicted] == [{"file", "label", "probability"}] * 30
    right = np.mean([Path(one["file"]).parent.name == one["label"] for one in predicted])
    assert measured["accuracy"] == pytest.approx(right)
    assert measured["accuracy"] > 1 / 6
    parity = pybridge.json("verify", run, photos, "--runtimes", "node,tfjs-node-layers,tfjs-wasm")
    assert parity["passed"] is True
    assert {result["label_agreement"] for result in parity["runtimes"].values()} == {1.0}
    assert parity["runtimes"]["node"]["max_abs_diff"] == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_job_with_the_default_base(pybridge: CommandLine, waste: Path, other_waste: Path) -> None:
    check_whole_job(pybridge, "efficientnet_lite0", waste, other_waste, tune=True)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_whole_job_with_a_base_from_a_web_address(
    pybridge: CommandLine, waste: Path, other_waste: Path, weights_site: str
) -> None:
    check_whole_job(pybridge, f"{weights_site}/weights/mobilenet_v1_0.25_224/model.json", waste, other_waste)
    assert record(pybridge.folder / "run")["preprocessing"]["std"] == [127.5]


@pytest.mark.slow
def test_a_base_by_name_comes_from_a_mirror(
    pybridge: CommandLine, waste: Path, weights_site: str, cache_without_models: Path
) -> None:
    pybridge(
        *("train", waste, "--out", "run", "--base", "mobilenet_v1_0.25_224", *FEW_EPOCHS),
        PYBRIDGE_MIRROR=weights_site,
        PYBRIDGE_CACHE=str(cache_without_models),
    )
    assert record(pybridge.folder / "run")["base"]["name"] == "mobilenet_v1_0.25_224"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_teachable_machine_export_is_a_base(pybridge: CommandLine, waste: Path, other_waste: Path, shared_data: Path) -> None:
    check_whole_job(pybridge, shared_data / "weights" / "teachable_machine", waste, other_waste)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_in_another_process(
    pybridge: CommandLine, waste: Path, waste_run: Path, small_base: Path
) -> None:
    pybridge("train", waste, "--out", "again", "--base", small_base, "--seed", 0, "--epochs", 3)
    assert weight_hashes(pybridge.folder / "again") == weight_hashes(waste_run)


@pytest.mark.slow
def test_another_seed_gives_other_weights(pybridge: CommandLine, waste: Path, waste_run: Path, small_base: Path) -> None:
    pybridge("train", waste, "--out", "other", "--base", small_base, "--seed", 1, "--epochs", 3)
    assert weight_hashes(pybridge.folder / "other") != weight_hashes(waste_run)


@pytest.mark.slow
def test_a_drawn_seed_is_recorded_and_repeats_the_run(pybridge: CommandLine, waste: Path, small_base: Path) -> None:
    drawn = pybridge.json("train", waste, "--out", "drawn", "--base", small_base, "--epochs", 1)
    pybridge("train", waste, "--out", "again", "--base", small_base, "--epochs", 1, "--seed", drawn["seed"])
    assert weight_hashes(pybridge.folder / "again") == weight_hashes(pybridge.folder / "drawn")


@pytest.mark.slow
@pytest.mark.parametrize("base", ["efficientnet_lite0", "mobilenet"])
def test_node_and_python_agree_to_the_last_bit_on_fifty_files(
    base: str, waste: Path, small_base: Path, shared_data: Path, tmp_path: Path
) -> None:
    photos = link_photos(shared_data / "trashnet", tmp_path / "photos", 30, 39)
    files = list_images(photos)[:50]
    with pb.ImageClassifier("efficientnet_lite0" if base == "efficientnet_lite0" else small_base, epochs=1, seed=0) as classifier:
        classifier.fit(waste)
        report = verify(classifier, files, runtimes=["node"])
        images = unlabelled(files, classifier.class_names_)
        features, probabilities = classifier.trained_.activations(images), classifier.trained_.probabilities(images)
    (result,) = report.runtimes
    assert report.images == 50
    assert (result.identical, result.max_abs_diff, result.max_abs_diff_features, result.max_ulp_diff) == (True, 0, 0, 0)
    # Equal because nothing was computed would be equal too.
    assert features.std() > 0
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("seeds", "least"), [(1, 0.84), pytest.param(3, 0.86, marks=pytest.mark.exhaustive)])
def test_trashnet_reaches_its_accuracy(seeds: int, least: float, pybridge: CommandLine, shared_data: Path) -> None:
    photos = shared_data / "trashnet"
    accuracies = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        training, test = pybridge.folder / f"training{seed}", pybridge.folder / f"test{seed}"
        for class_folder in sorted(photos.iterdir()):
            files = random.permutation(sorted(class_folder.iterdir()))
            held_out = round(len(files) / 5)
            for folder, chosen in ((test, files[:held_out]), (training, files[held_out:])):
                (folder / class_folder.name).mkdir(parents=True)
                for file in chosen:
                    (folder / class_folder.name / file.name).symlink_to(file)
        pybridge("train", training, "--out", f"run{seed}", "--seed", seed)
        measured = pybridge.json("evaluate", f"run{seed}", test)
        assert measured["images"] >= 500
        accuracies.append(measured["accuracy"])
    print("accuracies", accuracies, "mean", np.mean(accuracies))
    assert np.mean(accuracies) >= least


@pytest.mark.slow
def test_training_says_where_the_run_is_and_what_to_type_next(waste_run: Path, pybridge: CommandLine, other_waste: Path) -> None:
    lines = [json.loads(line) for line in (waste_run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"run.json", "history.jsonl", "model", "checkpoints", "report.html"} <= {path.name for path in waste_run.iterdir()}
    shown = pybridge("predict", waste_run, other_waste / "glass").stdout
    assert re.search(r"^\w+ +\d+\.\d%  .*glass\d+\.jpg$", shown, re.MULTILINE)


@pytest.mark.slow
def test_python_and_command_line_predict_the_same(
    pybridge: CommandLine, waste_run: Path, other_waste: Path, node: pb.Node
) -> None:
    files = list_images(other_waste)
    listed = pybridge.json("predict", waste_run, *files)
    classifier = pb.ImageClassifier.load(waste_run, node=node)
    probabilities = classifier.predict_proba(files)
    assert [one["label"] for one in listed] == classifier.predict(files).tolist()
    assert [one["probability"] for one in listed] == probabilities.max(axis=1).astype(float).tolist()


@pytest.mark.slow
def test_a_run_can_be_moved_and_needs_its_base_no_more(
    pybridge: CommandLine, waste_run: Path, other_waste: Path, tmp_path: Path
) -> None:
    script = f"import shutil; shutil.copytree({str(waste_run)!r}, {str(tmp_path / 'moved')!r})"
    subprocess.run([sys.executable, "-c", script], check=True)
    plain = (tmp_path / "moved" / "run.json").read_text()
    assert pybridge.json("evaluate", "moved", other_waste) == pybridge.json("evaluate", waste_run, other_waste)
    assert (tmp_path / "moved" / "run.json").read_text() == plain


@pytest.mark.slow
def test_without_a_terminal_nothing_but_lines_reaches_stderr(pybridge: CommandLine, waste: Path, small_base: Path) -> None:
    done = pybridge("train", waste, "--out", "run", "--base", small_base, "--epochs", 1, "--seed", 0, "--json")
    assert re.fullmatch(r" *epoch +1\b[^\n\r\x1b]*loss[^\n\r\x1b]*\n", done.stderr), done.stderr
    assert json.loads(done.stdout)["epochs"] == 1
