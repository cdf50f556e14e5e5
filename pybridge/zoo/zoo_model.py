"""The models of the zoo, out of the cache once they have been fetched or converted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo import efficientnet_lite
from pybridge.zoo import entries as zoo
from pybridge.zoo.download import fetch_model, models_dir

_CONVERSION = 1
"""Raise it when the conversion of a packaged model changes: cached copies are then made again."""


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
