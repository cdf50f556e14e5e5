"""Which engine trains where nobody chooses, what is said about it, and what a run remembers of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.graphs import TensorFlowProcess
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head
from pybridge.training.checkpoint import read_checkpoint, write_checkpoint
from pybridge.training.options import TrainingOptions
from pybridge.training.preparation import EnginePreparation

X = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
Y = np.arange(20) % 3
JAVASCRIPT_LAYER = """
const tf = require('@tensorflow/tfjs-node');
class Halving extends tf.layers.Layer {
  static get className() { return 'Halving'; }
  call(x) { return tf.mul(Array.isArray(x) ? x[0] : x, 0.5); }
  computeOutputShape(shape) { return shape; }
}
tf.serialization.registerClass(Halving);
exports.register = () => true;
"""


@pytest.fixture
def only_in_javascript(node: pb.Node, tmp_path: Path) -> LayersModel:
    """A model with a layer that the user wrote in JavaScript."""
    script = tmp_path / "halving.js"
    script.write_text(JAVASCRIPT_LAYER, "utf-8")
    assert node.call(script, "register")
    return append_head(tiny.vector_classifier(), [tiny.layer("Halving", "halving")], {})


@pytest.fixture
def ended() -> TensorFlowProcess:
    """A TensorFlow process that can do nothing."""
    process = TensorFlowProcess(ensure().environment())
    process.close()
    return process


def test_a_model_that_keras_can_train_trains_compiled(node: pb.Node) -> None:
    history = node.train(node.load_model(tiny.vector_classifier()), X, Y)
    assert history.engine == "compiled"


def test_what_keras_cannot_train_trains_with_layers_and_the_reason_is_told_once(
    node: pb.Node, only_in_javascript: LayersModel, caplog: pytest.LogCaptureFixture
) -> None:
    history = node.train(node.load_model(only_in_javascript), X, np.eye(3)[Y], loss="mean_squared_error")
    assert history.engine == "layers"
    (record,) = [each for each in caplog.records if each.name == "pybridge.training.preparation"]
    assert "Halving" in record.getMessage()
    assert "engine layers" in record.getMessage()


def test_the_compiled_engine_by_name_raises_with_a_hint(node: pb.Node, only_in_javascript: LayersModel) -> None:
    with pytest.raises(ModelFormatError, match="Halving") as caught:
        node.train(node.load_model(only_in_javascript), X, np.eye(3)[Y], loss="mean_squared_error", engine="compiled")
    assert caught.value.hint


def test_a_refusal_is_remembered(only_in_javascript: LayersModel, node: pb.Node, ended: TensorFlowProcess) -> None:
    node.train(node.load_model(only_in_javascript), X, np.eye(3)[Y], loss="mean_squared_error")
    settings = TrainingOptions(loss="mean_squared_error", hold_batch_normalization=False)
    with EnginePreparation("auto", only_in_javascript, settings, ensure(), ended) as preparation:
        assert preparation.result().engine == "layers"


def test_a_process_that_dies_is_an_error_and_no_reason_for_another_engine(ended: TensorFlowProcess) -> None:
    model = append_head(tiny.vector_classifier(), [tiny.layer("Activation", "never_traced", activation="tanh")], {})
    with pytest.raises(BridgeError, match="was closed"):
        EnginePreparation("auto", model, TrainingOptions(), ensure(), ended)


def test_a_model_in_which_nothing_trains_is_refused(node: pb.Node) -> None:
    plain = tiny.vector_classifier()
    layers = [{**each, "config": {**each["config"], "trainable": False}} for each in plain.topology["config"]["layers"]]
    frozen = LayersModel({**plain.topology, "config": {**plain.topology["config"], "layers": layers}}, plain.weights)
    with pytest.raises(ModelFormatError, match="no trainable weights"):
        node.train(node.load_model(frozen), X, Y)


def classifier(node: pb.Node, **settings: Any) -> pb.ImageClassifier:
    return pb.ImageClassifier(tiny.convolution(), epochs=3, learning_rate=0.1, seed=0, node=node, **settings)


def stop(number: int, _: Any) -> None:
    if number == 1:
        raise RuntimeError("stopped")


@pytest.fixture
def begun(node: pb.Node, photos: Path, tmp_path: Path) -> Path:
    """A run that ``layers`` began, and that was stopped after two epochs."""
    with pytest.raises(RuntimeError, match="stopped"):
        classifier(node, engine="layers").fit(photos, run_dir=tmp_path / "run", callbacks=[pb.callbacks.LambdaCallback(stop)])
    return tmp_path / "run"


def test_a_run_goes_on_with_the_engine_that_began_it(node: pb.Node, photos: Path, begun: Path) -> None:
    assert pb.ImageClassifier.load(begun).history_.engine == "layers"
    resumed = classifier(node)
    resumed.fit(photos, run_dir=begun, resume=True)
    assert resumed.history_.engine == "layers"
    record = json.loads((begun / "run.json").read_text())
    assert (record["engine"], record["epochs_finished"]) == ("layers", 3)


def test_a_run_does_not_go_on_with_another_engine(node: pb.Node, photos: Path, begun: Path) -> None:
    with pytest.raises(DataError, match="engine was 'layers' and is 'compiled'"):
        classifier(node, engine="compiled").fit(photos, run_dir=begun, resume=True)


@pytest.mark.slow
def test_a_run_of_before_there_were_engines_goes_on_with_layers(node: pb.Node, photos: Path, begun: Path) -> None:
    record = json.loads((begun / "run.json").read_text())
    del record["engine"]
    for name in ("engine", "schedule", "warmup_epochs", "mixup", "global_clipnorm"):
        del record["settings"][name]
    (begun / "run.json").write_text(json.dumps(record))
    state = read_checkpoint(begun / "checkpoints")
    assert state is not None
    write_checkpoint(begun / "checkpoints", replace(state, history=replace(state.history, engine=None)))
    resumed = classifier(node)
    resumed.fit(photos, run_dir=begun, resume=True)
    assert resumed.history_.engine == "layers"
    assert len(resumed.history_) == 3


@pytest.mark.slow
def test_a_finished_run_says_which_engine_trained_it(node: pb.Node, photos: Path, tmp_path: Path) -> None:
    classifier(node).fit(photos, run_dir=tmp_path / "run")
    assert json.loads((tmp_path / "run/run.json").read_text())["engine"] == "compiled"
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node)
    assert (loaded.engine, loaded.history_.engine) == ("auto", "compiled")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compiled", "layers"])
def test_fine_tuning_keeps_the_statistics_of_batch_normalization(node: pb.Node, pixels: Any, engine: str) -> None:
    tuned = classifier(node, engine=engine)
    tuned.fit(*pixels)
    before = tuned.trained_.model.weights
    tuned.fine_tune(*pixels, unfreeze="all", epochs=2, learning_rate=1e-2)
    after = tuned.trained_.model.weights
    same = {name for name in after if np.array_equal(before[name], after[name])}
    assert same == {"norm/moving_mean", "norm/moving_variance"}


TRAINING = """
import sys
started = []
sys.addaudithook(lambda event, details: started.append(str(details[1])) if event == "subprocess.Popen" else None)
sys.path.insert(0, sys.argv[1])
import tiny
import pybridge as pb
pixels = tiny.pictures()
with pb.ImageClassifier(tiny.convolution(), epochs=1, seed=0) as classifier:
    classifier.fit(*pixels)
    engine = classifier.history_.engine
    if len(sys.argv) > 2:
        classifier.predict(pixels[0])
assert "tensorflow" not in sys.modules
print(engine, sum("tensorflow_process" in command for command in started))
"""


@pytest.mark.slow
def test_one_tensorflow_process_traces_a_training_and_none_is_needed_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = ensure()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "runtime").symlink_to(Path(runtime.node_modules).parents[2])
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", TRAINING, str(Path(tiny.__file__).parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert run() == "compiled 1"
    assert run() == "compiled 0"
    # The weights of a trained head are constants of its program.
    assert run("predict") == "compiled 1"
    assert run("predict") == "compiled 0"
    assert not [path.name for path in (tmp_path / "cache" / "programs").iterdir() if path.name.startswith("tracing-")]
