"""When Node.js dies, every pending call says so at once, and the next call starts afresh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybridge.errors import BridgeError, NodeCrashedError, NodeNotFoundError, SetupError
from pybridge.rpc.protocol import PROTOCOL_VERSION
from pybridge.rpc.runner import Runner

FOREVER = "this.progress(process.pid); for (;;);"
REPOSITORY = Path(__file__).resolve().parents[2]


def gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text() if sys.platform == "linux" else ""
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    return status.rpartition(") ")[2].startswith("Z")


def test_a_killed_process_fails_every_pending_call_with_the_signal(runner: Runner, run_js: Callable[..., Any]) -> None:
    calls = [runner.submit("script.call", run_js.script(FOREVER)) for _ in range(3)]  # type: ignore[attr-defined]
    started = threading.Event()
    killer = threading.Thread(target=lambda: (started.wait(10), os.kill(runner.pid or 0, signal.SIGKILL)))
    killer.start()
    for call in calls:
        with pytest.raises(NodeCrashedError, match="SIGKILL") as caught:
            call.result(20, lambda _: started.set())
        assert (caught.value.signal_name, caught.value.exit_code) == ("SIGKILL", None)
    killer.join()


@pytest.mark.parametrize(
    ("body", "exit_code", "signal_name", "says"),
    [
        ("process.exit(3);", 3, None, "exited with code 3"),
        ("console.error('last words'); process.exit(0);", 0, None, "last words"),
        ("process.abort();", None, "SIGABRT", "SIGABRT"),
        ("setTimeout(() => { throw new Error('outside'); }); return new Promise(() => {});", 1, None, "outside"),
        ("Promise.reject(new Error('unhandled')); return new Promise(() => {});", 1, None, "unhandled"),
    ],
)
def test_the_end_is_described(
    run_js: Callable[..., Any], body: str, exit_code: int | None, signal_name: str | None, says: str
) -> None:
    with pytest.raises(NodeCrashedError, match=says) as caught:
        run_js(body, timeout=20)
    assert (caught.value.exit_code, caught.value.signal_name) == (exit_code, signal_name)


def test_the_next_call_starts_a_fresh_process(runner: Runner, run_js: Callable[..., Any]) -> None:
    first = runner.pid
    assert runner.generation == 1
    with pytest.raises(NodeCrashedError):
        run_js("process.exit(1);")
    assert runner.call("echo", {"value": 1}) == 1
    assert runner.generation == 2
    assert runner.pid != first


def test_a_process_that_died_unused_is_replaced_without_an_error(runner: Runner, eventually: Callable[..., None]) -> None:
    os.kill(runner.pid or 0, signal.SIGKILL)
    eventually(lambda: not runner.alive)
    assert runner.call("echo", {"value": 1}) == 1
    assert runner.generation == 2


def test_with_restart_raise_a_death_that_nobody_saw_is_told_once(plain_node: Any, eventually: Callable[..., None]) -> None:
    with Runner(plain_node, restart="raise") as runner:
        os.kill(runner.pid or 0, signal.SIGKILL)
        eventually(lambda: not runner.alive)
        with pytest.raises(NodeCrashedError, match="SIGKILL"):
            runner.call("echo", {"value": 1})
        assert runner.call("echo", {"value": 1}) == 1


def test_with_restart_never_all_further_calls_fail(plain_node: Any, eventually: Callable[..., None]) -> None:
    with Runner(plain_node, restart="never") as runner:
        os.kill(runner.pid or 0, signal.SIGKILL)
        eventually(lambda: not runner.alive)
        for _ in range(2):
            with pytest.raises(NodeCrashedError, match="SIGKILL"):
                runner.call("echo", {"value": 1})
        assert runner.generation == 1


def test_another_policy_is_refused(plain_node: Any) -> None:
    with pytest.raises(ValueError, match="restart must be one of never, raise, silent, not 'always'"):
        Runner(plain_node, restart="always")  # type: ignore[arg-type]


def test_only_the_last_lines_of_stderr_are_kept(run_js: Callable[..., Any]) -> None:
    with pytest.raises(NodeCrashedError) as caught:
        run_js("for (let i = 0; i < 1000; i++) console.error('line', i); process.exit(1);")
    assert caught.value.stderr_tail.splitlines() == [f"line {number}" for number in range(960, 1000)]


def test_running_out_of_memory_has_a_hint(plain_node: Any, tmp_path: Path) -> None:
    script = tmp_path / "hungry.js"
    script.write_text("exports.main = () => { const all = []; for (;;) all.push(new Array(1000).fill({})); };")
    with (
        Runner(plain_node, env={"NODE_OPTIONS": "--max-old-space-size=40"}) as runner,
        pytest.raises(NodeCrashedError, match="max-old-space-size") as caught,
    ):
        runner.call("script.call", {"path": str(script), "function": "main"}, timeout=60)
    assert caught.value.signal_name == "SIGABRT"


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)", "sys.exit(0)", "os.abort()"])
def test_node_goes_when_python_goes_whatever_it_computes(
    plain_node: Any, tmp_path: Path, eventually: Callable[..., None], how: str
) -> None:
    script = tmp_path / "forever.js"
    script.write_text(f"exports.main = function () {{ {FOREVER} }};")
    program = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{str(REPOSITORY)!r}, {str(Path(__file__).parent)!r}]
from conftest import PlainNode
from pybridge.rpc.runner import Runner
runner = Runner(PlainNode(Path({str(plain_node.node)!r})))
def leave(pid):
    print(pid, flush=True)
    {how}
try:
    runner.call("script.call", {{"path": {str(script)!r}, "function": "main"}}, on_progress=leave)
finally:
    pass
"""
    python = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    pid = int(python.stdout)
    eventually(lambda: gone(pid))


