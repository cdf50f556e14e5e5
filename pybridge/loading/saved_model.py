"""SavedModels of TensorFlow: their signatures read, and their content checked, without TensorFlow."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import stat
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.loading.graph_safety import entries, refused_operations
from pybridge.loading.protobuf import fields, integer, merged, messages, text
from pybridge.storage.private_copy import PrivateCopy
from pybridge.text import listed, printable, suggest
from pybridge.tfjs.port import Port

GRAPH_FILE = "saved_model.pb"
_OTHER_GRAPHS = "saved_model."
_NAME_LIMIT = 100
_COUNT_LIMIT = 20

_DAMAGED = "The SavedModel is damaged or incomplete: export it again."

# tensorflow/core/framework/types.proto
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_FEEDABLE = ("float32", "int32", "int64", "uint8", "bool")


@dataclass(frozen=True)
class SavedModel:
    """A SavedModel with the signature to call.

    Attributes:
        folder: A private copy of the model's files, absolute: what was checked is what is loaded.
        source: The folder that was named, absolute; for people.
        copy: What keeps the private copy while the model is there.
        allowed: The operations that it may have besides those that compute, as its user said.
        signature: The signature's name.
        inputs: Sorted by name; ``a2`` goes before ``a10``.
        outputs: Sorted like the inputs; of the shape ``(None,)`` where nothing is known of one.
    """

    folder: Path
    source: Path
    signature: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    copy: PrivateCopy = field(repr=False, compare=False)
    allowed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As Node's ``model.loadSavedModel`` and the jobs of the TensorFlow process take it."""
        return {
            "folder": str(self.folder),
            "source": str(self.source),
            "signature": self.signature,
            "inputs": [port.to_dict() for port in self.inputs],
            "outputs": [port.to_dict() for port in self.outputs],
        }


def is_saved_model(folder: Path) -> bool:
    """Tell whether a folder claims to be a SavedModel."""
    return (folder / GRAPH_FILE).is_file()


def read_saved_model(folder: Path, signature: str | None = None, *, allow_operations: Collection[str] | None = ()) -> SavedModel:
    """Copy a SavedModel, check the copy and choose one of its signatures.

    Args:
        folder: The folder with ``saved_model.pb``.
        signature: Its name. By default ``serving_default``, or the only one.
        allow_operations: Operations that it may have besides those that compute, such as ``["PrintV2"]``. They may read and
            write files, and run code: allow them only where you trust its author. None where its user has no say, as for a graph
            that is to become layers, which have no such operations: the error then does not speak of it.

    Raises:
        ModelFormatError: It is damaged, links to files outside of its folder, has other operations than those that compute, or
            it is not clear which signature is meant; the message lists them.
        BridgeError: There is no room for the copy.

    Example:
        >>> read_saved_model(Path("exported")).inputs[0].shape
        (None, 224, 224, 3)
    """
    source = folder.resolve()
    if isinstance(allow_operations, str):
        allow_operations = [allow_operations]
    files = {file.relative_to(source).as_posix(): file for file in _check_files(source)}
    # TensorFlow knows other names for the graph, which must not be found in its place.
    files = {name: file for name, file in files.items() if name == GRAPH_FILE or not name.startswith(_OTHER_GRAPHS)}
    shown = source / GRAPH_FILE
    try:
        copy = PrivateCopy(files, linked=frozenset(files) - {GRAPH_FILE})
        content = _mapped(copy.folder / GRAPH_FILE)
        graph = _serving_graph(content, source)
        _check_operations(content, source, allow_operations)
        found = {name: body for name, body in entries(graph, 5) if not name.startswith("__")}
        chosen = _choose(sorted(found), signature, source)
        inputs = _ports(found[chosen], 1)
        outputs = _ports(found[chosen], 2)
    except (ValueError, OSError) as error:
        raise ModelFormatError(f"{shown}: cannot be read ({error})", hint=_DAMAGED) from error
    if not inputs or not outputs:
        raise ModelFormatError(
            f"{source}: the signature {chosen!r} has {len(inputs)} inputs and {len(outputs)} outputs",
            hint="A model to predict with takes and gives something.",
        )
    for port in inputs:
        if port.dtype not in _FEEDABLE:
            raise ModelFormatError(
                f"{source}: the input {port.name!r} of the signature {chosen!r} is {port.dtype}",
                hint=f"Node.js can feed {', '.join(_FEEDABLE)}. Export a signature that casts its input.",
            )
    return SavedModel(copy.folder, source, chosen, inputs, outputs, copy, tuple(allow_operations or ()))


