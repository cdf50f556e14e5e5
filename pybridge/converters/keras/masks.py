"""Where the masks of Keras and of TF.js agree: Keras writes them into its graph, TF.js lets them travel with the tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.refusals import Refused

# Layers to which TF.js gives the mask that travels with their input, as Keras does.
RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
MASKED = (*RECURRENT, "GlobalAveragePooling1D", "TimeDistributed")


def travelling_mask(node: Any) -> Any:
    """The mask that a call takes only because it travels with its input, or None."""
    mask = node.arguments.kwargs.get("mask")
    tensors = node.arguments.keras_tensors
    if mask is None or type(node.operation).__name__ not in MASKED or not tensors:
        return None
    own = getattr(tensors[0], "_keras_mask", None)
    return mask if own is not None and mask_origin(mask) == mask_origin(own) else None


def check_mask(operation: Any, inputs: list[Symbol], travelling: Any) -> None:
    """Refuse where Keras and TF.js would not apply the same mask."""
    if type(operation).__name__ not in MASKED:
        return
    found = inputs[0].mask if inputs else None
    if travelling is not None and found != mask_origin(travelling):
        raise Refused("is masked, but the layers before it lose or change the mask in TF.js")
    if travelling is None and found is not None:
        raise Refused("would be masked in TF.js, but is not in Keras")
    if travelling is None:
        return
    if type(operation).__name__ in ("TimeDistributed", "ConvLSTM2D"):
        inner = getattr(operation, "layer", None)
        if inner is None or getattr(inner, "_call_has_mask_arg", True):
            raise Refused("is masked, which TF.js does not do for it")


def makes_mask(operation: Any) -> bool:
    """Whether a layer masks what is behind it."""
    name = type(operation).__name__
    return name == "Masking" or (name == "Embedding" and bool(getattr(operation, "mask_zero", False)))


def with_new_mask(operation: Any, node: Any, symbols: list[Symbol]) -> list[Symbol]:
    """Name the mask that a layer makes by the tensor that Keras has for it."""
    mask = getattr(node.outputs[0], "_keras_mask", None) if makes_mask(operation) else None
    return [replace(symbols[0], mask=mask_origin(mask)), *symbols[1:]] if mask is not None else symbols


def mask_origin(tensor: Any) -> int:
    """A number that two tensors share if the same operations made them of the same tensors.

    A Keras model that was loaded holds its masks twice: as its config says, and as its layers make them again.
    """
    import keras

    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None or isinstance(history.operation, keras.Layer):
        return hash((id(history.operation), history.node_index, history.tensor_index)) if history else id(tensor)
    operation = history.operation
    arguments = operation._inbound_nodes[history.node_index].arguments

    def key(leaf: Any) -> Any:
        return mask_origin(leaf) if isinstance(leaf, keras.KerasTensor) else repr(leaf)

    parts = [key(leaf) for leaf in keras.tree.flatten([arguments.args, arguments.kwargs])]
    options = {name: repr(value) for name, value in vars(operation).items() if isinstance(value, (bool, int, float, str, tuple))}
    options.pop("name", None)
    options.pop("_name", None)
    return hash((type(operation).__name__, tuple(sorted(options.items())), tuple(parts), history.tensor_index))
