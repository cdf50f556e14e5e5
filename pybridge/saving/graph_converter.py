"""The converter of ``tensorflowjs``, run as a program: SavedModel in, TF.js graph model out."""

from __future__ import annotations

import json
import sys


def convert(source: str, signature: str, target: str, precision: str) -> None:
    """Converts one signature of a SavedModel.

    Args:
        source: The SavedModel's folder.
        signature: The signature's name.
        target: The folder to write.
        precision: ``float32``, or what all weights are quantized to.
    """
    from tensorflowjs.converters import tf_saved_model_conversion_v2

    tf_saved_model_conversion_v2.convert_tf_saved_model(
        source,
        target,
        signature_def=signature,
        quantization_dtype_map=None if precision == "float32" else {precision: "*"},
    )


if __name__ == "__main__":
    convert(**json.loads(sys.argv[1]))
