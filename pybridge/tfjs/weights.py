"""The weights of a TF.js model: a manifest that describes groups of binary files.

The format is that of TensorFlow.js: each group names its files and its weights; the files of a group, concatenated,
hold the group's weights one after the other, little-endian, without padding.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.text import listed
from pybridge.tfjs.precision import PRECISIONS, Precision

_DAMAGED = "The model is damaged or incomplete: export or download it again."
_DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "|b1", "complex64": "<c8"}
"""How the numbers of float32 weights can be stored."""

_SMALL = 8192
"""Numbers of a weight; those with fewer are next to nothing of a file, but the first layers of a network are among them."""

_QUANTIZED = {"uint8": "|u1", "uint16": "<u2", "float16": "<f2"}


@dataclass(frozen=True)
class WeightSpec:
    """One weight of a manifest.

    Attributes:
        name: Such as ``"conv1/kernel"``.
        shape: Its dimensions.
        dtype: ``float32``, ``int32``, ``bool``, ``complex64`` or ``string``: the type after dequantization.
        stored: The numpy type of the bytes on disk; empty for strings.
        scale: Step of affine quantization, or None where the stored numbers are the values.
        minimum: Offset of affine quantization.
        group: Such as ``optimizer`` for the slots that TF.js saves with ``includeOptimizer``; empty for the model's own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored: str
    scale: float | None = None
    minimum: float = 0.0
    group: str = ""

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count

    @property
    def size(self) -> int:
        """Its size on disk in bytes; for strings the least possible (each starts with a length of four bytes)."""
        return self.count * (4 if self.dtype == "string" else np.dtype(self.stored).itemsize)


