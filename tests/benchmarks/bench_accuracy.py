"""Accuracy against Keras: ``python tests/benchmarks/bench_accuracy.py [--out accuracy.json]``.

The same base model (EfficientNet-Lite0, rebuilt in Keras), the same pixels, the same files to train on, to stop by and to
judge by, and the same settings train once in Node and once in plain Keras, with three seeds: a head on frozen features, and
then the last 30 % of the base. Initial weights, order and dropout are each one's own, as two trainings of Keras would differ.
Both compute the features of each picture once, and keep them on disk, so that all ends in minutes. A Markdown table is printed,
and written beside the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from laboratory import FINE_TUNING, HEAD, Laboratory  # noqa: E402
from pictures import Parts, Pictures, load, part  # noqa: E402

import pybridge as pb  # noqa: E402
from pybridge.data import ImageSet  # noqa: E402
from pybridge.loading import resolve  # noqa: E402
from pybridge.models import to_keras  # noqa: E402
from pybridge.runtime import ensure  # noqa: E402
from pybridge.session import Session  # noqa: E402
from pybridge.tfjs.cuts import choose_cut  # noqa: E402
from pybridge.tfjs.surgery import split  # noqa: E402
from pybridge.training.head import append_pooling  # noqa: E402

BASE = "efficientnet_lite0"
UNFREEZE = 0.3
TUNING = {"learning_rate": 3e-4, "schedule": "cosine", "warmup_epochs": 1.0}
SHARED_SETTINGS = ("epochs", "batch_size", "learning_rate", "optimizer", "dropout", "label_smoothing", "patience")
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """What both sides train with.

    Attributes:
        head: Settings of the head, by the names of `pybridge.ImageClassifier`.
        tuning_epochs: Epochs of fine-tuning.
    """

    head: dict[str, Any]
    tuning_epochs: int


@dataclass(frozen=True)
class Judgement:
    """Accuracy and cross-entropy on the test part, and the seconds of the training, those of cached features left out."""

    accuracy: float
    loss: float
    seconds: float = 0.0


class InKeras:
    """The Keras side: features and activations of all pictures, cached on disk, and training on them."""

    def __init__(self, cache: Path) -> None:
        base = resolve(BASE)
        cut = choose_cut(base.model, UNFREEZE)
        # What else a preprocessing may do is not written down below once more.
        assert (base.preprocessing.crop, base.preprocessing.crop_fraction) == ("stretch", 1.0)
        assert cut is not None
        self.preprocessing, self.base, self.cut = base.preprocessing, base.model, cut
        self._cache = cache

    def outputs(self, pictures: Pictures) -> tuple[Array, Array]:
        """What Keras computes for all pictures: the activations where the frozen part ends, and pooled features."""
        import keras

        files = [self._cache / f"keras-{BASE}-{pictures.name}-{part}.npy" for part in (self.cut, "pooled")]
        if not all(file.exists() for file in files):
            whole = to_keras(append_pooling(self.base))
            both = keras.Model(whole.inputs, [whole.get_layer(self.cut).output, whole.output])
            batches = [both.predict_on_batch(pixels) for pixels in self._pixels(pictures.images)]
            self._cache.mkdir(parents=True, exist_ok=True)
            for file, parts in zip(files, zip(*batches, strict=True), strict=True):
                np.save(file, np.concatenate(parts))
        activations, pooled = (np.load(file) for file in files)
        return activations, pooled

    def _pixels(self, images: ImageSet, batch_size: int = 64) -> Iterator[Array]:
        import tensorflow as tf

        size = (self.preprocessing.height, self.preprocessing.width)
        for start in range(0, len(images), batch_size):
            batch = []
            for image in images.images[start : start + batch_size]:
                decoded = (
                    image if images.is_array else tf.io.decode_image(tf.io.read_file(str(image)), 3, expand_animations=False)
                )
                batch.append(tf.image.resize(decoded, size, antialias=True).numpy())
            yield (np.stack(batch) - np.float32(self.preprocessing.mean)) / np.float32(self.preprocessing.std)

    def head(self, pictures: Pictures, parts: Parts, plan: Plan, seed: int) -> tuple[Judgement, Any]:
        """Trains a head; gives what the test says of it, and the head."""
        import keras

        x, classes = self.outputs(pictures)[1], len(pictures.images.class_names)
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dropout(plan.head["dropout"]), keras.layers.Dense(classes, activation="softmax")]
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), *layers])
        _fit_in_keras(model, x, pictures, parts, plan.head)
        return _judge_in_keras(model, x, pictures, parts), model

    def tuning(self, pictures: Pictures, parts: Parts, plan: Plan, seed: int, head: Any) -> Judgement:
        """Goes on with the end of the base; gives what the test says of it."""
        import keras

        x = self.outputs(pictures)[0]
        keras.utils.set_random_seed(seed)
        end = to_keras(split(append_pooling(self.base), self.cut, x.shape[1:])[1])

        class Classifier(keras.Model):  # type: ignore[misc]
            """Batch normalization keeps its statistics, as the Keras guide to fine-tuning has it.

            In a functional model Keras 3.15's ``fit`` overrides ``end(inputs, training=False)``, and the statistics move.
            """

            def __init__(self) -> None:
                super().__init__()
                self.end, self.head = end, head

            def call(self, inputs: Any, training: bool = False) -> Any:
                return self.head(self.end(inputs, training=False), training=training)

        model = Classifier()
        model(x[:1])
        settings = {**plan.head, **TUNING, "epochs": plan.tuning_epochs}
        _fit_in_keras(model, x, pictures, parts, settings)
        return _judge_in_keras(model, x, pictures, parts)


def _fit_in_keras(model: Any, x: Array, pictures: Pictures, parts: Parts, settings: dict[str, Any]) -> None:
    import keras

    classes = len(pictures.images.class_names)
    y = np.eye(classes, dtype=np.float32)[pictures.images.labels]
    steps, rate = -(-len(parts.training) // settings["batch_size"]), settings["learning_rate"]
    if settings["schedule"] == "cosine":
        warmup = round(settings["warmup_epochs"] * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            settings["epochs"] * steps - warmup,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"])
    model.compile(
        keras.optimizers.get({"class_name": settings["optimizer"], "config": {"learning_rate": rate}}),
        loss,
        steps_per_execution=8,
    )
    judged = x[parts.validation], y[parts.validation]
    patience = settings["patience"] or settings["epochs"]
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    model.fit(
        x[parts.training],
        y[parts.training],
        validation_data=judged,
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        callbacks=[stopping],
        verbose=0,
    )


def _judge_in_keras(model: Any, x: Array, pictures: Pictures, parts: Parts) -> Judgement:
    probabilities = model.predict(x[parts.test], batch_size=64, verbose=0)
    labels = pictures.images.labels[parts.test]
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1))
    return Judgement(float((probabilities.argmax(axis=1) == labels).mean()), float(losses.mean()))


def in_node(
    laboratory: Laboratory, pictures: Pictures, parts: Parts, plan: Plan, seed: int, *, tune: bool
) -> dict[str, Judgement]:
    """Trains in Node; gives a judgement for each stage."""
    outcome, model = laboratory.head(pictures, parts, {**HEAD, **plan.head}, seed)
    judged = {"head": _judgement(outcome)}
    if tune:
        settings = {**plan.head, **TUNING, "epochs": plan.tuning_epochs, "unfreeze": UNFREEZE}
        # As in Keras, the best of the epochs is kept, even if the beginning had a lower validation loss.
        settings["keep_start"] = False
        outcome, _ = laboratory.fine_tuning(pictures, parts, model, {**FINE_TUNING, **settings}, seed)
        judged["fine-tuning"] = _judgement(outcome)
    return judged


def _judgement(outcome: dict[str, Any]) -> Judgement:
    return Judgement(outcome["accuracy"], outcome["loss"], outcome["seconds"])


def in_keras(laboratory: InKeras, pictures: Pictures, parts: Parts, plan: Plan, seed: int, *, tune: bool) -> dict[str, Judgement]:
    """The same in Keras."""
    laboratory.outputs(pictures)
    begun = time.perf_counter()
    judgement, head = laboratory.head(pictures, parts, plan, seed)
    judged = {"head": replace(judgement, seconds=time.perf_counter() - begun)}
    if tune:
        begun = time.perf_counter()
        judgement = laboratory.tuning(pictures, parts, plan, seed, head)
        judged["fine-tuning"] = replace(judgement, seconds=time.perf_counter() - begun)
    return judged


def measure(
    data: Sequence[str],
    tuned: Sequence[str],
    seeds: Sequence[int],
    layers: Sequence[int],
    plan: Plan,
    cache: Path,
    *,
    tune_layers: bool,
) -> list[dict[str, Any]]:
    """All trainings: one row for each data set, seed, stage and trainer."""
    rows: list[dict[str, Any]] = []
    with Session() as session, session.tensorflow():
        keras = InKeras(cache)
        compiled = Laboratory(session, BASE, cache)
        portable = replace(compiled, engine="layers")
        for name in data:
            pictures, tune = load(name), name in tuned
            for seed in seeds:
                parts = part(pictures, seed)
                results = {"compiled": in_node(compiled, pictures, parts, plan, seed, tune=tune)}
                if seed in layers:
                    results["layers"] = in_node(portable, pictures, parts, plan, seed, tune=tune and tune_layers)
                results["keras"] = in_keras(keras, pictures, parts, plan, seed, tune=tune)
                for trainer, stages in results.items():
                    for stage, judged in stages.items():
                        rows.append({"data": name, "stage": stage, "seed": seed, "trainer": trainer, **asdict(judged)})
                        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each data set, stage and engine: means over the seeds, and the mean difference to Keras, seed by seed."""
    lines = []
    for data, stage, trainer in dict.fromkeys((row["data"], row["stage"], row["trainer"]) for row in rows):
        if trainer == "keras":
            continue

        def values(who: str, what: str, data: str = data, stage: str = stage) -> dict[int, float]:
            chosen = [row for row in rows if (row["data"], row["stage"], row["trainer"]) == (data, stage, who)]
            return {row["seed"]: row[what] for row in chosen}

        seeds = list(values(trainer, "accuracy"))
        line: dict[str, Any] = {"data": data, "stage": stage, "engine": trainer, "seeds": seeds}
        for what in ("accuracy", "loss"):
            ours, theirs = (np.array([values(who, what)[seed] for seed in seeds]) for who in (trainer, "keras"))
            error = np.std(ours - theirs, ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else None
            line[what] = {
                "pybridge": ours.tolist(),
                "keras": theirs.tolist(),
                "difference": float((ours - theirs).mean()),
                "standard_error": None if error is None else float(error),
            }
        lines.append(line)
    return lines


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """The summary as a table: test accuracy in per cent, and test loss."""
    table = [
        "| data set | what trains | engine | pybridge, seeds | Keras, seeds | pybridge | Keras | difference | in loss |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        accuracy = line["accuracy"]
        cells = [line["data"], line["stage"], line["engine"]]
        cells += [", ".join(f"{100 * value:.1f}" for value in accuracy[who]) for who in ("pybridge", "keras")]
        cells += [f"{100 * np.mean(accuracy[who]):.2f}" for who in ("pybridge", "keras")]
        cells += [_difference(accuracy, 100, 2), _difference(line["loss"], 1, 4)]
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table)


def _difference(values: dict[str, Any], factor: float, digits: int) -> str:
    error = values["standard_error"]
    mean = f"{factor * values['difference']:+.{digits}f}"
    return mean if error is None else f"{mean} ± {factor * error:.{digits}f}"


def main() -> None:
    """Measure, print and write."""
    defaults = pb.ImageClassifier().get_params()
    parser = argparse.ArgumentParser(description="Compare the accuracy of training in Node with that of Keras.")
    parser.add_argument("--data", nargs="+", default=["sign_digits", "trashnet"])
    parser.add_argument("--tune", nargs="*", default=["trashnet"], help="data sets on which the base is fine-tuned too")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--layers-seeds", nargs="*", type=int, default=[0], help="seeds for which the other engine trains too")
    parser.add_argument("--tune-layers", action="store_true", help="fine-tune with the other engine too, which is slow")
    parser.add_argument("--epochs", type=int, default=defaults["epochs"])
    parser.add_argument("--label-smoothing", type=float, default=defaults["label_smoothing"])
    parser.add_argument("--tuning-epochs", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("accuracy-features"), help="where Keras's features are kept")
    parser.add_argument("--out", type=Path, default=Path("accuracy.json"))
    options = parser.parse_args()
    settings = {name: defaults[name] for name in SHARED_SETTINGS} | {"schedule": "constant"}
    settings |= {"epochs": options.epochs, "label_smoothing": options.label_smoothing}
    plan = Plan(settings, options.tuning_epochs)
    rows = measure(
        options.data, options.tune, options.seeds, options.layers_seeds, plan, options.cache, tune_layers=options.tune_layers
    )
    lines = summarize(rows)
    versions = {"pybridge": pb.__version__, "tensorflow": ensure().tensorflow_version, "node": ensure().node_version}
    facts = {"base": BASE, "settings": settings, "unfreeze": UNFREEZE, "tuning": TUNING, "tuning_epochs": options.tuning_epochs}
    document = {**facts, "versions": versions, "summary": lines, "trainings": rows}
    options.out.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    options.out.with_suffix(".md").write_text(markdown(lines) + "\n", "utf-8")
    print(markdown(lines))


if __name__ == "__main__":
    main()
