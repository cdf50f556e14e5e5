"""Optimizers: each file knows one of them, for training, for its slots, and as Keras and TensorFlow.js write it down.

To add one, add its file here, its file in ``node_runner/engines/optimizers``, and its name to `OptimizerName`.
"""

from typing import Literal, get_args

from pybridge.optimizers.optimizer import Optimizer, Rule, StepInputs, TrainingOptimizer
from pybridge.optimizers.registry import keras_options, training_optimizer, written_for_tfjs

OptimizerName = Literal["adam", "adamw", "rmsprop", "sgd"]
"""What a training's ``optimizer`` may be; a type checker cannot look into the folder."""

OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)

__all__ = [
    "OPTIMIZERS",
    "Optimizer",
    "OptimizerName",
    "Rule",
    "StepInputs",
    "TrainingOptimizer",
    "keras_options",
    "training_optimizer",
    "written_for_tfjs",
]
