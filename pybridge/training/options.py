"""The options of a training, once: names, types, defaults, what they mean, what they may be, and their command-line flags.

`Node.train`, `ImageClassifier` and the verbs that train take them one by one; behind these doors they travel as one object.
Light to import, as the command line needs it for ``--help``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pybridge.optimizers import OptimizerName, TrainingOptimizer, training_optimizer
from pybridge.text import listed
from pybridge.training.option_descriptions import About, Flag, described, number, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["compiled", "layers"]
"""What trains: a graph that Python's Keras traces, or TensorFlow.js's own gradients and optimizers."""

Engine = Literal["auto", "compiled", "layers"]
"""What ``engine`` may be; ``auto`` asks for the first engine that can train the model."""

Loss = Literal[
    "binary_crossentropy",
    "categorical_crossentropy",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
]
"""Losses by their names in Keras."""

Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]
"""Metrics that weights can be judged by."""

Schedule = Literal["constant", "cosine", "one_cycle"]
"""How the learning rate goes over the epochs; see `rate_factors`."""

Head = Literal["auto", "fitted", "epochs"]
"""How the head of a classifier comes to be; ``auto`` is ``fitted`` where nothing is asked for that only epochs can do."""

Preset = Literal["fast", "balanced", "best"]
"""How much is tried for a more accurate classifier; see `ImageClassifier`."""

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None
"""How much classes count in the loss: all alike, as if all were as common, or each as a mapping says."""

ENGINES: tuple[EngineName, ...] = get_args(EngineName)

_NOT_FITTED = ("hidden_units", "mixup", "augment")
# Whoever gives one of these another value than the default wants epochs.
_OF_EPOCHS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "weight_decay",
    "dropout",
    "label_smoothing",
    "patience",
    "monitor",
    "schedule",
    "warmup_epochs",
    "global_clipnorm",
    *_NOT_FITTED,
)

_SHARE = number(lambda value: 0 <= value < 1, "be in [0, 1)")
_NOT_NEGATIVE = number(lambda value: 0 <= value < math.inf, "be finite and not negative")
_POSITIVE = number(lambda value: 0 < value < math.inf, "be positive and finite")


def epoch_count(text: str) -> int | None:
    """Epochs from the command line, where 0 stands for all of them."""
    return max(int(text), 0) or None


def seconds(text: str) -> float:
    """A time from the command line: seconds, or minutes or hours as in ``90``, ``90s``, ``15m``, ``1.5h``."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    return float(text) if unit is None else float(text[:-1]) * unit


