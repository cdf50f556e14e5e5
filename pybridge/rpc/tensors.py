"""Numpy arrays to the bytes of a frame and back, without copies where the layout already fits."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pybridge.errors import DataError
from pybridge.rpc.protocol import MAX_PAYLOAD_BYTES, MAX_TENSOR_RANK, ProtocolError, TensorDescriptor
from pybridge.rpc.receive_memory import ReceiveMemory

Array = npt.NDArray[Any]
Buffer = bytes | memoryview

_NUMERIC: Final[dict[str, np.dtype[Any]]] = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        "bool",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
    )
}
_OFFSET: Final = np.dtype("<u8")

# Below this mean length one joined copy is cheaper than one kernel vector for each element.
_JOIN_BELOW_BYTES: Final = 4096


@dataclass(frozen=True)
class EncodedTensor:
    """A tensor ready to be sent: its descriptor, and buffers whose concatenation is its payload."""

    descriptor: TensorDescriptor
    buffers: list[Buffer]


def encode_tensor(value: Any, where: str = "value") -> EncodedTensor:
    """Describe an array for the wire; C-contiguous little-endian arrays are referenced, not copied.

    Args:
        value: An array of any shape: bool, (u)int8-64, float16-64, complex64; or of ``bytes``/``str`` (S, U, object).
        where: Names the value in errors.

    Raises:
        DataError: The dtype cannot cross, such as dates, complex128 or mixed objects.

    Example:
        >>> encode_tensor(np.zeros((2, 3), np.float32)).descriptor
        {'dtype': 'float32', 'shape': [2, 3], 'nbytes': 24}
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{where} is a masked array; its mask cannot cross to Node.js.", hint="Use .filled(...) first.")
    array = np.asarray(value)
    if array.dtype.kind in "SUOT":
        return _encode_strings(array, where)
    dtype = _NUMERIC.get(array.dtype.name)
    if dtype is None:
        raise DataError(
            f"{where} has dtype {array.dtype}, which cannot cross to Node.js.",
            hint=f"Convert it with .astype(...) to one of: {', '.join(_NUMERIC)}, or to bytes/str.",
        )
    if array.ndim > MAX_TENSOR_RANK:
        raise DataError(f"{where} has {array.ndim} dimensions; at most {MAX_TENSOR_RANK} can cross.")
    array = np.asarray(array, dtype=dtype, order="C")
    return EncodedTensor(
        {"dtype": dtype.name, "shape": list(array.shape), "nbytes": array.nbytes},
        [array.reshape(-1).view(np.uint8).data] if array.nbytes else [],
    )


def encode_bytes(items: list[bytes]) -> EncodedTensor:
    """Encode a list of byte strings, such as image files, as a string tensor of shape (n,)."""
    return _encode_items(items, (len(items),))


def _encode_strings(array: Array, where: str) -> EncodedTensor:
    items: list[bytes] = []
    for item in array.reshape(-1).tolist():
        if isinstance(item, str):
            # A lone surrogate has no UTF-8 form; the caller learns where it is.
            try:
                items.append(item.encode())
            except UnicodeEncodeError as error:
                raise DataError(f"{where}, element {len(items)}: {error}.") from None
        elif isinstance(item, bytes):
            items.append(item)
        else:
            raise DataError(
                f"{where}, element {len(items)}, is a {type(item).__name__}.",
                hint="An object array must hold only bytes or str; give other arrays a numeric dtype.",
            )
    return _encode_items(items, array.shape)


def _encode_items(items: list[bytes], shape: tuple[int, ...]) -> EncodedTensor:
    offsets = np.zeros(len(items) + 1, _OFFSET)
    np.cumsum(np.fromiter((len(item) for item in items), _OFFSET, len(items)), out=offsets[1:])
    total = int(offsets[-1])
    small = total < _JOIN_BELOW_BYTES * len(items)
    chunks: list[bytes] = [b"".join(items)] if small else [item for item in items if item]
    return EncodedTensor(
        {"dtype": "string", "shape": list(shape), "nbytes": offsets.nbytes + total},
        [offsets.view(np.uint8).data, *(chunks if total else [])],
    )


