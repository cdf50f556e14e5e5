"""What a package says of itself in its manifest: that it is one, its files' hashes, and a picture to compare its answer for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pybridge.data import ImageSet
from pybridge.storage.hashes import sha256_of

FORMAT = "pybridge-package"
MANIFEST_FILE = "manifest.json"

DESCRIPTION_FILE = "model/classifier.json"
"""What the weights mean, once more and with a hash: the package compares what its manifest says of it."""

_DESCRIBED = ("labels", "preprocessing", "model", "graph", "saved_model", "check", "kind", "signatures", "default_signature")

CHECK_HEIGHT, CHECK_WIDTH = 96, 128

CHECK_TOLERANCE = 1e-3
"""Kernels of other TensorFlow.js backends add in another order; measured differences of probabilities are below 1e-4."""


def is_own(folder: Path) -> bool:
    """Whether a folder holds a package of pybridge."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def file_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): {"sha256": sha256_of(file), "bytes": file.stat().st_size} for file in files}


def description(manifest: Mapping[str, Any]) -> bytes:
    """The content of `DESCRIPTION_FILE`: labels, preprocessing, the model's forms and its answer for one picture."""
    return (json.dumps({name: manifest[name] for name in _DESCRIBED if name in manifest}, indent=1) + "\n").encode()


def check_picture(class_names: Sequence[str]) -> ImageSet:
    """A pattern of coloured waves, which the package makes too, to compare its probabilities at load.

    Returns:
        An image set of one image, uint8 of shape (1, 96, 128, 3).
    """
    y, x, channel = np.ogrid[:CHECK_HEIGHT, :CHECK_WIDTH, :3]
    wave = (x * (3 + channel) + y * (5 - channel) + 40 * channel) % 510
    pixels = np.where(wave < 256, wave, 510 - wave).astype(np.uint8)
    return ImageSet(pixels[np.newaxis], np.zeros(1, np.int32), tuple(class_names))
