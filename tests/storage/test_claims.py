"""Claims: one process at a time, known by its number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pybridge.storage.locks import ClaimedError, claimed

HOLD = """
import sys
from pathlib import Path
from pybridge.storage.locks import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_claim_names_the_process_that_has_it_and_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "claims" / "run.claim"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ClaimedError) as caught, claimed(file):
        pass
    assert caught.value.process == holder.pid
    holder.kill()
    holder.wait()
    with claimed(file):
        pass
    assert not file.exists()


def test_a_claim_is_for_one_call_in_a_process_too(tmp_path: Path) -> None:
    with claimed(tmp_path / "a"), pytest.raises(ClaimedError), claimed(tmp_path / "a"):
        pass
    with claimed(tmp_path / "a"), claimed(tmp_path / "b"):
        pass
