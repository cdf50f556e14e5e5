"""What is looked at in a Keras file before Keras opens it: no code, no other files, no bombs."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

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


def check_archive(file: Path) -> None:
    """Check the table of contents of a ``.keras`` file.

    Raises:
        ModelFormatError: It is no such archive, or has an entry that leads out of it, is listed twice, or unpacks to more than
            its size can explain.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelFormatError(f"{file}: no .keras file ({error})", hint=_DAMAGED) from error
    for entry in entries:
        _check_entry(entry, file)
    if len(set(names)) != len(names):
        raise ModelFormatError(f"{file}: lists an entry twice", hint=_DISTRUST)
    if "config.json" not in names:
        raise ModelFormatError(f"{file}: has no config.json", hint=_DAMAGED)
    total = sum(entry.file_size for entry in entries)
    check_size(total, file.stat().st_size, file)


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


def read_config(file: Path) -> dict[str, Any]:
    """The configuration in a ``.keras`` file, after `check_archive`.

    Raises:
        ModelFormatError: It is no JSON object.
    """
    try:
        with zipfile.ZipFile(file) as archive, archive.open("config.json") as stream:
            data = stream.read(CONFIG_LIMIT + 1)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, NotImplementedError) as error:
        raise ModelFormatError(f"{file}: config.json cannot be read ({error})", hint=_DAMAGED) from error
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise ModelFormatError(f"{file}: config.json cannot be unpacked ({error})", hint=_DAMAGED) from error
    return parse_config(data, file)


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
        if class_name in ("Lambda", "__lambda__") or (isinstance(inner, dict) and inner.get("class_name") == "__lambda__"):
            lambdas.append(shown)
        elif class_name in _UNSAFE_CLASSES:
            refused.append(f"{shown}: {_UNSAFE_CLASSES[class_name]}")
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


def _is_known(part: dict[str, Any]) -> bool:
    module, registered = part.get("module"), part.get("registered_name")
    if isinstance(module, str) and not _is_kerass(module):
        return False
    return not isinstance(registered, str) or ">" not in registered or registered.startswith(("keras", "pybridge>"))


def _is_kerass(module: str) -> bool:
    return module in ("builtins", "") or module.split(".")[0] == "keras" or module in OWN_MODULES
