"""Where masks of TF.js 4.22 do something else than those of Keras 3.

TF.js keeps one mask for the rest of a run: once a Masking or Embedding layer has made it, every later layer that reads a
mask gets it, whether it flows from there or not (tfjs-layers, engine/executor.js). It also passes masks wrongly through
layers that merge, and gives the state instead of the last output where a step is masked.
"""

from __future__ import annotations

from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology import LayerNode, Topology
from pybridge.tfjs.topology.names import snake

_READERS = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN", "Softmax")
_MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply")
_READ_BY_KERAS_ONLY = ("GlobalAveragePooling1D",)
_HINT = "Rebuild the model so that masked sequences go straight into one recurrent layer, or without masks."


class MaskRules:
    """Refuses layers whose masks differ."""

    def __init__(self, topology: Topology) -> None:
        self._makes_masks = any(_makes_mask(node) for _, node in topology.walk())
        self._merged: list[Any] = []

    def check(self, node: LayerNode, inputs: list[Any]) -> None:
        """Refuse a layer that would read another mask in TF.js.

        Raises:
            ModelFormatError: It would.
        """
        if not self._makes_masks:
            return
        masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in inputs)
        reader = node.class_name in _READERS or (node.class_name == "TimeDistributed" and _wraps_reader(node))
        if masked and node.class_name in _READ_BY_KERAS_ONLY:
            raise _refusal(node, "ignores the mask of its input in TF.js")
        if masked and node.class_name == "TimeDistributed" and reader:
            raise _refusal(node, "gives the whole mask to each step in TF.js")
        if masked and node.model is not None:
            raise _refusal(node, "is a model, and its layers get another mask in TF.js")
        if reader and any(tensor is merged for tensor in inputs for merged in self._merged):
            raise _refusal(node, "takes a merged mask, which TF.js computes wrongly")
        if reader and not masked:
            raise _refusal(node, "gets the mask of another layer in TF.js")
        if masked and node.class_name == "Bidirectional" and _returns_sequences(node):
            raise _refusal(node, "repeats its last output where a step is masked in TF.js, but gives zeros in Keras")
        if masked and node.config.get("stateful"):
            raise _refusal(node, "gives its old state, not its last output, where a step is masked in TF.js")

    def check_states(self, node: LayerNode, inputs: list[Any]) -> None:
        """Refuse initial states beside a mask.

        Raises:
            ModelFormatError: There are both.
        """
        if getattr(inputs[0], "_keras_mask", None) is not None:
            raise _refusal(node, "gives its state, not its last output, where a step is masked in TF.js")

    def follow(self, node: LayerNode, inputs: list[Any], outputs: list[Any]) -> None:
        """Remember where merged masks flow."""
        if not self._makes_masks:
            return
        masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in inputs)
        tainted = any(tensor is merged for tensor in inputs for merged in self._merged)
        if masked and (tainted or node.class_name in _MERGING):
            self._merged += outputs


def _makes_mask(node: LayerNode) -> bool:
    if node.class_name == "Masking":
        return True
    given = {snake(key): value for key, value in node.config.items()}
    return node.class_name == "Embedding" and bool(given.get("mask_zero"))


def _wraps_reader(node: LayerNode) -> bool:
    wrapped = node.config.get("layer")
    name = wrapped.get("class_name", wrapped.get("className")) if isinstance(wrapped, dict) else None
    return bool(node.inner) or name in _READERS


def _returns_sequences(node: LayerNode) -> bool:
    wrapped = node.config.get("layer")
    config = wrapped.get("config") if isinstance(wrapped, dict) else None
    given = {snake(key): value for key, value in config.items()} if isinstance(config, dict) else {}
    return bool(given.get("return_sequences"))


def _refusal(node: LayerNode, reason: str) -> ModelFormatError:
    return ModelFormatError(f"the layer {node.name!r} ({node.class_name}) {reason}", hint=_HINT)