@dataclass(frozen=True)
class WeightGroup:
    """The files of a group, in order, and the weights that they hold together."""

    paths: tuple[str, ...]
    specs: tuple[WeightSpec, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together (a lower bound where ``has_strings``)."""
        return sum(spec.size for spec in self.specs)

    @property
    def has_strings(self) -> bool:
        """Whether the size of the group cannot be told from the manifest alone."""
        return any(spec.dtype == "string" for spec in self.specs)


def parse_manifest(manifest: object, where: str) -> list[WeightGroup]:
    """Check a ``weightsManifest`` and give it types.

    Args:
        manifest: The value of ``weightsManifest`` in a ``model.json``.
        where: What to call the file in errors.

    Raises:
        ModelFormatError: If anything in it is not as the format demands, or a path leads out of the model's folder.
    """
    if not isinstance(manifest, list):
        raise ModelFormatError(f"{where}: weightsManifest is not a list", hint=_DAMAGED)
    groups: list[WeightGroup] = []
    names: set[str] = set()
    files: set[str] = set()
    for entry in manifest:
        if not isinstance(entry, dict) or not isinstance(entry.get("paths"), list):
            raise ModelFormatError(f"{where}: a group of weightsManifest has no list of paths", hint=_DAMAGED)
        paths = tuple(_safe_path(path, where) for path in entry["paths"])
        specs = tuple(_parse_spec(weight, where) for weight in _listed(entry.get("weights"), where))
        for spec in specs:
            if spec.name in names:
                raise ModelFormatError(f"{where}: the weight {spec.name!r} is listed twice", hint=_DAMAGED)
            names.add(spec.name)
        for path in paths:
            if path in files:
                raise ModelFormatError(f"{where}: the file {path!r} is listed twice", hint=_DAMAGED)
            files.add(path)
        groups.append(WeightGroup(paths, specs))
    return groups


def read_weights(groups: list[WeightGroup], folder: Path) -> dict[str, NDArray[Any]]:
    """Read all weights of a model, dequantized, by name in the order of the manifest; not those of its optimizer.

    Sizes are compared before anything is read: memory use is bounded by the sizes of the files.

    Raises:
        ModelFormatError: If a file is missing, outside ``folder``, or of another size than the manifest says.
    """
    weights: dict[str, NDArray[Any]] = {}
    for group in groups:
        files = [_inside(folder, path) for path in group.paths]
        size = sum(file.stat().st_size for file in files)
        if size < group.size or (size > group.size and not group.has_strings):
            raise ModelFormatError(
                f"{listed(group.paths[:3])} in {folder}: {size} bytes, but the manifest describes {group.size}",
                hint=_DAMAGED,
            )
        data = b"".join(file.read_bytes() for file in files)
        decoded = decode_group(group, data, str(folder))
        weights.update((spec.name, decoded[spec.name]) for spec in group.specs if not spec.group)
    return weights


def decode_group(group: WeightGroup, data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Decode the concatenated bytes of one group into arrays.

    Affine quantization follows TF.js: ``value = stored * scale + min`` in double precision, then rounded to the
    weight's type.

    Raises:
        ModelFormatError: If ``data`` is too short or too long.
    """
    weights: dict[str, NDArray[Any]] = {}
    offset = 0
    for spec in group.specs:
        if spec.dtype == "string":
            weights[spec.name], offset = _decode_strings(spec, data, offset, where)
            continue
        end = offset + spec.size
        if end > len(data):
            raise ModelFormatError(f"{where}: the data end inside the weight {spec.name!r}", hint=_DAMAGED)
        stored = np.frombuffer(data, dtype=spec.stored, count=spec.count, offset=offset).reshape(spec.shape)
        weights[spec.name] = _dequantize(spec, stored)
        offset = end
    if offset != len(data):
        raise ModelFormatError(f"{where}: {len(data) - offset} bytes follow the last weight", hint=_DAMAGED)
    return weights


def encode_weights(
    weights: Mapping[str, NDArray[Any]], shard_bytes: int, precision: Precision = "float32"
) -> tuple[list[dict[str, Any]], Iterator[bytes]]:
    """Describe and cut weights as one group.

    Args:
        weights: By name; float32, int32, bool, complex64 or strings (object arrays of bytes or str). Other floating types
            become float32.
        shard_bytes: The size of all files but the last.
        precision: How float32 is stored: ``"float32"``; ``"float16"``, a half of the size; ``"uint16"`` or ``"uint8"``, a half
            or a quarter: equal steps between the least and the greatest number of each weight, as ``decodeWeights`` of TF.js
            reads them. Weights of one dimension (biases, statistics) stay float32 there: they are small, and a step too coarse
            for a variance spoils the whole model. For the same reason small weights, and depthwise kernels, whose
            channels differ widely in range and have few numbers each, are float16 instead of uint8.

    Returns:
        The ``weights`` list of the group, and the contents of its files in order.

    Raises:
        ModelFormatError: If a weight's type has no counterpart in TF.js, or it has numbers that the precision cannot hold.
    """
    if precision not in PRECISIONS:
        raise ModelFormatError(f"the precision {precision!r} does not exist", hint=f"Choose one of {', '.join(PRECISIONS)}.")
    described: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, value in weights.items():
        dtype = tfjs_dtype(value, name)
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": dtype}
        if dtype == "string":
            content = _encode_strings(value)
        elif dtype == "float32" and (precision == "float16" or (precision != "float32" and value.ndim > 1)):
            chosen = "float16" if precision == "uint8" and _needs_more_bits(value) else precision
            stored, entry["quantization"] = _quantize(np.asarray(value, "<f4"), chosen, name)
            content = stored.tobytes()
        else:
            content = np.ascontiguousarray(value, dtype=_DTYPES[dtype]).tobytes()
        described.append(entry)
        parts.append(content)
    data = b"".join(parts)
    return described, (data[start : start + shard_bytes] for start in range(0, len(data), shard_bytes))


def named_shards(shards: Iterable[bytes]) -> dict[str, bytes]:
    """Give weight files names with a part of their hash, so that old and new ones never mix.

    Returns:
        The contents by name, in order.
    """
    contents = list(shards)
    return {
        f"group1-shard{number}of{len(contents)}-{hashlib.sha256(content).hexdigest()[:8]}.bin": content
        for number, content in enumerate(contents, 1)
    }


def tfjs_dtype(value: NDArray[Any], name: str) -> str:
    """Name the TF.js type that holds an array.

    Raises:
        ModelFormatError: If there is none.
    """
    by_kind = {"f": "float32", "b": "bool", "c": "complex64", "i": "int32"}
    dtype = by_kind.get(value.dtype.kind)
    if value.dtype.kind == "O" and all(isinstance(item, (bytes, str)) for item in value.flat):
        return "string"
    if dtype is None or (dtype == "int32" and value.dtype.itemsize > 4):
        raise ModelFormatError(
            f"the weight {name!r} is {value.dtype}, which TF.js has no type for",
            hint="Convert it to float32 or int32.",
        )
    return dtype


def _listed(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise ModelFormatError(f"{where}: a group of weightsManifest has no list of weights", hint=_DAMAGED)
    return value


def _parse_spec(weight: object, where: str) -> WeightSpec:
    spec = _parse_values(weight, where)
    group = weight.get("group") if isinstance(weight, dict) else None
    return replace(spec, group=group) if isinstance(group, str) and group != "model" else spec


def _parse_values(weight: object, where: str) -> WeightSpec:
    if not isinstance(weight, dict) or not _is_name(weight.get("name")):
        raise ModelFormatError(f"{where}: a weight of weightsManifest has no name", hint=_DAMAGED)
    name, shape, dtype = weight["name"], weight.get("shape"), weight.get("dtype")
    whole = isinstance(shape, list) and all(type(size) is int and 0 <= size < 2**31 for size in shape)
    if not isinstance(shape, list) or not whole or len(shape) > 16:
        raise ModelFormatError(f"{where}: the weight {name!r} has no valid shape: {str(shape)[:80]}", hint=_DAMAGED)
    if not isinstance(dtype, str) or (dtype not in _DTYPES and dtype != "string"):
        raise ModelFormatError(f"{where}: the weight {name!r} has the unknown type {str(dtype)[:80]!r}", hint=_DAMAGED)
    quantization = weight.get("quantization")
    if quantization is None:
        return WeightSpec(name, tuple(shape), dtype, _DTYPES.get(dtype, ""))
    stored = quantization.get("dtype") if isinstance(quantization, dict) else None
    if not isinstance(stored, str) or stored not in _QUANTIZED or dtype not in ("float32", "int32"):
        raise ModelFormatError(f"{where}: the weight {name!r} has an unknown quantization", hint=_DAMAGED)
    if stored == "float16":
        if dtype != "float32":
            raise ModelFormatError(f"{where}: the weight {name!r} stores {dtype} as float16", hint=_DAMAGED)
        return WeightSpec(name, tuple(shape), dtype, _QUANTIZED[stored])
    scale, minimum = quantization.get("scale"), quantization.get("min")
    if not _is_finite(scale) or not _is_finite(minimum):
        raise ModelFormatError(f"{where}: the quantization of {name!r} has no finite scale and min", hint=_DAMAGED)
    return WeightSpec(name, tuple(shape), dtype, _QUANTIZED[stored], float(scale), float(minimum))


def _is_name(value: object) -> bool:
    # Half of a surrogate pair is no character: it could neither be written nor sent.
    return isinstance(value, str) and 0 < len(value) <= 512 and not any("\ud800" <= one <= "\udfff" for one in value)


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _dequantize(spec: WeightSpec, stored: NDArray[Any]) -> NDArray[Any]:
    target = np.dtype(_DTYPES[spec.dtype])
    if spec.scale is None:
        return stored.astype(target)
    values = stored.astype(np.float64) * spec.scale + spec.minimum
    if spec.dtype == "float32":
        with np.errstate(over="ignore"):
            return values.astype(target)
    # JavaScript's Math.round rounds halves up; numpy's rint would round them to even.
    limits = np.iinfo(np.int32)
    return np.clip(np.floor(values + 0.5), limits.min, limits.max).astype(target)


def _needs_more_bits(value: NDArray[Any]) -> bool:
    is_depthwise = value.ndim == 4 and value.shape[3] == 1 and value.shape[2] > 1
    return is_depthwise or value.size < _SMALL


def _quantize(value: NDArray[Any], precision: Precision, name: str) -> tuple[NDArray[Any], dict[str, Any]]:
    hint = 'Store it with precision="float32".'
    if not np.isfinite(value).all():
        raise ModelFormatError(f"the weight {name!r} has numbers that are infinite or not a number", hint=hint)
    if precision == "float16":
        with np.errstate(over="ignore"):
            halves = value.astype(_QUANTIZED["float16"])
        if not np.isfinite(halves).all():
            raise ModelFormatError(f"the weight {name!r} has numbers greater than float16 holds (65504)", hint=hint)
        return halves, {"dtype": "float16", "original_dtype": "float32"}
    steps = float(np.iinfo(_QUANTIZED[precision]).max)
    least, greatest = (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
    scale = (greatest - least) / steps or 1.0
    if least <= 0 <= greatest:
        # Zeros stay exact: pruned weights and padding rely on it.
        least = -round(-least / scale) * scale
    stored = np.clip(np.round((value.astype(np.float64) - least) / scale), 0, steps)
    described = {"dtype": precision, "scale": scale, "min": least, "original_dtype": "float32"}
    return stored.astype(_QUANTIZED[precision]), described


def _encode_strings(value: NDArray[Any]) -> bytes:
    encoded = [item.encode() if isinstance(item, str) else bytes(item) for item in value.flat]
    return b"".join(len(item).to_bytes(4, "little") + item for item in encoded)


def _decode_strings(spec: WeightSpec, data: bytes, offset: int, where: str) -> tuple[NDArray[Any], int]:
    if offset + spec.size > len(data):
        raise ModelFormatError(f"{where}: the data end inside the weight {spec.name!r}", hint=_DAMAGED)
    values = np.empty(spec.count, dtype=object)
    for index in range(spec.count):
        start = offset + 4
        end = start + int.from_bytes(data[offset:start], "little")
        if start > len(data) or end > len(data):
            raise ModelFormatError(f"{where}: the data end inside the weight {spec.name!r}", hint=_DAMAGED)
        values[index] = data[start:end]
        offset = end
    return values.reshape(spec.shape), offset


def _safe_path(path: object, where: str) -> str:
    hint = "A model may only name files below its own folder; do not trust where this one came from."
    if not isinstance(path, str) or not path or len(path) > 1024:
        raise ModelFormatError(f"{where}: weightsManifest holds a path that is not a file name", hint=_DAMAGED)
    decoded = path
    # Twice, because a server or a proxy may decode once more than we do.
    for _ in range(2):
        decoded = unquote(decoded)
        parts = PurePosixPath(decoded).parts
        unsafe = decoded.startswith("/") or ".." in parts or any(mark in decoded for mark in ("\\", ":", "\0", "?", "#"))
        if unsafe or not parts or any(ord(character) < 32 for character in decoded):
            raise ModelFormatError(f"{where}: the path {path!r} leads out of the model's folder", hint=hint)
    return path


def _inside(folder: Path, path: str) -> Path:
    file = folder / path
    try:
        resolved = file.resolve(strict=True)
        mode = resolved.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelFormatError(f"{file}: this weight file cannot be read ({error})", hint=_DAMAGED) from error
    if not resolved.is_relative_to(folder.resolve()):
        raise ModelFormatError(
            f"{file}: this weight file is a link out of the model's folder",
            hint="Copy the model with its files (cp -rL) and use the copy.",
        )
    if not stat.S_ISREG(mode):
        raise ModelFormatError(f"{file}: this weight file is not a regular file", hint=_DAMAGED)
    return resolved
