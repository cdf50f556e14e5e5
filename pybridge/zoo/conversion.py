"""Models that a Python package carries in another format, converted once and then read from the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pybridge.errors import ModelFormatError
from pybridge.storage.cache import cache_part, make_cache_part, storing
from pybridge.storage.hashes import sha256_of
from pybridge.storage.locks import locked
from pybridge.tfjs.layers_model import LayersModel


def converted(name: str, checkpoint: Path, convert: Callable[[], LayersModel], *, version: int = 1) -> LayersModel:
    """The model that a checkpoint becomes, from the cache once it has been converted.

    Args:
        name: Of the model.
        checkpoint: The file; another content is converted anew.
        convert: Makes the model of it.
        version: Raise it when ``convert`` makes something else of the same file.

    Raises:
        ModelFormatError: The checkpoint cannot be read, or the cache not written.
    """
    folder = cache_part("models") / f"{name}-{sha256_of(checkpoint)[:16]}-{version}"
    with storing(f"the converted {name}", folder):
        make_cache_part("models")
        with locked(folder.with_name(f"{folder.name}.lock")):
            try:
                return LayersModel.read(folder)
            except ModelFormatError:
                model = convert()
                model.write(folder)
                return model
