"""The order in which people count names."""

from __future__ import annotations

import re


def natural_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts ``output_2`` before ``output_10``.

    Example:
        >>> sorted(["output_10", "output_2"], key=natural_key)
        ['output_2', 'output_10']
    """
    return [(int(digits), "") if digits else (-1, word) for digits, word in re.findall(r"(\d{1,18})|(\D+|\d)", name)]
