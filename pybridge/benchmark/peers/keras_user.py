"""Keras, as its guides tell users to write it. Nothing of pybridge takes part but the files that it wrote beforehand."""

from __future__ import annotations

import platform
import time
from typing import Any

from pybridge.benchmark.peers.answering import Repetition, serve
from pybridge.benchmark.peers.timing import one_by_one, timed
from pybridge.benchmark.peers.workload import FINE_TUNING_RATE, HEAD_RATE, SEED, Workload


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
    }
    serve(works, _versions)


def _versions() -> dict[str, str]:
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _load(workload: Workload, name: str = "model.keras") -> Any:
    import keras

    return keras.saving.load_model(workload.folder / name, compile=False)


def _decoder(workload: Workload) -> Any:
    import tensorflow as tf

    size = (workload.facts["height"], workload.facts["width"])
    mean, std = workload.facts["mean"], workload.facts["std"]

    def decode(file: Any) -> Any:
        pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        return (tf.image.resize(pixels, size, antialias=True) - mean) / std

    return decode


def _dataset(workload: Workload, count: int) -> Any:
    import tensorflow as tf

    files = tf.data.Dataset.from_tensor_slices([str(file) for file in workload.files(count)])
    return files.map(_decoder(workload), num_parallel_calls=tf.data.AUTOTUNE)


def _compile(model: Any, rate: float) -> Any:
    import keras

    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    # The dtypes of seeds and counters differ; a value is put back as what it was.
    return [(variable, variable.numpy()) for variable in variables]


def _reset(start: Any) -> None:
    for variable, value in start:
        variable.assign(value)


def _features(workload: Workload, plan: dict[str, Any]) -> Repetition:
    import keras
    import tensorflow as tf

    model = _load(workload)
    extractor = keras.Model(model.inputs, model.get_layer(workload.facts["pooling"]).output)

    def extract(count: int) -> Any:
        return extractor.predict(_dataset(workload, count).batch(workload.batch).prefetch(tf.data.AUTOTUNE), verbose=0)

    def run() -> dict[str, Any]:
        begun = time.perf_counter()
        values = extract(plan["images"])
        return {"seconds": time.perf_counter() - begun, "check": float(values.mean())}

    extract(min(plan["images"], 2 * workload.batch))
    return run


def _head(workload: Workload, plan: dict[str, Any]) -> Repetition:
    model = _load(workload, "head.keras")
    start = _compile(model, HEAD_RATE)
    x, y = workload.features()

    def run() -> dict[str, Any]:
        _reset(start)
        begun = time.perf_counter()
        history = model.fit(x, y, batch_size=workload.batch, epochs=plan["epochs"], verbose=0)
        return {"seconds": time.perf_counter() - begun, "check": history.history["loss"][-1]}

    model.fit(x[: workload.batch], y[: workload.batch], batch_size=workload.batch, verbose=0)
    return run


def _partial(workload: Workload, plan: dict[str, Any]) -> Repetition:
    return _partial_cached(workload, plan) if plan["cached"] else _partial_guide(workload, plan)


def _partial_guide(workload: Workload, plan: dict[str, Any]) -> Repetition:
    """Frozen layers, and the base called in inference mode: https://keras.io/guides/transfer_learning (fine-tuning)."""
    import keras
    import tensorflow as tf

    whole = _load(workload)
    frozen = set(workload.facts["frozen"])
    for layer in whole.layers:
        layer.trainable = layer.name not in frozen
    base = keras.Model(whole.inputs, whole.get_layer(workload.facts["pooling"]).output)
    inputs = keras.Input(whole.inputs[0].shape[1:])
    model = keras.Model(inputs, _head_of(whole, workload, _in_inference_mode(base)(inputs)))
    start = _compile(model, FINE_TUNING_RATE)

    def dataset(count: int) -> Any:
        pictures = tf.data.Dataset.zip(_dataset(workload, count), tf.data.Dataset.from_tensor_slices(workload.labels(count)))
        return pictures.cache().shuffle(count, seed=SEED).batch(workload.batch).prefetch(tf.data.AUTOTUNE)

    def run() -> dict[str, Any]:
        _reset(start)
        begun = time.perf_counter()
        history = model.fit(dataset(plan["images"]), epochs=plan["epochs"], verbose=0)
        return {"seconds": time.perf_counter() - begun, "check": history.history["loss"][-1]}

    model.fit(dataset(min(plan["images"], workload.batch)), verbose=0)
    return run


