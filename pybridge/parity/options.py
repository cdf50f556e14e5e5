"""The options of two layers, compared."""

from __future__ import annotations

from typing import Any

# Settings that change no output in inference, or only name things.
_IRRELEVANT = ("name", "dtype", "trainable", "batch_shape", "batch_input_shape", "module", "registered_name", "synchronized")


def differing(reference: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any]]:
    """Options that change outputs and have another value on the other side, with that value."""
    return [
        (key, other[key])
        for key in reference
        if key in other
        and key not in _IRRELEVANT
        and not key.endswith(("_initializer", "_regularizer", "_constraint"))
        and _comparable(reference[key]) != _comparable(other[key])
    ]


def _comparable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = [_comparable(item) for item in value]
        return items[0] if len(items) > 0 and all(item == items[0] for item in items) else items
    return value
