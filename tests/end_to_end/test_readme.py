"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

README = Path(__file__).resolve().parents[2] / "README.md"
# What the README's example takes for granted.
PRELUDE = """
import numpy as np
array = np.zeros((2, 50, 60, 3), np.uint8)
x = np.random.default_rng(0).uniform(-1, 1, (8, 224, 224, 3)).astype(np.float32)
targets = np.arange(8)
"""
FORMATS_PRELUDE = """
import keras
import numpy as np
import torch
x = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
keras_model = keras.Sequential([
    keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, activation="hard_silu"), keras.layers.GlobalAveragePooling2D()
])
torch_module = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
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
    example = blocks("python")[0]
    (tmp_path / "example.py").write_text(PRELUDE + example)
    environment = {**os.environ, "PYBRIDGE_MIRROR": weights_site}
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "folder" / "model.json").exists()


@pytest.mark.slow
def test_the_example_of_formats_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "example.py").write_text(FORMATS_PRELUDE + blocks("python")[1])
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "web" / "model.json").exists()
    assert (tmp_path / "back.keras").exists()


@pytest.mark.slow
def test_the_example_of_a_test_suite_runs(tmp_path: Path) -> None:
    tiny.vector_classifier(4).write(tmp_path / "exported")
    (tmp_path / "test_example.py").write_text(blocks("python")[2])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert "1 passed" in done.stdout, done.stdout


def test_the_commands_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from pybridge.cli import main

    shown = set(re.findall(r"^pybridge ([a-z-]+)", "\n".join(blocks("sh")), re.MULTILINE))
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = set(re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert shown <= verbs, shown - verbs
    assert {"train", "evaluate", "predict", "verify", "fine-tune", "zoo", "demo"} <= shown
