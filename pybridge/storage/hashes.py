"""Hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE_BYTES = 1 << 20


def sha256_of(*files: Path) -> str:
    """The SHA-256 of files one after the other, in hexadecimal digits; they are read in pieces, however large.

    Raises:
        OSError: If one cannot be read.

    Example:
        >>> sha256_of(Path("weights.bin"))
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()
