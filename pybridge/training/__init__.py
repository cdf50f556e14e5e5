"""Training in Node: features of the frozen part, trainers, the epoch loop, callbacks, checkpoints and run directories."""

from pybridge.training.engines import create_trainer
from pybridge.training.history import History
from pybridge.training.loop import FitSettings, fit
from pybridge.training.trainer import Examples, Trainer, TrainerSettings

__all__ = ["Examples", "FitSettings", "History", "Trainer", "TrainerSettings", "create_trainer", "fit"]
