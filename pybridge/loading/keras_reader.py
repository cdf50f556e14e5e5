"""Opens and writes Keras models. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras

# Registers the Keras classes of ours, which older files know by the names of other modules.
import pybridge.converters.to_keras.custom_objects  # noqa: F401
from pybridge.converters.keras.conversion import from_keras
from pybridge.errors import ModelFormatError
from pybridge.loading.keras2_files import is_of_keras2, load_packed, load_rewritten, modern_config, with_operations
from pybridge.loading.keras_safety import check_archive, check_config, check_size, format_of, parse_config, read_config
from pybridge.loading.memory_limit import memory_limit
from pybridge.loading.model_json import model_of_json
from pybridge.tfjs.layers_model import layers_topology, parse_model_json
from pybridge.tfjs.weights import parse_manifest, read_weights

_DAMAGED = "The file is damaged or incomplete: save or download it again."
_DISTRUST = "Do not trust where this model came from."
_WEIGHTS = "model.weights.h5"
_METADATA_LIMIT = 2**20


def open_file(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Converts a ``.keras`` or ``.h5`` file into a layers model in ``folder / "model"``.

    With Lambda layers, which TF.js does not have, it becomes a SavedModel in ``folder / "saved_model"``.

    Args:
        folder: The job's folder.
        arguments: ``file``; ``shown``, its name for people; and ``allow_lambda``.

    Returns:
        ``kind``: ``layers`` or ``saved_model``.

    Raises:
        ModelFormatError: The file is damaged or unsafe, or has layers that cannot be converted.
    """
    file, allow_lambda = Path(arguments["file"]), bool(arguments["allow_lambda"])
    with memory_limit():
        model = load_keras_file(file, folder, allow_lambda=allow_lambda, shown=Path(arguments.get("shown", file)))
        try:
            from_keras(model).write(folder / "model")
        except ModelFormatError:
            if not allow_lambda:
                raise
            model.export(str(folder / "saved_model"), verbose=False)
            return {"kind": "saved_model"}
    return {"kind": "layers"}


