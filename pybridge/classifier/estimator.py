"""The image classifier: transfer learning in Node behind the conventions of scikit-learn and Keras."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from pybridge.classifier.comparison import fair_beginning
from pybridge.classifier.evaluation import Evaluation
from pybridge.classifier.head_training import Given, best_head, load_base, train_head
from pybridge.classifier.inputs import Images, labelled, training_images, unlabelled
from pybridge.classifier.occupation import alone_in_run
from pybridge.classifier.presets import PLANS, Budget, Deadline, bases_at_hand
from pybridge.classifier.settings import options_of, recorded
from pybridge.classifier.trained import TrainedClassifier, TrainingResult
from pybridge.classifier.training_run import choose_seed, new_record, prepare_run, train
from pybridge.classifier.transfers import new_head, unfrozen_end, without_head
from pybridge.data import Labelling, Preprocessing
from pybridge.features import parse_memory
from pybridge.loading import Source
from pybridge.node import Node
from pybridge.optimizers import OptimizerName
from pybridge.session import Session
from pybridge.training.callbacks import Callback
from pybridge.training.history import History
from pybridge.training.options import ClassifierOptions, Engine, FineTuningOptions, Head, Monitor, Preset, Schedule
from pybridge.training.rate_finder import RateCurve, RateSearch
from pybridge.training.run_directory import RunDirectory
from pybridge.training.transfer import find_rate

logger = logging.getLogger(__name__)

# What belongs to a running process; neither copied nor saved.
_PROCESS = ("_own_session", "_trained")


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of photos that trains in Node.js on top of a pre-trained base model.

    Args:
        base: A name of `pybridge zoo`; the address or path of a TF.js ``model.json``, a Teachable Machine export among them; a
            Keras model, or its ``.keras`` or ``.h5`` file; ``keras.applications.NAME``; a SavedModel's folder; an ``.onnx`` file;
            a ``torch.nn.Module``, which needs ``input_shape``. TF.js graph models and SavedModels must be liftable into layers.
        epochs: Epochs at most.
        batch_size: Examples in a training step.
        learning_rate: Of the head; `fine_tune` has its own.
        optimizer: ``adam``, ``sgd`` (with momentum 0.9) or another of `pybridge.optimizers`.
        weight_decay: Decoupled weight decay of kernels.
        preset: How much is tried. ``fast``: the head. ``balanced``: also fine-tuning, which is kept where it is better on images
            kept to judge by; the base trains on the others alone. ``best``: also the other bases of the zoo that are on this
            machine, and longer fine-tuning. With the latter two ``epochs`` are those of fine-tuning.
        time_limit: Seconds that the presets beyond ``fast`` may take: what does not fit in is left out, which is said. None for
            as long as it takes.
        head: ``fitted``: a penalised softmax regression, or a shrunken discriminant analysis, fitted to all images; what is
            fitted, and how strongly it is penalised, is chosen by cross-validation. ``epochs``: gradient steps on the training
            part, stopped by the validation part. ``auto``: ``fitted``, unless an option is given that concerns epochs (their
            number, rates, an optimizer, dropout, a hidden layer, mixup, augmentation, the engine ``layers``, ...).
        dropout: Share of features that is dropped in training.
        hidden_units: Units of a ReLU layer before the probabilities; 0 for none.
        label_smoothing: Share of the target that is spread over all classes; for targets that are classes.
        class_weight: None, ``"balanced"``, or a dict from label (or, for folders, class number) to weight.
        patience: Epochs without improvement of ``monitor`` before training stops; None to train all epochs.
        monitor: What the best weights are judged by: ``val_loss``, ``val_accuracy``, ``loss`` or ``accuracy``. By default
            `fit` takes ``val_loss``, and `fine_tune` ``val_accuracy``: a fine-tuned network is right more often even where it
            has become too sure of itself, which the loss punishes (docs/defaults.md).
        augment: False, True, a number of views, a dict or an `Augmentation`: cropped and mirrored views of the training
            images, whose features are computed once too.
        preprocessing: Overrides what is known of the base model.
        schedule: How the learning rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``; `fine_tune` has its
            own.
        warmup_epochs: Epochs, or parts of one, over which the rate rises to its value.
        global_clipnorm: Gradients that are longer, all of them together, are shortened to this; None for none.
        mixup: Trains on mixtures of two examples; both parameters of the beta distribution of their shares, 0 for none.
        engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs, several times as fast.
            ``layers``: TensorFlow.js's own gradients and optimizers. ``auto``: ``compiled`` where it can train the model,
            else ``layers``, which is logged; ``history.engine`` names the one in use.
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
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0.0,
        preset: Preset = "fast",
        time_limit: float | None = None,
        head: Head = "auto",
        dropout: float = 0.2,
        hidden_units: int = 0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        patience: int | None = 10,
        monitor: Monitor | None = None,
        augment: Any = False,
        preprocessing: Preprocessing | None = None,
        schedule: Schedule = "constant",
        warmup_epochs: float = 0.0,
        global_clipnorm: float | None = None,
        mixup: float = 0.0,
        engine: Engine = "auto",
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
        self.preset = preset
        self.time_limit = time_limit
        self.head = head
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

    @alone_in_run
    def fit(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        labels: Any = None,
        label_from_name: str | None = None,
        validation_split: float | None = None,
        validation_data: Any = None,
        callbacks: Sequence[Callback] = (),
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Trains a new head on the frozen base model.

        Args:
            x: A folder with one folder of images for each class, or a zip file of one; in a folder of parts (``train``, ``val``,
                ``test``) each is used as what it is. Or a list of N files; or uint8 images of shape (N, H, W, 3), or Pillow's.
            y: Labels of shape (N,), ints or strings, where ``x`` holds files or images.
            labels: A table of files and labels instead of class folders: a CSV file, or a data frame of pandas.
            label_from_name: A regular expression instead, whose first group is the label in a file's name.
            validation_split: Share of the images, by class, that is kept to judge by; 0 to train on all. By default a head that
                is fitted keeps none, since each image is judged by a fold that had not seen it; a head that is trained in
                epochs keeps 0.2.
            validation_data: A folder, or ``(x, y)``, to judge by instead.
            callbacks: As in Keras; see `pybridge.callbacks`.
            run_dir: A folder that becomes the run's directory and holds all that is known after each epoch.
            resume: Go on with the unfinished run in ``run_dir``; if it is finished, it is only loaded.

        Returns:
            The metrics of each epoch, or of each step of the search for the best head; ``val_`` are then those of what the
            folds had not seen.

        Raises:
            DataError: The images or labels cannot be used.
            ModelFormatError: The base model cannot be used.
        """
        run = prepare_run(run_dir, resume)
        if run is not None and run.is_finished():
            return self._keep(TrainingResult.read(run))
        seed = choose_seed(self.seed, run)
        parameters, session = self.get_params(), self.session
        plan = PLANS.get(self.preset, PLANS["fast"])
        if plan.epochs and not isinstance(x, str | os.PathLike) and not hasattr(x, "__array__"):
            x = list(x)  # it is gone through twice
        given = Given(x, y, Labelling(labels, label_from_name), validation_split, validation_data)
        if not plan.epochs:
            return self._keep(train_head(given, parameters, seed, session, run, callbacks))
        budget = Budget(self.time_limit)
        bases = bases_at_hand(self.base) if plan.bases else [self.base]
        usual = ClassifierOptions.epochs
        best, seconds = best_head(bases, given, {**parameters, "epochs": usual}, seed, session, budget, callbacks)
        wanted = plan.epochs if self.epochs == usual else self.epochs
        epochs = budget.epochs(wanted, seconds)
        if epochs < wanted:
            logger.warning("In the time that is left %s of %d epochs of fine-tuning fit.", epochs or "none", wanted)
        if not epochs:
            if run is not None:
                best.write(run)
            return self._keep(best)
        self._result = best
        return self.fine_tune(
            x,
            y,
            unfreeze=plan.unfreeze,
            epochs=epochs,
            labels=labels,
            label_from_name=label_from_name,
            validation_data=validation_data,
            validation_split=validation_split or 0.2,
            callbacks=[Deadline(budget), *callbacks],
            run_dir=run_dir,
            resume=resume,
        )

    def find_learning_rate(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        labels: Any = None,
        label_from_name: str | None = None,
        lowest: float = 1e-6,
        highest: float = 10.0,
        steps: int = 100,
    ) -> RateCurve:
        """Tries learning rates for the head: one training step with each, from low to high, until the loss explodes.

        The classifier stays as it is; give the rate that you choose to a new one. Seconds, where the features are extracted.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            labels: As in `fit`.
            label_from_name: As in `fit`.
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
        seed = choose_seed(self.seed)
        options = options_of(self.get_params(), seed)
        search = RateSearch(lowest, highest, steps, options.batch_size, seed, options.mixup)
        labelling = Labelling(labels, label_from_name)
        images = training_images(
            x, y, split=0, validation=None, seed=seed, labelling=labelling, skip_unreadable=self.skip_unreadable
        )
        session = self.session
        with session.tensorflow():
            transfer = new_head(load_base(self.get_params()), images, options, session)
            return find_rate(transfer, session, search)

    @alone_in_run
    def fine_tune(
        self,
        x: Images,
        y: ArrayLike | None = None,
        *,
        unfreeze: int | float | str = 0.3,
        epochs: int = 10,
        learning_rate: float = 3e-4,
        schedule: Schedule = "cosine",
        warmup_epochs: float = 1.0,
        labels: Any = None,
        label_from_name: str | None = None,
        validation_split: float = 0.2,
        validation_data: Any = None,
        callbacks: Sequence[Callback] = (),
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Goes on training, at a lower rate, with the last layers of the base unfrozen.

        A head that was fitted to all images is fitted once more to those that are not kept to judge by, so that the comparison
        of before and after is fair: ``comparison`` in the run's record has it. Fine-tuning begins with a more strongly penalised
        head, which leaves the base something to learn. Where it is no better, the classifier stays what it was.

        Batch normalization in the base keeps its statistics. What stays frozen runs once for each image. Layers that the base
        marks as not trainable stay as they are, which is logged.

        Args:
            x: As in `fit`; the classes must be those of the classifier. With the same seed the same images are kept to
                judge by.
            y: As in `fit`.
            labels: As in `fit`.
            label_from_name: As in `fit`.
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
        known = self._fitted()
        run = prepare_run(run_dir, resume)
        if run is not None and run.is_finished():
            return self._keep(TrainingResult.read(run))
        tuning = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warmup_epochs": warmup_epochs,
        }
        parameters = self.get_params()
        options = options_of({**parameters, **tuning}, self.seed_, FineTuningOptions)
        images = training_images(
            x,
            y,
            split=validation_split,
            validation=validation_data,
            seed=self.seed_,
            classes=self.classes_,
            class_names=self.class_names_,
            labelling=Labelling(labels, label_from_name),
            skip_unreadable=self.skip_unreadable,
        )
        session = self.session
        transfer = unfrozen_end(known.model, self.preprocessing_, unfreeze, images, options)
        with session.tensorflow():
            beginning = fair_beginning(known, transfer, session)
        if beginning is not None:
            transfer = replace(transfer, model=beginning.model)
        record = new_record(
            transfer,
            known.record.base,
            recorded(parameters, images.classes, images.class_names),
            images.classes.dtype.kind,
            session.runtime,
            fine_tuning={"unfreeze": unfreeze, **tuning},
        )
        with session.tensorflow():
            result = train(transfer, record, session, run, before=self.history_, beginning=beginning, callbacks=callbacks)
            return self._keep(result)

    def predict_proba(self, x: Images) -> NDArray[np.float32]:
        """The probability of each class: float32 of shape (N, classes), in the order of ``classes_``.

        Args:
            x: Image files, a folder of images, uint8 images of shape (N, H, W, 3), or Pillow's pictures; an array of shape
                (H, W, 3) is one image.

        Raises:
            DataError: An image cannot be decoded.
        """
        return self.trained_.probabilities(unlabelled(x, self.class_names_))

    def predict(self, x: Images) -> NDArray[Any]:
        """The most probable class of each image, as an element of ``classes_``.

        Args:
            x: As in `predict_proba`.
        """
        best = self.predict_proba(x).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[best]
        return chosen

    def evaluate(
        self, x: Images, y: ArrayLike | None = None, *, labels: Any = None, label_from_name: str | None = None
    ) -> dict[str, Any]:
        """How good the classifier is on labelled images.

        Args:
            x: A folder with one folder of images for each class; or files, or uint8 images. Of a folder of parts (``train``,
                ``val``, ``test``) the test part is taken, else the one to judge by.
            y: Labels, where ``x`` holds files or images.
            labels: As in `fit`.
            label_from_name: As in `fit`.

        Returns:
            ``accuracy``, ``loss``, ``balanced_accuracy``, ``macro_f1``, ``images``, ``per_class`` (precision, recall, f1 and
            support by class) and ``confusion`` (true by predicted).
        """
        images = labelled(x, y, self.class_names_, labelling=Labelling(labels, label_from_name))
        return Evaluation(images, self.trained_.probabilities(images)).metrics()

    def save(self, path: str | Path) -> None:
        """Writes a run directory, whose ``model/`` is a TF.js layers model.

        Args:
            path: A folder that does not exist yet, or is empty.

        Raises:
            BridgeError: The folder holds something.
        """
        result = self._fitted()
        run = RunDirectory(path)
        run.check_vacant()
        replace(result, record=replace(result.record, status="finished")).write(run)

    @classmethod
    def load(cls, path: str | Path, *, node: Node | None = None) -> ImageClassifier:
        """Reads what `save` or a training with ``run_dir`` wrote. An unfinished run gives its best weights so far.

        Args:
            path: The run directory.
            node: A `Node` to work in.

        Raises:
            ModelFormatError: There is no run, or its files were altered.
        """
        result = TrainingResult.read(RunDirectory(path))
        record = result.record
        known = cls().get_params()
        settings = {name: value for name, value in record.settings.items() if name in known}
        if "base" not in settings:
            settings |= {"base": without_head(result.model), "preprocessing": record.preprocessing}
        if record.base.get("preprocessing") == "given":
            settings["preprocessing"] = record.preprocessing
        classifier = cls(**{**settings, "node": node})
        classifier._result = result
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
    def session(self) -> Session:
        """The processes in which the classifier works: those of ``node``, or its own until `close`."""
        session: Session | None = self.__dict__.get("_own_session")
        if session is None or not (session.owns_runner if self.node is None else session.runner is self.node.runner):
            self.close()
            session = self._own_session = Session(None if self.node is None else self.node.runner)
        session.extractor.memory.budget = parse_memory(self.feature_memory)
        return session

    @property
    def trained_(self) -> TrainedClassifier:
        """The trained classifier at work in this classifier's session: what parity and deployment build on."""
        result, session = self._fitted(), self.session
        trained: TrainedClassifier | None = self.__dict__.get("_trained")
        if trained is None or trained.result is not result or trained.session is not session:
            trained = self._trained = TrainedClassifier(result, session)
        return trained

    def close(self) -> None:
        """Ends the Node.js process, if the classifier started one. It starts a new one when it needs it."""
        session: Session | None = self.__dict__.get("_own_session")
        for name in _PROCESS:
            self.__dict__.pop(name, None)
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
        return "_result" in self.__dict__

    def _keep(self, result: TrainingResult) -> History:
        self._result = result
        if result.record.status == "interrupted":
            raise KeyboardInterrupt
        return result.record.history

    def _fitted(self) -> TrainingResult:
        result: TrainingResult | None = self.__dict__.get("_result")
        if result is None:
            raise NotFittedError("This ImageClassifier is not trained yet: call fit() or ImageClassifier.load() first.")
        return result
