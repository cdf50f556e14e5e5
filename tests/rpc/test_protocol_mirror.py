"""The constants of the protocol stand in two languages, and are the same in both."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from pybridge.rpc import protocol
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.find_node import find_node


def javascript(expression: str) -> Any:
    """The value of an expression in which ``load("file.js")`` gives a module of the runner's ``rpc``."""
    folder = find_bundle().node_runner / "rpc"
    program = (
        f"const load = (name) => require({json.dumps(str(folder))} + '/' + name); console.log(JSON.stringify({expression}));"
    )
    done = subprocess.run([find_node().path, "-e", program], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_every_constant_of_the_protocol_is_the_same_on_both_sides() -> None:
    theirs = javascript("load('protocol.js')")
    ours = {name: value for name, value in vars(protocol).items() if name.isupper()}
    # The struct is Python's way to say how long a header is; the largest safe integer is built into JavaScript.
    ours["HEADER_BYTES"] = ours.pop("HEADER").size
    ours["MAGIC"] = int.from_bytes(ours["MAGIC"], "little")
    assert ours.pop("MAX_SAFE_INTEGER") == javascript("Number.MAX_SAFE_INTEGER")
    assert theirs == ours
