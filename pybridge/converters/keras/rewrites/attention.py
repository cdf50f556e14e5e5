"""Attention, and dense layers over any axes."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.own_layers import own
from pybridge.converters.keras.registry import rewrite
from pybridge.converters.refusals import Refused

_POSITIONS = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask")


@rewrite("MultiHeadAttention", "GroupedQueryAttention")
def many_heads(call: Call) -> Any:
    """One class of ours, called with named tensors."""
    given = {name: call.argument(name, position) for position, name in enumerate(_POSITIONS)}
    tensors = {name: value for name, value in given.items() if isinstance(value, Symbol)}
    if any(name in tensors for name in ("query_mask", "value_mask", "key_mask")):
        raise Refused("is given masks of its inputs as tensors", "Join them into one attention_mask.")
    arguments = {
        "inputs": list(tensors),
        "use_causal_mask": bool(call.kwargs.get("use_causal_mask", False)),
        "return_attention_scores": bool(call.kwargs.get("return_attention_scores", False)),
        "masked": _masked(given["query"], [given["value"], given["key"] or given["value"]]),
    }
    name = "GroupQueryAttention" if call.class_name == "GroupedQueryAttention" else None
    return own(call, class_name=name, arguments=arguments, inputs=list(tensors.values()))


@rewrite("Attention", "AdditiveAttention")
def attention(call: Call) -> Any:
    """Its inputs come as one list."""
    if any(isinstance(value, Symbol) for value in _flat(call.kwargs.get("mask"))):
        raise Refused("is given masks as tensors")
    arguments = {
        "use_causal_mask": bool(call.kwargs.get("use_causal_mask", False)),
        "return_attention_scores": bool(call.kwargs.get("return_attention_scores", False)),
        "masked": _masked(call.inputs[0], call.inputs[1:]),
    }
    return own(call, arguments=arguments)


@rewrite("EinsumDense")
def einsum_dense(call: Call) -> Any:
    """Its shapes are known here; TF.js would have to work them out."""
    bias = call.layer.bias
    arguments = {
        "kernel_shape": list(call.layer.kernel.shape),
        "bias_shape": None if bias is None else list(bias.shape),
        "output_shape": list(call.output_shape),
    }
    config = {**call.config, "equation": call.config["equation"].lower()}
    if len(set(call.config["equation"].lower())) != len(set(call.config["equation"])):
        raise Refused("has an equation with both cases of a letter", "Use letters that differ in more than their case.")
    return own(call, config=config, arguments=arguments)


@rewrite("ReversibleEmbedding")
def reversible_embedding(call: Call) -> Any:
    """Forwards an Embedding, backwards its transposed product."""
    return own(call, arguments={"reverse": bool(call.argument("reverse", 1, False))})


def _masked(query: Symbol, others: list[Symbol]) -> list[str]:
    """Which tensors are masked; TF.js hands over the mask of the first alone, so that all others must have the same."""
    masks = {symbol.mask for symbol in others}
    if masks == {None}:
        return [] if query.mask is None else ["query"]
    if masks == {query.mask}:
        return ["query", "value"]
    raise Refused("has values with another mask than its query, of which TF.js knows nothing", "Give one attention_mask instead.")


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
