"""What is looked at in a Keras file before Keras opens it: no code, no other files, no bombs."""

from __future__ import annotations

import json
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pybridge.converters.keras.record import OWN_MODULES
from pybridge.errors import ModelFormatError
from pybridge.text import printable

SIZE_LIMIT = 16 * 2**30
"""The largest content of a Keras file that is unpacked or read, in bytes; the largest of keras.applications has 1.6 GB."""

CONFIG_LIMIT = 64 * 2**20
"""The largest configuration in a Keras file, in bytes."""

# Weights hardly shrink; this leaves room for zeros and for masks.
_RATIO_LIMIT = 100
_SMALL = 16 * 2**20

_DISTRUST = "Do not trust where this model came from."
_DAMAGED = "The file is damaged or incomplete: save or download it again."

# Classes that run code or open files which their configuration names.
_UNSAFE_CLASSES = {
    "FlaxLayer": "runs code from its configuration",
    "JaxLayer": "runs code from its configuration",
    "TFSMLayer": "opens another folder",
    "TorchModuleWrapper": "unpickles code",
}


# What a part of Keras that a model is made of is in: what else Keras has (downloads, its settings, loading of other models) no
# configuration may name.
_ROOMS = frozenset(
    [
        "activations",
        "applications",
        "constraints",
        "dtype_policies",
        "engine",
        "initializers",
        "layers",
        "legacy",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "quantizers",
        "random",
        "regularizers",
    ]
)

_ZIP_START, _HDF5_START = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"


def format_of(file: Path) -> Literal[".keras", ".h5"]:
    """Say by its content, whatever its name, which of Keras's formats a file has.

    Raises:
        ModelFormatError: It has none of them, or two at once, of which readers open different ones.
    """
    with file.open("rb") as stream:
        start = stream.read(len(_HDF5_START))
    if start.startswith(_ZIP_START):
        return ".keras"
    if start != _HDF5_START:
        raise ModelFormatError(f"{file}: no .keras file, which is a zip archive, and no HDF5 file", hint=_DAMAGED)
    if zipfile.is_zipfile(file):
        raise ModelFormatError(f"{file}: is an HDF5 file and a zip archive at once", hint=_DISTRUST)
    return ".h5"


def check_archive(file: Path, shown: Path | None = None) -> None:
    """Check the table of contents of a ``.keras`` file.

    Args:
        file: The file.
        shown: Its name for the error, if that is another.

    Raises:
        ModelFormatError: It is no such archive, or has an entry that leads out of it, is listed twice, or unpacks to more than
            its size can explain.
    """
    size = file.stat().st_size
    shown = shown or file
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelFormatError(f"{shown}: no .keras file ({error})", hint=_DAMAGED) from error
    for entry in entries:
        _check_entry(entry, shown)
    if len(set(names)) != len(names):
        raise ModelFormatError(f"{shown}: lists an entry twice", hint=_DISTRUST)
    if "config.json" not in names:
        raise ModelFormatError(f"{shown}: has no config.json", hint=_DAMAGED)
    total = sum(entry.file_size for entry in entries)
    check_size(total, size, shown)


def check_size(unpacked: int, packed: int, file: Path) -> None:
    """Compare what a file claims to hold with its size on disk.

    Args:
        unpacked: Bytes that it announces.
        packed: Bytes that it has.
        file: Its name for the error.

    Raises:
        ModelFormatError: It claims more than it can hold, or more than is read.
    """
    if unpacked > max(_SMALL, _RATIO_LIMIT * packed) or unpacked > SIZE_LIMIT:
        raise ModelFormatError(f"{file}: {packed} bytes that announce {unpacked} bytes of content", hint=_DISTRUST)


def read_config(file: Path, shown: Path | None = None) -> dict[str, Any]:
    """The configuration in a ``.keras`` file, after `check_archive`, whose arguments it takes.

    Raises:
        ModelFormatError: It is no JSON object.
    """
    shown = shown or file
    try:
        with zipfile.ZipFile(file) as archive, archive.open("config.json") as stream:
            data = stream.read(CONFIG_LIMIT + 1)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, NotImplementedError) as error:
        raise ModelFormatError(f"{shown}: config.json cannot be read ({error})", hint=_DAMAGED) from error
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise ModelFormatError(f"{shown}: config.json cannot be unpacked ({error})", hint=_DAMAGED) from error
    return parse_config(data, shown)


def parse_config(data: bytes | str, file: Path) -> dict[str, Any]:
    """Parse a model's configuration.

    Raises:
        ModelFormatError: It is no JSON object, or too large.
    """
    if len(data) > CONFIG_LIMIT:
        raise ModelFormatError(f"{file}: its configuration has more than {CONFIG_LIMIT} bytes", hint=_DISTRUST)
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{file}: its configuration is no valid JSON ({error})", hint=_DAMAGED) from error
    if not isinstance(config, dict):
        raise ModelFormatError(f"{file}: its configuration is no JSON object", hint=_DAMAGED)
    return config


