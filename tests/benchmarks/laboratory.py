"""Where the benchmarks train in Node: features once for each data set, then any number of heads and ends of the base."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import Parts, Pictures

from pybridge.data import Augmentation
from pybridge.loading import resolve
from pybridge.session import Session
from pybridge.tfjs.cuts import choose_cut
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.engines import create_trainer
from pybridge.training.head import POOLING_LAYER, append_classifier, append_pooling
from pybridge.training.loop import fit
from pybridge.training.option_descriptions import described
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples
from pybridge.training.transfer import frozen_programs, trainable_part

# What every setting of a search starts from: the defaults of the first release.
HEAD: dict[str, Any] = {
    "epochs": 30,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "optimizer": "adam",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "dropout": 0.2,
    "hidden_units": 0,
    "label_smoothing": 0.0,
    "patience": 5,
    "monitor": None,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "mixup": 0.0,
    "views": 1,
    "keep_start": False,
}
FINE_TUNING: dict[str, Any] = {**HEAD, "epochs": 10, "learning_rate": 1e-5, "unfreeze": 0.3, "keep_start": True}


@dataclass
class Laboratory:
    """A session, and what was extracted in it."""

    session: Session
    base_name: str
    cache: Path
    engine: str = "compiled"
    stores: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = resolve(self.base_name)
        self.base = base.model
        self.pooled = append_pooling(base.model)
        self.preprocessing = base.preprocessing
        self.extractor = self.session.extractor
        stages = self.session.programs([base.preprocessing, self.pooled])
        self.channels: int = stages[-1].output_shape[0]

    def features(self, pictures: Pictures, views: int) -> int:
        """A store of all pooled features of a data set, in so many views."""
        key = (pictures.name, "head", views)
        if key in self.stores:
            return self.stores[key]
        file = self.cache / f"{short_name(self.base_name)}-{pictures.name}-{views}.npy"
        if file.exists():
            values = np.load(file)
        else:
            stages = self.session.programs([self.preprocessing, self.pooled])
            store, _ = self.extractor.extract(stages, pictures.images, augmentation=_augmentation(views))
            values = self.extractor.read(store, np.arange(len(pictures.images) * views, dtype=np.int32))
            self.extractor.release(store)
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, values)
        self.stores[key] = self.session.runner.call("features.put", {"values": values})
        return self.stores[key]

    def activations(self, pictures: Pictures, cut: str | None) -> tuple[int, Sequence[int]]:
        """A store of what a data set's pictures give at a cut, and the shape of one row. Only the last one is kept."""
        key = (pictures.name, "cut", cut)
        stages = frozen_programs(self.pooled, cut, self.preprocessing, self.session)
        if key not in self.stores:
            for other in [each for each in self.stores if each[1] == "cut"]:
                self.extractor.release(self.stores.pop(other))
            self.stores[key], _ = self.extractor.extract(stages, pictures.images)
        return self.stores[key], stages[-1].output_shape

    def train(
        self, model: LayersModel, examples: Sequence[Examples], settings: dict[str, Any], seed: int
    ) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
        """Trains a model on rows of a store (to train on, to stop by, to judge by); gives what came of it, and the weights."""
        training, judged, test = examples
        given = {name: value for name, value in settings.items() if name in described(TrainingOptions)}
        momentum = settings["momentum"] if settings["optimizer"] == "sgd" else 0.0
        options = TrainingOptions(**{**given, "momentum": momentum, "seed": seed})
        trainer = create_trainer(self.engine, self.session.runner, model, options)
        try:
            begun = time.perf_counter()
            result = fit(trainer, training, judged, options)
            seconds = time.perf_counter() - begun
            measured, probabilities = trainer.evaluate(test, batch_size=256)
            wanted = test.targets[test.used]
            loss = -np.log(np.clip(probabilities[np.arange(len(wanted)), wanted], 1e-7, 1)).mean()
            outcome = {
                "accuracy": measured["accuracy"],
                "loss": float(loss),
                "val_accuracy": result.history.best.get("val_accuracy"),
                "epochs": len(result.history),
                "best_epoch": result.history.best_epoch,
                "seconds": round(seconds, 3),
            }
            return outcome, trainer.weights()
        finally:
            trainer.dispose()

    def head(self, pictures: Pictures, parts: Parts, settings: dict[str, Any], seed: int) -> tuple[dict[str, Any], LayersModel]:
        """Trains a head; gives what came of it, and the whole classifier."""
        classes = len(pictures.images.class_names)
        model = append_classifier(
            self.pooled, self.channels, classes, dropout=settings["dropout"], hidden_units=settings["hidden_units"], seed=seed
        )
        tail = trainable_part(model, POOLING_LAYER, (self.channels,))
        plain, views = self.features(pictures, 1), settings["views"]
        examples = [
            _examples(self.features(pictures, views), pictures, parts.training, views),
            *(_examples(plain, pictures, each) for each in (parts.validation, parts.test)),
        ]
        outcome, weights = self.train(tail, examples, settings, seed)
        return outcome, LayersModel(model.topology, {**model.weights, **weights})

    def fine_tuning(
        self, pictures: Pictures, parts: Parts, model: LayersModel, settings: dict[str, Any], seed: int
    ) -> tuple[dict[str, Any], LayersModel]:
        """Goes on with a classifier and the end of its base; gives what came of it, and the classifier."""
        cut = choose_cut(self.base, settings["unfreeze"])
        store, shape = self.activations(pictures, cut)
        examples = [_examples(store, pictures, each) for each in (parts.training, parts.validation, parts.test)]
        outcome, weights = self.train(trainable_part(model, cut, shape), examples, settings, seed)
        return outcome, LayersModel(model.topology, {**model.weights, **weights})


def short_name(base: str) -> str:
    """What a base is called in tables and file names: a zoo name, or the folder of a ``model.json``."""
    return Path(base).parent.name if base.endswith(".json") else base


def _augmentation(views: int) -> Augmentation | None:
    return Augmentation(views=views) if views > 1 else None


def _examples(store: int, pictures: Pictures, order: NDArray[np.int64], views: int = 1) -> Examples:
    return Examples(store, pictures.images.labels.astype(np.int32), views=views, order=order.astype(np.int32))
