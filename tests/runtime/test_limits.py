"""What a container grants, not what the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybridge.runtime.free_memory import free_memory
from pybridge.runtime.processors import usable_processors

ALL = len(os.sched_getaffinity(0))
V2 = "0::/docker/abc\n"
V1 = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"


@pytest.fixture
def machine(tmp_path):
    def make(cgroup, files, available_kb=8_000_000):
        contents = {
            "proc/self/cgroup": cgroup,
            "proc/meminfo": f"MemTotal: 16000000 kB\nMemAvailable: {available_kb} kB\n",
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        }
        for name, text in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        (V2, {"docker/abc/cpu.max": "100000 100000\n"}, 1),
        (V2, {"docker/abc/cpu.max": "max 100000\n"}, ALL),
        (V2, {"docker/abc/cpu.max": "50000 100000\n"}, 1),
        (V2, {"docker/abc/cpu.max": "max 100000\n", "docker/cpu.max": "90000 100000\n"}, 1),
        (V2, {"cpu.max": "100000 100000\n"}, 1),
        (V2, {"docker/abc/cpu.max": "99900000 100000\n"}, ALL),
        (V2, {"docker/abc/cpu.max": "damaged"}, ALL),
        (V1, {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "60000\n", "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n"}, 1),
        (V1, {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n"}, ALL),
        ("0::/../../elsewhere\n", {}, ALL),
    ],
)
def test_processors_are_limited_by_the_quota_of_any_group_above(machine, cgroup, files, expected):
    assert usable_processors(machine(cgroup, files)) == expected


def test_a_machine_without_control_groups_has_its_processors(tmp_path):
    assert usable_processors(tmp_path) == ALL


def test_processors_are_those_that_the_scheduler_may_use():
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from pathlib import Path; from pybridge.runtime import ensure\n"
        "variables = ensure().environment()\n"
        "print(variables['TF_NUM_INTRAOP_THREADS'], variables['TF_NUM_INTEROP_THREADS'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        (V2, {}, 8_192_000_000),
        (V2, {"docker/abc/memory.max": "max", "docker/abc/memory.current": "5"}, 8_192_000_000),
        (V2, {"docker/abc/memory.max": "3000", "docker/abc/memory.current": "1000"}, 2000),
        (
            V2,
            {
                "docker/abc/memory.max": "3000",
                "docker/abc/memory.current": "2900",
                "docker/abc/memory.stat": "anon 5\ninactive_file 400\n",
            },
            500,
        ),
        (V2, {"docker/abc/memory.max": "1000", "docker/abc/memory.current": "1100"}, 0),
        (V1, {"memory/docker/abc/memory.limit_in_bytes": "9000", "memory/docker/abc/memory.usage_in_bytes": "1000"}, 8000),
    ],
)
def test_free_memory_is_what_machine_and_container_leave(machine, cgroup, files, expected):
    assert free_memory(machine(cgroup, files)) == expected


def test_a_system_that_does_not_tell_has_unknown_memory(tmp_path):
    assert free_memory(tmp_path) is None


def test_on_this_machine_something_is_free():
    found = free_memory(Path("/"))
    assert found is None or found > 2**20