def view_count(text: str) -> int | bool:
    """Views from the command line; 0 is no augmentation."""
    return int(text) or False


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a model trains; every engine understands the same options. The defaults are those of `Node.train`.

    Raises:
        ValueError: An option is what it may not be; the message has its value.

    Example:
        >>> TrainingOptions(optimizer="sgd", momentum=0.9, epochs=5).schedule
        'constant'
    """

    epochs: Annotated[int, About("Epochs at most.", whole(0), Flag("N"))] = 1
    batch_size: Annotated[int, About("Examples in a training step.", whole(1), Flag("N"))] = 32
    loss: Annotated[Loss, About("A Keras loss name.")] = "sparse_categorical_crossentropy"
    optimizer: Annotated[
        OptimizerName, About("``adam``, ``sgd`` or another of `pybridge.optimizers`.", None, Flag(help="what makes the steps"))
    ] = "adam"
    learning_rate: Annotated[float, About("Of the first epoch.", _POSITIVE, Flag("X", "the learning rate"))] = 1e-3
    momentum: Annotated[float, About("For ``sgd``.", _SHARE)] = 0.0
    nesterov: Annotated[bool, About("Whether the momentum is Nesterov's.")] = False
    weight_decay: Annotated[float, About("Decoupled weight decay of kernels.", _NOT_NEGATIVE, Flag("X"))] = 0.0
    global_clipnorm: Annotated[
        float | None,
        About(
            "Gradients that are longer, all of them together, are shortened to this; None for none.",
            number(lambda value: value > 0, "be positive or None"),
            Flag("X", "gradients that are longer, all of them together, are shortened to this (default none)"),
        ),
    ] = None
    label_smoothing: Annotated[
        float, About("Share of the target that is spread over all classes; for targets that are classes.", _SHARE, Flag("X"))
    ] = 0.0
    mixup: Annotated[
        float,
        About(
            "Trains on mixtures of two examples; both parameters of the beta distribution of their shares, 0 for none.",
            _NOT_NEGATIVE,
            Flag("X", "train on mixtures of two examples; 0.1 to 0.4 is usual, 0 is none"),
        ),
    ] = 0.0
    schedule: Annotated[
        Schedule,
        About(
            "How the learning rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``.",
            None,
            Flag(help="how the learning rate goes over the epochs"),
        ),
    ] = "constant"
    warmup_epochs: Annotated[
        float, About("Epochs, or parts of one, over which the rate rises to its value.", _NOT_NEGATIVE, Flag("N"))
    ] = 0.0
    patience: Annotated[
        int | None,
        About(
            "Epochs without improvement of ``monitor`` before training stops; None to train all epochs.",
            whole(0),
            Flag("N", "epochs without improvement before training stops; 0 trains all", epoch_count),
        ),
    ] = None
    monitor: Annotated[
        Monitor | None,
        About(
            "What the best weights are judged by: ``val_loss``, ``val_accuracy``, ``loss`` or ``accuracy``. By default "
            "``val_loss``, or ``loss`` without validation data.",
            None,
            Flag(help="what the best weights are judged by (default val_loss)"),
        ),
    ] = None
    engine: Annotated[
        Engine,
        About(
            "``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs, several times as fast. "
            "``layers``: TensorFlow.js's own gradients and optimizers. ``auto``: ``compiled`` where it can train the model, "
            "else ``layers``, which is logged; ``history.engine`` names the one in use.",
            None,
            Flag(help="compiled: a graph that Python's Keras traces; layers: TensorFlow.js alone; auto: the former where it can"),
        ),
    ] = "auto"
    seed: Annotated[int, About("Of the order of the examples and of dropout.", whole(0))] = 0
    keep_start: Annotated[
        bool, About("Whether the weights before the first epoch compete too, so that training cannot make the model worse.")
    ] = False
    hold_batch_normalization: Annotated[
        bool, About("Whether batch normalization stays in inference mode while its layer trains.")
    ] = True

    def __post_init__(self) -> None:
        for name, each in described(type(self)).items():
            each.check(name, getattr(self, name))
        if self.nesterov and not (self.chosen_optimizer.takes_momentum and self.momentum):
            raise ValueError(
                f"nesterov needs the optimizer sgd with a momentum, not {self.optimizer} with a momentum of {self.momentum!r}"
            )

    @property
    def chosen_optimizer(self) -> TrainingOptimizer:
        """What ``optimizer`` names."""
        return training_optimizer(self.optimizer)

    @property
    def decay(self) -> float:
        """The weight decay in use."""
        return self.weight_decay or self.chosen_optimizer.weight_decay

    @property
    def graph_seed(self) -> int:
        """The seed as a graph takes it, which is int32."""
        return self.seed % 2**31

    @property
    def numbers(self) -> NDArray[np.float32]:
        """Momentum, weight decay, clip norm (0 for none) and label smoothing: float32 of shape (4,)."""
        import numpy as np

        return np.array([self.momentum, self.decay, self.global_clipnorm or 0.0, self.label_smoothing], np.float32)


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(TrainingOptions):
    """How `ImageClassifier.fit` trains, with its defaults."""

    # A run without an epoch would be the base with a head of chance.
    epochs: Annotated[int, About("Epochs at most.", whole(1), Flag("N"))] = 100
    learning_rate: Annotated[float, About("Of the head; `fine_tune` has its own.", _POSITIVE, Flag("X", "the learning rate"))] = (
        3e-3
    )
    optimizer: Annotated[
        OptimizerName,
        About(
            "``adam``, ``sgd`` (with momentum 0.9) or another of `pybridge.optimizers`.", None, Flag(help="what makes the steps")
        ),
    ] = "adam"
    schedule: Annotated[
        Schedule,
        About(
            "How the learning rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``; `fine_tune` has its own.",
            None,
            Flag(help="how the learning rate goes over the epochs"),
        ),
    ] = "constant"
    patience: int | None = 10
    monitor: Annotated[
        Monitor | None,
        About(
            "What the best weights are judged by: ``val_loss``, ``val_accuracy``, ``loss`` or ``accuracy``. By default `fit` "
            "takes ``val_loss``, and `fine_tune` ``val_accuracy``: a fine-tuned network is right more often even where it has "
            "become too sure of itself, which the loss punishes (docs/defaults.md).",
            None,
            Flag(help="what the best weights are judged by (default val_loss)"),
        ),
    ] = None
    head: Annotated[
        Head,
        About(
            "``fitted``: a penalised softmax regression, or a shrunken discriminant analysis, fitted to all images; what is "
            "fitted, and how strongly it is penalised, is chosen by cross-validation. ``epochs``: gradient steps on the training "
            "part, stopped by the validation part. ``auto``: ``fitted``, unless an option is given that concerns epochs (their "
            "number, rates, an optimizer, dropout, a hidden layer, mixup, augmentation, the engine ``layers``, ...).",
            None,
            Flag(
                help="fitted: by cross-validation, on all photos; epochs: by gradient steps, on what is not kept to judge by; "
                "auto: fitted, unless an option concerns epochs"
            ),
        ),
    ] = "auto"
    preset: Annotated[
        Preset,
        About(
            "How much is tried. ``fast``: the head. ``balanced``: also fine-tuning, which is kept where it is better on images "
            "kept to judge by; the base trains on the others alone. ``best``: also the other bases of the zoo that are on this "
            "machine, and longer fine-tuning. With the latter two ``epochs`` are those of fine-tuning.",
            None,
            Flag(
                help="fast: the head; balanced: also fine-tuning, kept where it is better on photos kept to judge by; best: also "
                "the other bases on this machine, and longer fine-tuning"
            ),
        ),
    ] = "fast"
    time_limit: Annotated[
        float | None,
        About(
            "Seconds that the presets beyond ``fast`` may take: what does not fit in is left out, which is said. None for as "
            "long as it takes.",
            number(lambda value: value > 0, "be positive or None"),
            Flag("TIME", "for the presets beyond fast: seconds, or as 15m or 2h; what does not fit in is left out", seconds),
        ),
    ] = None
    dropout: Annotated[float, About("Share of features that is dropped in training.", _SHARE, Flag("X"))] = 0.2
    hidden_units: Annotated[int, About("Units of a ReLU layer before the probabilities; 0 for none.", whole(0), Flag("N"))] = 0
    class_weight: Annotated[
        Any,
        About(
            'None, ``"balanced"``, or a dict from label (or, for folders, class number) to weight.',
            None,
            Flag(help="let rare classes weigh as much as common ones", name="balanced", const="balanced"),
        ),
    ] = None
    augment: Annotated[
        Any,
        About(
            "False, True, a number of views, a dict or an `Augmentation`: cropped and mirrored views of the training images, "
            "whose features are computed once too.",
            None,
            Flag("VIEWS", "views of each photo: itself, and crops of it", view_count),
        ),
    ] = False
    feature_memory: Annotated[
        int | str | None,
        About(
            'How much memory cached activations may take, in bytes or as ``"2GB"``; more of them lie in a file in pybridge\'s '
            "cache while training runs. Default: half of what is free.",
            None,
            Flag(
                "SIZE",
                "memory for cached activations, such as 2GB; more of them lie in a file (default half of what is free)",
                str,
            ),
        ),
    ] = None
    skip_unreadable: Annotated[
        bool,
        About(
            "Leave out images that cannot be decoded instead of raising.",
            None,
            Flag(help="leave out images that cannot be decoded"),
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head == "fitted" and (asked := [name for name in _NOT_FITTED if getattr(self, name)]):
            raise ValueError(f"head='fitted' is a softmax layer on the images' features; for {listed(asked)} take head='epochs'")

    @property
    def fits_head(self) -> bool:
        """Whether the head is fitted rather than trained in epochs."""
        if self.head != "auto":
            return self.head == "fitted"
        known = described(ClassifierOptions)
        untouched = all(getattr(self, name) == known[name].default for name in _OF_EPOCHS if name != "augment")
        return self.engine != "layers" and untouched and not self.augment


@dataclass(frozen=True, kw_only=True)
class FineTuningOptions(ClassifierOptions):
    """How `ImageClassifier.fine_tune` trains, with its defaults; what it does not ask for is as `fit` had it."""

    epochs: int = 10
    learning_rate: Annotated[
        float,
        About("Much lower than the head's, so that what the base knows is not lost.", _POSITIVE, Flag("X", "the learning rate")),
    ] = 3e-4
    schedule: Annotated[
        Schedule,
        About(
            "How the rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``.",
            None,
            Flag(help="how the learning rate goes over the epochs"),
        ),
    ] = "cosine"
    warmup_epochs: float = 1.0
    keep_start: bool = True
