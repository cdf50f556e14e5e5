"""Keras's own callbacks around the epoch loop: they run as they are, on a stand-in for a Keras model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pybridge.errors import BridgeError
from pybridge.training.callbacks import Callback, Logs, Loop, signed

SaveModel = Callable[[str, bool], None]
"""Writes the model as it is now to a file of Keras; the second argument says whether only its weights."""

_OWN_CALLBACK: Final = "Derive from pybridge.callbacks.Callback, whose self.loop has learning_rate, history and stop_training."
_SUPPORTED: Final = (
    *("EarlyStopping", "ReduceLROnPlateau", "LearningRateScheduler", "TerminateOnNaN"),
    *("ModelCheckpoint", "CSVLogger", "TensorBoard"),
)


def as_callbacks(callbacks: Sequence[Any], *, monitor: str, save: SaveModel | None = None) -> list[Callback]:
    """Callbacks of pybridge as they are, and those of Keras that make sense here in an adapter.

    Args:
        callbacks: Of `pybridge.callbacks`, or of Keras: EarlyStopping, ReduceLROnPlateau, LearningRateScheduler, TerminateOnNaN,
            ModelCheckpoint, CSVLogger and TensorBoard, as far as they work by the epoch.
        monitor: What the loop judges the best weights by.
        save: For ModelCheckpoint; None where there is no model that could be saved.

    Raises:
        BridgeError: One of them cannot work here; the message names it.
    """
    return [callback if isinstance(callback, Callback) else _adapted(callback, monitor, save) for callback in callbacks]


def _adapted(callback: Any, monitor: str, save: SaveModel | None) -> KerasCallback:
    kind = type(callback)
    name = kind.__name__
    if not any(base.__name__ == "Callback" and _is_keras(base) for base in kind.__mro__):
        raise BridgeError(f"{name} is no callback", hint=_OWN_CALLBACK)
    if not _is_keras(kind) or name not in _SUPPORTED:
        raise BridgeError(
            f"The Keras callback {name} cannot work here: training is not Keras's, and has no Keras model",
            hint=f"Of Keras's callbacks these work: {', '.join(_SUPPORTED)}. {_OWN_CALLBACK}",
        )
    refusal = _refused_setting(callback, name, monitor, save)
    if refusal:
        raise BridgeError(f"The Keras callback {name} cannot work here as it is: {refusal[0]}", hint=refusal[1])
    return KerasCallback(callback, save)


def _is_keras(kind: type) -> bool:
    return kind.__module__.split(".")[0] in {"keras", "tf_keras"}


def _refused_setting(callback: Any, name: str, monitor: str, save: SaveModel | None) -> tuple[str, str] | None:
    if name == "EarlyStopping" and callback.restore_best_weights and callback.monitor != monitor:
        return (
            f"the best weights are judged by {monitor}, not by {callback.monitor}",
            f"Train with monitor={callback.monitor!r}; the best weights are always restored.",
        )
    if name == "ModelCheckpoint":
        if save is None:
            return "the whole model is put together when training has ended", "A run directory keeps a checkpoint of each epoch."
        if callback.save_freq != "epoch":
            return "save_freq counts batches, and callbacks here are called after epochs", 'Use save_freq="epoch".'
    if name == "TensorBoard":
        if find_spec("tensorboard") is None:
            return "the package tensorboard is not installed", "pip install tensorboard"
        wants = {
            "histogram_freq": callback.histogram_freq,
            "embeddings_freq": callback.embeddings_freq,
            "write_steps_per_second": callback.write_steps_per_second,
            "profile_batch": getattr(callback, "_should_trace", False),
            "update_freq": callback.update_freq != "epoch",
        }
        asked = [setting for setting, value in wants.items() if value]
        if asked:
            return f"{', '.join(asked)} look into a Keras model while it trains", "Leave them out: metrics are written per epoch."
    return None


class KerasCallback(Callback):
    """Runs a callback of Keras in the epoch loop; made by `as_callbacks`."""

    def __init__(self, callback: Any, save: SaveModel | None) -> None:
        self._callback = callback
        self._save = save

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Gives the callback its model, whose only members are those that it needs."""
        callback = self._callback
        # Keras finds out from the compiled metrics, which there are none of, that more accuracy is better.
        if getattr(callback, "mode", None) == "auto" and "acc" in callback.monitor:
            callback.mode = "max"
        callback.set_params({"epochs": self.loop.epochs, "verbose": 0})
        callback.set_model(_Model(self.loop, self._save))
        callback.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Passes it on."""
        self._callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Passes it on, and the loss to a callback that Keras calls after each batch.

        Raises:
            BridgeError: The callback watches a metric that this training does not have.
        """
        logs = dict(logs or {})
        if hasattr(self._callback, "monitor") and getattr(self._callback, "save_best_only", True):
            signed(logs, self._callback.monitor)
        if type(self._callback).__name__ == "TerminateOnNaN":
            self._callback.on_train_batch_end(epoch, logs)
        self._callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Passes it on."""
        self._callback.on_train_end(logs)


class _Model:
    """What Keras's callbacks ask of a model."""

    def __init__(self, loop: Loop, save: SaveModel | None) -> None:
        self._loop = loop
        self._save = save
        self.optimizer = _Optimizer(loop)

    @property
    def stop_training(self) -> bool:
        return self._loop.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._loop.stop_training = value

    def get_weights(self) -> list[Any]:
        """None to hand out: the loop itself keeps the best ones."""
        return []

    def set_weights(self, weights: list[Any]) -> None:
        """The loop itself restores the best ones."""

    def save(self, path: str | Path, overwrite: bool = True) -> None:  # noqa: ARG002, Keras's call
        assert self._save is not None
        self._save(str(path), False)

    def save_weights(self, path: str | Path, overwrite: bool = True) -> None:  # noqa: ARG002, Keras's call
        assert self._save is not None
        self._save(str(path), True)


class _Optimizer:
    """Its learning rate, in the epoch loop's hands."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    @property
    def learning_rate(self) -> float:
        return self._loop.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._loop.learning_rate = float(value)
