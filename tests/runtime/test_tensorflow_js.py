from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from pybridge.runtime.find_node import OLDEST_MAJOR, wheel_file

NODES = sorted({path for path in (shutil.which("node"), str(wheel_file("bin/node") or "")) if path})

COMPUTE = """
const first = tf();
const { values } = first.topk(first.tensor1d([1, 3, 2]), 2);
const answer = { same: tf() === first, top: values.arraySync(), version: first.backend().binding.TF_Version };
process.stdout.write(JSON.stringify(answer));
"""


def run_js(runtime, code, *, node=None, **changes):
    variables = {**os.environ, **runtime.environment(), **changes}
    variables = {name: value for name, value in variables.items() if value is not None}
    loader = json.dumps(str(runtime.main_js.parent / "tensorflow"))
    command = [str(node or runtime.node), "-e", f"const tf = require({loader}).loadTensorflow;" + code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("node", NODES)
def test_it_computes_with_pythons_tensorflow_is_loaded_once_and_leaves_stdout_alone(runtime, node):
    stdout, stderr = run_js(runtime, COMPUTE, node=node)
    assert stdout, stderr
    assert json.loads(stdout) == {"same": True, "top": [3, 2], "version": runtime.tensorflow_version}
    assert "DeprecationWarning" not in stderr


def test_any_supported_node_has_what_tfjs_node_needs_of_util(runtime):
    assert OLDEST_MAJOR == 18
    code = "tf(); process.stdout.write(String([null, undefined, 0].map(require('util').isNullOrUndefined)))"
    assert run_js(runtime, code)[0] == "true,true,false"


def test_without_the_addons_place_the_error_says_so(runtime):
    assert "PYBRIDGE_ADDON is not set" in run_js(runtime, "tf()", PYBRIDGE_ADDON=None)[1]


def test_an_addon_that_does_not_exist_is_named(runtime):
    stderr = run_js(runtime, "tf()", PYBRIDGE_ADDON="/nowhere/tfjs_binding.node")[1]
    assert "/nowhere/tfjs_binding.node does not exist. Run `pybridge setup`." in stderr


def test_packages_that_are_not_installed_are_named(runtime, tmp_path):
    runner = shutil.copytree(runtime.main_js.parent, tmp_path / "node_runner")
    code = f"require({json.dumps(str(runner / 'tensorflow'))}).loadTensorflow()"
    assert "@tensorflow/tfjs-node is not installed in /nowhere" in run_js(runtime, code, NODE_PATH="/nowhere")[1]


def test_a_users_settings_win_over_ours_and_stay(runtime, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("NODE_PATH", "/users/modules")
    variables = runtime.environment()
    assert variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert variables["NODE_PATH"] == os.pathsep.join((str(runtime.node_modules), "/users/modules"))


def test_onednn_is_on_and_start_up_notes_are_off_by_default(runtime, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    variables = runtime.environment()
    assert (variables["TF_ENABLE_ONEDNN_OPTS"], variables["TF_CPP_MIN_LOG_LEVEL"]) == ("1", "2")


COUNT_THREADS = """
const t = tf();
t.matMul(t.ones([512, 512]), t.ones([512, 512])).dataSync();
process.stdout.write(String(require('fs').readdirSync('/proc/self/task').length));
"""


def test_node_computes_with_onednn_and_as_many_threads_as_python_says(runtime):
    def threads(count):
        stdout, stderr = run_js(runtime, COUNT_THREADS, TF_NUM_INTRAOP_THREADS=count, TF_CPP_MIN_LOG_LEVEL="0")
        assert "oneDNN custom operations are on" in stderr
        return int(stdout)

    assert threads("6") - threads("2") == 4


def test_onednn_is_off_in_node_when_the_user_says_so(runtime):
    stderr = run_js(runtime, "tf()", TF_ENABLE_ONEDNN_OPTS="0", TF_CPP_MIN_LOG_LEVEL="0")[1]
    assert "oneDNN custom operations are on" not in stderr


def test_a_users_number_of_threads_stays(runtime, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert runtime.environment()["TF_NUM_INTRAOP_THREADS"] == "3"
