"""The models of the zoo, out of the cache once they have been fetched or converted."""

from __future__ import annotations

from collections.abc import Callable

from pybridge.errors import ModelFormatError
from pybridge.storage.cache import cache_part, make_cache_part, storing
from pybridge.storage.hashes import sha256_of
from pybridge.storage.locks import locked
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo import efficientnet_lite
from pybridge.zoo import entries as zoo
from pybridge.zoo.download import fetch_model

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
    checkpoint = efficientnet_lite.checkpoint_path()
    digest = sha256_of(checkpoint)
    folder = cache_part("models") / f"efficientnet_lite0-{digest[:16]}-{_CONVERSION}"
    with storing("the converted efficientnet_lite0", folder):
        make_cache_part("models")
        with locked(folder.with_name(f"{folder.name}.lock")):
            try:
                return LayersModel.read(folder)
            except ModelFormatError:
                model = efficientnet_lite.build()
                model.write(folder)
                return model
