"""The image classifier: transfer learning in Node behind the conventions of scikit-learn and Keras."""

from __future__ import annotations

import json
import logging
import platform
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

import pybridge
from pybridge.classifier.inputs import (
    Images,
    class_values,
    labelled,
    parse_class_values,
    part,
    unlabelled,
    weights_by_name,
)
from pybridge.classifier.judging import measure, report_data
from pybridge.data import Augmentation, ImageSet, Preprocessing
from pybridge.errors import DataError
from pybridge.models.base_model import resolve
from pybridge.models.cuts import choose_cut
from pybridge.models.layers_model import LayersModel
from pybridge.models.topology import layer_names, truncate
from pybridge.node import Node
from pybridge.programs import Program, TensorFlowProcess, programs_for
from pybridge.report import ReportData, render
from pybridge.runtime import Runtime, ensure
from pybridge.training.callbacks import Callback
from pybridge.training.checkpoint import read_checkpoint, write_checkpoint
from pybridge.training.features import FeatureExtractor
from pybridge.training.head import POOLING_LAYER, append_classifier, append_pooling
from pybridge.training.history import History
from pybridge.training.loop import FitSettings, FitState
from pybridge.training.run_directory import RunDirectory, RunRecord
from pybridge.training.trainer import TrainerSettings
from pybridge.training.transfer import Transfer, TransferResult, classifier_programs, frozen_programs, run_transfer

logger = logging.getLogger(__name__)

# What belongs to a running process; neither copied nor saved.
_PROCESS = ("_own_node", "_own_extractor")


