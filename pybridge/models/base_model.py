"""From what a user names as a base to a feature extractor and its preprocessing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.models import efficientnet_lite, zoo
from pybridge.models.download import fetch_model, models_dir, redacted
from pybridge.models.graph import suggest
from pybridge.models.layers_model import LayersModel
from pybridge.models.topology import feature_layer, flatten, input_shape, truncate

_CONVERSION = 1
"""Raise it when the conversion of a packaged model changes: cached copies are then made again."""


@dataclass(frozen=True)
class BaseModel:
    """A base to put heads on.

    Attributes:
        name: Short and readable; for the run's record.
        model: The flat feature extractor; its one output is a feature map ``(batch, height, width, channels)``.
        preprocessing: What turns a photo into its input.
        origin: ``kind`` (``zoo``, ``url``, ``file``, ``teachable_machine`` or ``memory``), ``location`` and ``sha256``
            of the extractor. ``preprocessing`` says how that is known: ``published``, ``given``, or ``assumed`` for a
            model that does not say it, where [-1, 1] is taken.
        labels: The class names of a Teachable Machine export.
    """

    name: str
    model: LayersModel
    preprocessing: Preprocessing
    origin: dict[str, str]
    labels: tuple[str, ...] = field(default=())


def resolve(
    source: str | Path | LayersModel,
    *,
    preprocessing: Preprocessing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BaseModel:
    """Find a base, cut its classifier off, and say how its images are prepared.

    Args:
        source: A name of the zoo; an http(s) address of a TF.js layers ``model.json``; its path or folder, a Teachable
            Machine export among them; or a model in memory. A name of the zoo goes before a folder of that name.
        preprocessing: Overrides what is known or assumed about the model.
        progress: Told ``(done_bytes, total_bytes)`` while something is downloaded.

    Raises:
        ModelFormatError: If there is no such model, or it cannot be a base.

    Example:
        >>> base = resolve("efficientnet_lite0")
        >>> base.preprocessing.height, base.model.parameters
        (224, 3413024)
    """
    if isinstance(source, LayersModel):
        return _base("model", source, preprocessing, None, {"kind": "memory", "location": ""})
    text = str(source)
    entry = zoo.find(text) if isinstance(source, str) else None
    if entry is not None:
        origin = {"kind": "zoo", "location": entry.origin}
        return _base(entry.name, zoo_model(entry, progress), preprocessing, entry.preprocessing, origin)
    if isinstance(source, str) and urlsplit(text).scheme in ("http", "https"):
        return _from_folder(fetch_model(text, progress=progress), "url", redacted(text), preprocessing)
    path = Path(source).expanduser()
    if not path.exists():
        names = [known.name for known in zoo.list()]
        raise ModelFormatError(f"{text!r} is neither a model of the zoo nor a path that exists", hint=suggest(text, names))
    if path.is_file() and path.suffix != ".json":
        raise ModelFormatError(f"{path} is no TF.js model", hint="Give a model.json or the folder that holds it.")
    return _from_folder(path, "file", str(path), preprocessing)


def zoo_model(entry: zoo.ZooEntry, progress: Callable[[int, int], None] | None = None) -> LayersModel:
    """A model of the zoo with its classifier, from the cache once it has been fetched or converted.

    Raises:
        ModelFormatError: It cannot be had, or another model came.
    """
    if entry.url is None:
        return _packaged()
    folder = fetch_model(entry.url, weights_sha256=entry.weights_sha256, progress=progress)
    model = LayersModel.read(folder)
    if model.parameters != entry.parameters:
        raise ModelFormatError(
            f"{entry.url}: the model has {model.parameters} parameters, but {entry.name} has {entry.parameters}",
            hint="The server or mirror has another model under this name. Give its address or path to use it anyway.",
        )
    return model


def _packaged() -> LayersModel:
    """EfficientNet-Lite0 with its classifier, converted once and then read from the cache."""
    from filelock import FileLock

    checkpoint = efficientnet_lite.checkpoint_path()
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    folder = models_dir() / f"efficientnet_lite0-{digest[:16]}-{_CONVERSION}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            try:
                return LayersModel.read(folder)
            except ModelFormatError:
                model = efficientnet_lite.build()
                model.write(folder)
                return model
    except OSError as error:
        raise ModelFormatError(
            f"the converted efficientnet_lite0 cannot be stored in {folder} ({error})",
            hint="Make room there, or set PYBRIDGE_CACHE to another folder.",
        ) from error


def _from_folder(path: Path, kind: str, location: str, preprocessing: Preprocessing | None) -> BaseModel:
    model = LayersModel.read(path)
    metadata = _teachable_machine_metadata(path if path.is_dir() else path.parent)
    labels = metadata.get("labels") if metadata else None
    names = tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else ()
    known = None
    if metadata is not None:
        kind = "teachable_machine"
        height, width = _image_size(model)
        # @teachablemachine/image 0.8: cropTo() takes the centre square, capture() scales pixels to [-1, 1].
        known = Preprocessing(height, width, crop="centre", mean=(127.5,), std=(127.5,))
    name = _name(location) if kind != "teachable_machine" else "teachable_machine"
    return _base(name, model, preprocessing, known, {"kind": kind, "location": location}, names)


def _base(
    name: str,
    model: LayersModel,
    given: Preprocessing | None,
    known: Preprocessing | None,
    origin: dict[str, str],
    labels: tuple[str, ...] = (),
) -> BaseModel:
    flat = flatten(model)
    height, width = _image_size(flat, given or known)
    extractor = truncate(flat, feature_layer(flat))
    preprocessing = given or known or Preprocessing(height, width, mean=(127.5,), std=(127.5,))
    if (preprocessing.height, preprocessing.width) != (height, width):
        raise ModelFormatError(
            f"{name}: takes images of {height}x{width}, but the preprocessing makes them "
            f"{preprocessing.height}x{preprocessing.width}",
            hint="Give a Preprocessing of the model's own size.",
        )
    source = "given" if given else "published" if known else "assumed"
    return BaseModel(name, extractor, preprocessing, {**origin, "sha256": extractor.sha256(), "preprocessing": source}, labels)


def _image_size(model: LayersModel, preprocessing: Preprocessing | None = None) -> tuple[int, int]:
    shape = input_shape(model)
    if len(shape) != 3 or shape[2] not in (3, None):
        raise ModelFormatError(
            f"the model takes inputs of shape {list(shape)}, not RGB images (height, width, 3)",
            hint="A base must be a model of RGB images with channels last.",
        )
    height, width = shape[:2]
    if preprocessing is not None:
        return height or preprocessing.height, width or preprocessing.width
    # Models that leave the size open are trained at 224 x 224 by convention (keras.applications).
    return height or 224, width or 224


def _teachable_machine_metadata(folder: Path) -> dict[str, Any] | None:
    try:
        file = folder / "metadata.json"
        if file.stat().st_size > 2**20:
            return None
        metadata = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return metadata if isinstance(metadata, dict) and "tmVersion" in metadata else None


def _name(location: str) -> str:
    parts = [part for part in location.replace("\\", "/").split("/") if part]
    if parts and parts[-1].endswith(".json"):
        parts.pop()
    return parts[-1] if parts else "model"
