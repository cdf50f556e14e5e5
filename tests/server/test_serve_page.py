"""The server's page for people, in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pybridge as pb
from pybridge.deployment import Server
from pybridge.runtime import ensure
from pybridge.runtime.find_node import find_node
from pybridge.runtime.npm_packages import find_npm

pytestmark = pytest.mark.slow


def test_pictures_chosen_or_dropped_get_pythons_answers(
    server: Server, trained: pb.ImageClassifier, picture_files: list[Path], expected: NDArray[np.float32], tmp_path: Path
) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    npm = find_npm(find_node())
    install = [
        npm.node,
        npm.cli_js,
        "install",
        "--prefix",
        tmp_path,
        "--ignore-scripts",
        "--silent",
        "--no-audit",
        "playwright-core@1.65.1",
    ]
    subprocess.run(install, check=True, timeout=120)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    given = {"url": server.url, "browser": browser, "files": [str(file) for file in picture_files], "bad": str(bad)}
    command = [ensure().node, Path(__file__).parent / "open_page.js"]
    done = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(given), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["errors"] == []
    assert "not an image" in shown["complaint"]
    assert shown["narrow"] <= 360, "no scrolling to the side on a phone"
    rows = [{row["label"]: row["probability"] for row in rows} for rows in shown["chosen"]]
    found = np.array([[each[name] for name in trained.class_names_] for each in rows], np.float32)
    assert np.array_equal(found, expected)
    assert shown["dropped"] == shown["chosen"][:1]
