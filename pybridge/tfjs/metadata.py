"""What pybridge notes in the ``userDefinedMetadata`` of a ``model.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEY = "pybridge"
_KERAS = "keras"


def with_keras_record(record: dict[str, Any]) -> dict[str, Any]:
    """Metadata that hold a record of the Keras model that a model was converted from."""
    return {_KEY: {_KERAS: record}}


def keras_record(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the Keras model that a model was converted from; None where there is none."""
    known = metadata.get(_KEY)
    record = known.get(_KERAS) if isinstance(known, dict) else None
    return record if isinstance(record, dict) else None


def without_keras_record(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata for a model that is made of parts of another: without the record, which would no longer be true."""
    kept = dict(metadata)
    known = kept.get(_KEY)
    if isinstance(known, dict):
        kept[_KEY] = {key: value for key, value in known.items() if key != _KERAS}
        if not kept[_KEY]:
            del kept[_KEY]
    return kept
