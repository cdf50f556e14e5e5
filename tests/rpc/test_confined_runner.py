"""What a runner of strangers' graphs can still do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybridge.errors import RemoteError
from pybridge.rpc.runner import Runner
from pybridge.runtime import ensure
from pybridge.runtime.sandbox import Confinement, describe_sandbox, sandbox_version

pytestmark = pytest.mark.skipif(not sandbox_version(), reason=describe_sandbox())

ATTEMPTS = """
const attempts = {
  'read its own': (own) => require('fs').readFileSync(own + '/attempts.js'),
  'write its own': (own) => require('fs').writeFileSync(own + '/made', ''),
  'read others': (own, other) => require('fs').readFileSync(other + '/file'),
  'write others': (own, other) => require('fs').writeFileSync(other + '/made', ''),
  'a child reads others': (_, other) => require('child_process').execFileSync('/bin/cat', [other + '/file'], {stdio: 'ignore'}),
  'UDP': () => new Promise((done, failed) => {
    const socket = require('dgram').createSocket('udp4');
    socket.once('error', failed);
    socket.bind(0, '127.0.0.1', done);
  }),
  'TCP': () => new Promise((done, failed) => require('net').connect(9, '127.0.0.1', done).once('error', (error) => {
    error.code === 'ECONNREFUSED' ? done() : failed(error);
  })),
  'TensorFlow': () => require('@tensorflow/tfjs-node').scalar(1).dataSync(),
};
exports.what_works = async (own, other) => {
  const works = [];
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt(own, other);
      works.push(name);
    } catch {
      // Refused.
    }
  }
  return works;
};
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One that the runner may read, with the script, and another."""
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (own / "attempts.js").write_text(ATTEMPTS)
    (other / "file").write_text("content")
    return own, other


def what_works(runner: Runner, own: Path, other: Path) -> list[str]:
    parameters = {"path": str(own / "attempts.js"), "function": "what_works", "args": [str(own), str(other)]}
    found: list[str] = runner.call("script.call", parameters)
    return found


def test_it_reads_what_it_is_given_and_computes(folders: tuple[Path, Path]) -> None:
    with Runner(ensure(), confinement=Confinement(read=(folders[0],))) as runner:
        assert what_works(runner, *folders) == ["read its own", "TensorFlow"]
    assert not (folders[1] / "made").exists()


def test_the_same_attempts_work_without_confinement(folders: tuple[Path, Path]) -> None:
    with Runner(ensure()) as runner:
        assert len(what_works(runner, *folders)) == 8


def test_another_runner_s_confined_sibling_ends_with_it(folders: tuple[Path, Path]) -> None:
    with Runner(ensure()) as runner:
        sibling = runner.confined(Confinement(read=(folders[0],)))
        assert sibling.start().pid != runner.pid
        with pytest.raises(RemoteError, match=r"EACCES|EPERM|permission|Cannot find"):
            sibling.call("script.call", {"path": str(folders[1] / "file"), "function": "f", "args": []})
    assert not sibling.alive
