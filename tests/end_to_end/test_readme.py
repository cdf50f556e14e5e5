"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
# What the README's example takes for granted.
PRELUDE = """
import numpy as np
array = np.zeros((2, 50, 60, 3), np.uint8)
x = np.random.default_rng(0).uniform(-1, 1, (8, 224, 224, 3)).astype(np.float32)
targets = np.arange(8)
"""
SCRIPT = "exports.function = (x) => x.shape;"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_python_example_runs(other_waste: Path, weights_site: str, tmp_path: Path) -> None:
    for name in ("photos", "test_photos"):
        (tmp_path / name).symlink_to(other_waste)
    (tmp_path / "new.jpg").symlink_to(next((other_waste / "paper").iterdir()))
    (tmp_path / "script.js").write_text(SCRIPT)
    (example,) = blocks("python")
    (tmp_path / "example.py").write_text(PRELUDE + example)
    environment = {**os.environ, "PYBRIDGE_MIRROR": weights_site}
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "folder" / "model.json").exists()


def test_the_commands_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from pybridge.cli import main

    shown = set(re.findall(r"^pybridge ([a-z-]+)", "\n".join(blocks("sh")), re.MULTILINE))
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = set(re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert shown <= verbs, shown - verbs
    assert {"train", "evaluate", "predict", "verify", "fine-tune", "zoo", "demo"} <= shown
