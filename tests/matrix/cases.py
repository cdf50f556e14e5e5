"""Small models that cover every class of ``keras.layers`` with its options, and operations of ``keras.ops``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

ABSTRACT = {
    "Equalization": "Keras 3.15 cannot put it into a Functional model itself (its own graph becomes a cycle)",
    "InputSpec": "not a layer",
    "Layer": "the base class of all layers",
    "Wrapper": "the base class of wrappers",
}
"""Names in ``keras.layers`` that are no layer that a model could have."""


@dataclass(frozen=True)
class Case:
    """One small model.

    Attributes:
        name: Unique; the class, then the options.
        class_name: The row of the table that it belongs to.
        build: Makes the model.
        refused: A part of the reason for which it is refused; empty where it must pass.
        train: False where a training step is random, so that only inference is compared.
        note: What a reader should know.
    """

    name: str
    class_name: str
    build: Callable[[], keras.Model]
    refused: str = ""
    train: bool = True
    note: str = ""


Shape = Sequence[Any]


def inputs_of(model: keras.Model, seed: int = 0) -> list[np.ndarray]:
    """Two examples for each input: whole numbers from 0 to 4 where it takes whole numbers, else normally distributed ones."""
    random = np.random.default_rng(seed)
    found = []
    for tensor in model.inputs:
        shape = [2 if i == 0 and size is None else size or 6 for i, size in enumerate(tensor.shape)]
        if tensor.dtype.startswith("int") or tensor.dtype.startswith("uint"):
            found.append(random.integers(0, 5, shape).astype(tensor.dtype))
        elif tensor.dtype == "bool":
            found.append(random.random(shape) < 0.7)
        else:
            found.append(random.normal(0, 1, shape).astype(np.float32))
    return found


def _model(
    layer: Callable[[], Any], *shapes: Shape, dtype: str = "float32", batch: int | None = None, **call: Any
) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = [keras.Input(shape, batch_size=batch, dtype=dtype) for shape in shapes]
        made = layer()
        # So that every layer has weights before it, to which its gradient must find the way.
        before = [
            layers.Dense(shape[-1])(x) if dtype == "float32" and len(shape) > 0 else x
            for x, shape in zip(inputs, shapes, strict=True)
        ]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], made(before if len(before) > 1 else before[0], **call))

    return build


def _graph(function: Callable[..., Any], *shapes: Shape, dtype: str = "float32") -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], function(*inputs))

    return build


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    made = [case for family in _FAMILIES for case in family()]
    names = [case.name for case in made]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    return made


def _options(
    class_name: str, shape: Shape, variants: dict[str, dict[str, Any]], base: dict[str, Any], **kind: Any
) -> Iterator[Case]:
    cls = getattr(layers, class_name)
    for label, options in variants.items():
        merged = {**base, **options}
        name = f"{class_name} {label}".strip()
        yield Case(name, class_name, _model(lambda cls=cls, merged=merged: cls(**merged), shape), **kind)


def _core() -> Iterator[Case]:
    dense = {
        "": {},
        "no bias": {"use_bias": False},
        "relu": {"activation": "relu"},
        "gelu": {"activation": "gelu"},
        "hard_silu": {"activation": "hard_silu"},
        "regularized": {"kernel_regularizer": keras.regularizers.L2(0.1), "bias_regularizer": "l1"},
        "he_normal": {"kernel_initializer": "he_normal"},
    }
    yield from _options("Dense", (5,), dense, {"units": 4})
    constrained = _model(lambda: layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(100.0)), (5,))
    yield Case("Dense constrained", "Dense", constrained, refused="constraint")
    yield Case("Dense on a sequence", "Dense", _model(lambda: layers.Dense(3), (4, 5)))
    yield Case(
        "Dense activity_regularizer",
        "Dense",
        _model(lambda: layers.Dense(3, activity_regularizer="l2"), (5,)),
        refused="activity_regularizer",
    )
    yield Case("InputLayer", "InputLayer", lambda: keras.Sequential([layers.InputLayer((3,)), layers.Dense(2)]))
    yield Case("Identity", "Identity", _model(layers.Identity, (4,)))
    yield Case("Lambda", "Lambda", _model(lambda: layers.Lambda(lambda x: x * 2, output_shape=(4,)), (4,)), refused="Python code")
    yield Case("Masking", "Masking", _graph(lambda x: layers.LSTM(3)(layers.Masking(0.0)(layers.ReLU()(x))), (5, 2)))
    yield Case("Embedding", "Embedding", _model(lambda: layers.Embedding(6, 3), (4,), dtype="int32"))
    yield Case(
        "Embedding mask_zero",
        "Embedding",
        _graph(lambda x: layers.LSTM(3)(layers.Embedding(6, 3, mask_zero=True)(x)), (4,), dtype="int32"),
    )
    yield Case(
        "ReversibleEmbedding", "ReversibleEmbedding", _model(lambda: layers.ReversibleEmbedding(6, 3), (4,), dtype="int32")
    )
    yield Case(
        "ReversibleEmbedding reverse",
        "ReversibleEmbedding",
        _model(lambda: layers.ReversibleEmbedding(6, 3), (4, 3), reverse=True),
    )

    def tied(x: Any) -> Any:
        embedding = layers.ReversibleEmbedding(6, 3)
        return embedding(embedding(x), reverse=True)

    yield Case(
        "ReversibleEmbedding both ways", "ReversibleEmbedding", _graph(tied, (4,), dtype="int32"), refused="called with inputs"
    )
    yield Case(
        "EinsumDense",
        "EinsumDense",
        _model(lambda: layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"), (3, 5)),
    )
    yield Case(
        "EinsumDense heads",
        "EinsumDense",
        _model(lambda: layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de", activation="relu"), (3, 5)),
    )
    yield Case(
        "EinsumDense ellipsis",
        "EinsumDense",
        _model(lambda: layers.EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y"), (3, 5)),
    )
    yield Case("EinsumDense no bias", "EinsumDense", _model(lambda: layers.EinsumDense("ab,bc->ac", output_shape=4), (5,)))
    for name in ("JaxLayer", "FlaxLayer", "TFSMLayer", "TorchModuleWrapper"):
        yield Case(
            name, name, lambda name=name: _foreign(name), refused="cannot be built here", note="holds code of another framework"
        )


def _foreign(name: str) -> keras.Model:
    raise NotImplementedError(f"{name} cannot be built here: it holds code of another framework")


def _activations() -> Iterator[Case]:
    names = sorted(
        name for name in dir(keras.activations) if name not in ("deserialize", "get", "serialize") and not name.startswith("_")
    )
    for name in names:
        if name == "threshold":
            continue
        yield Case(f"Activation {name}", "Activation", _model(lambda name=name: layers.Activation(name), (3, 6)))
    for name in ("silu", "gelu", "hard_sigmoid", "leaky_relu", "exponential"):
        yield Case(
            f"Conv2D activation {name}", "Conv2D", _model(lambda name=name: layers.Conv2D(3, 2, activation=name), (5, 5, 2))
        )
    relu = {"": {}, "max_value": {"max_value": 1.0}, "negative_slope": {"negative_slope": 0.1}, "threshold": {"threshold": 0.5}}
    relu["all options"] = {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.3}
    yield from _options("ReLU", (3, 6), relu, {})
    yield from _options("LeakyReLU", (6,), {"": {}, "slope": {"negative_slope": 0.1}}, {})
    yield from _options("ELU", (6,), {"": {}, "alpha": {"alpha": 0.5}}, {})
    yield from _options("PReLU", (4, 4, 3), {"": {}, "shared_axes": {"shared_axes": [1, 2]}}, {})
    yield from _options("Softmax", (4, 6), {"": {}, "axis": {"axis": 1}, "axes": {"axis": (1, 2)}}, {})
    yield Case("Softmax mask", "Softmax", lambda: _softmax_mask())


def _softmax_mask() -> keras.Model:
    x, mask = keras.Input((6,)), keras.Input((6,), dtype="bool")
    return keras.Model([x, mask], layers.Softmax()(x, mask=mask))


_SIZES = {1: (9,), 2: (8, 9), 3: (6, 7, 6)}


def _convolutions() -> Iterator[Case]:
    for rank in (1, 2, 3):
        base = {"filters": 4, "kernel_size": 3}
        shape = (*_SIZES[rank], 2)
        variants: dict[str, dict[str, Any]] = {
            "": {},
            "same": {"padding": "same"},
            "strides": {"strides": 2, "padding": "same"},
            "dilation": {"dilation_rate": 2},
            "dilation same": {"dilation_rate": 2, "padding": "same"},
            "groups": {"groups": 2},
            "no bias": {"use_bias": False},
            "channels_first": {"data_format": "channels_first", "kernel_size": 2},
        }
        if rank == 1:
            variants["causal"] = {"padding": "causal"}
            variants["causal dilation"] = {"padding": "causal", "dilation_rate": 2}
        name = f"Conv{rank}D"
        for label, options in variants.items():
            used = (2, *_SIZES[rank]) if "first" in label else shape
            yield from _options(name, used, {label: options}, base)
        transposed: dict[str, dict[str, Any]] = {
            "": {},
            "same": {"padding": "same", "strides": 2},
            "strides": {"strides": 2},
            "strides beyond": {"strides": 4},
            "output_padding": {"strides": 2, "output_padding": 1, "padding": "same"},
            "no bias": {"use_bias": False, "activation": "relu"},
        }
        if rank != 2:
            transposed["dilation"] = {"dilation_rate": 2}
        small = {1: (5, 2), 2: (4, 5, 2), 3: (3, 4, 3, 2)}[rank]
        yield from _options(f"Conv{rank}DTranspose", small, transposed, base)
        if rank == 3:
            continue
        depthwise: dict[str, dict[str, Any]] = {
            "": {},
            "multiplier": {"depth_multiplier": 2},
            "same strides": {"strides": 2, "padding": "same"},
            "dilation": {"dilation_rate": 2},
            "dilation same": {"dilation_rate": 2, "padding": "same"},
            "no bias": {"use_bias": False, "activation": "relu6"},
        }
        yield from _options(f"DepthwiseConv{rank}D", shape, depthwise, {"kernel_size": 3})
        separable = {**depthwise, "pointwise": {"pointwise_regularizer": "l2"}}
        yield from _options(f"SeparableConv{rank}D", shape, separable, base)


def _pooling() -> Iterator[Case]:
    for rank in (1, 2, 3):
        shape = (*_SIZES[rank], 2)
        first = (2, *_SIZES[rank])
        for kind in ("Average", "Max"):
            variants: dict[str, dict[str, Any]] = {"": {}, "same": {"padding": "same"}, "strides": {"strides": 1, "pool_size": 3}}
            yield from _options(f"{kind}Pooling{rank}D", shape, variants, {"pool_size": 2})
            yield from _options(
                f"{kind}Pooling{rank}D", first, {"channels_first": {"data_format": "channels_first"}}, {"pool_size": 2}
            )
            name = f"Global{kind}Pooling{rank}D"
            yield from _options(name, shape, {"": {}, "keepdims": {"keepdims": True}}, {})
            yield from _options(name, first, {"channels_first": {"data_format": "channels_first"}}, {})
            name = f"Adaptive{kind}Pooling{rank}D"
            sizes = {"": {"output_size": 3}, "uneven": {"output_size": 4}}
            # Keras 3.15 itself divides by zero and takes Python down in AdaptiveMaxPooling(1).
            yield from _options(name, shape, {**sizes, "one": {"output_size": 1}} if kind == "Average" else sizes, {})
    yield Case(
        "GlobalAveragePooling1D mask",
        "GlobalAveragePooling1D",
        _graph(lambda x: layers.GlobalAveragePooling1D()(layers.Embedding(6, 3, mask_zero=True)(x)), (4,), dtype="int32"),
    )


def _normalization() -> Iterator[Case]:
    batch = {"": {}, "no scale": {"scale": False}, "no center": {"center": False}, "epsilon": {"epsilon": 0.1, "momentum": 0.5}}
    yield from _options("BatchNormalization", (4, 4, 3), {**batch, "axis": {"axis": 1}}, {})
    yield Case("BatchNormalization dense", "BatchNormalization", _model(layers.BatchNormalization, (6,)))

    def frozen() -> Any:
        layer = layers.BatchNormalization()
        layer.trainable = False
        return layer

    yield Case(
        "BatchNormalization frozen",
        "BatchNormalization",
        _graph(lambda x: frozen()(layers.Dense(3)(x)), (4,)),
        train=False,
        note="stock BatchNormalization of TF.js would move its statistics in fit",
    )
    layer = {
        "": {},
        "axes": {"axis": [1, 2]},
        "first axis": {"axis": 1},
        "epsilon": {"epsilon": 0.1},
        "no scale": {"scale": False},
    }
    yield from _options(
        "LayerNormalization", (4, 3), {**layer, "no center": {"center": False}, "rms_scaling": {"rms_scaling": True}}, {}
    )
    group = {
        "": {"groups": 2},
        "instance": {"groups": -1},
        "no scale": {"groups": 2, "scale": False, "center": False},
        "axis": {"groups": 2, "axis": 1},
    }
    yield from _options("GroupNormalization", (4, 3, 6), group, {})
    yield from _options("RMSNormalization", (4, 6), {"": {}, "axes": {"axis": [1, 2]}}, {})
    yield from _options("UnitNormalization", (4, 6), {"": {}, "axis": {"axis": 1}}, {})
    yield Case(
        "SpectralNormalization Dense",
        "SpectralNormalization",
        _model(lambda: layers.SpectralNormalization(layers.Dense(3)), (5,)),
    )
    yield Case(
        "SpectralNormalization Conv2D",
        "SpectralNormalization",
        _model(lambda: layers.SpectralNormalization(layers.Conv2D(3, 2), power_iterations=2), (5, 5, 2)),
    )


def _merging() -> Iterator[Case]:
    for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate", "Subtract"):
        yield Case(name, name, _model(getattr(layers, name), (4, 3), (4, 3)))
    yield Case("Concatenate axis", "Concatenate", _model(lambda: layers.Concatenate(axis=1), (4, 3), (2, 3)))
    yield Case("Add three", "Add", _model(layers.Add, (3,), (3,), (3,)))
    yield Case("Add broadcast", "Add", _model(layers.Add, (4, 3), (1, 3)))
    yield Case("Dot", "Dot", _model(lambda: layers.Dot(axes=1), (5,), (5,)))
    yield Case("Dot axes", "Dot", _model(lambda: layers.Dot(axes=(2, 1)), (4, 3), (3, 5)))
    yield Case("Dot normalize", "Dot", _model(lambda: layers.Dot(axes=1, normalize=True), (5,), (5,)))


def _reshaping() -> Iterator[Case]:
    yield Case("Flatten", "Flatten", _model(layers.Flatten, (3, 4)))
    yield Case("Flatten channels_first", "Flatten", _model(lambda: layers.Flatten(data_format="channels_first"), (3, 4, 2)))
    yield Case("Reshape", "Reshape", _model(lambda: layers.Reshape((4, 3)), (3, 4)))
    yield Case("Reshape -1", "Reshape", _model(lambda: layers.Reshape((-1, 2)), (3, 4)))
    yield Case("Permute", "Permute", _model(lambda: layers.Permute((2, 1)), (3, 4)))
    yield Case("RepeatVector", "RepeatVector", _model(lambda: layers.RepeatVector(3), (4,)))
    for rank in (1, 2, 3):
        shape = (*_SIZES[rank], 2)
        pairs = (1, 2) if rank == 1 else tuple((1, 2) for _ in range(rank))
        yield from _options(f"ZeroPadding{rank}D", shape, {"": {}, "uneven": {"padding": pairs}}, {})
        yield from _options(f"Cropping{rank}D", shape, {"": {"cropping": 1}, "uneven": {"cropping": pairs}}, {})
        yield from _options(f"UpSampling{rank}D", shape, {"": {}, "three": {"size": 3}}, {})
    for name in ("ZeroPadding2D", "Cropping2D", "UpSampling2D"):
        extra = {"cropping": 1} if name == "Cropping2D" else {}
        yield from _options(name, (2, 5, 6), {"channels_first": {"data_format": "channels_first", **extra}}, {})
    for interpolation in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        yield from _options("UpSampling2D", (5, 6, 2), {interpolation: {"interpolation": interpolation}}, {})


def _regularization() -> Iterator[Case]:
    random = {"train": False, "note": "random while training"}
    for name, shape in (
        ("Dropout", (6,)),
        ("AlphaDropout", (6,)),
        ("GaussianDropout", (6,)),
        ("SpatialDropout1D", (5, 3)),
        ("SpatialDropout2D", (4, 4, 3)),
        ("SpatialDropout3D", (3, 3, 3, 2)),
    ):
        yield from _options(name, shape, {"": {}}, {"rate": 0.4}, **random)
    yield Case("Dropout noise_shape", "Dropout", _model(lambda: layers.Dropout(0.4, noise_shape=(None, 1, 3)), (5, 3)), **random)
    yield Case("Dropout of examples", "Dropout", _model(lambda: layers.Dropout(0.4, noise_shape=(None, 1, 1)), (5, 3)), **random)
    yield from _options("GaussianNoise", (6,), {"": {}}, {"stddev": 0.3}, **random)
    yield Case(
        "ActivityRegularization",
        "ActivityRegularization",
        _graph(lambda x: layers.ActivityRegularization(l1=0.1, l2=0.2)(layers.Dense(3)(x)), (4,)),
    )


def _recurrent() -> Iterator[Case]:
    common: dict[str, dict[str, Any]] = {
        "": {},
        "sequences": {"return_sequences": True},
        "state": {"return_state": True},
        "backwards": {"go_backwards": True, "return_sequences": True},
        "no bias": {"use_bias": False},
        "relu": {"activation": "relu"},
    }
    gates = {"hard_sigmoid gates": {"recurrent_activation": "hard_sigmoid"}, "implementation 1": {"implementation": 1}}
    yield from _options("SimpleRNN", (5, 3), common, {"units": 4})
    yield from _options(
        "LSTM",
        (5, 3),
        {
            **common,
            "no forget bias": {"unit_forget_bias": False},
            "hard_sigmoid gates": {"recurrent_activation": "hard_sigmoid"},
            "unroll": {"unroll": True},
        },
        {"units": 4},
    )
    yield from _options(
        "GRU",
        (5, 3),
        {**common, **{k: v for k, v in gates.items() if "gates" in k}, "reset_before": {"reset_after": False}},
        {"units": 4},
    )
    for name in ("SimpleRNN", "LSTM", "GRU"):
        cls = getattr(layers, name)
        yield Case(
            f"{name} masked",
            name,
            _graph(
                lambda x, cls=cls: cls(3, return_sequences=True)(layers.Embedding(6, 3, mask_zero=True)(x)), (5,), dtype="int32"
            ),
        )
        yield Case(
            f"{name} zero_output_for_mask",
            name,
            _graph(
                lambda x, cls=cls: cls(3, return_sequences=True, zero_output_for_mask=True)(
                    layers.Embedding(6, 3, mask_zero=True)(x)
                ),
                (5,),
                dtype="int32",
            ),
        )
        yield Case(f"{name} stateful", name, _model(lambda cls=cls: cls(3, stateful=True), (5, 2), batch=2))
        yield Case(f"{name} initial state", name, lambda cls=cls, name=name: _initial_state(cls, name))
        yield Case(
            f"{name} dropout",
            name,
            _model(lambda cls=cls: cls(3, dropout=0.3, recurrent_dropout=0.2), (5, 2)),
            train=False,
            note="random while training",
        )
        cell = getattr(layers, f"{name}Cell")
        yield Case(f"{name}Cell", f"{name}Cell", _model(lambda cell=cell: layers.RNN(cell(3)), (5, 2)))
        for merge in ("concat", "sum", "ave", "mul"):
            if merge == "concat" or name == "GRU":
                yield Case(
                    f"Bidirectional {name} {merge}",
                    "Bidirectional",
                    _model(
                        lambda cls=cls, merge=merge: layers.Bidirectional(cls(3, return_sequences=True), merge_mode=merge), (5, 2)
                    ),
                )
    yield Case("Bidirectional no sequences", "Bidirectional", _model(lambda: layers.Bidirectional(layers.LSTM(3)), (5, 2)))
    for cls in (layers.LSTM, layers.GRU):
        masked = _graph(
            lambda x, cls=cls: layers.Bidirectional(cls(3, return_sequences=True))(layers.Embedding(6, 3, mask_zero=True)(x)),
            (5,),
            dtype="int32",
        )
        yield Case(f"Bidirectional {cls.__name__} masked", "Bidirectional", masked)
    yield Case(
        "Bidirectional state", "Bidirectional", _model(lambda: layers.Bidirectional(layers.LSTM(3, return_state=True)), (5, 2))
    )
    yield Case("RNN sequences", "RNN", _model(lambda: layers.RNN(layers.LSTMCell(3), return_sequences=True), (5, 2)))
    yield Case(
        "StackedRNNCells", "StackedRNNCells", _model(lambda: layers.RNN([layers.SimpleRNNCell(3), layers.LSTMCell(2)]), (5, 2))
    )
    for rank in (1, 2, 3):
        size = {1: (5,), 2: (5, 4), 3: (4, 4, 4)}[rank]
        variants: dict[str, dict[str, Any]] = {
            "": {},
            "sequences": {"return_sequences": True, "padding": "same"},
            "hard_sigmoid gates": {"recurrent_activation": "hard_sigmoid"},
        }
        if rank == 1:
            variants["strides"] = {"strides": 2}
        yield from _options(f"ConvLSTM{rank}D", (3, *size, 2), variants, {"filters": 2, "kernel_size": 2})
    yield Case("TimeDistributed Dense", "TimeDistributed", _model(lambda: layers.TimeDistributed(layers.Dense(3)), (4, 5)))
    yield Case(
        "TimeDistributed Conv2D",
        "TimeDistributed",
        _model(lambda: layers.TimeDistributed(layers.Conv2D(3, 2, activation="hard_silu")), (3, 4, 4, 2)),
    )
    yield Case(
        "TimeDistributed GroupNormalization",
        "TimeDistributed",
        _model(lambda: layers.TimeDistributed(layers.GroupNormalization(2)), (3, 4, 4)),
    )


def _initial_state(cls: Any, name: str) -> keras.Model:
    x = keras.Input((5, 2))
    states = [keras.Input((3,)) for _ in range(2 if name == "LSTM" else 1)]
    return keras.Model([x, *states], cls(3)(x, initial_state=states))


def _attention() -> Iterator[Case]:
    def heads(**options: Any) -> Callable[..., Any]:
        return lambda q, v=None, **call: layers.MultiHeadAttention(**{"num_heads": 2, "key_dim": 3, **options})(
            q, q if v is None else v, **call
        )

    yield Case("MultiHeadAttention", "MultiHeadAttention", _graph(heads(), (4, 5)))
    yield Case("MultiHeadAttention cross", "MultiHeadAttention", _graph(heads(), (4, 5), (6, 3)))
    yield Case(
        "MultiHeadAttention key",
        "MultiHeadAttention",
        _graph(lambda q, v, k: layers.MultiHeadAttention(2, 3)(q, v, key=k), (4, 5), (6, 3), (6, 2)),
    )
    yield Case("MultiHeadAttention value_dim", "MultiHeadAttention", _graph(heads(value_dim=4, output_shape=7), (4, 5)))
    yield Case("MultiHeadAttention no bias", "MultiHeadAttention", _graph(heads(use_bias=False), (4, 5)))
    yield Case("MultiHeadAttention causal", "MultiHeadAttention", _graph(lambda q: heads()(q, use_causal_mask=True), (4, 5)))
    yield Case(
        "MultiHeadAttention scores", "MultiHeadAttention", _graph(lambda q: heads()(q, return_attention_scores=True), (4, 5))
    )
    yield Case("MultiHeadAttention axes", "MultiHeadAttention", _graph(heads(attention_axes=(2,)), (3, 4, 5)))
    yield Case("MultiHeadAttention two axes", "MultiHeadAttention", _graph(heads(attention_axes=(1, 2)), (3, 4, 5)))
    yield Case(
        "MultiHeadAttention dropout",
        "MultiHeadAttention",
        _graph(heads(dropout=0.3), (4, 5)),
        train=False,
        note="random while training",
    )
    yield Case("MultiHeadAttention sliding_window", "MultiHeadAttention", _graph(heads(sliding_window=2), (6, 5)))
    yield Case("MultiHeadAttention use_gate", "MultiHeadAttention", _graph(heads(use_gate=True), (6, 5)))
    yield Case(
        "MultiHeadAttention masked",
        "MultiHeadAttention",
        _graph(lambda x: heads()(layers.Embedding(6, 5, mask_zero=True)(x)), (4,), dtype="int32"),
    )
    yield Case("MultiHeadAttention attention_mask", "MultiHeadAttention", _mask_model)

    def grouped(**options: Any) -> Callable[..., Any]:
        return lambda q, v=None, **call: layers.GroupQueryAttention(
            **{"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, **options}
        )(q, q if v is None else v, **call)

    yield Case("GroupQueryAttention", "GroupQueryAttention", _graph(grouped(), (4, 5)))
    yield Case("GroupQueryAttention cross", "GroupQueryAttention", _graph(grouped(), (4, 5), (6, 5)))
    yield Case("GroupQueryAttention causal", "GroupQueryAttention", _graph(lambda q: grouped()(q, use_causal_mask=True), (4, 5)))
    yield Case("GroupQueryAttention no bias", "GroupQueryAttention", _graph(grouped(use_bias=False), (4, 5)))
    for name in ("Attention", "AdditiveAttention"):
        cls = getattr(layers, name)
        yield Case(name, name, _model(cls, (4, 5), (6, 5)))
        yield Case(f"{name} key", name, _model(cls, (4, 5), (6, 5), (6, 5)))
        yield Case(f"{name} scale", name, _model(lambda cls=cls: cls(use_scale=True), (4, 5), (6, 5)))
        yield Case(f"{name} causal", name, _model(cls, (6, 5), (6, 5), use_causal_mask=True))
        yield Case(f"{name} scores", name, _model(cls, (4, 5), (6, 5), return_attention_scores=True))
    yield Case(
        "Attention concat", "Attention", _model(lambda: layers.Attention(score_mode="concat", use_scale=True), (4, 5), (6, 5))
    )
    yield Case(
        "Attention dropout",
        "Attention",
        _model(lambda: layers.Attention(dropout=0.3), (4, 5), (6, 5)),
        train=False,
        note="random while training",
    )


def _mask_model() -> keras.Model:
    x, mask = keras.Input((4, 5)), keras.Input((4, 4), dtype="bool")
    return keras.Model([x, mask], layers.MultiHeadAttention(2, 3)(x, x, attention_mask=mask))


def _preprocessing() -> Iterator[Case]:
    picture = (8, 9, 3)
    yield from _options(
        "Rescaling",
        picture,
        {"": {"scale": 0.5, "offset": -1.0}, "channels": {"scale": [0.5, 2.0, 3.0], "offset": [1.0, 0.0, -1.0]}},
        {},
    )
    yield Case(
        "Normalization",
        "Normalization",
        _model(lambda: layers.Normalization(axis=-1), picture),
        train=False,
        note="nothing trains",
    )
    yield Case(
        "Normalization given",
        "Normalization",
        _model(lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 0.5]), picture),
    )
    yield Case(
        "Normalization scalar", "Normalization", _model(lambda: layers.Normalization(axis=None, mean=1.0, variance=4.0), picture)
    )
    yield Case(
        "Normalization invert",
        "Normalization",
        _model(lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 0.5], invert=True), picture),
    )
    yield Case(
        "Normalization axes",
        "Normalization",
        _model(lambda: layers.Normalization(axis=(1, 2)), (3, 4)),
        train=False,
        note="nothing trains",
    )
    resizing = {
        "": {},
        "nearest": {"interpolation": "nearest"},
        "bicubic": {"interpolation": "bicubic"},
        "antialias": {"antialias": True},
        "lanczos3": {"interpolation": "lanczos3"},
        "lanczos5": {"interpolation": "lanczos5"},
        "crop": {"crop_to_aspect_ratio": True},
        "pad": {"pad_to_aspect_ratio": True, "fill_value": 0.5},
    }
    yield from _options("Resizing", picture, resizing, {"height": 5, "width": 12})
    yield from _options("Resizing", (3, 8, 9), {"channels_first": {"data_format": "channels_first"}}, {"height": 5, "width": 12})
    yield from _options("CenterCrop", picture, {"": {"height": 5, "width": 4}, "larger": {"height": 10, "width": 4}}, {})
    encoding = {"": {}, "one_hot": {"output_mode": "one_hot"}, "count": {"output_mode": "count"}}
    for label, options in encoding.items():
        shape = (1,) if label == "one_hot" else (3,)
        yield Case(
            f"CategoryEncoding {label}".strip(),
            "CategoryEncoding",
            _model(lambda options=options: layers.CategoryEncoding(5, **options), shape, dtype="int32"),
        )
    yield Case(
        "CategoryEncoding sparse",
        "CategoryEncoding",
        _model(lambda: layers.CategoryEncoding(5, sparse=True), (3,), dtype="int32"),
        refused="sparse",
    )
    for mode in ("int", "one_hot", "multi_hot", "count"):
        shape = (1,) if mode == "one_hot" else (3,)
        yield Case(
            f"Discretization {mode}",
            "Discretization",
            _model(lambda mode=mode: layers.Discretization([-1.0, 0.0, 0.5], output_mode=mode), shape),
            train=False,
            note="whole numbers have no gradient",
        )
    yield Case(
        "IntegerLookup",
        "IntegerLookup",
        _model(lambda: layers.IntegerLookup(vocabulary=[1, 2, 3]), (3,), dtype="int64"),
        refused="table",
    )
    yield Case(
        "StringLookup",
        "StringLookup",
        _model(lambda: layers.StringLookup(vocabulary=["a", "b"]), (3,), dtype="string"),
        refused="table",
    )
    yield Case(
        "TextVectorization",
        "TextVectorization",
        _model(lambda: layers.TextVectorization(vocabulary=["a", "b"]), (1,), dtype="string"),
        refused="table",
    )
    yield Case("Hashing", "Hashing", _model(lambda: layers.Hashing(4), (3,), dtype="int64"), refused="table")
    yield Case(
        "HashedCrossing", "HashedCrossing", _model(lambda: layers.HashedCrossing(4), (1,), (1,), dtype="int64"), refused="table"
    )
    yield Case(
        "STFTSpectrogram",
        "STFTSpectrogram",
        _model(lambda: layers.STFTSpectrogram(frame_length=8, frame_step=4, fft_length=8), (32, 1)),
        refused="spectra",
    )
    yield Case(
        "MelSpectrogram",
        "MelSpectrogram",
        _model(
            lambda: layers.MelSpectrogram(fft_length=16, sequence_stride=4, sequence_length=8, sampling_rate=100, num_mel_bins=4),
            (32,),
        ),
        refused="spectra",
    )
    yield Case("Pipeline", "Pipeline", _model(lambda: layers.Pipeline([layers.Rescaling(0.5)]), picture), refused="pipelines")
    yield Case("MaxNumBoundingBoxes", "MaxNumBoundingBoxes", _boxes, refused="pipelines")
    for name in ("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Solarization"):
        yield Case(name, name, _model(getattr(layers, name), picture), refused="histograms")
    augmenting: dict[str, dict[str, Any]] = {
        "AugMix": {},
        "CutMix": {},
        "MixUp": {},
        "RandAugment": {},
        "RandomBrightness": {"factor": 0.2},
        "RandomColorDegeneration": {"factor": 0.5},
        "RandomColorJitter": {"brightness_factor": 0.2},
        "RandomContrast": {"factor": 0.2},
        "RandomElasticTransform": {},
        "RandomErasing": {},
        "RandomFlip": {},
        "RandomGaussianBlur": {},
        "RandomGrayscale": {},
        "RandomHue": {"factor": 0.2},
        "RandomInvert": {},
        "RandomPerspective": {},
        "RandomPosterization": {"factor": 4},
        "RandomRotation": {"factor": 0.1},
        "RandomSaturation": {"factor": 0.2},
        "RandomSharpness": {"factor": 0.2},
        "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
        "RandomZoom": {"height_factor": 0.1},
    }
    for name, options in augmenting.items():
        yield Case(
            name,
            name,
            _model(lambda name=name, options=options: getattr(layers, name)(**options), picture),
            train=False,
            note="changes pictures while Keras trains; nothing in inference, and nothing in TF.js",
        )
    shear = _model(lambda: layers.RandomShear(x_factor=0.1), picture)
    yield Case("RandomShear", "RandomShear", shear, refused="cannot be built again")
    yield Case(
        "RandomCrop", "RandomCrop", _model(lambda: layers.RandomCrop(5, 4), picture), refused="crops only while Keras trains"
    )


def _boxes() -> keras.Model:
    x = keras.Input((8, 8, 3))
    return keras.Model(x, layers.MaxNumBoundingBoxes(3)(x))


def _operations() -> Iterator[Case]:
    constant = np.arange(12, dtype="float32").reshape(4, 3) / 7
    unary: dict[str, Callable[..., Any]] = {
        name: getattr(ops, name)
        for name in (
            "abs",
            "negative",
            "exp",
            "square",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "relu",
            "relu6",
            "silu",
            "softplus",
            "softsign",
            "gelu",
            "elu",
            "selu",
            "leaky_relu",
            "log_softmax",
            "hard_sigmoid",
            "erf",
            "expm1",
            "arctan",
            "sinh",
            "floor",
            "sign",
            "normalize",
        )
    }
    unary.update(
        {
            "log": lambda x: ops.log(ops.abs(x) + 1.0),
            "sqrt": lambda x: ops.sqrt(ops.square(x) + 1.0),
            "rsqrt": lambda x: ops.rsqrt(ops.exp(x)),
        }
    )
    unary.update({"power": lambda x: x**2, "power of": lambda x: 2.0**x, "reciprocal": lambda x: 1.0 / (ops.abs(x) + 1.0)})
    unary.update(
        {
            "add number": lambda x: x + 1.5,
            "number minus": lambda x: 1.0 - x,
            "multiply number": lambda x: x * 3.0,
            "divide number": lambda x: x / 4.0,
            "add array": lambda x: x + constant,
            "matmul array": lambda x: ops.matmul(x, constant.T),
        }
    )
    unary.update(
        {
            "mean": lambda x: ops.mean(x, axis=1),
            "mean keepdims": lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
            "sum": lambda x: ops.sum(x, axis=-1),
            "max": lambda x: ops.max(x, axis=1),
            "min": lambda x: ops.min(x, axis=1),
            "var": lambda x: ops.var(x, axis=1),
            "std": lambda x: ops.std(x, axis=1),
            "logsumexp": lambda x: ops.logsumexp(x, axis=1),
            "cumsum": lambda x: ops.cumsum(x, axis=1),
            "argmax": lambda x: ops.argmax(x, axis=1),
        }
    )
    unary.update(
        {
            "reshape": lambda x: ops.reshape(x, (-1, 12)),
            "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
            "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
            "moveaxis": lambda x: ops.moveaxis(x, 1, 2),
            "expand_dims": lambda x: ops.expand_dims(x, 1),
            "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
            "tile": lambda x: ops.tile(x, (1, 2, 1)),
            "repeat": lambda x: ops.repeat(x, 2, axis=1),
            "flip": lambda x: ops.flip(x, axis=1),
            "roll": lambda x: ops.roll(x, 1, axis=1),
            "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0))),
        }
    )
    unary.update(
        {
            "get_item": lambda x: x[:, 0],
            "get_item slice": lambda x: x[:, 1:3],
            "get_item step": lambda x: x[:, ::2, -1],
            "get_item ellipsis": lambda x: x[..., 0],
            "get_item new axis": lambda x: x[:, None],
            "get_item backwards": lambda x: x[:, ::-1],
            "take": lambda x: ops.take(x, [0, 2], axis=1),
            "clip": lambda x: ops.clip(x, -0.5, 0.5),
            "where": lambda x: ops.where(x > 0, x, 0.0),
            "split": lambda x: ops.split(x, 2, axis=1),
            "softmax axis": lambda x: ops.softmax(x, axis=1),
            "stop_gradient": lambda x: x * ops.stop_gradient(x),
            "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=1), 4),
            "einsum": lambda x: ops.einsum("abc,acd->abd", x, ops.swapaxes(x, 1, 2)),
            "cast": lambda x: ops.cast(x > 0, "float32"),
        }
    )
    for name, function in unary.items():
        yield Case(f"ops.{name}", "keras.ops", _graph(lambda x, function=function: function(layers.Dense(3)(x)), (4, 3)))
    binary: dict[str, Callable[..., Any]] = {
        name: getattr(ops, name)
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "matmul", "greater", "logaddexp", "arctan2")
    }
    binary.update(
        {
            "concatenate": lambda a, b: ops.concatenate([a, b], axis=1),
            "stack": lambda a, b: ops.stack([a, b], axis=1),
            "add broadcast": lambda a, b: a + b[:, :1],
            "tensordot": lambda a, b: ops.einsum("abc,abd->acd", a, b),
        }
    )
    for name, function in binary.items():
        second = (3, 4) if name == "matmul" else (4, 3)
        yield Case(f"ops.{name} of two", "keras.ops", _graph(function, (4, 3), second))
    for name, function in {"sort": lambda x: ops.sort(x, axis=1), "fft": lambda x: ops.real(ops.fft((x, x))[0])}.items():
        yield Case(f"ops.{name}", "keras.ops", _graph(function, (4, 3)), refused="operation")


_FAMILIES = (
    _core,
    _activations,
    _convolutions,
    _pooling,
    _normalization,
    _merging,
    _reshaping,
    _regularization,
    _recurrent,
    _attention,
    _preprocessing,
    _operations,
)
