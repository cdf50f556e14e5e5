"""Large arrays are received into memory that is used again, and never while somebody can still see it."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.rpc.receive_memory import ReceiveMemory
from pybridge.rpc.runner import Runner

MEGABYTE = 2**20
NODE_RUNNER = Path(__file__).resolve().parents[2] / "node_runner"


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_used_again_when_the_array_is_gone() -> None:
    memory = ReceiveMemory()
    first = memory.lend(4 * MEGABYTE)
    place = address(first)
    del first
    gc.collect()
    assert memory.idle_bytes == 4 * MEGABYTE
    assert address(memory.lend(3 * MEGABYTE)) == place


@pytest.mark.parametrize("derive", [lambda a: a[5:9], lambda a: a.view(np.float32).reshape(2, -1).T, memoryview])
def test_memory_stays_with_the_last_view_of_an_array(derive: Callable[[Any], Any]) -> None:
    memory = ReceiveMemory()
    array = memory.lend(MEGABYTE)
    kept = derive(array)
    del array
    gc.collect()
    assert memory.idle_bytes == 0
    del kept
    gc.collect()
    assert memory.idle_bytes == MEGABYTE


def test_a_much_smaller_array_takes_no_large_memory() -> None:
    memory = ReceiveMemory()
    memory.lend(64 * MEGABYTE)
    gc.collect()
    small = memory.lend(2 * MEGABYTE)
    assert memory.idle_bytes == 64 * MEGABYTE
    del small


def test_idle_memory_is_bounded() -> None:
    memory = ReceiveMemory()
    arrays = [memory.lend(48 * MEGABYTE) for _ in range(6)]
    del arrays
    memory.lend(512 * MEGABYTE)
    gc.collect()
    assert memory.idle_bytes == 96 * MEGABYTE


def test_no_two_threads_get_the_same_memory() -> None:
    memory = ReceiveMemory()
    mixed_up: list[int] = []

    def use(number: int) -> None:
        for _ in range(200):
            array = memory.lend(MEGABYTE)
            array[::4096] = number
            if (array[::4096] != number).any():
                mixed_up.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed_up == []


def test_results_that_are_kept_do_not_change_with_later_calls(runner: Runner) -> None:
    sent = [np.full(MEGABYTE // 4 + number, number, np.float32) for number in range(8)]
    received = [runner.call("echo", {"value": array}) for array in sent]
    views = [runner.call("echo", {"value": array})[7:] for array in sent]
    for array, whole, view in zip(sent, received, views, strict=True):
        np.testing.assert_array_equal(whole, array)
        np.testing.assert_array_equal(view, array[7:])


def test_calls_on_their_way_at_the_same_time_share_no_memory_in_node(runner: Runner) -> None:
    arrays = [np.full((3, MEGABYTE), number, np.uint8) for number in range(12)]
    for call, array in [(runner.submit("echo", {"value": array}), array) for array in arrays]:
        np.testing.assert_array_equal(call.result(), array)


def test_shorter_strings_come_whole_out_of_longer_memory(runner: Runner) -> None:
    for size in (3 * MEGABYTE, 2 * MEGABYTE):
        assert runner.call("echo", {"value": np.array([b"a" * size, b"", b"bc"], object)}).tolist() == [b"a" * size, b"", b"bc"]


def test_what_a_script_keeps_does_not_change_with_later_calls(run_js: Callable[..., Any]) -> None:
    for number in range(6):
        run_js("(globalThis.kept ??= []).push(args[0].data ?? args[0]);", np.full(2 * MEGABYTE, number, np.uint8))
    found = run_js("return globalThis.kept.map((data) => [data.length, data[0], data[data.length - 1]]);")
    assert found == [[2 * MEGABYTE, number, number] for number in range(6)]


def test_node_receives_the_arrays_of_consuming_methods_into_the_memory_of_earlier_ones(run_js: Callable[..., Any]) -> None:
    code = f"""
      const {{ FrameReader }} = require({json.dumps(str(NODE_RUNNER / "rpc" / "frame_reader.js"))});
      const seen = [];
      const reader = new FrameReader({{
        isConsumed: ({{ method }}) => method === 'eats',
        onFrame: ({{ tensors, release }}) => {{ seen.push(tensors[0].data.buffer); release(); }},
      }});
      const send = (method, nbytes) => {{
        const tensors = [{{ dtype: 'uint8', shape: [nbytes], nbytes }}];
        const text = Buffer.from(JSON.stringify({{ jsonrpc: '2.0', method, tensors }}));
        const head = Buffer.alloc(16);
        head.write('PYB1');
        head.writeUInt32LE(text.length, 4);
        head.writeUInt32LE(nbytes, 8);
        let rest = Buffer.concat([head, text, Buffer.alloc(nbytes, seen.length)]);
        while (rest.length) {{
          const place = reader.nextBuffer();
          const count = rest.copy(place);
          reader.received(count);
          rest = rest.subarray(count);
        }}
      }};
      for (const method of ['eats', 'eats', 'keeps', 'keeps', 'eats']) send(method, {2 * MEGABYTE});
      return seen.map((buffer) => seen.indexOf(buffer));
    """
    assert run_js(code) == [0, 0, 2, 3, 0]


def test_idle_memory_in_node_is_bounded_too(run_js: Callable[..., Any]) -> None:
    code = f"""
      const {{ ReceiveMemory }} = require({json.dumps(str(NODE_RUNNER / "rpc" / "receive_memory.js"))});
      const memory = new ReceiveMemory();
      const buffers = args.map((size) => memory.lend(size));
      for (const buffer of buffers) memory.giveBack(buffer);
      return memory.idle.map((buffer) => buffer.byteLength / {MEGABYTE});
    """
    sizes = [48, 49, 512, 50, 51, 0]
    assert run_js(code, *[size * MEGABYTE for size in sizes]) == [50, 51]