def check_config(config: dict[str, Any], file: Path, *, allow_lambda: bool = False) -> None:
    """Refuse what in a configuration would run code, open files, or need classes that only its author has.

    Args:
        config: As a ``.keras`` or ``.h5`` file holds it.
        file: Its name for the error.
        allow_lambda: Let Lambda layers through, whose Python code then runs.

    Raises:
        ModelFormatError: Names every such object at once.
    """
    lambdas: list[str] = []
    refused: list[str] = []
    for part in _objects(config, file):
        class_name = part["class_name"]
        inner = part.get("config")
        name = inner.get("name", "") if isinstance(inner, dict) else ""
        shown = f"{name!r} ({printable(class_name)})" if name else printable(class_name)
        plain = {_plain(name) for name in (class_name, part.get("registered_name"), part.get("spec_name"))}
        if class_name == "function":
            plain.add(_plain(inner))
        if "lambda" in plain:
            lambdas.append(shown)
        elif reasons := [why for name, why in _UNSAFE_CLASSES.items() if name.lower() in plain]:
            refused.append(f"{shown}: {reasons[0]}")
        elif (room := _foreign_room(part)) is not None:
            refused.append(f"{shown}: {printable(room)} is nothing that a model is made of")
        elif not _is_known(part):
            refused.append(f"{shown}: a class of its author's, {printable(part.get('registered_name') or part.get('module'))}")
        elif isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
            refused.append(f"{shown}: reads its vocabulary from another file")
    if lambdas and not allow_lambda:
        raise ModelFormatError(
            f"{file}: has Python code in {', '.join(sorted(set(lambdas)))}",
            hint="If you trust its author, allow_lambda=True (--allow-lambda) runs it; or replace the layer by operations.",
        )
    if refused:
        raise ModelFormatError(
            f"{file}: cannot be opened safely: {'; '.join(sorted(set(refused)))}",
            hint="Load it in your own program, where its classes are known, and give the model in memory.",
        )


def _check_entry(entry: zipfile.ZipInfo, file: Path) -> None:
    name = entry.filename
    mode = entry.external_attr >> 16
    unsafe = (
        not name
        or name.startswith("/")
        or ".." in PurePosixPath(name).parts
        or any(mark in name for mark in ("\\", ":", "\0"))
        or (mode and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and stat.S_IFMT(mode) != 0)
    )
    if unsafe:
        raise ModelFormatError(f"{file}: its entry {name!r} leads out of the archive", hint=_DISTRUST)
    if entry.flag_bits & 1:
        raise ModelFormatError(f"{file}: its entry {name!r} is encrypted", hint=_DAMAGED)


def _objects(config: dict[str, Any], file: Path) -> Iterator[dict[str, Any]]:
    """Every object of a configuration that names its class; without recursion, as the nesting may be deep."""
    stack: list[Any] = [config]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict):
            stack.extend(part.values())
            if "class_name" in part:
                if not isinstance(part["class_name"], str):
                    raise ModelFormatError(f"{file}: names the class {str(part['class_name'])[:80]!r}", hint=_DAMAGED)
                yield part


def _plain(name: Any) -> str:
    """The last part of a name, as all its spellings have it: ``keras.layers.Lambda``, ``Custom>Lambda``, ``__lambda__``."""
    return re.split(r"[.>/]", name)[-1].replace("_", "").lower() if isinstance(name, str) else ""


def _foreign_room(part: dict[str, Any]) -> str | None:
    """The part of Keras that an object is from, if that is none that models are made of."""
    names = [part["class_name"] if part["class_name"] != "function" else part.get("config"), part.get("spec_name")]
    module = part.get("module")
    for name in names:
        if not isinstance(name, str):
            continue
        path = f"{module}.{name}" if isinstance(module, str) and module not in ("", "builtins") else name
        parts = [each for each in path.split(".") if each not in ("keras", "src", "api", "_tf_keras", "_legacy", "v2")]
        if len(parts) > 1 and path.startswith("keras") and parts[0] not in _ROOMS:
            return f"keras.{parts[0]}"
        if "." in name and not path.startswith("keras"):
            return name
    return None


def _is_known(part: dict[str, Any]) -> bool:
    module, registered = part.get("module"), part.get("registered_name")
    if isinstance(module, str) and not _is_kerass(module):
        return False
    if not isinstance(registered, str) or ">" not in registered:
        return True
    return registered.split(">")[0].split(".")[0] in ("keras", "pybridge")


def _is_kerass(module: str) -> bool:
    return module in ("builtins", "") or module.split(".")[0] == "keras" or module in OWN_MODULES