def test_a_forked_child_that_outlives_its_parent_does_not_keep_node_alive(
    plain_node: Any, eventually: Callable[..., None]
) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
sys.path[:0] = [{str(REPOSITORY)!r}, {str(Path(__file__).parent)!r}]
from conftest import PlainNode
from pybridge.rpc.runner import Runner
runner = Runner(PlainNode(Path({str(plain_node.node)!r})))
runner.start()
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(60)
print(runner.pid, child, flush=True)
os._exit(0)
"""
    python = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    pid, child = map(int, python.stdout.split())
    try:
        eventually(lambda: gone(pid))
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_child_gets_a_clear_error_and_does_not_disturb_its_parent(runner: Runner) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            runner.call("echo", {"value": 1}, timeout=5)
        except BridgeError as error:
            os.write(write, str(error).encode())
            runner.close()
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as answer:
        assert b"a forked child cannot use it" in answer.read()
    assert runner.call("echo", {"value": 1}) == 1


def test_close_ends_a_busy_process_and_fails_its_calls(runner: Runner, run_js: Callable[..., Any]) -> None:
    call = runner.submit("script.call", run_js.script(FOREVER))  # type: ignore[attr-defined]
    pid = runner.pid
    assert pid is not None
    runner.close()
    assert gone(pid)
    with pytest.raises(BridgeError, match="closed"):
        call.result(5)
    with pytest.raises(BridgeError, match="closed"):
        runner.call("echo")
    runner.close()


def test_close_lets_node_run_its_exit_handlers(runner: Runner, run_js: Callable[..., Any], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run_js("process.on('exit', () => require('node:fs').writeFileSync(args[0], 'bye'));", str(mark))
    runner.close()
    assert mark.read_text() == "bye"


def test_a_forgotten_runner_ends_its_process(plain_node: Any, eventually: Callable[..., None]) -> None:
    runner = Runner(plain_node)
    runner.start()
    pid = runner.pid
    assert pid is not None
    del runner
    eventually(lambda: gone(pid))


def test_threads_that_start_at_once_share_one_process(plain_node: Any) -> None:
    with Runner(plain_node) as _, Runner(plain_node) as runner:
        barrier = threading.Barrier(4)
        pids = []

        def work() -> None:
            barrier.wait()
            pids.append(runner.start().pid)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(pids)) == 1
        assert runner.generation == 1


def fake_main(plain_node: Any, folder: Path, body: str) -> Any:
    main = folder / "fake.js"
    main.write_text(
        "const fs = require('node:fs'); const fd = Number(process.argv[2]);\n"
        "const frame = (text, payload = 0) => { const head = Buffer.alloc(16); head.write('PYB1');"
        " head.writeUInt32LE(Buffer.byteLength(text), 4); head.writeUInt32LE(payload, 8);"
        " fs.writeSync(fd, Buffer.concat([head, Buffer.from(text)])); };\n"
        "const hello = (protocol) => frame(JSON.stringify("
        "{jsonrpc: '2.0', method: 'hello', params: {protocol, pid: 1}}));\n"
        "const stay = () => setInterval(() => {}, 1e6);\n" + body
    )
    return type(plain_node)(plain_node.node, main)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("hello(999); stay();", SetupError, "speaks version 999 .* reinstall"),
        ("hello('x'); stay();", SetupError, "speaks version 'x'"),
        ("stay();", SetupError, "not ready within"),
        ("console.error('no module'); process.exit(7);", NodeCrashedError, "code 7(.|\n)*no module"),
        ("throw new Error('at start');", NodeCrashedError, "at start"),
        ("fs.writeSync(fd, 'Hello, this is not a frame.'); stay();", NodeCrashedError, "broke the protocol"),
        ("fs.closeSync(fd); stay();", NodeCrashedError, "went on running"),
        ('frame(\'{"jsonrpc":"2.0","method":"other"}\'); stay();', BridgeError, "instead of hello"),
        ("this is no JavaScript", NodeCrashedError, "SyntaxError"),
    ],
)
def test_a_program_that_is_not_the_runner_is_refused(
    plain_node: Any, tmp_path: Path, body: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        Runner(fake_main(plain_node, tmp_path, body), startup_timeout=2).start()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("frame('nonsense')", "not valid JSON"),
        ('frame(\'{"jsonrpc":"2.0","id":1,"result":1}\', 999)', "0 bytes, but the frame carries 999"),
        ('frame(\'{"jsonrpc":"2.0","id":1}\')', "neither result nor error"),
        ("fs.writeSync(fd, Buffer.alloc(100))", "begins with"),
        ('frame(\'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}\')', "what?"),
    ],
)
def test_a_malformed_answer_fails_the_pending_call(plain_node: Any, tmp_path: Path, answer: str, says: str) -> None:
    program = f"hello({PROTOCOL_VERSION}); setTimeout(() => {{ {answer}; }}, 20); stay();"
    with Runner(fake_main(plain_node, tmp_path, program)) as runner:
        call = runner.submit("echo")
        started = time.monotonic()
        with pytest.raises(BridgeError, match=says.replace("?", r"\?")):
            call.result(20)
        assert time.monotonic() - started < 20


def test_a_node_that_does_not_exist_is_named(plain_node: Any, tmp_path: Path) -> None:
    with pytest.raises(NodeNotFoundError, match="nothing-here"):
        Runner(type(plain_node)(tmp_path / "nothing-here")).start()