def open_model_json(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Converts a ``model.json`` with layers that TF.js does not have into a layers model in ``folder / "model"``.

    Args:
        folder: The job's folder.
        arguments: ``file``, beside which its weights lie; and ``shown``, its name for people.

    Raises:
        ModelFormatError: It is damaged or unsafe, or has layers that cannot be converted.
    """
    file, shown = Path(arguments["file"]), Path(arguments["shown"])
    document = parse_model_json(file.read_bytes(), str(shown))
    described = layers_topology(document, str(shown))
    with memory_limit():
        weights = read_weights(parse_manifest(document.get("weightsManifest"), str(shown)), file.parent)
        model = _loaded(lambda: model_of_json(described, weights, shown), shown)
        from_keras(model).write(folder / "model")
    return {}


def open_application(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Converts a model of keras.applications into a layers model in ``folder / "model"``.

    Args:
        folder: The job's folder.
        arguments: ``name``, and ``weights`` as its constructor takes them.

    Raises:
        ModelFormatError: Its weights cannot be had.
    """
    name = arguments["name"]
    try:
        model = getattr(keras.applications, name)(weights=arguments["weights"])
    except Exception as error:  # Keras wraps what urllib raises into a bare Exception
        raise ModelFormatError(f"keras.applications.{name}: {_missing_weights(error)}", hint=_where_to_put(error)) from error
    from_keras(model).write(folder / "model")
    return {}


def load_keras_file(file: Path, scratch: Path, *, allow_lambda: bool = False, shown: Path | None = None) -> keras.Model:
    """Checks the content of a Keras file, and loads it.

    Args:
        file: A ``.keras`` or ``.h5`` file that is named after its content, as Keras goes by the name.
        scratch: A folder for what is unpacked to be looked at.
        allow_lambda: Run the Python code of Lambda layers.
        shown: Its name for errors, if that is another.

    Raises:
        ModelFormatError: It is damaged or unsafe.
    """
    shown, compiled = shown or file, True
    found = format_of(file)
    if file.suffix != found:
        raise ModelFormatError(f"{shown}: is a {found} file by its content", hint=f"Rename it to {file.stem}{found}.")
    described: Any
    of_keras2 = False
    if found == ".keras":
        check_archive(file, shown)
        described = read_config(file, shown)
        check_config(described, shown, allow_lambda=allow_lambda)
        _check_packed_weights(file, scratch, shown)
        of_keras2 = is_of_keras2(_packed_version(file))
    else:
        with _opened(file, shown) as content:
            if "model_config" not in content.attrs:
                raise ModelFormatError(
                    f"{shown}: holds weights, but no model",
                    hint="Save the whole model: model.save('model.keras'), not model.save_weights.",
                )
            _check_hdf5(content, shown)
            described = parse_config(content.attrs["model_config"], shown)
            check_config(described, shown, allow_lambda=allow_lambda)
            of_keras2 = is_of_keras2(_text(content.attrs.get("keras_version")))
            compiled = _has_harmless_training(content, shown, allow_lambda)
    rewritten = None
    if isinstance(described, dict) and (of_keras2 or found == ".h5"):
        rewritten = modern_config(described, shown) if of_keras2 else with_operations(described)

    def load(with_training: bool) -> Any:
        if found == ".keras" and rewritten is not None:
            return load_packed(file, rewritten, scratch, allow_lambda=allow_lambda)
        if rewritten is not None:
            return load_rewritten(file, rewritten, scratch, compiled=with_training, safe_mode=not allow_lambda)
        return keras.saving.load_model(file, compile=with_training, safe_mode=not allow_lambda)

    try:
        model = load(compiled)
    except Exception:
        # Without its optimizer, perhaps, which is not needed to predict.
        model = _loaded(lambda: load(False), shown)
    if not isinstance(model, keras.Model):
        raise ModelFormatError(f"{shown}: holds a {type(model).__name__}, not a model", hint=_DAMAGED)
    return model


def _has_harmless_training(content: h5py.File, shown: Path, allow_lambda: bool) -> bool:
    """Whether the losses and metrics may be built, which Keras does without its own safe mode; the model is whole without."""
    if "training_config" not in content.attrs:
        return False
    try:
        check_config(parse_config(content.attrs["training_config"], shown), shown, allow_lambda=allow_lambda)
    except ModelFormatError:
        return False
    return True


def _packed_version(file: Path) -> object:
    try:
        with zipfile.ZipFile(file) as archive:
            metadata = json.loads(archive.read("metadata.json")[:_METADATA_LIMIT])
    except (KeyError, ValueError, OSError, RecursionError):
        return None
    return metadata.get("keras_version") if isinstance(metadata, dict) else None


def _text(given: Any) -> object:
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else given


def _loaded(load: Callable[[], Any], shown: Path) -> Any:
    try:
        return load()
    except ModelFormatError:
        raise
    except Exception as error:  # Keras reports damaged files by errors of many types
        missing = re.search(r"Could not locate (class|function) '([^']{1,80})'", str(error))
        if missing is not None:
            raise ModelFormatError(
                f"{shown}: needs the {missing[1]} {missing[2]!r}, which is not one of Keras",
                hint="Load the model in Python, where your own code is imported, and give it in memory; "
                "or model.export() it and give the folder.",
            ) from error
        described = f"{type(error).__name__}: {error}"
        raise ModelFormatError(f"{shown}: Keras cannot open it ({described[:500]})", hint=_DAMAGED) from error


def _check_packed_weights(file: Path, scratch: Path, shown: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            if _WEIGHTS not in archive.namelist():
                raise ModelFormatError(f"{shown}: has no {_WEIGHTS}", hint=_DAMAGED)
            limit = archive.getinfo(_WEIGHTS).file_size
            unpacked = scratch / _WEIGHTS
            with archive.open(_WEIGHTS) as source, unpacked.open("wb") as target:
                shutil.copyfileobj(source, target)
    except ModelFormatError:
        raise
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise ModelFormatError(f"{shown}: its weights cannot be unpacked ({error})", hint=_DAMAGED) from error
    try:
        check_size(unpacked.stat().st_size, max(limit, 1), shown)
        with _opened(unpacked, shown) as content:
            _check_hdf5(content, shown)
    finally:
        unpacked.unlink()


@contextmanager
def _opened(file: Path, shown: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(file, "r") as content:
            yield content
    except ModelFormatError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise ModelFormatError(f"{shown}: damaged HDF5 ({error})", hint=_DAMAGED) from error


def _check_hdf5(content: h5py.File, file: Path) -> None:
    """No links to other places or files, and no datasets that announce more than the file can hold."""
    total = 0
    seen: set[int] = set()
    stack: list[h5py.Group] = [content]
    while stack:
        group = stack.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelFormatError(f"{file}: {group.name}/{name} is a link to another place", hint=_DISTRUST)
            member = group[name]
            address = h5py.h5o.get_info(member.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(member, h5py.Group):
                stack.append(member)
            elif isinstance(member, h5py.Dataset):
                if member.external or member.is_virtual:
                    raise ModelFormatError(f"{file}: {member.name} is kept in another file", hint=_DISTRUST)
                total += member.size * member.dtype.itemsize
    check_size(total, Path(content.filename).stat().st_size, file)


def _missing_weights(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return f"its weights cannot be had ({lines[0][:300]})"


def _where_to_put(error: Exception) -> str:
    found = [word.rstrip(":.,") for word in str(error).split() if word.startswith("https://")]
    if not found:
        return "Check the network."
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    place = home / "models" / found[0].rpartition("/")[2]
    return f"Check the network; or download {found[0]} elsewhere and put it at {place}."