def read_signatures(model: SavedModel) -> dict[str, tuple[tuple[Port, ...], tuple[Port, ...]]]:
    """All signatures of a model that Node can feed, with their inputs and outputs.

    Example:
        >>> list(read_signatures(read_saved_model(Path("half_plus_two"))))
        ['serving_default']
    """
    graph = _serving_graph(_mapped(model.folder / GRAPH_FILE), model.source)
    found = {}
    for name, body in sorted(entries(graph, 5), key=lambda entry: entry[0]):
        if name.startswith("__"):
            continue
        with contextlib.suppress(ValueError):
            inputs, outputs = _ports(body, 1), _ports(body, 2)
            if inputs and outputs and all(port.dtype in _FEEDABLE for port in inputs):
                found[name] = (inputs, outputs)
    return found


def content_files(folder: Path) -> list[Path]:
    """The files of a SavedModel, sorted, after a check that they lie in its folder.

    Raises:
        ModelFormatError: One of them does not.
    """
    return _check_files(folder.resolve())


def _check_files(folder: Path) -> list[Path]:
    if not is_saved_model(folder):
        raise ModelFormatError(f"{folder} is no SavedModel: it has no {GRAPH_FILE}", hint="Give the folder that holds it.")
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(parent) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) and not path.resolve().is_relative_to(folder):
                raise ModelFormatError(
                    f"{path} is a link out of the model's folder",
                    hint="Copy the model with its files (cp -rL) and use the copy.",
                )
            if stat.S_ISLNK(mode):
                mode = path.resolve().stat().st_mode if path.exists() else 0
            if not stat.S_ISDIR(mode):
                if not stat.S_ISREG(mode):
                    raise ModelFormatError(f"{path} is not a regular file", hint=_DAMAGED)
                files.append(path)
    return sorted(files)


def _mapped(file: Path) -> memoryview:
    # Graphs with their weights as constants have up to 2 GB; only the pages that are looked at are read. The mapping ends with
    # the last slice of it.
    with file.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def _serving_graph(content: memoryview, folder: Path) -> memoryview:
    """The graph that TensorFlow runs when it is asked for the tag ``serve``: the first with this tag and no other."""
    found = []
    for graph in messages(content, 2):
        tags = {bytes(tag).decode() for tag in messages(merged(graph, 1), 4)}
        if tags == {"serve"}:
            return graph
        found.append(sorted(tags))
    raise ModelFormatError(
        f"{folder}: has no graph with the tag 'serve' alone, only {found}", hint="Export it for serving (model.export(folder))."
    )


def _check_operations(content: memoryview, folder: Path, allowed: Collection[str] | None) -> None:
    refused: dict[str, str] = {}
    for graph in messages(content, 2):
        refused |= refused_operations(graph, allowed or ())
    if refused:
        reasons = defaultdict(list)
        for name in sorted(refused):
            reasons[refused[name]].append(printable(name[:_NAME_LIMIT]))
        named = _first([repr(name[:_NAME_LIMIT]) for name in sorted(refused)])
        trusting = f" If you trust its author: allow_operations=[{named}] (--allow-operation NAME)."
        raise ModelFormatError(
            f"{folder}: the graph contains " + "; ".join(f"{_first(names)} ({why})" for why, names in reasons.items()),
            hint="Do not trust where this model came from; or export it without that."
            + (trusting if allowed is not None else ""),
        )


def _first(names: list[str]) -> str:
    more = len(names) - _COUNT_LIMIT
    return ", ".join(names[:_COUNT_LIMIT]) + (f" and {more} more" if more > 0 else "")


def _choose(names: list[str], wanted: str | None, folder: Path) -> str:
    if wanted is not None:
        if wanted not in names:
            raise ModelFormatError(f"{folder}: has no signature {wanted!r}", hint=suggest(wanted, names))
        return wanted
    if "serving_default" in names:
        return "serving_default"
    if len(names) != 1:
        raise ModelFormatError(
            f"{folder}: which signature is meant? It has {listed(names) or 'none'}",
            hint="Choose one: load_model(folder, signature=...), or --signature of `pybridge convert`."
            if names
            else "Export it again with a signature.",
        )
    return names[0]


def _ports(signature: memoryview, number: int) -> tuple[Port, ...]:
    ports = []
    for name, info in entries(signature, number):
        tensor, dtype = text(info, 1), integer(info, 2)
        if not tensor or dtype not in _DTYPES:
            raise ValueError(f"{name!r} is no dense tensor of a known type")
        shape = _shape(info)
        ports.append(Port(name, (None,) if shape is None else shape, _DTYPES[dtype], tensor, shape is None))
    return tuple(sorted(ports, key=lambda port: _natural_key(port.name)))


def _shape(info: memoryview) -> tuple[int | None, ...] | None:
    for shape in messages(info, 3):
        if not any(number == 3 and value for number, value in fields(shape)):
            sizes = [integer(dimension, 1) for dimension in messages(shape, 2)]
            return tuple(None if size < 0 else size for size in sizes)
    return None


def _natural_key(name: str) -> list[tuple[int, str]]:
    """The order in which people count names: ``output_2`` before ``output_10``."""
    return [(int(digits), "") if digits else (-1, word) for digits, word in re.findall(r"(\d{1,18})|(\D+|\d)", name)]
