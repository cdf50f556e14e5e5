"""Decoding in threads gives the same numbers, leaves others their turn, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest
from PIL import Image
from service_project import HERE

from pybridge.runtime import Runtime

CALLS = 800


def run(runtime: Runtime, given: Any, *options: str) -> Any:
    command = [str(runtime.node), "--expose-gc", *options, str(HERE / "prepare_in_threads.js")]
    # Its end shows that idle threads do not keep a process alive.
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pictures")
    photo = folder / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)).save(photo)
    (folder / "bad.jpg").write_bytes(b"no picture")
    large = folder / "large.jpg"
    Image.open(photo).resize((2000, 1500)).save(large)
    files = [*picture_files.jpegs(folder, photo)[::3], photo]
    return {"files": [str(file) for file in files], "bad": str(folder / "bad.jpg"), "large": str(large), "calls": CALLS}


@pytest.fixture(scope="module")
def found(runtime: Runtime, pictures: dict[str, Any]) -> Any:
    return run(runtime, pictures)


def test_threads_give_the_same_numbers_and_the_same_errors(found: Any) -> None:
    assert found["threads"] == found["here"]
    assert found["threads"][-1]["code"] == "ERR_NOT_AN_IMAGE"
    assert len({str(each) for each in found["threads"]}) > 12


def test_others_have_their_turn_while_a_large_picture_is_decoded(found: Any) -> None:
    assert found["turns"]["threads"] > 20 > found["turns"]["here"]


def test_a_signal_ends_what_waits_and_nothing_else(found: Any) -> None:
    assert set(found["aborted"]) == {"AbortError"}
    assert found["abortedBefore"] == "AbortError"
    assert found["afterwards"] == found["threads"][0]


def test_no_thread_listener_or_memory_is_left_behind(found: Any) -> None:
    assert found["started"] == 2
    assert found["listeners"] == 0
    assert found["leaked"] < 2_000_000


def test_what_waits_at_the_end_is_rejected(found: Any) -> None:
    assert found["closed"] == ["ERR_DISPOSED", "ERR_DISPOSED"]


def test_where_threads_cannot_start_the_caller_decodes(
    runtime: Runtime, pictures: dict[str, Any], tmp_path: Path, found: Any
) -> None:
    refusing = tmp_path / "refuse.js"
    refusing.write_text("require('worker_threads').Worker = class { constructor() { throw new Error('no threads here'); } };")
    alone = run(runtime, {**pictures, "calls": 8}, "--require", str(refusing))
    assert alone["started"] == 0
    assert alone["threads"] == found["here"]
    assert set(alone["aborted"]) == {"AbortError"}
