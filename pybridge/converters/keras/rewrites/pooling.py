"""Pooling, padding and cropping with options or dimensions that TF.js lacks."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.own_layers import own, serves
from pybridge.converters.keras.registry import DECLINED, rewrite


@rewrite("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D")
def global_pooling(call: Call) -> Any:
    """TF.js ignores keepdims: a Reshape puts the sizes back."""
    if call.class_name == "GlobalAveragePooling1D" and call.input.mask is not None:
        return own(call, inputs=[call.input])
    if serves(call):
        return DECLINED
    if call.config["data_format"] != "channels_last":
        return own(call)
    channels = call.input.shape[-1]
    pooled = call.emit(call.class_name, {}, part="pool", shape=(call.input.shape[0], channels))
    return call.emit("Reshape", {"target_shape": list(call.output_shape[1:])}, pooled, shape=call.output_shape)


@rewrite(
    *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
    *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D"),
    *("UpSampling1D", "UpSampling2D", "UpSampling3D", "GlobalAveragePooling3D", "GlobalMaxPooling3D"),
    *("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D"),
    *("AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"),
)
def spatial(call: Call) -> Any:
    """Our class where TF.js has none or lacks the option."""
    return DECLINED if serves(call) else own(call)
