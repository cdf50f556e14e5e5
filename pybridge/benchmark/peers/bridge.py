"""pybridge, as its users call it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pybridge as pb
from pybridge.benchmark.peers.answering import Repetition, serve
from pybridge.benchmark.peers.timing import calls, crossing, numbers, one_by_one
from pybridge.benchmark.peers.workload import FINE_TUNING_RATE, HEAD_RATE, SCRIPT, SEED, Workload

_CONSTANT_RATE: dict[str, Any] = {"learning_rate": FINE_TUNING_RATE, "schedule": "constant", "warmup_epochs": 0.0}


def main() -> None:
    """Answers the driver."""
    works = {
        "features": _features,
        "head": _head,
        "partial": _partial,
        "full": _full,
        "latency": _latency,
        "throughput": _throughput,
        "start": _start,
        "upload": _upload,
        "upload-kept": _upload_kept,
        "download": _download,
        "call": _call,
    }
    serve(works, _versions)


def _versions() -> dict[str, str]:
    from pybridge.runtime import ensure

    runtime = ensure()
    return {
        "pybridge": pb.__version__,
        "node": runtime.node_version,
        "tensorflow": runtime.tensorflow_version,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _timed(node: pb.Node, work: Callable[[], float]) -> dict[str, Any]:
    """How long a work takes, and for how much of that TensorFlow computes in Node."""
    before = _computing(node)
    begun = time.perf_counter()
    check = work()
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "check": check, "computing": _computing(node) - before}


def _computing(node: pb.Node) -> float:
    """The seconds for which TensorFlow has computed in a Node.js process."""
    return float(node.runner.call("program.clock")["computeMilliseconds"]) / 1e3


def _features(workload: Workload, plan: dict[str, Any]) -> Repetition:
    from pybridge.classifier.trained import TrainedClassifier
    from pybridge.data import ImageSet
    from pybridge.session import Session

    node = pb.Node()
    classifier = TrainedClassifier.read(workload.folder / "run", Session(node.runner))
    # What `fit` does before it trains: the features stay in Node.
    extractor, stages = classifier.session.extractor, classifier.programs[:-1]
    images = ImageSet(workload.files(plan["images"]), workload.labels(plan["images"]), tuple(workload.facts["classes"]))

    def run() -> dict[str, Any]:
        stores: list[int] = []

        def extract() -> float:
            stores.append(extractor.extract(stages, images, batch_size=32)[0])
            return 0.0

        answer = _timed(node, extract)
        values = extractor.read(stores[0], np.arange(len(images), dtype=np.int32))
        extractor.release(*stores)
        return {**answer, "check": float(values.mean())}

    extractor.compute(stages, images.take(np.arange(min(len(images), 2 * workload.batch))))
    return run


def _head(workload: Workload, plan: dict[str, Any]) -> Repetition:
    from pybridge.tfjs.layers_model import LayersModel
    from pybridge.training.engines import create_trainer
    from pybridge.training.loop import fit
    from pybridge.training.options import TrainingOptions
    from pybridge.training.trainer import Examples

    node = pb.Node()
    x, y = workload.features()
    # What `fit` does behind the extraction: the features are in Node, where that has left them.
    examples = Examples(node.runner.call("features.put", {"values": x}), y)

    trainer = create_trainer("auto", node.runner, LayersModel.read(workload.folder / "head"), TrainingOptions(seed=SEED))
    start = trainer.state()

    def train(epochs: int) -> dict[str, Any]:
        trainer.restore(start)
        length = TrainingOptions(epochs=epochs, batch_size=workload.batch, learning_rate=HEAD_RATE, seed=SEED)
        return _timed(node, lambda: float(fit(trainer, examples, None, length).history.history["loss"][-1]))

    train(1)
    return lambda: train(plan["epochs"])


def _partial(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node = pb.Node()

    def tune(epochs: int) -> dict[str, Any]:
        classifier = pb.ImageClassifier.load(workload.folder / "run", node=node)
        classifier.set_params(patience=None)

        def fit() -> float:
            history = classifier.fine_tune(
                workload.folder / "partial",
                unfreeze=workload.facts["unfreeze"],
                epochs=epochs,
                validation_split=0,
                **_CONSTANT_RATE,
            )
            return float(history.history["loss"][-1])

        return _timed(node, fit)

    tune(1)
    return lambda: tune(plan["epochs"])


def _full(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node = pb.Node()
    x, y = workload.pixels(plan["images"]), np.array(workload.facts["classes"])[workload.labels(plan["images"])]

    def train(count: int) -> dict[str, Any]:
        classifier, clock = pb.ImageClassifier.load(workload.folder / "run", node=node), _EpochClock(node)
        classifier.set_params(patience=None)
        # The clock stops the second epoch: the first has TensorFlow's optimisation of the graph in it, which the others have
        # behind them, as they train one model in every repetition.
        history = classifier.fine_tune(
            x[:count], y[:count], unfreeze="all", epochs=2, validation_split=0, callbacks=[clock], **_CONSTANT_RATE
        )
        check = float(history.history["loss"][-2])
        return {"seconds": clock.seconds, "check": check, "computing": clock.computing}

    train(min(workload.batch, len(x)))
    return lambda: train(len(x))


class _EpochClock(pb.callbacks.Callback):
    """How long the last epoch took, and for how much of that TensorFlow computed in Node."""

    def __init__(self, node: pb.Node) -> None:
        self._node = node
        self.seconds = self.computing = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock."""
        del epoch, logs
        self._computed = _computing(self._node)
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Reads it."""
        del epoch, logs
        self.seconds = time.perf_counter() - self._begun
        self.computing = _computing(self._node) - self._computed


def _latency(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node = pb.Node()
    classifier = pb.ImageClassifier.load(workload.folder / "run", node=node)
    predict = one_by_one(workload, plan["images"], classifier.predict_proba)
    return lambda: _timed(node, predict)


def _throughput(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node = pb.Node()
    classifier = pb.ImageClassifier.load(workload.folder / "run", node=node)
    pixels = workload.pixels(plan["images"])
    classifier.predict_proba(pixels[: workload.batch])
    return lambda: _timed(node, lambda: float(classifier.predict_proba(pixels).max(axis=1).mean()))


def _start(workload: Workload, plan: dict[str, Any]) -> Repetition:
    # Kept, with its Node.js, until the driver has looked at their memory.
    kept: list[pb.ImageClassifier] = []

    def run() -> dict[str, Any]:
        classifier = pb.ImageClassifier.load(workload.folder / "run")
        kept.append(classifier)
        return {"seconds": 0.0, "check": float(classifier.predict_proba(workload.files(plan["images"])).max())}

    return run


def _upload(_workload: Workload, plan: dict[str, Any]) -> Repetition:
    # As arrays come to what predicts and extracts features: into memory that is used again.
    node, array = pb.Node(), numbers(plan["images"])
    return crossing(lambda: float(node.runner.call("echo.size", {"value": array})))


def _upload_kept(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node, script, array = pb.Node(), workload.folder / SCRIPT, numbers(plan["images"])
    return crossing(lambda: float(node.call(script, "size", array)))


def _download(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node, script = pb.Node(), workload.folder / SCRIPT
    node.call(script, "make", plan["images"])
    return crossing(lambda: float(node.call(script, "give").size))


def _call(workload: Workload, plan: dict[str, Any]) -> Repetition:
    node, script = pb.Node(), workload.folder / SCRIPT
    return calls(plan["images"], lambda number: int(node.call(script, "same", number)))


if __name__ == "__main__":
    main()
