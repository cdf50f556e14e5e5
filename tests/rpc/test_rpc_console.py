"""What JavaScript prints reaches the terminal, Python's logging or a function, and never the protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybridge.errors import NodeCrashedError
from pybridge.rpc.runner import Runner


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.message for record in caplog.records if record.name == "pybridge.node" and record.levelno == level]


def test_stdout_is_logged_as_info_and_stderr_as_warning(
    runner: Runner, run_js: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pybridge.node")
    run_js("console.log('to %s', 'stdout'); console.error('to stderr\\nü'); process.stdout.write('no line end');")
    runner.close()
    assert lines(caplog, logging.INFO) == ["to stdout", "no line end"]
    assert lines(caplog, logging.WARNING) == ["to stderr", "ü"]


@pytest.mark.slow
def test_a_hundred_thousand_lines_arrive_complete_beside_calls(
    runner: Runner, run_js: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pybridge.node")
    for start in range(0, 100_000, 1000):
        assert run_js("for (let i = 0; i < 1000; i++) console.log('line', args[0] + i); return args[0];", start) == start
    runner.close()
    assert lines(caplog, logging.INFO) == [f"line {number}" for number in range(100_000)]


def test_output_without_line_ends_is_forwarded_in_pieces(
    runner: Runner, run_js: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pybridge.node")
    run_js("for (let i = 0; i < 300; i++) process.stdout.write('x'.repeat(1000));")
    runner.close()
    pieces = lines(caplog, logging.INFO)
    assert "".join(pieces) == "x" * 300_000
    assert max(map(len, pieces)) <= 2 * 64 * 1024


def test_what_looks_like_the_protocol_on_stdout_is_only_text(run_js: Callable[..., Any]) -> None:
    assert run_js('console.log(\'PYB1{"jsonrpc":"2.0","id":1,"result":666}\'); return 1;') == 1


TENSORFLOW_LOG = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795326163.103569   31017 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1795326163.551692   31017 util.cc:131] oneDNN supports DT_UINT8 only on platforms with AVX-512.",
    "W20261122 05:36:01.551692   31017 cuda.cc:1] no GPU",
    "2026-11-22 05:36:01.551692: I tensorflow/core/platform/cpu_feature_guard.cc:210] This binary is optimized.",
]


def test_what_tensorflow_logs_on_stderr_is_only_debugging(
    runner: Runner, run_js: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pybridge.node")
    own = ["Error: something else", "E0000", "I am not a log line", "2026-11-22 was a Sunday"]
    run_js("for (const line of args[0]) console.error(line);", [*TENSORFLOW_LOG, *own])
    runner.close()
    assert lines(caplog, logging.DEBUG) == TENSORFLOW_LOG
    assert lines(caplog, logging.WARNING) == own


def test_a_crash_report_keeps_what_tensorflow_logged(runner: Runner, run_js: Callable[..., Any]) -> None:
    with pytest.raises(NodeCrashedError) as caught:
        run_js("process.stderr.write(args[0] + '\\n', () => process.abort()); await new Promise(() => {});", TENSORFLOW_LOG[2])
    assert TENSORFLOW_LOG[2] in caught.value.stderr_tail


PRINTS = "console.log('to stdout'); console.error('to stderr'); process.stdout.write('no line end');"


def printed(plain_node: Any, tmp_path: Path, console: Any) -> None:
    (tmp_path / "script.js").write_text(f"exports.main = () => {{ {PRINTS} }};")
    with Runner(plain_node, console=console) as runner:
        runner.call("script.call", {"path": str(tmp_path / "script.js"), "function": "main", "args": []})


def test_it_can_go_where_python_prints(plain_node: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(plain_node, tmp_path, "print")
    assert capsys.readouterr() == ("to stdout\nno line end\n", "to stderr\n")


def test_it_can_go_to_a_function(plain_node: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    printed(plain_node, tmp_path, lambda stream, line: seen.append((stream, line)))
    assert sorted(seen) == [("stderr", "to stderr"), ("stdout", "no line end"), ("stdout", "to stdout")]


def test_a_function_that_fails_stops_nothing(plain_node: Any, tmp_path: Path) -> None:
    seen: list[str] = []

    def fail(_stream: str, line: str) -> None:
        seen.append(line)
        raise OSError("the disk is full")

    printed(plain_node, tmp_path, fail)
    assert sorted(seen) == ["no line end", "to stderr", "to stdout"]


def test_it_can_be_kept_silent(
    plain_node: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pybridge.node")
    printed(plain_node, tmp_path, "silent")
    assert capsys.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name == "pybridge.node"] == []


def test_another_target_is_refused(plain_node: Any) -> None:
    with pytest.raises(ValueError, match="console must be one of print, log, silent, or a function, not 'loud'"):
        Runner(plain_node, console="loud")  # type: ignore[arg-type]
