"""What is typed wrongly is answered with exit code 2 and clear words, before anything is written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import COMMAND, environment

from pybridge.cli import main


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """The exit code and the complaint of a command; it must print nothing else."""
    code = main([*map(str, arguments)])
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    return code, output.err


def test_no_verb_is_a_mistake_that_names_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main([])
    assert exit_of.value.code == 2
    assert "usage: pybridge" in capsys.readouterr().err


def test_an_unknown_verb_is_a_mistake_that_names_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main(["trian"])
    assert exit_of.value.code == 2
    assert "train" in capsys.readouterr().err


def test_zoo_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo"]) == 0
    assert "efficientnet_lite0" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{' '.join(COMMAND)} zoo | head -c 1"
    done = subprocess.run(["sh", "-c", command], env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == ""


def _photo_of(folder: Path) -> Path:
    return next(iter(sorted((folder / "glass").iterdir())))


def _missing_folder(waste: Path, folder: Path) -> tuple[Path, str]:
    return folder / "nowhere", "there is no folder"


def _file(waste: Path, folder: Path) -> tuple[Path, str]:
    return _photo_of(waste), "is a file, not a folder"


def _empty_folder(waste: Path, folder: Path) -> tuple[Path, str]:
    (folder / "photos").mkdir()
    return folder / "photos", "no class folders"


def _one_class(waste: Path, folder: Path) -> tuple[Path, str]:
    shutil.copytree(waste / "glass", folder / "photos" / "glass")
    return folder / "photos", "only one class"


def _empty_class(waste: Path, folder: Path) -> tuple[Path, str]:
    shutil.copytree(waste, folder / "photos")
    (folder / "photos" / "wood").mkdir()
    return folder / "photos", "without any image: wood"


@pytest.mark.parametrize("case", [_missing_folder, _file, _empty_folder, _one_class, _empty_class])
def test_training_on_what_is_no_data_set_is_a_mistake(
    case: Callable[[Path, Path], tuple[Path, str]], waste: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, words = case(waste, tmp_path)
    code, complaint = failure(capsys, "train", photos, "--out", tmp_path / "run")
    assert (code, words in complaint) == (2, True), complaint
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_files_that_are_no_images_are_named_with_how_to_leave_them_out(
    waste: Path, small_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shutil.copytree(waste, tmp_path / "photos")
    (photos / "glass" / "broken.jpg").write_bytes(_photo_of(waste).read_bytes()[:600])
    code, complaint = failure(capsys, "train", photos, "--out", tmp_path / "run", "--base", small_base)
    assert code == 2
    assert "1 of" in complaint
    assert "broken.jpg" in complaint
    assert "--skip-unreadable" in complaint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--base", "efficientnet_lite"], "Did you mean efficientnet_lite0?"),
        (["--base", "http://127.0.0.1:1/model.json"], "127.0.0.1:1"),
        (["--base", __file__], "is no model that can be opened"),
        (["--epochs", "0"], "epochs"),
        (["--batch-size", "0"], "batch_size"),
        (["--learning-rate", "0"], "learning_rate"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--weight-decay", "nan"], "weight_decay"),
        (["--label-smoothing", "1"], "label_smoothing"),
        (["--dropout", "2"], "dropout"),
        (["--dropout", "nan"], "dropout"),
        (["--hidden-units", "-1"], "hidden_units"),
        (["--augment", "-1"], "views"),
        (["--seed", "-1"], "seed"),
        (["--validation-split", "1.5"], "validation share"),
        (["--validation", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_an_option_out_of_range_is_a_mistake_found_before_training(
    options: list[str], words: str, waste: Path, small_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [] if "--base" in options else ["--base", small_base]
    code, complaint = failure(capsys, "train", waste, "--out", tmp_path / "run", *base, *options)
    assert (code, words in complaint) == (2, True), complaint
    assert "epoch 1" not in complaint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", [["train"], ["fine-tune", "RUN"]])
def test_an_existing_run_is_never_written_over(
    verb: list[str], waste: Path, waste_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (waste_run / "run.json").read_bytes()
    arguments = [waste_run if word == "RUN" else word for word in verb]
    code, complaint = failure(capsys, *arguments, waste, "--out", waste_run)
    assert (code, "exists already" in complaint, "holds a finished run" in complaint) == (2, True, True), complaint
    assert (waste_run / "run.json").read_bytes() == before


def test_a_run_below_a_file_is_a_mistake(
    waste: Path, waste_run: Path, small_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = waste_run / "run.json" / "new"
    code, complaint = failure(capsys, "train", waste, "--out", out, "--base", small_base)
    assert (code, "cannot be made" in complaint) == (2, True), complaint


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_run_where_nothing_can_be_written_fails_in_one_line(
    waste: Path, small_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, complaint = failure(capsys, "train", waste, "--out", "/proc/run", "--base", small_base)
    assert code in (1, 2)
    assert "/proc/run" in complaint


@pytest.mark.parametrize("verb", ["evaluate", "predict", "verify", "fine-tune"])
def test_a_folder_that_is_no_run_is_a_mistake(verb: str, waste: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", tmp_path / "tuned"] if verb == "fine-tune" else []
    code, complaint = failure(capsys, verb, waste, waste, *out)
    assert (code, "is not a run directory" in complaint) == (2, True), complaint


@pytest.mark.parametrize("unfreeze", ["no_such_layer", "-3", "1.5", "nan"])
def test_a_share_that_cannot_be_unfrozen_is_a_mistake(
    unfreeze: str, waste: Path, waste_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, complaint = failure(capsys, "fine-tune", waste_run, waste, "--out", tmp_path / "tuned", f"--unfreeze={unfreeze}")
    assert (code, f"unfreeze={unfreeze}" in complaint.replace("'", "")) == (2, True), complaint


def test_photos_of_unknown_classes_are_a_mistake(
    waste: Path, waste_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(waste / "glass", tmp_path / "photos" / "wood")
    shutil.copytree(waste / "glass", tmp_path / "photos" / "glass")
    code, complaint = failure(capsys, "evaluate", waste_run, tmp_path / "photos")
    assert (code, "does not know: wood" in complaint) == (2, True), complaint


@pytest.mark.parametrize("verb", ["predict", "verify"])
def test_what_is_no_image_is_a_mistake(verb: str, waste_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.jpg").write_text("not a photo")
    code, complaint = failure(capsys, verb, waste_run, tmp_path / "note.jpg")
    assert (code, "note.jpg" in complaint) == (2, True), complaint
    code, complaint = failure(capsys, verb, waste_run, tmp_path / "nothing.jpg")
    assert (code, "nothing.jpg" in complaint) == (2, True), complaint


@pytest.mark.parametrize("tolerance", ["-1", "nan"])
def test_a_tolerance_that_nothing_passes_is_a_mistake(tolerance: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main(["verify", "run", "photos", f"--tolerance={tolerance}"])
    assert exit_of.value.code == 2
    assert "argument --tolerance: must not be negative" in capsys.readouterr().err


def test_importing_the_package_imports_nothing_large_and_starts_nothing() -> None:
    script = """
import sys, threading
started = []
sys.addaudithook(lambda event, arguments: started.append(event) if event in ("subprocess.Popen", "os.fork", "os.exec") else None)
import pybridge, pybridge.cli
large = {"tensorflow", "keras", "sklearn", "PIL", "scipy", "tqdm"} & sys.modules.keys()
print(sorted(large), started, threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [] 1"