def check_descriptors(descriptors: Any, payload_bytes: int) -> list[TensorDescriptor]:
    """Check a frame's descriptors against each other and the payload before anything is allocated.

    Raises:
        ProtocolError: A member is missing or wrong, or the sizes do not add up.
    """
    if not isinstance(descriptors, list):
        raise ProtocolError(f"'tensors' must be a list, found {type(descriptors).__name__}.")
    total = 0
    for index, descriptor in enumerate(descriptors):
        _check_descriptor(descriptor, index)
        total += descriptor["nbytes"]
    if total != payload_bytes:
        raise ProtocolError(f"The tensors need {total} bytes, but the frame carries {payload_bytes}.")
    return descriptors


def _check_descriptor(descriptor: Any, index: int) -> None:
    if not isinstance(descriptor, dict):
        raise ProtocolError(f"Tensor {index} is described by a {type(descriptor).__name__}, not an object.")
    dtype, shape, nbytes = descriptor.get("dtype"), descriptor.get("shape"), descriptor.get("nbytes")
    if not isinstance(dtype, str) or (dtype != "string" and dtype not in _NUMERIC):
        raise ProtocolError(f"Tensor {index} has the unknown dtype {dtype!r:.80}.")
    if not isinstance(shape, list) or len(shape) > MAX_TENSOR_RANK:
        raise ProtocolError(f"Tensor {index} has no valid shape: {shape!r:.80}.")
    if not all(type(size) is int and 0 <= size <= MAX_PAYLOAD_BYTES for size in [*shape, nbytes]):
        raise ProtocolError(f"Tensor {index} has an invalid shape or size: {shape!r:.80}, {nbytes!r:.80}.")
    # Zero-sized dimensions must not hide others that no array could have.
    if math.prod(max(size, 1) for size in shape) > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"Tensor {index} is too large: {shape!r:.80}.")
    count = math.prod(shape)
    assert isinstance(nbytes, int)
    if dtype == "string":
        if nbytes < 8 * (count + 1):
            raise ProtocolError(f"String tensor {index} of shape {shape} cannot fit into {nbytes} bytes.")
    elif nbytes != count * _NUMERIC[dtype].itemsize:
        raise ProtocolError(f"Tensor {index} of {dtype} {shape} cannot have {nbytes} bytes.")


def allocate(descriptor: TensorDescriptor, memory: ReceiveMemory) -> tuple[Array, memoryview]:
    """Make the array that a described tensor will be received into, and a writable view of its bytes."""
    raw: Array = memory.lend(descriptor["nbytes"])
    if descriptor["dtype"] == "string":
        return raw, raw.data
    return raw.view(_NUMERIC[descriptor["dtype"]]).reshape(descriptor["shape"]), raw.data


def finish(descriptor: TensorDescriptor, received: Array) -> Array:
    """Turn the received bytes of a string tensor into an object array of ``bytes``; numbers are ready already.

    Raises:
        ProtocolError: The offsets of a string tensor are not ascending or point outside of it.
    """
    if descriptor["dtype"] != "string":
        return received if sys.byteorder == "little" else received.astype(received.dtype.newbyteorder("="))
    count = math.prod(descriptor["shape"])
    start = 8 * (count + 1)
    offsets = received[:start].view(_OFFSET)
    total = received.size - start
    if offsets[0] != 0 or int(offsets[-1]) != total or (offsets[1:] < offsets[:-1]).any():
        raise ProtocolError(f"The offsets of a string tensor of {count} elements are damaged.")
    body = received[start:].tobytes()
    bounds = offsets.tolist()
    strings = np.empty(count, object)
    strings[:] = [body[bounds[i] : bounds[i + 1]] for i in range(count)]
    return strings.reshape(descriptor["shape"])
