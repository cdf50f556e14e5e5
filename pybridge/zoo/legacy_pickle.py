"""Read tensors from a PyTorch checkpoint of the kind used before PyTorch 1.6, without PyTorch and without running it.

Such a file is a row of pickles (a magic number, a version, facts about the machine, the object, the keys of its
storages) followed by the storages themselves: for each key a count of eight bytes and the raw numbers. A pickle is a
program for a stack machine; the standard unpickler may call any function that the program names. The interpreter below
knows only the opcodes that such checkpoints use, and a name stays a name: there is nothing that a hostile file could
call.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError

FILE_LIMIT = 2**31
"""The largest file that is read, in bytes."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_HINT = "Install the package that it came from again; do not use checkpoints from sources that you do not trust."
_OPCODE_LIMIT = 2_000_000
_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|b1",
}
_FUNCTIONS = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter")


@dataclass(frozen=True)
class _Name:
    """A name in the file. It stands for itself; nothing is imported."""

    text: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """The stack machine's bracket."""


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a legacy ``.pth`` file that holds a state dictionary.

    Args:
        path: The file.

    Returns:
        The tensors by name, in PyTorch's layout (convolution kernels are ``(out, in, height, width)``).

    Raises:
        ModelFormatError: If it is damaged, of another kind, or would run anything.

    Example:
        >>> read_checkpoint(Path("efficientnet-lite0.pth"))["_fc.weight"].shape
        (1000, 1280)
    """
    try:
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise ModelFormatError(f"{path}: {size} bytes are more than a checkpoint may have ({FILE_LIMIT})", hint=_HINT)
        stream = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise ModelFormatError(f"{path}: cannot be read ({error})", hint=_HINT) from error
    try:
        return _read(stream, str(path))
    except ModelFormatError:
        raise
    # The file decides what is on the stack, so any of these says that it is damaged.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelFormatError(f"{path}: a damaged checkpoint ({error})", hint=_HINT) from error


def _read(stream: io.BytesIO, where: str) -> dict[str, NDArray[Any]]:
    if _run(stream, where) != _MAGIC or _run(stream, where) != _PROTOCOL:
        raise ModelFormatError(f"{where}: not a legacy PyTorch checkpoint", hint=_HINT)
    machine = _run(stream, where)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ModelFormatError(f"{where}: its numbers are not little-endian", hint=_HINT)
    state, keys = _run(stream, where), _run(stream, where)
    if not isinstance(state, dict) or not isinstance(keys, list):
        raise ModelFormatError(f"{where}: does not hold a dictionary of tensors", hint=_HINT)
    tensors = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, _Tensor)}
    storages = _read_storages(stream, keys, {tensor.storage.key: tensor.storage for tensor in tensors.values()}, where)
    return {name: _view(tensor, storages[tensor.storage.key], f"{where}: {name}") for name, tensor in tensors.items()}


def _read_storages(stream: io.BytesIO, keys: list[Any], expected: dict[str, _Storage], where: str) -> dict[str, NDArray[Any]]:
    data = stream.getbuffer()
    position = stream.tell()
    found: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = expected[_checked(key, str)]
        count = int.from_bytes(data[position : position + 8], "little", signed=True)
        end = position + 8 + storage.count * np.dtype(storage.dtype).itemsize
        if count != storage.count or not position + 8 <= end <= len(data):
            raise ModelFormatError(f"{where}: ends early, or the storage {key!r} has another size than announced", hint=_HINT)
        found[key] = np.frombuffer(data[position + 8 : end], dtype=storage.dtype)
        position = end
    return found


def _view(tensor: _Tensor, storage: NDArray[Any], where: str) -> NDArray[Any]:
    if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > 16:
        raise ModelFormatError(f"{where}: shape and strides do not fit", hint=_HINT)
    count, reach = 1, 0
    for size, stride in zip(tensor.shape, tensor.strides, strict=True):
        count *= size
        reach += (size - 1) * stride
    # A stride of 0 repeats numbers: without the first comparison a small file could describe an enormous tensor.
    if count > len(storage) or tensor.offset + (reach if count else -1) >= len(storage):
        raise ModelFormatError(f"{where}: lies outside its storage", hint=_HINT)
    strides = tuple(stride * storage.itemsize for stride in tensor.strides)
    # Checkpoints converted from TensorFlow keep its memory order: their tensors are transposed views.
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)


def _run(stream: io.BytesIO, where: str) -> Any:
    """Interpret one pickle: numbers, text, tuples, lists, dictionaries and descriptions of tensors."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        name = opcode.name
        if count > _OPCODE_LIMIT:
            raise ModelFormatError(f"{where}: its description is too long", hint=_HINT)
        if name in ("PROTO", "FRAME", "BUILD"):
            # BUILD sets attributes; a state dictionary's metadata are all that it carries here.
            if name == "BUILD":
                stack.pop()
        elif name == "STOP":
            return stack.pop()
        elif name in ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINFLOAT", "SHORT_BINUNICODE"):
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_Mark())
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "TUPLE":
            items = _above_mark(stack)
            stack.append(tuple(items))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            items = [stack.pop() for _ in range(size)]
            stack.append(tuple(reversed(items)))
        elif name in ("SETITEM", "SETITEMS"):
            items = _above_mark(stack) if name == "SETITEMS" else [stack.pop() for _ in range(2)][::-1]
            # Only text as keys: the hash of a tuple of tuples that share their parts takes exponential time.
            keys = [_checked(key, str) for key in items[::2]]
            _checked(stack[-1], dict).update(zip(keys, items[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            items = _above_mark(stack) if name == "APPENDS" else [stack.pop()]
            _checked(stack[-1], list).extend(items)
        elif name == "GLOBAL":
            stack.append(_named(argument, where))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop(), where))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_reduced(stack.pop(), arguments, where))
        else:
            raise ModelFormatError(f"{where}: the pickle instruction {name} is not allowed", hint=_HINT)
    raise ModelFormatError(f"{where}: ends inside a pickle", hint=_HINT)


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Any] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}


def _above_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while not isinstance(stack[-1], _Mark):
        items.append(stack.pop())
    stack.pop()
    return items[::-1]


def _checked(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _named(text: str, where: str) -> _Name:
    if text not in _STORAGES and text not in _FUNCTIONS:
        raise ModelFormatError(f"{where}: refers to {text.replace(' ', '.')!r}, which is not allowed", hint=_HINT)
    return _Name(text)


def _storage(identity: Any, where: str) -> _Storage:
    kind, name, key, _, count = _checked(identity, tuple)[:5]
    if kind != "storage" or not isinstance(name, _Name) or not isinstance(key, str) or not _is_count(count):
        raise ModelFormatError(f"{where}: a storage is not described as it should be", hint=_HINT)
    return _Storage(key, _STORAGES[name.text], count)


def _reduced(function: Any, arguments: Any, where: str) -> Any:
    name = function.text if isinstance(function, _Name) else ""
    if name == "collections OrderedDict" and arguments == ():
        return {}
    if name == "torch._utils _rebuild_parameter":
        return _checked(_checked(arguments, tuple)[0], _Tensor)
    if name == "torch._utils _rebuild_tensor_v2":
        storage, offset, shape, strides = _checked(arguments, tuple)[:4]
        sizes: tuple[Hashable, ...] = (offset, *_checked(shape, tuple), *_checked(strides, tuple))
        if isinstance(storage, _Storage) and all(_is_count(size) for size in sizes):
            return _Tensor(storage, offset, shape, strides)
    raise ModelFormatError(f"{where}: a tensor is not described as it should be", hint=_HINT)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40