@dataclass(frozen=True)
class _State:
    """What a training changes in a classifier."""

    model: LayersModel
    cut: str | None
    history: History
    metrics: dict[str, float]
    report: str | None


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of photos that trains in Node.js on top of a pre-trained base model.

    Args:
        base: A name of `pybridge zoo`, the address or path of a TF.js layers ``model.json``, or a Teachable Machine export.
        epochs: Epochs at most.
        batch_size: Images in a training step.
        learning_rate: Of the head; `fine_tune` has its own.
        optimizer: ``adam``, ``rmsprop`` or ``sgd`` (with momentum 0.9).
        weight_decay: Decoupled weight decay of kernels.
        dropout: Share of features that is dropped in training.
        hidden_units: Units of a ReLU layer before the probabilities; 0 for none.
        label_smoothing: Share of the target that is spread over all classes.
        class_weight: None, ``"balanced"``, or a dict from label (or, for folders, class number) to weight.
        patience: Epochs without improvement of ``monitor`` before training stops; None to train all epochs.
        monitor: What the best weights are judged by: ``val_loss`` (the default), ``val_accuracy``, ``loss``, ``accuracy``.
        augment: False, True, a number of views, a dict or an `Augmentation`: cropped and mirrored views of the training
            images, whose features are computed once too.
        preprocessing: Overrides what is known of the base model.
        engine: ``layers``: TensorFlow.js's own gradients and optimizers.
        skip_unreadable: Leave out images that cannot be decoded instead of raising.
        seed: Makes weights the same bit for bit on one machine; None draws one, which the run records.
        node: A `Node` to work in; by default the classifier starts its own when it first needs one.

    Attributes:
        classes_: The classes, in the order of the probabilities.
        class_names_: Their names, as the run records them.
        history_: The finished epochs.
        metrics_: Loss and accuracy on the validation images.

    Example:
        >>> clf = ImageClassifier(base="efficientnet_lite0", seed=0)
        >>> history = clf.fit("photos/", validation_split=0.2)
        >>> clf.predict(["new.jpg"])
    """

    classes_: NDArray[Any]
    class_names_: tuple[str, ...]
    history_: History
    metrics_: dict[str, float]
    seed_: int
    preprocessing_: Preprocessing
    _base: dict[str, Any]
    _data: dict[str, Any]
    _versions: dict[str, str]
    _model: LayersModel
    _cut: str | None
    _epochs_before: int
    _report: str | None
    _report_data: ReportData
    _judged: ImageSet

    def __init__(
        self,
        base: str | Path | LayersModel = "efficientnet_lite0",
        *,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        dropout: float = 0.2,
        hidden_units: int = 0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        patience: int | None = 5,
        monitor: str | None = None,
        augment: Any = False,
        preprocessing: Preprocessing | None = None,
        engine: str = "layers",
        skip_unreadable: bool = False,
        seed: int | None = None,
        node: Node | None = None,
    ) -> None:
        self.base = base
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.hidden_units = hidden_units
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.patience = patience
        self.monitor = monitor
        self.augment = augment
        self.preprocessing = preprocessing
        self.engine = engine
        self.skip_unreadable = skip_unreadable
        self.seed = seed
        self.node = node

    def fit(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        validation_split: float = 0.2,
        validation_data: Any = None,
        callbacks: Sequence[Callback] = (),
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Trains a new head on the frozen base model.

        Args:
            x: A folder with one folder of images for each class, or uint8 images of shape (N, H, W, 3).
            y: Labels of shape (N,), ints or strings, where ``x`` holds images.
            validation_split: Share of the images, by class, that is kept to judge by; 0 to train on all.
            validation_data: A folder, or ``(x, y)``, to judge by instead.
            callbacks: As in Keras; see `pybridge.callbacks`.
            run_dir: A folder that becomes the run's directory and holds all that is known after each epoch.
            resume: Go on with the unfinished run in ``run_dir``; if it is finished, it is only loaded.

        Returns:
            The metrics of each epoch.

        Raises:
            DataError: The images or labels cannot be used.
            ModelFormatError: The base model cannot be used.
        """
        run = _prepare_run(run_dir, resume)
        seed = self._choose_seed(run)
        if run is not None and run.is_finished():
            self._adopt(run, *run.read())
            return self.history_
        images = labelled(x, y)
        training, validation = part(images, validation_split, validation_data, seed)
        base = resolve(self.base, preprocessing=self.preprocessing, progress=None)
        runtime = self.runtime()
        features = append_pooling(base.model)
        channels = programs_for([base.preprocessing, features], runtime)[-1].output_shape[0]
        model = append_classifier(
            features,
            channels,
            len(images.class_names),
            dropout=self.dropout,
            hidden_units=self.hidden_units,
            seed=seed,
        )
        classes = class_values(y, images)
        transfer = Transfer(
            model=model,
            cut=POOLING_LAYER,
            preprocessing=base.preprocessing,
            training=training,
            validation=validation,
            fit=FitSettings(self.epochs, self.batch_size, self.learning_rate, seed, self.patience, self.monitor),
            trainer=self._trainer_settings(seed, self.learning_rate),
            engine=self.engine,
            augmentation=Augmentation.parse(self.augment),
            class_weight=weights_by_name(self.class_weight, classes, images.class_names),
            skip_unreadable=self.skip_unreadable,
        )
        with self._unchanged_by_failure():
            self._base = {"name": base.name, **base.origin}
            self.classes_ = classes
            return self._run(transfer, History(), callbacks, run, runtime)

    def fine_tune(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        unfreeze: int | float | str = 0.3,
        epochs: int = 10,
        learning_rate: float = 1e-5,
        validation_split: float = 0.2,
        validation_data: Any = None,
        callbacks: Sequence[Callback] = (),
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Goes on training, at a lower rate, with the last layers of the base unfrozen.

        Batch normalization in the base keeps its statistics. What stays frozen runs once for each image.

        Args:
            x: As in `fit`; the classes must be those of the classifier. With the same seed the same images are kept to
                judge by.
            y: As in `fit`.
            unfreeze: How much of the base trains: a number of layers with weights (20), a share of them (0.3), the name of
                the last frozen layer, or ``"all"``.
            epochs: Epochs at most.
            learning_rate: Much lower than the head's, so that what the base knows is not lost.
            validation_split: As in `fit`.
            validation_data: As in `fit`.
            callbacks: As in `fit`.
            run_dir: A new folder for the fine-tuned run.
            resume: Go on with the unfinished run in ``run_dir``.

        Returns:
            The metrics of each epoch, those of the training before included.

        Raises:
            DataError: The images or labels cannot be used.
            ModelFormatError: There is no such layer.
        """
        model = self._fitted_model()
        run = _prepare_run(run_dir, resume)
        if run is not None and run.is_finished():
            self._adopt(run, *run.read())
            return self.history_
        images = labelled(x, y, self.class_names_)
        training, validation = part(images, validation_split, validation_data, self.seed_)
        base = _without_head(model)
        transfer = Transfer(
            model=model,
            cut=choose_cut(base, unfreeze),
            preprocessing=self.preprocessing_,
            training=training,
            validation=validation,
            fit=FitSettings(epochs, self.batch_size, learning_rate, self.seed_, self.patience, self.monitor, keep_start=True),
            trainer=self._trainer_settings(self.seed_, learning_rate),
            engine=self.engine,
            augmentation=Augmentation.parse(self.augment),
            class_weight=weights_by_name(self.class_weight, self.classes_, self.class_names_),
            skip_unreadable=self.skip_unreadable,
        )
        with self._unchanged_by_failure():
            return self._run(transfer, self.history_, callbacks, run, self.runtime())

    def predict_proba(self, x: Images) -> NDArray[np.float32]:
        """The probability of each class: float32 of shape (N, classes), in the order of ``classes_``.

        Args:
            x: Image files, a folder of images, or uint8 images of shape (N, H, W, 3).

        Raises:
            DataError: An image cannot be decoded.
        """
        self._fitted_model()
        return self._extractor().compute(self.programs(), unlabelled(x, self.class_names_))

    def predict(self, x: Images) -> NDArray[Any]:
        """The most probable class of each image, as an element of ``classes_``.

        Args:
            x: As in `predict_proba`.
        """
        best = self.predict_proba(x).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[best]
        return chosen

    def evaluate(self, x: Images, y: ArrayLike | None = None) -> dict[str, Any]:
        """How good the classifier is on labelled images.

        Args:
            x: A folder with one folder of images for each class, or uint8 images.
            y: Labels, where ``x`` holds images.

        Returns:
            ``accuracy``, ``loss``, ``balanced_accuracy``, ``macro_f1``, ``images``, ``per_class`` (precision, recall, f1 and
            support by class) and ``confusion`` (true by predicted).
        """
        self._fitted_model()
        images = labelled(x, y, self.class_names_)
        return measure(images, self._extractor().compute(self.programs(), images))

    def save(self, path: str | Path) -> None:
        """Writes a run directory, whose ``model/`` is a TF.js layers model.

        Args:
            path: A folder that does not exist yet, or is empty.

        Raises:
            BridgeError: The folder holds something.
        """
        model = self._fitted_model()
        run = RunDirectory(path)
        run.check_vacant()
        run.write(self._record("finished"), model, self._report)

    @classmethod
    def load(cls, path: str | Path, *, node: Node | None = None) -> ImageClassifier:
        """Reads what `save` or a training with ``run_dir`` wrote. An unfinished run gives its best weights so far.

        Args:
            path: The run directory.
            node: A `Node` to work in.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        run = RunDirectory(path)
        record, model = run.read()
        known = cls().get_params()
        settings = {name: value for name, value in record.settings.items() if name in known}
        if "base" not in settings:
            settings |= {"base": _without_head(model), "preprocessing": record.preprocessing}
        if record.base.get("preprocessing") == "given":
            settings["preprocessing"] = record.preprocessing
        classifier = cls(**{**settings, "node": node})
        classifier._adopt(run, record, model)
        return classifier

    @property
    def trained_here(self) -> bool:
        """Whether this object did the training itself, in this process, rather than load a run."""
        return hasattr(self, "_judged")

    def judged_images(self, limit: int) -> ImageSet:
        """Some of the images that the training just done was judged by, spread over all of them.

        Raises:
            NotFittedError: This classifier was loaded, not trained.
        """
        if not self.trained_here:
            raise NotFittedError("This ImageClassifier was not trained here: call fit() first.")
        count = min(limit, len(self._judged))
        return self._judged.take(np.linspace(0, len(self._judged) - 1, count).astype(np.int64))

    def record_parity(self, parity: dict[str, Any], run_dir: str | Path) -> None:
        """Adds a comparison of runtimes to the run that a training just wrote, and to its report.

        Args:
            parity: As `ParityReport.to_dict` gives it.
            run_dir: The run.
        """
        self._data = {**self._data, "parity": parity}
        self._report_data = replace(self._report_data, parity=parity)
        self._report = render(self._report_data)
        RunDirectory(run_dir).write(self._record("finished"), report=self._report)

    def close(self) -> None:
        """Ends the Node.js process, if the classifier started one. It starts a new one when it needs it."""
        own: Node | None = self.__dict__.get("_own_node")
        for name in _PROCESS:
            self.__dict__.pop(name, None)
        if own is not None:
            own.close()

    def __enter__(self) -> ImageClassifier:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in _PROCESS}

    def _run(
        self,
        transfer: Transfer,
        before: History,
        callbacks: Sequence[Callback],
        run: RunDirectory | None,
        runtime: Runtime,
    ) -> History:
        self.seed_ = transfer.fit.seed
        self.preprocessing_ = transfer.preprocessing
        self.class_names_ = transfer.training.class_names
        self._versions = _versions(runtime)
        self._data = _describe_data(transfer)
        checkpoint = None if run is None else _checkpoint(run, transfer)
        self._epochs_before = len(before)
        if run is not None:
            # Until the end the model on disk is that of the beginning; what was learned since is in the checkpoint.
            known = before.extended(checkpoint.history.rows, before.best_epoch) if checkpoint else before
            state = _State(transfer.model, transfer.cut, known, {}, None)
            run.write(self._record("training", state), transfer.model)
        stages = frozen_programs(transfer.model, transfer.cut, transfer.preprocessing, runtime)
        result = run_transfer(
            transfer,
            self._node().runner,
            self._extractor(),
            stages,
            callbacks=callbacks,
            resume=checkpoint,
            on_epoch=None if run is None else _saver(run, before),
        )
        measured = measure(result.validation, result.probabilities)
        history = before.extended(result.fit.history.rows, result.fit.history.best_epoch)
        metrics = {name: measured[name] for name in ("accuracy", "loss", "balanced_accuracy", "macro_f1")}
        self._judged = result.validation
        self._report_data = self._show(result, history, transfer, run)
        finished = _State(result.model, transfer.cut, history, metrics, render(self._report_data))
        self._take(finished)
        if run is not None:
            status = "interrupted" if result.fit.interrupted else "finished"
            run.write(self._record(status), finished.model, finished.report)
        if result.fit.interrupted:
            raise KeyboardInterrupt
        return history

    @contextmanager
    def _unchanged_by_failure(self) -> Iterator[None]:
        """Leaves the classifier as it was, where training ends without a model."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            if self.__dict__.get("_model") is before.get("_model"):
                process = {name: self.__dict__[name] for name in _PROCESS if name in self.__dict__}
                self.__dict__.clear()
                self.__dict__.update(before | process)
            raise

    def _take(self, state: _State) -> None:
        self._model = state.model
        self._cut = state.cut
        self.history_ = state.history
        self.metrics_ = state.metrics
        self._report = state.report
        self.__dict__.pop("_stages", None)

    def _adopt(self, run: RunDirectory, record: RunRecord, model: LayersModel) -> None:
        self.__dict__.pop("_judged", None)
        if record.status != "finished":
            logger.warning("%s is not finished: it has the best weights of %d epochs.", run.path, len(record.history))
        self.seed_ = record.seed
        self.preprocessing_ = record.preprocessing
        self.class_names_ = record.class_names
        self.classes_ = parse_class_values(record.class_names, record.data.get("label_dtype"))
        self._versions = record.versions
        self._data = record.data
        self._base = record.base
        self._epochs_before = record.epochs_before
        report = run.path / "report.html"
        text = report.read_text("utf-8") if report.exists() else None
        self._take(_State(model, record.cut, record.history, record.metrics, text))

    def _record(self, status: str, state: _State | None = None) -> RunRecord:
        shown = state or _State(self._model, self._cut, self.history_, self.metrics_, self._report)
        return RunRecord(
            status=status,
            base=self._base,
            class_names=self.class_names_,
            preprocessing=self.preprocessing_,
            cut=shown.cut,
            settings=self._settings(),
            seed=self.seed_,
            versions=self._versions,
            metrics=shown.metrics,
            data={**self._data, "label_dtype": self.classes_.dtype.kind},
            epochs_before=self._epochs_before,
            history=shown.history,
        )

    def _settings(self) -> dict[str, Any]:
        settings = {name: value for name, value in self.get_params().items() if name not in ("node", "preprocessing", "base")}
        augmentation = Augmentation.parse(self.augment)
        settings["augment"] = augmentation.to_dict() if augmentation else False
        if isinstance(self.class_weight, dict):
            by_name = weights_by_name(self.class_weight, self.classes_, self.class_names_)
            settings["class_weight"] = {name: float(weight) for name, weight in by_name.items()}
        if not isinstance(self.base, LayersModel):
            settings["base"] = str(self.base)
        return settings

    def _show(self, result: TransferResult, history: History, transfer: Transfer, run: RunDirectory | None) -> ReportData:
        judged = "validation" if transfer.validation is not None else "training"
        settings = {
            "base model": self._base["name"],
            "trained on": f"{len(transfer.training)} images",
            "judged on": f"{len(result.validation)} {judged} images",
            "frozen up to": transfer.cut or "nothing: every layer trained",
            **self._settings(),
            "learning_rate": transfer.fit.learning_rate,
            "epochs": transfer.fit.epochs,
            "seed": self.seed_,
        }
        title = run.path.name if run is not None else "Image classifier"
        return report_data(title, result.validation, result.probabilities, history, settings, self._versions)

    def _trainer_settings(self, seed: int, learning_rate: float) -> TrainerSettings:
        return TrainerSettings(
            optimizer=self.optimizer,
            learning_rate=learning_rate,
            momentum=0.9 if self.optimizer == "sgd" else 0.0,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            seed=seed,
            hold_batch_normalization=True,
        )

    def _choose_seed(self, run: RunDirectory | None) -> int:
        if run is not None and run.exists():
            return run.read()[0].seed
        if self.seed is not None:
            return int(self.seed)
        return secrets.randbelow(2**31)

    def _fitted_model(self) -> LayersModel:
        if not hasattr(self, "_model"):
            raise NotFittedError("This ImageClassifier is not trained yet: call fit() or ImageClassifier.load() first.")
        return self._model

    def runtime(self) -> Runtime:
        """The Node.js side that the classifier works with; set up if need be."""
        return ensure(report=logger.info)

    def activations(self, images: ImageSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What Node computes for images: the activations where the frozen part ends, and the probabilities."""
        stages, extractor = self.programs(), self._extractor()
        return extractor.compute(stages[:-1], images, description="Features"), extractor.compute(stages, images)

    def _node(self) -> Node:
        if self.node is not None:
            return self.node
        if "_own_node" not in self.__dict__:
            self._own_node = Node()
        return self._own_node

    def _extractor(self) -> FeatureExtractor:
        runner = self._node().runner
        extractor: FeatureExtractor | None = self.__dict__.get("_own_extractor")
        if extractor is None or extractor.runner is not runner:
            extractor = self._own_extractor = FeatureExtractor(runner)
        return extractor

    def programs(self, tensorflow: TensorFlowProcess | None = None) -> list[Program]:
        """The programs from images to probabilities: preprocessing, frozen part (if any), trained part.

        Args:
            tensorflow: A process that traces what is not in the cache; by default one is started where it is needed.
        """
        if "_stages" not in self.__dict__:
            self._stages = classifier_programs(self._fitted_model(), self._cut, self.preprocessing_, self.runtime(), tensorflow)
        return self._stages


