"""ONNX files: their graph, and their tensors, which may lie in files beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.values import Constant
from pybridge.converters.refusals import Refused
from pybridge.errors import ModelFormatError

FILE_LIMIT = 2**31
"""The largest ONNX file that is read, in bytes; protobuf allows no larger one."""

DAMAGED = "The file is damaged: export or download it again."
# By the numbers of TensorProto.DataType. Halves and doubles are computed as float32.
_DTYPES: dict[int, str] = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
}


def read_model(file: Path) -> Any:
    """Read a file as ``onnx.ModelProto``, the functions of its own put in place.

    Raises:
        ModelFormatError: The package onnx is not installed, or the file is missing, too large, damaged or empty.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelFormatError("the package onnx is not installed", hint="pip install 'pybridge[onnx]'") from error
    try:
        if not file.is_file():
            raise ModelFormatError(f"{file}: no such file", hint="Give the path of an .onnx file.")
        if file.stat().st_size > FILE_LIMIT:
            raise ModelFormatError(f"{file}: larger than an ONNX file may be ({FILE_LIMIT} bytes)", hint=DAMAGED)
        model = onnx.ModelProto.FromString(file.read_bytes())
    except (OSError, DecodeError, ValueError, RuntimeError) as error:
        raise ModelFormatError(f"{file}: cannot be read as ONNX ({error})", hint=DAMAGED) from error
    if not model.graph.node or not model.graph.output:
        raise ModelFormatError(f"{file}: holds no graph", hint="Give an .onnx file.")
    if len(model.functions):
        from onnx import inliner

        try:
            model = inliner.inline_local_functions(model)
        # onnx reports what is wrong with a function by errors of its C++ side.
        except Exception as error:
            raise ModelFormatError(f"{file}: its functions cannot be put in place ({error})", hint=DAMAGED) from error
    return model


def written_out(model: Any, known: Callable[[str], bool]) -> Any:
    """Put what ONNX itself says of an operation in the place of operations that are not known.

    Args:
        model: The ``onnx.ModelProto``.
        known: Whether an operation can be converted.
    """
    from onnx import helper, inliner, shape_inference

    unknown = sorted({node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx") and not known(node.op_type)})
    if not unknown:
        return model
    try:
        # The inliner asks for the type of each operand.
        model = shape_inference.infer_shapes(model)
        typed = {entry.name for entry in (*model.graph.input, *model.graph.value_info)}
        model.graph.value_info.extend(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in model.graph.initializer
            if tensor.name not in typed
        )
        return inliner.inline_selected_functions(model, [("", kind) for kind in unknown], inline_schema_functions=True)
    # onnx reports what it cannot write out by errors of its C++ side; older releases lack the argument.
    except Exception:
        return model


def read_constant(attributes: dict[str, Any], file: Path) -> Constant:
    """Read what a node ``Constant`` holds.

    Raises:
        Refused: It holds no numbers.
        ModelFormatError: As `read_tensor`.
    """
    if "value" in attributes:
        return Constant(read_tensor(attributes["value"], file))
    for key, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if key in attributes:
            return Constant(np.asarray(attributes[key], dtype))
    raise Refused("a constant that holds no numbers")


def read_tensor(tensor: Any, file: Path) -> NDArray[Any]:
    """Read a tensor out of the file, or out of a file beside it.

    Raises:
        ModelFormatError: Its data do not fit its shape, or lie outside the folder.
    """
    import onnx
    from onnx import numpy_helper

    if tensor.data_type not in _DTYPES:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in onnx.TensorProto.DataType.values() else "?"
        raise ModelFormatError(f"{file}: the tensor {tensor.name!r} is of type {kind}", hint="Export the model in float32.")
    dtype = np.dtype(_DTYPES[tensor.data_type])
    count = math.prod(tensor.dims)
    if any(size < 0 for size in tensor.dims) or count * dtype.itemsize > FILE_LIMIT:
        raise ModelFormatError(f"{file}: the tensor {tensor.name!r} has the shape {list(tensor.dims)}", hint=DAMAGED)
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            array = np.frombuffer(_external(tensor, file, count * dtype.itemsize), dtype).reshape(tuple(tensor.dims))
        else:
            array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise ModelFormatError(f"{file}: the tensor {tensor.name!r} is damaged ({error})", hint=DAMAGED) from error
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            rounded = array.astype(np.float32)
        # Where that is too small, whoever uses the numbers decides what they mean.
        return rounded if np.array_equal(np.isinf(rounded), np.isinf(array)) else array
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _external(tensor: Any, file: Path, size: int) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = Path(entries.get("location", ""))
    folder = file.resolve().parent
    place = (folder / location).resolve()
    if not location.parts or location.is_absolute() or folder not in place.parents or not place.is_file():
        raise ModelFormatError(
            f"{file}: the weights {tensor.name!r} are said to be in {str(location)[:80]!r}, which is not a file of its folder",
            hint="Put the weight files beside the .onnx file.",
        )
    offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    if offset < 0 or length != size or offset + length > place.stat().st_size:
        raise ModelFormatError(f"{file}: the weights {tensor.name!r} do not fit {location}", hint=DAMAGED)
    with place.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)