def _partial_cached(workload: Workload, plan: dict[str, Any]) -> Repetition:
    """What somebody does who knows that frozen layers need to run only once."""
    import keras
    import tensorflow as tf

    whole = _load(workload)
    cut = whole.get_layer(workload.facts["cut"]).output
    front = keras.Model(whole.inputs, cut)
    base = keras.Model(cut, whole.get_layer(workload.facts["pooling"]).output)
    inputs = keras.Input(cut.shape[1:])
    model = keras.Model(inputs, _head_of(whole, workload, _in_inference_mode(base)(inputs)))
    start = _compile(model, FINE_TUNING_RATE)
    labels = workload.labels(plan["images"])

    def activations(count: int) -> Any:
        return front.predict(_dataset(workload, count).batch(workload.batch).prefetch(tf.data.AUTOTUNE), verbose=0)

    def run() -> dict[str, Any]:
        _reset(start)
        begun = time.perf_counter()
        history = model.fit(activations(plan["images"]), labels, batch_size=workload.batch, epochs=plan["epochs"], verbose=0)
        return {"seconds": time.perf_counter() - begun, "check": history.history["loss"][-1]}

    few = min(plan["images"], workload.batch)
    model.fit(activations(few), labels[:few], batch_size=workload.batch, verbose=0)
    return run


def _in_inference_mode(base: Any) -> Any:
    """A layer that computes as the base does in inference, so that its batch normalization keeps its statistics.

    The guide writes ``base(inputs, training=False)``, but in Keras 3.15 the ``training=True`` of `fit` reaches a base that was
    called so in a functional model, and the statistics move.
    """
    import keras

    class InInferenceMode(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.base = base

        def call(self, inputs: Any) -> Any:
            return self.base(inputs, training=False)

    return InInferenceMode()


def _head_of(whole: Any, workload: Workload, features: Any) -> Any:
    names = [layer.name for layer in whole.layers]
    for layer in whole.layers[names.index(workload.facts["pooling"]) + 1 :]:
        features = layer(features)
    return features


def _full(workload: Workload, plan: dict[str, Any]) -> Repetition:
    import keras

    whole = _load(workload)
    base = keras.Model(whole.inputs, whole.get_layer(workload.facts["pooling"]).output)
    inputs = keras.Input(whole.inputs[0].shape[1:])
    model = keras.Model(inputs, _head_of(whole, workload, _in_inference_mode(base)(inputs)))
    start = _compile(model, FINE_TUNING_RATE)
    order = workload.order(plan["images"])
    x, y = workload.scaled(workload.pixels(plan["images"]))[order], workload.labels(plan["images"])[order]
    moments: dict[str, float] = {}
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda _epoch, _logs: moments.update(begun=time.perf_counter()),
        on_epoch_end=lambda _epoch, _logs: moments.update(ended=time.perf_counter()),
    )

    def run() -> dict[str, Any]:
        _reset(start)
        history = model.fit(x, y, batch_size=workload.batch, shuffle=False, verbose=0, callbacks=[clock])
        return {"seconds": moments["ended"] - moments["begun"], "check": history.history["loss"][-1]}

    model.fit(x[: workload.batch], y[: workload.batch], batch_size=workload.batch, verbose=0)
    return run


def _latency(workload: Workload, plan: dict[str, Any]) -> Repetition:
    model = _load(workload)
    return timed(one_by_one(workload, plan["images"], lambda pixels: model.predict(workload.scaled(pixels), verbose=0)))


def _throughput(workload: Workload, plan: dict[str, Any]) -> Repetition:
    model = _load(workload)
    pixels = workload.pixels(plan["images"])

    def work() -> float:
        return float(model.predict(workload.scaled(pixels), batch_size=workload.batch, verbose=0).max(axis=1).mean())

    model.predict(workload.scaled(pixels[: workload.batch]), batch_size=workload.batch, verbose=0)
    return timed(work)


def _start(workload: Workload, plan: dict[str, Any]) -> Repetition:
    def run() -> dict[str, Any]:
        image = _decoder(workload)(str(workload.files(plan["images"])[0]))
        return {"seconds": 0.0, "check": float(_load(workload).predict(image[None], verbose=0).max())}

    return run


if __name__ == "__main__":
    main()
