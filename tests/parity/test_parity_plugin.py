"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

SUITE = """
import pytest

def test_portable(parity):
    report = parity("model", runtimes=["node", "tfjs-node-layers"])
    assert report.runtimes[0].identical

@pytest.mark.parity(against="other", runtimes=["tfjs-node-layers"], layers=True)
def test_export(parity):
    parity("model")
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_a_suite_asserts_parity_of_its_models(tmp_path: Path) -> None:
    model = tiny.vector_classifier(4)
    model.write(tmp_path / "model")
    weight = next(iter(model.weights))
    model.weights[weight] = model.weights[weight] * 2
    model.write(tmp_path / "other")
    (tmp_path / "test_models.py").write_text(SUITE)
    result = run(tmp_path, "--strict-markers")
    assert "1 failed, 1 passed" in result.stdout, result.stdout
    assert "Runtimes disagree" in result.stdout
    assert "other weights" in result.stdout


@pytest.mark.slow
def test_suites_that_do_not_use_it_import_nothing_for_it(tmp_path: Path) -> None:
    heavy = ("tensorflow", "keras", "numpy", "sklearn", "PIL")
    (tmp_path / "test_plain.py").write_text(
        f"import sys\ndef test_it():\n    assert not [m for m in {heavy} if m in sys.modules]\n"
    )
    result = run(tmp_path)
    assert "1 passed" in result.stdout, result.stdout + result.stderr
