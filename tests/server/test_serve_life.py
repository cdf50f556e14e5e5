"""A server's life: how it starts, who may ask, how it ends, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image

import pybridge as pb
from pybridge.deployment import DeployedPackage, Server
from pybridge.runtime import ensure
from pybridge.runtime.find_node import find_node
from pybridge.runtime.npm_packages import find_npm

pytestmark = pytest.mark.slow

TOKEN = "a-long-secret"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def refuses(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return False
    return True


def alive(pid: int) -> bool:
    # A process that ended, but whose parent is gone or has not asked yet, is a zombie.
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(each) for each in found.split()]


def start(arguments: list[object], **env: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """The command line; what it prints once it is ready."""
    command = [sys.executable, "-m", "pybridge", "serve", *map(str, arguments), "--port", "0", "--json", "--log-level", "warn"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})
    assert process.stdout is not None
    document = ""
    while not document.rstrip().endswith("}"):
        line = process.stdout.readline()
        assert line, "the server did not become ready"
        document += line
    return process, json.loads(document)


def test_what_was_accepted_is_answered_before_the_server_ends(
    served_package: DeployedPackage, picture_files: list[Path], expected: NDArray[np.float32]
) -> None:
    body = picture_files[0].read_bytes()
    head = f"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with pb.serve({"tiny": served_package.path}) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(60)
        client.sendall(head + body[:10])
        wait_for(lambda: "in_flight 2" in requests.get(f"{server.url}/metrics", timeout=20).text)
        server.signal(signal.SIGTERM)
        wait_for(lambda: refuses(server.port))
        client.sendall(body[10:])
        received = b""
        while chunk := client.recv(65536):
            received += chunk
        head_text, _, text = received.partition(b"\r\n\r\n")
        assert head_text.startswith(b"HTTP/1.1 200")
        assert np.float32(json.loads(text)["results"][0]["probability"]) == expected[0].max()
        assert server.wait(60) == 0


def test_a_client_that_never_finishes_does_not_keep_the_server(served_package: DeployedPackage) -> None:
    limits = {"drain_timeout": 0.5}
    with (
        pb.serve({"tiny": served_package.path}, limits=limits, log_level="silent") as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        wait_for(lambda: "in_flight 2" in requests.get(f"{server.url}/metrics", timeout=20).text)
        server.signal(signal.SIGTERM)
        assert server.wait(60) == 1


def test_a_second_signal_ends_the_command_at_once(served_run: Path, tmp_path: Path) -> None:
    process, facts = start([f"one={served_run}"], TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()), "the run is deployed for the server's time"
    with process, socket.create_connection(("127.0.0.1", facts["port"])) as client:
        client.sendall(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        wait_for(lambda: "in_flight 2" in requests.get(f"{facts['url']}/metrics", timeout=20).text)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: refuses(facts["port"]))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not list(tmp_path.iterdir())


def test_several_models_answer_under_their_names_and_go_when_python_is_killed(
    served_package: DeployedPackage, tmp_path: Path, picture_files: list[Path], expected: NDArray[np.float32]
) -> None:
    (tmp_path / "3").symlink_to(served_package.path)
    process, facts = start([f"cats={served_package.path}", f"dogs={tmp_path}"])
    with process:
        assert facts["models"] == ["cats", "dogs"]
        picture = picture_files[0].read_bytes()
        for name, version in (("cats", "1"), ("dogs", "3")):
            found = requests.post(f"{facts['url']}/classify?model={name}", data=picture, timeout=60).json()
            assert (found["model"], found["version"]) == (name, version)
            assert np.float32(found["results"][0]["probability"]) == expected[0].max()
        unnamed = requests.post(f"{facts['url']}/classify", data=picture, timeout=60)
        assert unnamed.status_code == 400
        assert "model=NAME" in unnamed.json()["error"]
        workers = children(facts["pid"])
        assert len(workers) == 2
        process.kill()
    wait_for(lambda: not any(alive(pid) for pid in (facts["pid"], *workers)))


@pytest.fixture(scope="module")
def guarded(served_package: DeployedPackage) -> Iterator[Server]:
    """A server that asks for a token, and that has little memory."""
    limits = {"max_memory": 1_000_000, "max_body": 900_000}
    with pb.serve({"tiny": served_package.path}, token=TOKEN, limits=limits, log_level="silent") as running:
        yield running


def test_a_token_is_asked_for_everywhere_but_of_health_checks(guarded: Server, picture_files: list[Path]) -> None:
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/"):
        assert requests.get(f"{guarded.url}{path}", timeout=20).status_code == 200, path
    wrong = ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"})
    for headers in wrong:
        for path in ("/models", "/metrics", "/v1/models/tiny", "/v2/models/tiny", "/nothing"):
            answer = requests.get(f"{guarded.url}{path}", headers=headers, timeout=20)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
    assert requests.post(f"{guarded.url}/classify", data=picture_files[0].read_bytes(), headers=AUTHORIZED, timeout=60).ok


def test_large_requests_at_once_are_told_to_come_again(guarded: Server) -> None:
    def ask() -> requests.Response:
        return requests.post(f"{guarded.url}/classify", data=b"x" * 200_000, headers=AUTHORIZED, timeout=20)

    with socket.create_connection(("127.0.0.1", guarded.port)) as client:
        head = ("POST /classify HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Length: 900000")
        client.sendall("\r\n".join((*head, "", "x")).encode())
        wait_for(lambda: "in_flight 2" in requests.get(f"{guarded.url}/metrics", headers=AUTHORIZED, timeout=20).text)
        refused = ask()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
    wait_for(lambda: ask().status_code == 400)


def test_large_pictures_of_one_client_do_not_hold_up_another(
    served_package: DeployedPackage, picture_files: list[Path], expected: NDArray[np.float32]
) -> None:
    large = io.BytesIO()
    Image.new("RGB", (4600, 4600)).save(large, "PNG")
    # Three of them are decoded together: the other client is answered with one of the first batches.
    form = [("file", (f"{number}.png", large.getvalue())) for number in range(12)]
    with pb.serve({"tiny": served_package.path}, limits={"request_timeout": 200}) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(requests.post, f"{server.url}/classify", files=form, timeout=200)
        wait_for(lambda: "in_flight 2" in requests.get(f"{server.url}/metrics", timeout=60).text)
        quick = requests.post(f"{server.url}/classify", data=picture_files[0].read_bytes(), timeout=200)
        assert not slow.done()
        assert np.float32(quick.json()["results"][0]["probability"]) == expected[0].max()
        assert len(slow.result().json()["results"]) == 12


def test_a_port_in_use_is_one_line(served_package: DeployedPackage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "pybridge", "serve", str(served_package.path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{port} of 127.0.0.1 is in use" in done.stderr
    assert done.stdout == ""


def test_the_package_serves_itself_without_python(
    served_package: DeployedPackage, tmp_path: Path, picture_files: list[Path], expected: NDArray[np.float32]
) -> None:
    folder = tmp_path / "package"
    shutil.copytree(served_package.path, folder)
    node, npm = ensure().node, find_npm(find_node())
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYBRIDGE", "NODE_", "npm_"))}
    env["PATH"] = f"{node.parent}{os.pathsep}{env['PATH']}"
    run_npm = [str(npm.node), str(npm.cli_js), "--silent"]
    subprocess.run(
        [*run_npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, env=env, check=True, timeout=250
    )
    command = [*run_npm, "start", "--", "--port", "0", "--log-level", "silent"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            url = ready.split()[2]
            found = requests.post(f"{url}/classify", data=picture_files[0].read_bytes(), timeout=60).json()
            assert found["model"] == "tiny"
            assert np.allclose(found["results"][0]["probability"], expected[0].max(), atol=1e-5)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
