"""The figures in docs/security.md are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pybridge.data import structure
from pybridge.loading import keras_files, keras_safety, memory_limit
from pybridge.loading.operations import known_operations

_REPOSITORY = Path(__file__).parents[2]
_SERVER = _REPOSITORY / "node_runner" / "server"
_DOCUMENT = " ".join((_REPOSITORY / "docs" / "security.md").read_text("utf-8").split())


def _server_constant(name: str) -> float:
    """A number of the server's code, which only JavaScript reads."""
    found = re.search(rf"^const {name} = ([\d.e]+);", (_SERVER / "models" / "index.js").read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"{name} is no longer there"
    return float(found[1])


def _server_default(name: str) -> int:
    (option,) = [each for each in json.loads((_SERVER / "options.json").read_text("utf-8"))["numbers"] if each["name"] == name]
    return int(option["default"])


@pytest.mark.parametrize(
    "sentence",
    [
        f"all {len(known_operations().known):,} operations of the registry",
        f"{len(known_operations().computing):,} of which compute",
        f"at most {keras_safety._RATIO_LIMIT} times its size, or {keras_safety._SMALL // 2**20} MB",
        f"never more than {keras_safety.SIZE_LIMIT // 2**30} GB",
        f"its configuration at most {keras_safety.CONFIG_LIMIT // 2**20} MB",
        f"may take {keras_files._TIMEOUT_SECONDS / 60:g} minutes, and {memory_limit._SHARE * 100:g} % of the free memory",
        f"pixels, in the server | {_server_default('max-pixels'):,} (`--max-pixels`)",
        f"scans of a JPEG file | {structure.MOST_SCANS} |",
        f"or of all frames of a GIF file or a WebP file | {structure.MOST_PIXELS_IN_ALL:,} |",
        f"frames of a GIF file or a WebP file | {structure.MOST_FRAMES:,} |",
        f"parts of a PNG file or a WebP file | {structure.MOST_PARTS:,}, and one more for each {structure.BYTES_OF_A_PART} bytes",
        f"seconds of decoding in the server | {_server_constant('DECODE_SECONDS'):g} |",
        f"at most {_server_constant('BATCH_PIXELS'):,.0f} pixels in a batch",
        f"at most {_server_constant('QUEUE_PIXELS'):,.0f} waiting",
    ],
)
def test_a_limit_stands_in_the_document_as_in_the_code(sentence: str) -> None:
    assert sentence in _DOCUMENT


def test_the_savers_operations_stand_in_the_document() -> None:
    assert all(f"`{name}`" in _DOCUMENT for name in known_operations().saver)
