"""Does the addon really load and compute? Asked of a Node.js child, since a broken addon can end the process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pybridge.errors import SetupError
from pybridge.runtime.bundle import Bundle
from pybridge.runtime.commands import run
from pybridge.runtime.find_node import NodeExecutable
from pybridge.runtime.processors import usable_processors

_SECONDS_TO_LOAD = 180.0
_PRODUCT = [19, 22, 43, 50]


@dataclass(frozen=True)
class Probe:
    """What a Node.js process with the addon reported.

    Attributes:
        tensorflow_version: What the loaded library says it is (``TF_Version()``).
        tfjs_version: The version of tfjs-node.
        libraries: The TensorFlow libraries in that process; empty where the platform does not tell.
        seconds: From start to end of the process.
    """

    tensorflow_version: str
    tfjs_version: str
    libraries: tuple[Path, ...]
    seconds: float


def child_environment(node_modules: Path, addon: Path) -> dict[str, str]:
    """Return the variables that a Node.js child needs on top of ``os.environ``.

    ``NODE_PATH`` keeps what the user has behind our packages. oneDNN is on unless the user said otherwise: it about
    doubles the speed of convolutions on CPUs where it is off by default. TensorFlow's start-up notes are off, and its
    threads are as many as the processors that this process may use, likewise. Python's TensorFlow process gets the same
    variables, so that both take the same code paths.
    """
    others = os.environ.get("NODE_PATH")
    threads = str(usable_processors())
    defaults = {
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }
    return {
        "NODE_PATH": os.pathsep.join((str(node_modules), others)) if others else str(node_modules),
        "PYBRIDGE_ADDON": str(addon),
        **{name: os.environ.get(name, default) for name, default in defaults.items()},
    }


def probe_addon(bundle: Bundle, node: NodeExecutable, node_modules: Path, addon: Path) -> Probe:
    """Load ``addon`` in a Node.js child and multiply two matrices with it.

    Raises:
        SetupError: Where it does not load or computes something wrong, with the end of what Node.js wrote.
    """
    try:
        outcome = run([node.path, bundle.probe_js], timeout=_SECONDS_TO_LOAD, env=child_environment(node_modules, addon))
    except OSError as error:
        raise SetupError(f"Node.js {node.path} does not start: {error.strerror or error}.") from error
    if not outcome.ok:
        raise SetupError(
            f"The native addon {addon} does not load in Node.js {node.version} ({outcome.ending()}):\n{outcome.tail()}",
            hint=f"Node.js is built for {node.arch}; TensorFlow must be too. Else try: pybridge setup --force",
        )
    try:
        answer = json.loads(outcome.stdout.strip().splitlines()[-1])
        computed, backend = answer["product"], answer["backend"]
        probe = Probe(
            str(answer["tensorflowVersion"]),
            str(answer["tfjsVersion"]),
            tuple(Path(file) for file in answer["libraries"]),
            outcome.seconds,
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SetupError(f"{bundle.probe_js} gave no answer that can be read:\n{outcome.tail()}") from error
    if computed != _PRODUCT or backend != "tensorflow":
        raise SetupError(
            f"The native addon {addon} computes {computed} on {backend!r} where {_PRODUCT} on 'tensorflow' is right."
        )
    return probe
