"""What a report shows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """What the model said about one held-out picture.

    Args:
        source: File name, or ``"array[12]"``.
        true: Number of its class.
        predicted: Number of the class that the model gave.
        probability: The model's probability of that class, 0 to 1.
        thumbnail: A small JPEG, as `thumbnail` makes it, or None.
    """

    source: str
    true: int
    predicted: int
    probability: float
    thumbnail: bytes | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report shows.

    Args:
        title: Heading, such as the run's name.
        class_names: One name for each class.
        history: One mapping for each epoch: ``epoch`` (from 1), ``loss``, ``accuracy`` and, with validation,
            ``val_loss``, ``val_accuracy``. Others are ignored.
        best_epoch: The epoch whose weights were kept, or None.
        confusion: Counts on the held-out pictures, integers of shape (classes, classes), true by predicted.
        predictions: Pictures to show: wrong ones, and right ones if cells of the diagonal shall have pictures. A few
            hundred at most; what is beyond is left out with a note.
        settings: What the run was asked for; shown as a table.
        versions: Versions and origins; shown at the foot.
        parity: None, or ``passed`` (bool), ``images`` (int), ``tolerance`` (float), each optional, and ``runtimes``:
            for each runtime's name a mapping such as ``{"max_abs_diff": 0.0, "label_agreement": 1.0}``.
    """

    title: str
    class_names: Sequence[str]
    history: Sequence[Mapping[str, float]]
    best_epoch: int | None
    confusion: NDArray[np.integer[Any]]
    predictions: Sequence[Prediction] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    parity: Mapping[str, Any] | None = None


def thumbnail(image: Path | NDArray[np.uint8], size: int = 96) -> bytes | None:
    """A small JPEG of a picture, upright as its EXIF orientation says.

    Args:
        image: A picture file, or uint8 pixels of shape (H, W, 3) or (H, W).
        size: Longest side, in pixels.

    Returns:
        The JPEG file's bytes, or None if the picture cannot be read: a missing thumbnail must not end a run.

    Example:
        ``thumbnail(Path("cat.jpg"))``
    """
    from PIL import Image, ImageOps

    try:
        if isinstance(image, np.ndarray):
            small = Image.fromarray(image)
        else:
            with Image.open(image) as opened:
                opened.draft("RGB", (size, size))
                small = ImageOps.exif_transpose(opened)
        if small.mode.startswith("I;16"):
            small = Image.fromarray((np.asarray(small) >> 8).astype(np.uint8))
        small = small.convert("RGB")
        small.thumbnail((size, size))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80, optimize=True)
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError):
        return None
    return buffer.getvalue()
