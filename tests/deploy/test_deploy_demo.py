"""The demo page in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_project import HERE, Project

import pybridge as pb

pytestmark = pytest.mark.slow


def test_a_picture_clicked_or_dropped_gets_pythons_answer(service: Project, trained: pb.ImageClassifier, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    service.npm("install", "--ignore-scripts", "playwright-core@1.65.1")
    random = np.random.default_rng(0)
    files = [tmp_path / "a.jpg", tmp_path / "b.png"]
    for file in files:
        Image.fromarray(random.integers(0, 256, (50, 70, 3)).astype(np.uint8)).save(file)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    command = [str(service.runtime.node), "node_modules/classifier/demo.js"]
    with subprocess.Popen(command, cwd=service.folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            given = {"url": url, "browser": browser, "files": [str(file) for file in files], "bad": str(bad)}
            shown = json.loads(service.node(HERE / "open_demo.js", given))
        finally:
            server.terminate()
    assert shown["errors"] == []
    assert shown["status"] == "Ready: 2 labels."
    expected = trained.predict_proba(files)
    for rows, row in zip(shown["clicked"], expected, strict=True):
        assert as_dict(rows) == pytest.approx(dict(zip(trained.class_names_, row.tolist(), strict=True)), abs=1e-5)
    assert as_dict(shown["dropped"]) == pytest.approx(as_dict(shown["clicked"][0]), abs=1e-6)
    assert "not an image" in shown["complaint"]
    assert len(shown["seen"]) == 2


def as_dict(rows: Any) -> dict[str, float]:
    return {row["label"]: row["probability"] for row in rows}
