"""One call from any source to any format."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from pybridge.errors import ModelFormatError
from pybridge.loading import Shapes, Source
from pybridge.node import Node
from pybridge.saving.formats import Format
from pybridge.saving.saving import SaveReport
from pybridge.tfjs.precision import Precision


def convert(
    source: Source,
    destination: str | Path,
    *,
    to: Format = "tfjs_layers",
    precision: Precision = "float32",
    input_shape: Shapes | None = None,
    signature: str | None = None,
    allow_lambda: bool = False,
    allow_operations: Collection[str] = (),
    node: Node | None = None,
) -> SaveReport:
    """Converts a model, and compares what it wrote with the source before it returns.

    Args:
        source: As `Node.load_model` takes it.
        destination: A folder that does not exist or is empty; for ``keras`` also the name of a ``.keras`` file.
        to: ``tfjs_layers``, ``tfjs_graph``, ``saved_model`` or ``keras``.
        precision: ``float32``, ``float16``, ``uint16`` or ``uint8``.
        input_shape: For torch and ONNX: the shape of one example, ``(3, height, width)``; for several inputs a list of shapes.
        signature: Which signature of a SavedModel.
        allow_lambda: Run the Python code of Lambda layers in a Keras file.
        allow_operations: Operations that a SavedModel may have besides those that compute, as `Node.load_model` takes them.
        node: A `Node` to compare in; by default one is started.

    Returns:
        How far the written model is from the source.

    Raises:
        ModelFormatError: The source cannot be opened, or not be written in that format. A Keras model in memory whose layers
            TF.js does not have is exported by Keras for ``saved_model`` and ``tfjs_graph``.
        ParityError: What was written answers differently; nothing is left behind.

    Example:
        >>> print(pb.convert("model.keras", "web/"))
        web: tfjs_layers, float32, 14.2 MB, equal to the last bit
    """
    if node is None:
        with Node() as started:
            return convert(
                source,
                destination,
                to=to,
                precision=precision,
                input_shape=input_shape,
                signature=signature,
                allow_lambda=allow_lambda,
                allow_operations=allow_operations,
                node=started,
            )
    with tempfile.TemporaryDirectory(prefix="pybridge-export-") as scratch:
        try:
            model = node.load_model(
                source,
                input_shape=input_shape,
                signature=signature,
                allow_lambda=allow_lambda,
                allow_operations=allow_operations,
            )
        except ModelFormatError:
            # Formats of graphs need no layers that TF.js has.
            if to not in ("saved_model", "tfjs_graph") or not _is_keras_model(source):
                raise
            source.export(scratch, verbose=False)  # type: ignore[union-attr]
            model = node.load_model(scratch, allow_operations=allow_operations)
        try:
            return model.save(destination, to, precision=precision)
        finally:
            model.dispose()


def _is_keras_model(source: Source) -> bool:
    # Who has such a model has imported Keras.
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(source, keras.Model)
