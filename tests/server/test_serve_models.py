"""What the server's engine room answers under load, while workers die, versions change, and the server ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

import pybridge as pb
from pybridge.runtime import Runtime, ensure
from pybridge.runtime.bundle import find_bundle

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).parent / "drive_models.js"

Drive = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def given(pixels: Any, node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two packages whose answers differ, places for models, and a dozen pictures."""
    folder = tmp_path_factory.mktemp("inference")
    packages = []
    for seed, name in enumerate(("first", "second")):
        base = tiny.convolution(seed=seed)
        classifier = pb.ImageClassifier(base, engine="layers", epochs=2, learning_rate=0.1, dropout=0.0, seed=seed, node=node)
        classifier.fit(*pixels)
        classifier.save(folder / f"{name}_run")
        packages.append(pb.deploy(folder / f"{name}_run", folder / name, saved_model=True, force=True, node=node).path)
    shutil.copytree(packages[0], folder / "changing" / "1")
    shutil.copytree(packages[0], folder / "replaced")
    random = np.random.default_rng(0)
    pictures = []
    for number in range(12):
        pictures.append(str(folder / f"{number}.{'png' if number == 5 else 'bmp' if number == 7 else 'jpg'}"))
        values = random.integers(0, 256, (20 + 3 * number, 60 - number, 3))
        Image.fromarray(values.astype(np.uint8)).save(pictures[-1])
    bundle = find_bundle().node_runner
    return {
        "create_models": str(bundle / "server" / "models"),
        "tensorflow": str(bundle / "tensorflow"),
        "first": str(packages[0]),
        "second": str(packages[1]),
        "models": {"steady": str(packages[0]), "changing": str(folder / "changing"), "replaced": str(folder / "replaced")},
        "pictures": pictures,
    }


def drive(given: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
    runtime: Runtime = ensure()
    process = subprocess.Popen(
        [str(runtime.node), str(DRIVER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **runtime.environment()},
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


@pytest.fixture(scope="module")
def outcome(given: dict[str, Any]) -> Any:
    """What came of all that `drive_models.js` does."""
    process = drive(given)
    try:
        output, _ = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    return json.loads(output)


def test_answers_are_those_of_the_packages_own_classifier_to_the_last_bit(outcome: Any) -> None:
    assert outcome["forms"] == ["saved_model", "saved_model"]
    answers = outcome["answering"]
    assert answers["alone"]
    assert answers["version"] == "1"
    assert answers["classes"] == answers["labels"] == ["0", "1"]


def test_an_answer_does_not_depend_on_the_batch_that_it_was_computed_in(outcome: Any) -> None:
    answers = outcome["answering"]
    assert answers["together"]
    assert answers["inOne"]
    assert answers["largestBatch"] > 1


def test_prepared_arrays_are_answered_too(outcome: Any) -> None:
    assert outcome["answering"]["prepared"] == 4


def test_a_damaged_image_is_refused_and_costs_its_neighbours_nothing(outcome: Any) -> None:
    answers = outcome["answering"]
    assert [error["code"] for error in answers["poisoned"]] == ["BAD_INPUT", "BAD_INPUT"]
    assert "damaged" in answers["poisoned"][0]["message"]
    assert "not an image" in answers["poisoned"][1]["message"]
    assert answers["neighbours"]


def test_the_error_of_one_image_among_many_says_which(outcome: Any) -> None:
    error = outcome["answering"]["oneOfMany"]
    assert (error["code"], error["index"]) == ("BAD_INPUT", 1)
    assert error["message"].startswith("images[1]: ")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("badTensor", "BAD_INPUT"), ("noImages", "BAD_INPUT"), ("noModel", "NOT_FOUND"), ("noVersion", "NOT_FOUND")],
)
def test_what_cannot_be_answered_is_refused(outcome: Any, asked: str, code: str) -> None:
    assert outcome["answering"][asked]["code"] == code


def test_a_client_that_leaves_takes_its_images_out_of_the_queue(outcome: Any) -> None:
    leaving = outcome["leaving"]
    assert leaving["before"]["message"] == "left before"
    assert leaving["within"]["message"] == "left within"
    assert leaving["queued"] == 0


def test_a_request_is_given_up_at_its_deadline(outcome: Any) -> None:
    assert outcome["leaving"]["late"]["code"] == "TIMEOUT"


def test_one_image_does_not_wait_for_the_many_of_another_request(outcome: Any) -> None:
    assert outcome["fairness"] == ["one", "many"]


def test_no_answer_is_wrong_or_lost_when_workers_are_killed_under_load(outcome: Any) -> None:
    killing = outcome["killing"]
    assert killing["crashes"] == ["SIGKILL", "SIGKILL"]
    assert killing["answers"] >= 600
    assert killing["wrong"] == 0
    assert killing["failures"] == []


def test_a_new_version_takes_over_without_a_failed_request(outcome: Any) -> None:
    assert outcome["differ"]
    reloading = outcome["reloading"]
    assert reloading["failures"] == []
    assert reloading["wrong"] == 0
    assert set(reloading["versions"]) == {"1", "2"}
    assert reloading["next"] == "2"


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_service(outcome: Any) -> None:
    reloading = outcome["reloading"]
    assert reloading["kept"] == "2"
    states = {entry["version"]: entry for entry in reloading["list"]}
    assert (states["2"]["state"], states["3"]["state"]) == ("AVAILABLE", "FAILED")
    assert "bytes instead of" in states["3"]["error"]


def test_a_package_that_is_replaced_is_noticed(outcome: Any) -> None:
    assert outcome["replacing"] == {"version": "2", "right": True}


def test_draining_answers_everything_that_was_accepted(outcome: Any) -> None:
    draining = outcome["draining"]
    assert draining["answered"] == 60
    assert draining["refused"]["code"] == "UNAVAILABLE"
    assert (draining["workers"], draining["ready"]) == (0, False)


def test_a_full_queue_refuses_and_says_when_to_come_back(outcome: Any) -> None:
    overloading = outcome["overloading"]
    assert overloading["queued"] == 10
    assert overloading["answered"] == 11
    assert {error["code"] for error in overloading["errors"]} == {"OVERLOADED"}
    assert all(error["retryAfterSeconds"] >= 1 for error in overloading["errors"])


def test_a_queue_is_bounded_in_bytes_too(outcome: Any) -> None:
    assert outcome["overloading"]["weighed"] == 4


def test_a_request_that_never_fits_is_the_clients_mistake(outcome: Any) -> None:
    assert outcome["overloading"]["tooMany"]["code"] == "BAD_INPUT"


def test_a_model_that_is_not_there_is_named(outcome: Any) -> None:
    assert outcome["missing"]["code"] == "UNAVAILABLE"
    assert outcome["missing"]["message"].startswith("The model gone cannot be loaded")


def test_workers_end_with_a_server_that_was_killed(given: dict[str, Any]) -> None:
    process = drive(given, "hold")
    assert process.stdout is not None
    try:
        workers = json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        os.sched_yield()
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
