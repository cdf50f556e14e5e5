"""Which options each layer class of TF.js 4.22 has, their defaults there, and which values the two sides read differently."""

from __future__ import annotations

from typing import Any

_BIAS = ("bias_initializer", "bias_regularizer", "bias_constraint")
_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_RECURRENT = ("recurrent_initializer", "recurrent_regularizer", "recurrent_constraint")
_DEPTHWISE = ("depthwise_initializer", "depthwise_regularizer", "depthwise_constraint")
_POINTWISE = ("pointwise_initializer", "pointwise_regularizer", "pointwise_constraint")
_BASE_CONV = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias", *_BIAS)
_CONV = ("filters", *_BASE_CONV, *_KERNEL, "activity_regularizer")
_TRANSPOSE = tuple(key for key in _CONV if key != "dilation_rate")
_POOLING = ("pool_size", "strides", "padding", "data_format")
_CELL = ("units", "activation", "use_bias", *_KERNEL, *_RECURRENT, *_BIAS, "dropout", "recurrent_dropout")
_GATED = (*_CELL, "recurrent_activation")
_SEQUENCE = ("return_sequences", "return_state", "go_backwards", "stateful", "activity_regularizer")
_SCALE = ("gamma_initializer", "gamma_regularizer", "beta_initializer", "beta_regularizer")
_CONV_LSTM = tuple(key for key in (*_GATED, "unit_forget_bias") if key != "units")

OPTIONS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "AlphaDropout": ("rate", "noise_shape"),
    "Average": (),
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _POOLING,
    "AveragePooling3D": _POOLING,
    "BatchNormalization": (
        *("axis", "momentum", "epsilon", "center", "scale", "gamma_constraint", "beta_constraint"),
        *("moving_mean_initializer", "moving_variance_initializer", *_SCALE),
    ),
    "Bidirectional": ("merge_mode",),
    "Concatenate": ("axis",),
    "Conv1D": _CONV,
    "Conv2D": _CONV,
    "Conv2DTranspose": _TRANSPOSE,
    "Conv3D": _CONV,
    "Conv3DTranspose": _TRANSPOSE,
    "ConvLSTM2D": ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", *_CONV_LSTM, *_SEQUENCE),
    "Cropping2D": ("cropping", "data_format"),
    "Dense": ("units", "activation", "use_bias", *_KERNEL, *_BIAS, "activity_regularizer"),
    "DepthwiseConv2D": ("depth_multiplier", *_BASE_CONV, *_DEPTHWISE, "activity_regularizer"),
    "Dot": ("axes", "normalize"),
    "Dropout": ("rate", "noise_shape", "seed"),
    "ELU": ("alpha",),
    "Embedding": (
        *("input_dim", "output_dim", "mask_zero", "activity_regularizer"),
        *("embeddings_initializer", "embeddings_regularizer", "embeddings_constraint"),
    ),
    "Flatten": ("data_format",),
    "GRU": (*_GATED, *_SEQUENCE, "reset_after"),
    "GRUCell": (*_GATED, "reset_after"),
    "GaussianDropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "GlobalAveragePooling1D": (),
    "GlobalAveragePooling2D": ("data_format",),
    "GlobalMaxPooling1D": (),
    "GlobalMaxPooling2D": ("data_format",),
    "LSTM": (*_GATED, *_SEQUENCE, "unit_forget_bias"),
    "LSTMCell": (*_GATED, "unit_forget_bias"),
    "LayerNormalization": ("axis", "epsilon", "center", "scale", *_SCALE),
    "LeakyReLU": ("alpha",),
    "Masking": ("mask_value",),
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _POOLING,
    "MaxPooling3D": _POOLING,
    "Maximum": (),
    "Minimum": (),
    "Multiply": (),
    "PReLU": ("shared_axes", "alpha_initializer", "alpha_regularizer", "alpha_constraint"),
    "Permute": ("dims",),
    "RNN": _SEQUENCE,
    "ReLU": ("max_value",),
    "RepeatVector": ("n",),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SeparableConv2D": ("filters", "depth_multiplier", *_BASE_CONV, *_DEPTHWISE, *_POINTWISE, "activity_regularizer"),
    "SimpleRNN": (*_CELL, *_SEQUENCE),
    "SimpleRNNCell": _CELL,
    "Softmax": ("axis",),
    "SpatialDropout1D": ("rate", "seed"),
    "SpatialDropout2D": ("rate", "data_format", "seed"),
    "StackedRNNCells": (),
    "ThresholdedReLU": ("theta",),
    "TimeDistributed": (),
    "UpSampling2D": ("size", "data_format", "interpolation"),
    "ZeroPadding2D": ("padding", "data_format"),
}
"""The Keras 3 names of the options that are taken over, by class of TF.js.

``unroll`` is not among them: TF.js ignores it, and it changes no output.
"""

