"""What an optimizer is to pybridge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Rule = Callable[[Any, Sequence[Any]], tuple[Any, list[Any]]]
"""From a weight's gradient and slots to what is subtracted from the weight, and its next slots; all are tensors."""


class Optimizer:
    """An optimizer as Keras and TensorFlow.js write it into a compiled model. Its file bears its name.

    Attributes:
        keras: Its class in ``keras.optimizers``.
        tfjs: Its classes in TF.js's training configurations (a name in TF.js may cover a part of what Keras has under one),
            and for each what its options, in snake case, are called in Keras.
    """

    keras: ClassVar[str]
    tfjs: ClassVar[Mapping[str, Mapping[str, str]]]

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Its class in TF.js, and the options there beside the learning rate.

        Args:
            options: As Keras writes them. Those that all optimizers of Keras share are checked already.

        Raises:
            ValueError: TF.js lacks the optimizer or computes it otherwise.
        """
        del options
        raise ValueError(f"TF.js has no optimizer {self.keras}")


@dataclass(frozen=True)
class StepInputs:
    """What a step's update is computed from beside gradients and slots.

    Attributes:
        rate: The learning rate of the step, a float32 scalar.
        number: Which step it is, from 1: an int32 scalar.
        momentum: A float32 scalar; None where the training has none.
        nesterov: Whether the momentum is Nesterov's.
    """

    rate: Any
    number: Any
    momentum: Any = None
    nesterov: bool = False


class TrainingOptimizer(Optimizer, ABC):
    """An optimizer that trains in Node, in both engines.

    Attributes:
        name: Its file's name, by which users choose it.
        algorithm: Whose steps it makes: its own name, or that of another optimizer of which it differs in defaults alone.
            ``node_runner/engines/optimizers`` has a file for each algorithm.
        weight_decay: The decoupled decay in use where none is asked for.
        takes_momentum: Whether the option ``momentum`` means something to it.
        classifier_momentum: The momentum with which `ImageClassifier` uses it.
    """

    name: ClassVar[str]
    algorithm: ClassVar[str]
    weight_decay: ClassVar[float] = 0.0
    takes_momentum: ClassVar[bool] = False
    classifier_momentum: ClassVar[float] = 0.0

    @abstractmethod
    def slots(self, *, momentum: bool) -> int:
        """How many tensors of each weight's shape it remembers from step to step; they begin as zeros.

        Args:
            momentum: Whether the training has one.
        """

    @abstractmethod
    def rule(self, step: StepInputs) -> Rule:
        """The update of a step, in TensorFlow; it is called in the TensorFlow process only.

        Args:
            step: The tensors that all weights share.
        """
