"""Where masks of TF.js 4.22 do something else than those of Keras 3.

TF.js keeps one mask for the rest of a run: once a Masking or Embedding layer has made it, every later layer that reads a
mask gets it, whether it flows from there or not (tfjs-layers, engine/executor.js). It also passes masks wrongly through
layers that merge, and gives the state instead of the last output where a step is masked.
"""

from __future__ import annotations

from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.tfjs.structure import Entry, Structure, snake

_READERS = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN", "Softmax")
_MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply")
_READ_BY_KERAS_ONLY = ("GlobalAveragePooling1D",)
_HINT = "Rebuild the model so that masked sequences go straight into one recurrent layer, or without masks."


class MaskRules:
    """Refuses layers whose masks differ."""

    def __init__(self, structure: Structure) -> None:
        self._makes_masks = any(_makes_mask(entry) for _, entry in structure.walk())
        self._merged: list[Any] = []

    def check(self, entry: Entry, inputs: list[Any]) -> None:
        """Refuse a layer that would read another mask in TF.js.

        Raises:
            ModelFormatError: It would.
        """
        if not self._makes_masks:
            return
        masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in inputs)
        reader = entry.class_name in _READERS or (entry.class_name == "TimeDistributed" and _wraps_reader(entry))
        if masked and entry.class_name in _READ_BY_KERAS_ONLY:
            raise _refusal(entry, "ignores the mask of its input in TF.js")
        if masked and entry.class_name == "TimeDistributed" and reader:
            raise _refusal(entry, "gives the whole mask to each step in TF.js")
        if masked and entry.model is not None:
            raise _refusal(entry, "is a model, and its layers get another mask in TF.js")
        if reader and any(tensor is merged for tensor in inputs for merged in self._merged):
            raise _refusal(entry, "takes a merged mask, which TF.js computes wrongly")
        if reader and not masked:
            raise _refusal(entry, "gets the mask of another layer in TF.js")
        if masked and entry.class_name == "Bidirectional" and _returns_sequences(entry):
            raise _refusal(entry, "repeats its last output where a step is masked in TF.js, but gives zeros in Keras")
        if masked and entry.config.get("stateful"):
            raise _refusal(entry, "gives its old state, not its last output, where a step is masked in TF.js")

    def check_states(self, entry: Entry, inputs: list[Any]) -> None:
        """Refuse initial states beside a mask.

        Raises:
            ModelFormatError: There are both.
        """
        if getattr(inputs[0], "_keras_mask", None) is not None:
            raise _refusal(entry, "gives its state, not its last output, where a step is masked in TF.js")

    def follow(self, entry: Entry, inputs: list[Any], outputs: list[Any]) -> None:
        """Remember where merged masks flow."""
        if not self._makes_masks:
            return
        masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in inputs)
        tainted = any(tensor is merged for tensor in inputs for merged in self._merged)
        if masked and (tainted or entry.class_name in _MERGING):
            self._merged += outputs


def _makes_mask(entry: Entry) -> bool:
    if entry.class_name == "Masking":
        return True
    given = {snake(key): value for key, value in entry.config.items()}
    return entry.class_name == "Embedding" and bool(given.get("mask_zero"))


def _wraps_reader(entry: Entry) -> bool:
    wrapped = entry.config.get("layer")
    name = wrapped.get("class_name", wrapped.get("className")) if isinstance(wrapped, dict) else None
    return bool(entry.inner) or name in _READERS


def _returns_sequences(entry: Entry) -> bool:
    wrapped = entry.config.get("layer")
    config = wrapped.get("config") if isinstance(wrapped, dict) else None
    given = {snake(key): value for key, value in config.items()} if isinstance(config, dict) else {}
    return bool(given.get("return_sequences"))


def _refusal(entry: Entry, reason: str) -> ModelFormatError:
    return ModelFormatError(f"the layer {entry.name!r} ({entry.class_name}) {reason}", hint=_HINT)