RENAMED_OPTIONS = {("LeakyReLU", "alpha"): "negative_slope", ("ThresholdedReLU", "theta"): "threshold"}
RENAMED_CLASSES = {"ThresholdedReLU": "ReLU"}

_ANY_DEFAULTS: dict[str, Any] = {
    "activation": "linear",
    "recurrent_activation": "hard_sigmoid",
    "data_format": "channels_last",
    "dilation_rate": 1,
    "strides": 1,
    "padding": "valid",
    "kernel_initializer": "glorot_normal",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "depthwise_initializer": "glorot_normal",
    "embeddings_initializer": "random_uniform",
    "gamma_initializer": "ones",
    "beta_initializer": "zeros",
    "alpha_initializer": "zeros",
    "moving_mean_initializer": "zeros",
    "moving_variance_initializer": "ones",
    "epsilon": 1e-3,
    "unit_forget_bias": False,
    "reset_after": False,
    "mask_zero": False,
}
_CLASS_DEFAULTS: dict[tuple[str, str], Any] = {
    ("ConvLSTM2D", "activation"): "tanh",
    ("Bidirectional", "merge_mode"): "concat",
    ("GRU", "activation"): "tanh",
    ("GRUCell", "activation"): "tanh",
    ("LSTM", "activation"): "tanh",
    ("LSTMCell", "activation"): "tanh",
    ("LeakyReLU", "alpha"): 0.3,
    ("SeparableConv2D", "depthwise_initializer"): "glorot_uniform",
    ("SeparableConv2D", "pointwise_initializer"): "glorot_uniform",
    ("SimpleRNN", "activation"): "tanh",
    ("SimpleRNNCell", "activation"): "tanh",
    ("Softmax", "axis"): 1,
    ("ThresholdedReLU", "theta"): 1.0,
    ("ZeroPadding2D", "padding"): 1,
} | {(f"{kind}Pooling{rank}D", "strides"): None for kind in ("Average", "Max") for rank in (1, 2, 3)}


def default(class_name: str, key: str) -> Any:
    """What TF.js takes where the file says nothing; None leaves it to Keras, whose default is the same."""
    return _CLASS_DEFAULTS.get((class_name, key), _ANY_DEFAULTS.get(key))


_ONES = (None, 1, [1], [1, 1], [1, 1, 1])
_OFF = (None, False, 0)
REFUSED: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("ReLU", "negative_slope", (None, 0)),
    ("ReLU", "threshold", (None, 0)),
    ("ELU", "alpha", (None, 1)),
    ("Conv1D", "groups", (None, 1)),
    ("Conv1D", "data_format", (None, "channels_last", "channelsLast")),
    ("Conv2D", "groups", (None, 1)),
    ("Conv3D", "groups", (None, 1)),
    ("Conv2DTranspose", "groups", (None, 1)),
    ("Conv2DTranspose", "dilation_rate", _ONES),
    ("Conv2DTranspose", "output_padding", (None,)),
    ("Conv3DTranspose", "dilation_rate", _ONES),
    ("Conv3DTranspose", "output_padding", (None,)),
    ("DepthwiseConv2D", "dilation_rate", _ONES),
    ("AveragePooling1D", "data_format", (None, "channels_last", "channelsLast")),
    ("MaxPooling1D", "data_format", (None, "channels_last", "channelsLast")),
    ("GlobalAveragePooling1D", "data_format", (None, "channels_last", "channelsLast")),
    ("GlobalMaxPooling1D", "data_format", (None, "channels_last", "channelsLast")),
    ("GlobalAveragePooling1D", "keepdims", _OFF),
    ("GlobalMaxPooling1D", "keepdims", _OFF),
    ("GlobalAveragePooling2D", "keepdims", _OFF),
    ("GlobalMaxPooling2D", "keepdims", _OFF),
    ("UpSampling2D", "interpolation", (None, "nearest")),
    *((name, key, _OFF) for name in ("GRU", "LSTM", "RNN", "SimpleRNN") for key in ("time_major", "zero_output_for_mask")),
    ("Bidirectional", "backward_layer", (None,)),
    ("BatchNormalization", "renorm", _OFF),
    ("LayerNormalization", "rms_scaling", _OFF),
    ("SeparableConv2D", "dilation_rate", _ONES),
)
"""Options on which the two sides differ: class, key, and the only values for which they agree."""

BROKEN = {
    "CategoryEncoding": "has the wrong shape inside a model of TF.js",
    "CenterCrop": "has the wrong shape inside a model of TF.js",
    "Resizing": "has the wrong shape inside a model of TF.js",
    "RandomWidth": "changes the width of each batch by chance in TF.js, also when it predicts",
    "ConvLSTM2DCell": "is only known as the cell of ConvLSTM2D",
}
"""Classes that TF.js registers but that no model can use there; the reason."""
