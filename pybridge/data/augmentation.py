"""Several views of each training picture: crops, mirror images, brightness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import DataError

_MAX_VIEWS = 1000


@dataclass(frozen=True)
class Augmentation:
    """Which views of a picture training sees.

    View 0 is always the picture itself. Each further view is a random crop, in the manner of "Going deeper with
    convolutions" (Szegedy et al. 2014, section 6), but with its distortion bounded relative to the picture's own shape.

    Args:
        views: Views of each picture, the picture itself included; default 4.
        flip: Mirror half of the views left to right; default True. Turn it off where left and right differ in meaning.
        min_crop_area: Smallest share of the area that a crop keeps, in (0, 1]; default 0.6. 1 means no cropping.
        max_aspect: How far a crop's aspect ratio may differ from the picture's, as a factor from 1 on; default 4/3.
        brightness: Largest relative change of brightness, in [0, 1); default 0, no change.

    Raises:
        DataError: A value is out of range.

    Example:
        >>> boxes, flips = Augmentation(views=2).sample(3, 1, np.random.default_rng(0))
        >>> boxes.shape, flips.shape
        ((3, 4), (3,))
    """

    views: int = 4
    flip: bool = True
    min_crop_area: float = 0.6
    max_aspect: float = 4 / 3
    brightness: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.views, bool) or not isinstance(self.views, int) or not 1 <= self.views <= _MAX_VIEWS:
            raise DataError(f"augmentation: views must be a whole number from 1 to {_MAX_VIEWS}, not {self.views!r}")
        if not isinstance(self.flip, bool):
            raise DataError(f"augmentation: flip must be True or False, not {self.flip!r}")
        for name in ("min_crop_area", "max_aspect", "brightness"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise DataError(f"augmentation: {name} must be a number, not {value!r}")
        if not 0 < self.min_crop_area <= 1:
            raise DataError(f"augmentation: min_crop_area must be in (0, 1], not {self.min_crop_area!r}")
        if not 1 <= self.max_aspect <= 10:
            raise DataError(f"augmentation: max_aspect must be in [1, 10], not {self.max_aspect!r}")
        if not 0 <= self.brightness < 1:
            raise DataError(f"augmentation: brightness must be in [0, 1), not {self.brightness!r}")

    @classmethod
    def parse(cls, value: bool | int | Mapping[str, Any] | Augmentation | None) -> Augmentation | None:
        """Understand what a user gave as ``augment``.

        Args:
            value: None or False: none. True: the defaults. A whole number: that many views. A dict: the arguments.

        Returns:
            The augmentation, or None where training sees only the pictures themselves.

        Raises:
            DataError: Anything else.
        """
        if value is None or value is False:
            return None
        if value is True:
            return cls()
        if isinstance(value, int):
            value = cls(views=value) if value != 0 else cls(views=1)
        elif isinstance(value, Mapping):
            value = cls.from_dict(value)
        if not isinstance(value, Augmentation):
            raise DataError(
                f"augment must be True, False, a number of views or a dict, not {value!r}",
                hint=f"A dict may have: {', '.join(field.name for field in fields(cls))}.",
            )
        return value if value.views > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` gives an equal object back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Augmentation:
        """Read what `to_dict` wrote; what is missing takes its default.

        Raises:
            DataError: An unknown key or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(str(key) for key in values if key not in known):
            raise DataError(f"augmentation has no {', '.join(unknown)}", hint=f"It has: {', '.join(known)}.")
        return cls(**values)

    def sample(self, n_images: int, view: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw one view of each picture.

        Args:
            n_images: Number of pictures.
            view: 0 gives the pictures themselves and draws nothing.
            rng: Source of chance; the same state gives the same views.

        Returns:
            Boxes, float32 of shape (n, 4): top, left, bottom, right as shares, 0 to 1, of what `Preprocessing` shows
            of the upright picture; and whether to mirror each left to right, bool of shape (n,).
        """
        if view == 0:
            return np.tile(np.array([0, 0, 1, 1], np.float32), (n_images, 1)), np.zeros(n_images, bool)
        area = rng.uniform(self.min_crop_area, 1, n_images)
        limit = math.log(self.max_aspect)
        aspect = np.exp(rng.uniform(-limit, limit, n_images))
        height = np.minimum(np.sqrt(area / aspect), 1)
        width = np.minimum(np.sqrt(area * aspect), 1)
        top = rng.uniform(0, 1, n_images) * (1 - height)
        left = rng.uniform(0, 1, n_images) * (1 - width)
        boxes = np.stack([top, left, top + height, left + width], axis=1).clip(0, 1).astype(np.float32)
        flips = rng.random(n_images) < 0.5 if self.flip else np.zeros(n_images, bool)
        return boxes, flips

    def sample_brightness(self, n_images: int, view: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Factors for the pixels, float32 of shape (n,), in ``[1 - brightness, 1 + brightness]``; all 1 for view 0."""
        if view == 0 or self.brightness == 0:
            return np.ones(n_images, np.float32)
        return rng.uniform(1 - self.brightness, 1 + self.brightness, n_images).astype(np.float32)
