"""Peers that misbehave: programs that fail, end, hang or grow are told of, and ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybridge.benchmark.driver import Limits, leave_room
from pybridge.benchmark.process import PeerFailedError, PeerProcess
from pybridge.benchmark.process_memory import memory_now, peak_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

Start = Callable[..., PeerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program that calls ``answer(text)`` for each ``order``."""
    running: list[PeerProcess] = []

    def start_program(body: str, *, seconds: float = 20.0, memory: int | None = None) -> PeerProcess:
        program = (
            f"import json, os, sys, time\nanswer = lambda text: print(text, flush=True)\nfor order in sys.stdin:\n    {body}\n"
        )
        running.append(PeerProcess([sys.executable, "-S", "-c", program], os.environ, seconds=seconds, memory=memory))
        return running[-1]

    yield start_program
    for process in running:
        process.close()


def test_an_order_is_answered(start: Start) -> None:
    process = start("answer(json.dumps({'seconds': json.loads(order)['n'] / 2}))")
    assert process.ask({"n": 3}) == {"seconds": 1.5}
    assert process.ask({"n": 4}) == {"seconds": 2.0}


def test_an_error_that_is_answered_is_told(start: Start) -> None:
    process = start("answer(json.dumps({'error': 'no such model'}))")
    with pytest.raises(PeerFailedError, match="no such model"):
        process.ask({})


def test_the_last_words_of_one_that_ended_are_told(start: Start) -> None:
    process = start("raise SystemExit('out of luck')")
    with pytest.raises(PeerFailedError, match=r"ended with code 1: out of luck"):
        process.ask({})


def test_one_that_takes_too_long_is_given_up(start: Start) -> None:
    process = start("time.sleep(600)", seconds=0.1)
    with pytest.raises(PeerFailedError, match=r"more than 0\.1 s"):
        process.ask({})


def test_one_that_takes_too_much_memory_is_given_up(start: Start) -> None:
    process = start("held = bytearray(os.urandom(1) * 80_000_000); time.sleep(600)", memory=60_000_000)
    with pytest.raises(PeerFailedError, match="GB of memory"):
        process.ask({})


def test_one_whose_turn_is_over_ends_where_those_that_wait_hold_much(start: Start) -> None:
    running = {name: start("held = b'x' * 50_000_000; answer('{}')") for name in ("first", "second")}
    for process in running.values():
        process.ask({})
    leave_room(running, "second", Limits(memory=10**9))
    assert sorted(running) == ["first", "second"]

    leave_room(running, "second", Limits(memory=150_000_000))

    assert sorted(running) == ["first"]
    assert running["first"].ask({}) == {}


def test_an_answer_that_is_no_json_is_told(start: Start) -> None:
    process = start("answer('Warning: something')")
    with pytest.raises(PeerFailedError, match="no answer that can be read"):
        process.ask({})


def test_the_peak_of_children_counts_and_stays(start: Start) -> None:
    child = "import os, sys; held = bytearray(os.urandom(1) * 50_000_000); del held; print(1, flush=True); sys.stdin.read()"
    process = start(
        f"import subprocess; child = subprocess.Popen([sys.executable, '-S', '-c', {child!r}], stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE); child.stdout.readline(); answer(json.dumps({'pid': child.pid}))"
    )
    pid = process.ask({})["pid"]
    peaks = process.peak_memory()
    assert sum(peaks.values()) > 50_000_000 > memory_now(pid)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeerFailedError, match="does not start"):
        PeerProcess([str(tmp_path / "nothing")], {}, seconds=1)


def test_ending_a_peer_ends_its_children(start: Start) -> None:
    process = start(
        "import subprocess; child = subprocess.Popen([sys.executable, '-S', '-c', 'import sys; sys.stdin.read()'], "
        "stdin=subprocess.PIPE); answer(json.dumps({'pid': child.pid}))"
    )
    pid = process.ask({})["pid"]
    process.close()
    assert not peak_memory(pid)
