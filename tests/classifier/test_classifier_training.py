"""Training classifiers on arrays and folders, fine-tuning them, saving and continuing."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

pytestmark = pytest.mark.slow

KERNEL = "pybridge_probabilities/kernel"


@pytest.fixture
def new(node: pb.Node) -> Any:
    def new(**settings: Any) -> pb.ImageClassifier:
        chosen = {"epochs": 3, "learning_rate": 0.1, "seed": 0, **settings}
        return pb.ImageClassifier(chosen.pop("base", tiny.convolution()), node=node, **chosen)

    return new


def weights(run: Path) -> dict[str, Any]:
    return LayersModel.read(run / "model").weights


def digest(run: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted((run / "model").glob("*.bin")))).hexdigest()


def stop_after(epoch: int) -> pb.callbacks.Callback:
    def stop(number: int, logs: Any) -> None:
        if number + 1 == epoch:
            raise RuntimeError("stopped")

    return pb.callbacks.LambdaCallback(stop)


def test_a_folder_trains_and_its_run_is_complete(new: Any, photos: Path, tmp_path: Path) -> None:
    classifier = new()
    history = classifier.fit(photos, run_dir=tmp_path / "run")
    assert classifier.class_names_ == ("dark", "grey", "light")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["labels"] == ["dark", "grey", "light"]
    assert record["seed"] == 0
    assert record["data"]["validation"] == {"dark": 2, "grey": 2, "light": 2}
    assert record["epochs_finished"] == len(history) == 3
    assert {"pybridge", "tensorflow", "node"} <= set(record["versions"])
    for name, expected in record["files"].items():
        assert hashlib.sha256((tmp_path / "run" / name).read_bytes()).hexdigest() == expected, name
    assert [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()] == history.rows


def test_equal_seeds_give_byte_identical_weights(new: Any, photos: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        new(seed=seed, augment=2, hidden_units=4).fit(photos, run_dir=tmp_path / name)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "three")


def test_without_a_seed_one_is_drawn_and_recorded(new: Any, photos: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        new(seed=None).fit(photos, run_dir=tmp_path / name)
    seeds = [json.loads((tmp_path / name / "run.json").read_text())["seed"] for name in ("one", "two")]
    assert seeds[0] != seeds[1]
    new(seed=seeds[0]).fit(photos, run_dir=tmp_path / "again")
    assert digest(tmp_path / "again") == digest(tmp_path / "one")


def test_folders_and_arrays_of_the_same_pictures_train_alike(new: Any, photos: Path, tmp_path: Path) -> None:
    from PIL import Image

    files = sorted(photos.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    new().fit(photos, run_dir=tmp_path / "folder")
    new().fit(images, [file.parent.name for file in files], run_dir=tmp_path / "arrays")
    assert digest(tmp_path / "folder") == digest(tmp_path / "arrays")


def test_all_images_train_without_a_validation_share(new: Any, pixels: Any) -> None:
    classifier = new()
    history = classifier.fit(*pixels, validation_split=0)
    assert "val_loss" not in history.history
    assert history.best["loss"] == min(history.history["loss"])
    assert classifier.metrics_["accuracy"] >= 0.5


def test_validation_data_of_the_user_are_used_instead(new: Any, pixels: Any, photos: Path, tmp_path: Path) -> None:
    history = new().fit(*pixels, validation_data=(pixels[0][:6], pixels[1][:6]), run_dir=tmp_path / "run")
    assert "val_accuracy" in history.history
    data = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert sum(data["training"].values()) == 24
    assert sum(data["validation"].values()) == 6
    assert "val_loss" in new().fit(photos, validation_data=photos).history


def test_the_base_stays_frozen(new: Any, pixels: Any, tmp_path: Path) -> None:
    new().fit(*pixels, run_dir=tmp_path / "run")
    trained = weights(tmp_path / "run")
    for name, value in tiny.convolution().weights.items():
        np.testing.assert_array_equal(trained[name], value)


def test_class_weights_are_given_by_label(new: Any, pixels: Any, tmp_path: Path) -> None:
    """Whole numbers as labels are labels, not positions."""
    labels = np.array([3, 7])[pixels[1]]
    for name, class_weight in (("labels", {3: 0.2, 7: 5.0}), ("text", {"3": 0.2, "7": 5.0}), ("none", None)):
        new(class_weight=class_weight).fit(pixels[0], labels, run_dir=tmp_path / name)
    assert digest(tmp_path / "labels") == digest(tmp_path / "text") != digest(tmp_path / "none")
    assert json.loads((tmp_path / "labels" / "run.json").read_text())["settings"]["class_weight"] == {"3": 0.2, "7": 5.0}


def test_class_weights_for_a_folder_are_given_by_name_or_number(new: Any, photos: Path, tmp_path: Path) -> None:
    for name, class_weight in (("name", {"grey": 3.0}), ("number", {1: 3.0})):
        new(class_weight=class_weight).fit(photos, run_dir=tmp_path / name)
    assert digest(tmp_path / "name") == digest(tmp_path / "number")
    loaded = pb.ImageClassifier.load(tmp_path / "number")
    assert loaded.class_weight == {"grey": 3.0}


def test_rare_classes_count_as_much_as_common_ones_when_balanced(new: Any, pixels: Any, tmp_path: Path) -> None:
    images, labels = pixels
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:4]])
    for name, class_weight in (("balanced", "balanced"), ("by hand", {0: 16 / 24, 1: 16 / 8})):
        new(class_weight=class_weight).fit(images[few], labels[few], validation_split=0, run_dir=tmp_path / name)
    assert digest(tmp_path / "balanced") == digest(tmp_path / "by hand")


@pytest.mark.parametrize("classes", [2, 20])
def test_any_number_of_classes(new: Any, classes: int) -> None:
    images, labels = tiny.pictures(classes=classes, per_class=3)
    classifier = new(epochs=1)
    classifier.fit(images, labels)
    assert classifier.classes_.tolist() == list(range(classes))
    assert np.isfinite(classifier.metrics_["loss"])


def test_options_of_the_head_change_its_layers(new: Any, pixels: Any, tmp_path: Path) -> None:
    new(hidden_units=6, dropout=0.5).fit(*pixels, run_dir=tmp_path / "run")
    model = LayersModel.read(tmp_path / "run" / "model")
    names = [layer["config"]["name"] for layer in model.topology["config"]["layers"]]
    assert names[-4:] == ["pybridge_dropout", "pybridge_hidden", "pybridge_hidden_dropout", "pybridge_probabilities"]


def test_a_saved_classifier_predicts_the_same_without_its_base(
    trained: pb.ImageClassifier, node: pb.Node, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node)
    np.testing.assert_array_equal(loaded.predict_proba(pixels[0]), trained.predict_proba(pixels[0]))
    assert loaded.history_ == trained.history_
    assert loaded.metrics_ == trained.metrics_


def test_a_loaded_classifier_whose_base_was_in_memory_trains_on_that_base(
    trained: pb.ImageClassifier, node: pb.Node, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node)
    loaded.fit(*pixels, run_dir=tmp_path / "again")
    assert digest(tmp_path / "again") == digest(tmp_path / "run")


def test_a_base_is_found_by_its_path(new: Any, pixels: Any, tmp_path: Path) -> None:
    tiny.convolution().write(tmp_path / "base")
    new(base=tmp_path / "base").fit(*pixels, run_dir=tmp_path / "by path")
    new().fit(*pixels, run_dir=tmp_path / "in memory")
    assert digest(tmp_path / "by path") == digest(tmp_path / "in memory")
    shutil.rmtree(tmp_path / "base")
    assert pb.ImageClassifier.load(tmp_path / "by path").class_names_ == ("0", "1")


def test_nothing_is_overwritten(trained: pb.ImageClassifier, new: Any, pixels: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(BridgeError, match="exists already"):
        trained.save(tmp_path)
    with pytest.raises(BridgeError, match="exists already"):
        new().fit(*pixels, run_dir=tmp_path)


def test_what_is_no_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="is not a run directory"):
        pb.ImageClassifier.load(tmp_path)


def test_a_run_is_loadable_after_each_epoch_and_continues_to_the_same_weights(new: Any, photos: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 5, "augment": 2, "hidden_units": 4}
    new(**options).fit(photos, run_dir=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="stopped"):
        new(**options).fit(photos, run_dir=tmp_path / "part", callbacks=[stop_after(4)])
    loaded = pb.ImageClassifier.load(tmp_path / "part")
    assert len(loaded.history_) == 3
    assert len((tmp_path / "part" / "history.jsonl").read_text().splitlines()) == 3
    continued = new(**options)
    continued.fit(photos, run_dir=tmp_path / "part", resume=True)
    assert digest(tmp_path / "part") == digest(tmp_path / "whole")
    histories = [(tmp_path / name / "history.jsonl").read_text() for name in ("part", "whole")]
    assert histories[0] == histories[1]


def test_a_training_that_failed_in_its_first_epoch_leaves_nothing_and_begins_anew(new: Any, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        new().fit(photos, run_dir=tmp_path / "run", callbacks=[stop_after(1)])
    assert not (tmp_path / "run").exists()
    assert len(new().fit(photos, run_dir=tmp_path / "run", resume=True)) == 3


def test_a_finished_run_is_only_loaded_by_resume(new: Any, photos: Path, tmp_path: Path) -> None:
    new().fit(photos, run_dir=tmp_path / "run")
    before = (tmp_path / "run" / "run.json").stat().st_mtime_ns
    assert len(new(epochs=9).fit(photos, run_dir=tmp_path / "run", resume=True)) == 3
    assert (tmp_path / "run" / "run.json").stat().st_mtime_ns == before


def test_a_run_does_not_continue_on_other_classes(new: Any, photos: Path, pixels: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        new().fit(photos, run_dir=tmp_path / "run", callbacks=[stop_after(2)])
    with pytest.raises(DataError, match="was trained on the classes dark, grey, light"):
        new().fit(*pixels, run_dir=tmp_path / "run", resume=True)


def test_ctrl_c_leaves_a_run_with_the_best_weights(new: Any, photos: Path, tmp_path: Path) -> None:
    def interrupt(epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    classifier = new()
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(photos, run_dir=tmp_path / "run", callbacks=[pb.callbacks.LambdaCallback(interrupt)])
    assert len(classifier.history_) == 2
    assert len(pb.ImageClassifier.load(tmp_path / "run").history_) == 2


def test_unreadable_photos_stop_training_or_are_left_out(new: Any, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    victims = [next((tmp_path / "photos" / name).glob("*.png")) for name in ("dark", "light")]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be decoded"):
        new().fit(tmp_path / "photos", validation_split=0)
    classifier = new(skip_unreadable=True)
    classifier.fit(tmp_path / "photos", validation_split=0)
    with pytest.raises(DataError, match="None of the validation images"):
        broken = {name: tmp_path / "broken" / name for name in ("dark", "light")}
        for victim, folder in zip(victims, broken.values(), strict=True):
            folder.mkdir(parents=True)
            shutil.copy(victim, folder)
        new(skip_unreadable=True).fit(photos, validation_data=tmp_path / "broken")


@pytest.mark.parametrize("unfreeze", [2, 0.5, "conv", "all"])
def test_fine_tuning_changes_what_was_unfrozen_and_nothing_else(
    node: pb.Node, trained: pb.ImageClassifier, pixels: Any, tmp_path: Path, unfreeze: Any
) -> None:
    """The tiny base has two layers with weights: `conv` and `norm`."""
    trained.save(tmp_path / "run")
    classifier = pb.ImageClassifier.load(tmp_path / "run", node=node)
    classifier.fine_tune(*pixels, unfreeze=unfreeze, epochs=2, learning_rate=1e-2, run_dir=tmp_path / "tuned")
    before, after = weights(tmp_path / "run"), weights(tmp_path / "tuned")
    changed = {name.split("/")[0] for name in after if not np.array_equal(before[name], after[name])}
    assert changed == {"pybridge_probabilities", "norm"} | ({"conv"} if unfreeze in (2, "all") else set())
    for statistic in ("norm/moving_mean", "norm/moving_variance"):
        np.testing.assert_array_equal(after[statistic], before[statistic])
    assert classifier.history_.epoch == list(range(len(trained.history_) + 2))
    assert classifier.score(*pixels) == 1


def test_fine_tuning_leaves_layers_that_are_marked_as_fixed_and_says_so(
    node: pb.Node, pixels: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tiny.convolution(trainable_norm=False)
    classifier = pb.ImageClassifier(base, epochs=1, dropout=0.0, seed=0, node=node)
    classifier.fit(*pixels, run_dir=tmp_path / "run")
    classifier.fine_tune(*pixels, unfreeze="all", epochs=2, learning_rate=1e-2, run_dir=tmp_path / "tuned")
    before, after = weights(tmp_path / "run"), weights(tmp_path / "tuned")
    changed = {name.split("/")[0] for name in after if not np.array_equal(before[name], after[name])}
    assert changed == {"pybridge_probabilities", "conv"}
    assert "1 of the unfrozen layers are marked as not trainable and stay as they are: norm" in caplog.text


def test_fine_tuning_never_makes_a_classifier_worse(
    node: pb.Node, trained: pb.ImageClassifier, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    classifier = pb.ImageClassifier.load(tmp_path / "run", node=node)
    classifier.fine_tune(*pixels, unfreeze="all", epochs=1, learning_rate=100.0, run_dir=tmp_path / "tuned")
    assert digest(tmp_path / "tuned") == digest(tmp_path / "run")


def test_fine_tuning_warms_up_then_lowers_its_rate_and_is_only_resumed_so(
    node: pb.Node, trained: pb.ImageClassifier, pixels: Any, tmp_path: Path
) -> None:
    """Twenty pictures are one step an epoch: the first warms up, a cosine over the other three begins with the second."""
    trained.save(tmp_path / "run")

    def tune(*callbacks: pb.callbacks.Callback, **changed: Any) -> list[float]:
        settings = {"unfreeze": "all", "epochs": 4, "learning_rate": 1e-3, **changed}
        classifier = pb.ImageClassifier.load(tmp_path / "run", node=node)
        history = classifier.fine_tune(*pixels, **settings, callbacks=callbacks, run_dir=tmp_path / "tuned", resume=True)
        return history.history["learning_rate"][-4:]

    with pytest.raises(RuntimeError, match="stopped"):
        tune(stop_after(2))
    with pytest.raises(DataError, match="schedule was 'cosine' and is 'constant'"):
        tune(schedule="constant")
    with pytest.raises(DataError, match="epochs was 4 and is 9"):
        tune(epochs=9)
    assert tune() == pytest.approx([1e-3, 1e-3, 0.75e-3, 0.25e-3])


def test_fine_tuning_refuses_other_classes_and_unknown_layers(trained: pb.ImageClassifier, photos: Path, pixels: Any) -> None:
    with pytest.raises(DataError, match="classes that the model does not know"):
        trained.fine_tune(photos)
    with pytest.raises(ModelFormatError, match="no such layer"):
        trained.fine_tune(*pixels, unfreeze="nowhere")


def test_files_folders_and_arrays_are_predicted_alike(trained: pb.ImageClassifier, photos: Path) -> None:
    from PIL import Image

    files = sorted(photos.glob("*/*.png"))
    by_file = trained.predict_proba(files)
    np.testing.assert_array_equal(trained.predict_proba(photos), by_file)
    np.testing.assert_array_equal(trained.predict_proba([str(file) for file in files]), by_file)
    np.testing.assert_array_equal(trained.predict_proba(np.stack([np.asarray(Image.open(file)) for file in files])), by_file)
    np.testing.assert_array_equal(trained.predict_proba(files[0]), by_file[:1])


def test_a_run_that_ctrl_c_ended_is_complete_and_goes_on_by_resume(new: Any, photos: Path, tmp_path: Path) -> None:
    def interrupt(number: int, logs: Any) -> None:
        if number == 1:
            raise KeyboardInterrupt

    callback = pb.callbacks.LambdaCallback(interrupt)
    settings = {"epochs": 4, "patience": None}
    with pytest.raises(KeyboardInterrupt):
        new(**settings).fit(photos, run_dir=tmp_path / "run", callbacks=[callback])
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["epochs_finished"]) == ("interrupted", 2)
    assert (tmp_path / "run/report.html").exists()
    loaded = pb.ImageClassifier.load(tmp_path / "run")
    assert len(loaded.history_) == 2
    new(**settings).fit(photos, run_dir=tmp_path / "run", resume=True)
    new(**settings).fit(photos, run_dir=tmp_path / "whole")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"dropout": 0.4}, "dropout was 0.2 and is 0.4"), ({"base": tiny.convolution(seed=1)}, "begun with the base")],
)
def test_a_resumed_training_must_be_the_one_that_was_begun(
    new: Any, photos: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        new().fit(photos, run_dir=tmp_path / "run", callbacks=[stop_after(2)])
    before = (tmp_path / "run/run.json").read_bytes()
    with pytest.raises(DataError, match=words):
        new(**change).fit(photos, run_dir=tmp_path / "run", resume=True)
    assert (tmp_path / "run/run.json").read_bytes() == before


def test_the_model_says_its_labels_and_preprocessing(trained: pb.ImageClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    described = LayersModel.read(tmp_path / "run/model").user_metadata["pybridge"]
    assert described["labels"] == ["0", "1"]
    assert pb.Preprocessing.from_dict(described["preprocessing"]) == trained.preprocessing_