def _prepare_run(path: str | Path | None, resume: bool) -> RunDirectory | None:
    if path is None:
        if resume:
            raise ValueError("resume=True needs run_dir, the run to go on with")
        return None
    run = RunDirectory(path)
    if not (resume and (run.exists() or run.is_beginning())):
        run.check_vacant()
    return run


def _checkpoint(run: RunDirectory, transfer: Transfer) -> FitState | None:
    state = read_checkpoint(run.checkpoints)
    if state is None:
        return None
    trained = run.read()[0].class_names
    if trained != transfer.training.class_names:
        raise DataError(
            f"{run.path} was trained on the classes {', '.join(trained)}, but these images have "
            f"{', '.join(transfer.training.class_names)}",
            hint="Go on with the images that it was trained on, or choose another folder for a new run.",
        )
    return state


def _without_head(model: LayersModel) -> LayersModel:
    names = layer_names(model)
    return truncate(model, names[names.index(POOLING_LAYER) - 1])


def _saver(run: RunDirectory, before: History) -> Callable[[FitState], None]:
    def save(state: FitState) -> None:
        write_checkpoint(run.checkpoints, state)
        run.write_history(before.extended(state.history.rows, None))

    return save


def _describe_data(transfer: Transfer) -> dict[str, Any]:
    names = transfer.training.class_names

    def counts(images: ImageSet | None) -> dict[str, int]:
        return {} if images is None else dict(zip(names, images.counts.tolist(), strict=True))

    return {"training": counts(transfer.training), "validation": counts(transfer.validation)}


def _versions(runtime: Runtime) -> dict[str, str]:
    package = runtime.node_modules / "@tensorflow" / "tfjs-node" / "package.json"
    return {
        "pybridge": pybridge.__version__,
        "tensorflow": runtime.tensorflow_version,
        "tensorflow.js": str(json.loads(package.read_text("utf-8"))["version"]),
        "node": runtime.node_version,
        "python": platform.python_version(),
    }
