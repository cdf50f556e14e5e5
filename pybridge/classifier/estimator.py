"""The image classifier: transfer learning in Node behind the conventions of scikit-learn and Keras."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from pybridge.classifier.inputs import (
    Images,
    class_values,
    labelled,
    part,
    unlabelled,
    weights_by_name,
)
from pybridge.classifier.job import new_record, prepare_run, train
from pybridge.classifier.judging import measure
from pybridge.classifier.trained import Judged, Trained, without_head
from pybridge.data import Augmentation, ImageSet, Preprocessing
from pybridge.features import FeatureExtractor, parse_memory
from pybridge.graphs import Program
from pybridge.loading import BaseModel, Source, resolve
from pybridge.node import Node
from pybridge.progress import download_progress
from pybridge.runtime import Runtime
from pybridge.session import Session
from pybridge.tfjs.cuts import choose_cut, fixed_layers
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.callbacks import Callback
from pybridge.training.head import POOLING_LAYER, append_classifier, append_pooling
from pybridge.training.history import History
from pybridge.training.loop import FitSettings
from pybridge.training.rate_finder import RateCurve, RateSearch
from pybridge.training.run_directory import RunDirectory, RunRecord
from pybridge.training.trainer import AUTO, TrainerSettings
from pybridge.training.transfer import Transfer, classifier_programs, find_rate

logger = logging.getLogger(__name__)

# What belongs to a running process; neither copied nor saved.
_PROCESS = ("_own_session",)


# Said elsewhere in the record, or not part of the model.
_NOT_SETTINGS = ("allow_lambda", "base", "feature_memory", "input_shape", "node", "preprocessing")


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of photos that trains in Node.js on top of a pre-trained base model.

    Args:
        base: A name of `pybridge zoo`; the address or path of a TF.js ``model.json``, a Teachable Machine export among them; a
            Keras model, or its ``.keras`` or ``.h5`` file; ``keras.applications.NAME``; a SavedModel's folder; an ``.onnx`` file;
            a ``torch.nn.Module``, which needs ``input_shape``. TF.js graph models and SavedModels must be liftable into layers.
        epochs: Epochs at most.
        batch_size: Images in a training step.
        learning_rate: Of the head; `fine_tune` has its own.
        optimizer: ``adam``, ``adamw``, ``rmsprop`` or ``sgd`` (with momentum 0.9).
        weight_decay: Decoupled weight decay of kernels.
        dropout: Share of features that is dropped in training.
        hidden_units: Units of a ReLU layer before the probabilities; 0 for none.
        label_smoothing: Share of the target that is spread over all classes.
        class_weight: None, ``"balanced"``, or a dict from label (or, for folders, class number) to weight.
        patience: Epochs without improvement of ``monitor`` before training stops; None to train all epochs.
        monitor: What the best weights are judged by: ``val_loss``, ``val_accuracy``, ``loss`` or ``accuracy``. By default
            `fit` takes ``val_loss``, and `fine_tune` ``val_accuracy``: a fine-tuned network is right more often even where
            it has become too sure of itself, which the loss punishes (docs/defaults.md).
        augment: False, True, a number of views, a dict or an `Augmentation`: cropped and mirrored views of the training
            images, whose features are computed once too.
        preprocessing: Overrides what is known of the base model.
        schedule: How the learning rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``; `fine_tune` has its own.
        warmup_epochs: Epochs, or parts of one, over which the rate rises to its value.
        global_clipnorm: Gradients that are longer, all of them together, are shortened to this; None for none.
        mixup: Trains on mixtures of two examples; both parameters of the beta distribution of their shares, 0 for none.
        engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs, several times as fast.
            ``layers``: TensorFlow.js's own gradients and optimizers. ``auto``: ``compiled`` where it can train the model,
            else ``layers``, which is logged; ``history_.engine`` names the one in use.
        feature_memory: How much memory cached activations may take, in bytes or as ``"2GB"``; more of them lie in a file in
            pybridge's cache while training runs. Default: half of what is free.
        skip_unreadable: Leave out images that cannot be decoded instead of raising.
        input_shape: Of one image as a torch module takes it, ``(3, height, width)``.
        allow_lambda: Run the Python code of Lambda layers in the base's Keras file.
        seed: Makes weights the same bit for bit on one machine; None draws one, which the run records.
        node: A `Node` to work in; by default the classifier starts its own when it first needs one.

    Example:
        >>> clf = ImageClassifier(base="efficientnet_lite0", seed=0)
        >>> history = clf.fit("photos/", validation_split=0.2)
        >>> clf.predict(["new.jpg"])
    """

    def __init__(
        self,
        base: Source = "efficientnet_lite0",
        *,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        dropout: float = 0.2,
        hidden_units: int = 0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        patience: int | None = 10,
        monitor: str | None = None,
        augment: Any = False,
        preprocessing: Preprocessing | None = None,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        global_clipnorm: float | None = None,
        mixup: float = 0.0,
        engine: str = AUTO,
        feature_memory: int | str | None = None,
        skip_unreadable: bool = False,
        input_shape: tuple[int, ...] | None = None,
        allow_lambda: bool = False,
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
        self.schedule = schedule
        self.warmup_epochs = warmup_epochs
        self.global_clipnorm = global_clipnorm
        self.mixup = mixup
        self.engine = engine
        self.feature_memory = feature_memory
        self.skip_unreadable = skip_unreadable
        self.input_shape = input_shape
        self.allow_lambda = allow_lambda
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
            x: A folder with one folder of images for each class; or a list of N files, or uint8 images of shape (N, H, W, 3).
            y: Labels of shape (N,), ints or strings, where ``x`` holds files or images.
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
        run = prepare_run(run_dir, resume)
        if run is not None and run.is_finished():
            return self._take(Trained.read(run))
        seed = self._choose_seed(run)
        with self._session().tensorflow():
            transfer, base, classes = self._head_transfer(x, y, seed, validation_split, validation_data)
            origin = {"name": base.name, **base.origin}
            settings = self._settings(classes, transfer.training.class_names)
            record = new_record(transfer, origin, settings, classes.dtype.kind, self.runtime())
            return self._train(transfer, record, History(), callbacks, run)

    def find_learning_rate(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        lowest: float = 1e-6,
        highest: float = 10.0,
        steps: int = 100,
    ) -> RateCurve:
        """Tries learning rates for the head: one training step with each, from low to high, until the loss explodes.

        The classifier stays as it is; give the rate that you choose to a new one. Seconds, where the features are extracted.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            lowest: The first rate.
            highest: The last.
            steps: How many rates.

        Returns:
            ``suggestion``, ``rates``, ``losses`` and ``smoothed``; a notebook shows a picture, ``write_html`` writes one.

        Raises:
            DataError: The images or labels cannot be used.
            ModelFormatError: The base model cannot be used.

        Example:
            >>> curve = ImageClassifier(seed=0).find_learning_rate("photos/")
            >>> ImageClassifier(seed=0, learning_rate=curve.suggestion).fit("photos/")
        """
        seed = self._choose_seed(None)
        search = RateSearch(lowest, highest, steps, self.batch_size, seed, self.mixup)
        with self._session().tensorflow():
            transfer, _, _ = self._head_transfer(x, y, seed, 0, None)
            return find_rate(transfer, self._session(), search)

    def fine_tune(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        unfreeze: int | float | str = 0.3,
        epochs: int = 10,
        learning_rate: float = 3e-4,
        schedule: str = "cosine",
        warmup_epochs: float = 1.0,
        validation_split: float = 0.2,
        validation_data: Any = None,
        callbacks: Sequence[Callback] = (),
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Goes on training, at a lower rate, with the last layers of the base unfrozen.

        Batch normalization in the base keeps its statistics. What stays frozen runs once for each image. Layers that the base
        marks as not trainable stay as they are, which is logged.

        Args:
            x: As in `fit`; the classes must be those of the classifier. With the same seed the same images are kept to
                judge by.
            y: As in `fit`.
            unfreeze: How much of the base trains: a number of layers with weights (20), a share of them (0.3), the name of
                the last frozen layer, or ``"all"``.
            epochs: Epochs at most.
            learning_rate: Much lower than the head's, so that what the base knows is not lost.
            schedule: How the rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``.
            warmup_epochs: Epochs, or parts of one, over which the rate rises to its value.
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
        trained = self._fitted()
        run = prepare_run(run_dir, resume)
        if run is not None and run.is_finished():
            return self._take(Trained.read(run))
        images = labelled(x, y, self.class_names_)
        training, validation = part(images, validation_split, validation_data, self.seed_)
        cut = choose_cut(without_head(trained.model), unfreeze)
        _tell_of_fixed_layers(trained.model, cut)
        transfer = Transfer(
            model=trained.model,
            cut=cut,
            preprocessing=self.preprocessing_,
            training=training,
            validation=validation,
            fit=replace(
                self._fit_settings(self.seed_, epochs, learning_rate),
                schedule=schedule,
                warmup_epochs=warmup_epochs,
                monitor=self.monitor or ("val_accuracy" if validation is not None else None),
                keep_start=True,
            ),
            trainer=self._trainer_settings(self.seed_, learning_rate),
            engine=self.engine,
            augmentation=Augmentation.parse(self.augment),
            class_weight=weights_by_name(self.class_weight, self.classes_, self.class_names_),
            skip_unreadable=self.skip_unreadable,
        )
        settings = self._settings(self.classes_, self.class_names_)
        record = new_record(transfer, trained.record.base, settings, self.classes_.dtype.kind, self.runtime())
        record.data["fine_tuning"] = {
            "unfreeze": unfreeze,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warmup_epochs": warmup_epochs,
        }
        with self._session().tensorflow():
            return self._train(transfer, record, self.history_, callbacks, run)

    def predict_proba(self, x: Images) -> NDArray[np.float32]:
        """The probability of each class: float32 of shape (N, classes), in the order of ``classes_``.

        Args:
            x: Image files, a folder of images, or uint8 images of shape (N, H, W, 3).

        Raises:
            DataError: An image cannot be decoded.
        """
        self._fitted()
        return self.extractor().compute(self.programs(), unlabelled(x, self.class_names_))

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
            x: A folder with one folder of images for each class; or files, or uint8 images.
            y: Labels, where ``x`` holds files or images.

        Returns:
            ``accuracy``, ``loss``, ``balanced_accuracy``, ``macro_f1``, ``images``, ``per_class`` (precision, recall, f1 and
            support by class) and ``confusion`` (true by predicted).
        """
        self._fitted()
        images = labelled(x, y, self.class_names_)
        return measure(images, self.extractor().compute(self.programs(), images))

    def save(self, path: str | Path) -> None:
        """Writes a run directory, whose ``model/`` is a TF.js layers model.

        Args:
            path: A folder that does not exist yet, or is empty.

        Raises:
            BridgeError: The folder holds something.
        """
        trained = self._fitted()
        run = RunDirectory(path)
        run.check_vacant()
        finished = replace(trained, record=replace(trained.record, status="finished"))
        finished.write(run)

    @classmethod
    def load(cls, path: str | Path, *, node: Node | None = None) -> ImageClassifier:
        """Reads what `save` or a training with ``run_dir`` wrote. An unfinished run gives its best weights so far.

        Args:
            path: The run directory.
            node: A `Node` to work in.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        trained = Trained.read(RunDirectory(path))
        record = trained.record
        known = cls().get_params()
        settings = {name: value for name, value in record.settings.items() if name in known}
        if "base" not in settings:
            settings |= {"base": without_head(trained.model), "preprocessing": record.preprocessing}
        if record.base.get("preprocessing") == "given":
            settings["preprocessing"] = record.preprocessing
        classifier = cls(**{**settings, "node": node})
        classifier._take(trained)
        return classifier

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, in the order of the probabilities."""
        return self._fitted().classes

    @property
    def class_names_(self) -> tuple[str, ...]:
        """The names of the classes, as the run records them."""
        return self._fitted().record.class_names

    @property
    def history_(self) -> History:
        """The finished epochs."""
        return self._fitted().record.history

    @property
    def metrics_(self) -> dict[str, float]:
        """Accuracy, loss, balanced accuracy and macro F1 on the images that training was judged by."""
        return self._fitted().record.metrics

    @property
    def seed_(self) -> int:
        """The seed in use, drawn if none was given."""
        return self._fitted().record.seed

    @property
    def preprocessing_(self) -> Preprocessing:
        """What turns images into the model's input."""
        return self._fitted().record.preprocessing

    @property
    def cut_(self) -> str | None:
        """The last frozen layer; None where every layer trained."""
        return self._fitted().record.cut

    @property
    def judged_(self) -> Judged | None:
        """What the training was judged by; None for a run that was loaded."""
        return self._fitted().judged

    def record_parity(self, parity: dict[str, Any], run_dir: str | Path) -> None:
        """Adds a comparison of runtimes to the run that a training just wrote, and to its report.

        Args:
            parity: As `ParityReport.to_dict` gives it.
            run_dir: The run.
        """
        self._trained = self._fitted().write_with_parity(RunDirectory(run_dir), parity)

    def close(self) -> None:
        """Ends the Node.js process, if the classifier started one. It starts a new one when it needs it."""
        session: Session | None = self.__dict__.pop("_own_session", None)
        if session is not None:
            session.close()

    def __enter__(self) -> ImageClassifier:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in _PROCESS}

    def __sklearn_is_fitted__(self) -> bool:
        return "_trained" in self.__dict__

    def _head_transfer(
        self, x: Images, y: ArrayLike | None, seed: int, validation_split: float, validation_data: Any
    ) -> tuple[Transfer, BaseModel, NDArray[Any]]:
        """The training of a new head on the frozen base; the base; and the classes as the user knows them."""
        images = labelled(x, y)
        training, validation = part(images, validation_split, validation_data, seed)
        with download_progress() as report:
            base = resolve(
                self.base,
                preprocessing=self.preprocessing,
                input_shape=self.input_shape,
                allow_lambda=self.allow_lambda,
                progress=report,
            )
        features, session = append_pooling(base.model), self._session()
        session.start_for([base.preprocessing, features])
        channels = session.programs([base.preprocessing, features])[-1].output_shape[0]
        classes = class_values(y, images)
        transfer = Transfer(
            model=append_classifier(
                features,
                channels,
                len(images.class_names),
                dropout=self.dropout,
                hidden_units=self.hidden_units,
                seed=seed,
            ),
            cut=POOLING_LAYER,
            preprocessing=base.preprocessing,
            training=training,
            validation=validation,
            fit=self._fit_settings(seed, self.epochs, self.learning_rate),
            trainer=self._trainer_settings(seed, self.learning_rate),
            engine=self.engine,
            augmentation=Augmentation.parse(self.augment),
            class_weight=weights_by_name(self.class_weight, classes, images.class_names),
            skip_unreadable=self.skip_unreadable,
        )
        return transfer, base, classes

    def _train(
        self,
        transfer: Transfer,
        record: RunRecord,
        before: History,
        callbacks: Sequence[Callback],
        run: RunDirectory | None,
    ) -> History:
        trained, interrupted = train(
            transfer,
            record,
            before,
            session=self._session(),
            run=run,
            callbacks=callbacks,
        )
        history = self._take(trained)
        if interrupted:
            raise KeyboardInterrupt
        return history

    def _take(self, trained: Trained) -> History:
        self._trained = trained
        self.__dict__.pop("_stages", None)
        return trained.record.history

    def _fitted(self) -> Trained:
        trained: Trained | None = self.__dict__.get("_trained")
        if trained is None:
            raise NotFittedError("This ImageClassifier is not trained yet: call fit() or ImageClassifier.load() first.")
        return trained

    def _settings(self, classes: NDArray[Any], class_names: tuple[str, ...]) -> dict[str, Any]:
        settings = {name: value for name, value in self.get_params().items() if name not in _NOT_SETTINGS}
        augmentation = Augmentation.parse(self.augment)
        settings["augment"] = augmentation.to_dict() if augmentation else False
        if isinstance(self.class_weight, dict):
            by_name = weights_by_name(self.class_weight, classes, class_names)
            settings["class_weight"] = {name: float(weight) for name, weight in by_name.items()}
        if isinstance(self.base, str | Path):
            settings["base"] = str(self.base)
        return settings

    def _fit_settings(self, seed: int, epochs: int, learning_rate: float) -> FitSettings:
        return FitSettings(
            epochs,
            self.batch_size,
            learning_rate,
            seed,
            self.patience,
            self.monitor,
            schedule=self.schedule,
            warmup_epochs=self.warmup_epochs,
            mixup=self.mixup,
        )

    def _trainer_settings(self, seed: int, learning_rate: float) -> TrainerSettings:
        return TrainerSettings(
            optimizer=self.optimizer,
            learning_rate=learning_rate,
            momentum=0.9 if self.optimizer == "sgd" else 0.0,
            weight_decay=self.weight_decay,
            global_clipnorm=self.global_clipnorm,
            label_smoothing=self.label_smoothing,
            mixup=self.mixup > 0,
            seed=seed,
            hold_batch_normalization=True,
        )

    def trainer_settings(self) -> TrainerSettings:
        """Optimizer, loss and learning rate of the last training."""
        tuned = self._fitted().record.data.get("fine_tuning")
        return self._trainer_settings(self.seed_, tuned["learning_rate"] if tuned else self.learning_rate)

    def _choose_seed(self, run: RunDirectory | None) -> int:
        if run is not None and run.exists():
            return run.read()[0].seed
        if self.seed is not None:
            return int(self.seed)
        return secrets.randbelow(2**31)

    def runtime(self) -> Runtime:
        """The Node.js side that the classifier works with; set up if need be."""
        return self._session().runtime

    def layers_model(self) -> LayersModel:
        """The trained model, from preprocessed images to probabilities."""
        return self._fitted().model

    def activations(self, images: ImageSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What Node computes for images: the activations where the frozen part ends, and the probabilities."""
        stages, extractor = self.programs(), self.extractor()
        return extractor.compute(stages[:-1], images, description="Features"), extractor.compute(stages, images)

    def _session(self) -> Session:
        """In the given Node.js process, or in one of its own."""
        session: Session | None = self.__dict__.get("_own_session")
        if session is None or not (session.owns_runner if self.node is None else session.runner is self.node.runner):
            self.close()
            session = self._own_session = Session(None if self.node is None else self.node.runner)
        session.extractor.memory.budget = parse_memory(self.feature_memory)
        return session

    def extractor(self) -> FeatureExtractor:
        """What runs programs over images in the classifier's Node.js process."""
        extractor: FeatureExtractor = self._session().extractor
        return extractor

    def programs(self) -> list[Program]:
        """The programs from images to probabilities: preprocessing, frozen part (if any), trained part."""
        if "_stages" not in self.__dict__:
            trained = self._fitted()
            self._stages = classifier_programs(trained.model, trained.record.cut, trained.record.preprocessing, self._session())
        return self._stages


def _tell_of_fixed_layers(model: LayersModel, cut: str | None) -> None:
    fixed = fixed_layers(model, cut)
    if not fixed:
        return
    logger.warning(
        "%d of the unfrozen layers are marked as not trainable and stay as they are: %s%s. If you froze them, unfreeze them "
        "where the model comes from (layer.trainable = True) and train anew.",
        len(fixed),
        ", ".join(fixed[:5]),
        ", ..." if len(fixed) > 5 else "",
    )
