"""Which runtimes there are, which of them this machine has, and which can run a model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pybridge.errors import BridgeError, DataError
from pybridge.parity.bench import BROWSER_BACKENDS, NODE_BACKENDS, Bench, Outputs
from pybridge.parity.browser import find_browser
from pybridge.parity.edge_cases import Cases
from pybridge.parity.findings import Status
from pybridge.parity.subjects import Subject
from pybridge.text import suggest

REFERENCE = "TensorFlow in Python"

RUNTIMES = ("keras", "node", *NODE_BACKENDS, *BROWSER_BACKENDS)
"""``keras``: Keras in Python, operation by operation. ``node``: the reference's own graph in Node, equal to the last bit.
``tfjs-*``: TensorFlow.js in Node: layers and graph models on Python's TensorFlow, on WebAssembly, in plain JavaScript.
``browser-*``: TensorFlow.js in a browser, on the graphics processor or on WebAssembly."""

# Examples that each computes of a model that takes long, and how much a model computes that does not: weights times pixels.
_LIMITS = {"tfjs-cpu": 3, "browser-webgl": 4, "browser-wasm": 8, "tfjs-wasm": 16}
_QUICK = 10_000_000


@dataclass(frozen=True)
class Wanted:
    """A runtime to compare.

    Attributes:
        name: One of `RUNTIMES`.
        asked: Whether the caller asked for it by name.
        exact: Whether it must agree to the last bit.
        missing: Status and reason where it cannot be compared.
    """

    name: str
    asked: bool
    exact: bool
    missing: tuple[Status, str] | None = None

    def run(self, bench: Bench, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """Computes the model's outputs."""
        runs: dict[str, Callable[[Subject, Cases, int | None], Outputs]] = {
            "keras": bench.keras,
            "node": bench.node_program,
            **{name: partial(bench.tfjs, name) for name in NODE_BACKENDS},
            **{name: partial(bench.browser, name) for name in BROWSER_BACKENDS},
        }
        return runs[self.name](subject, cases, batch)


def choose(names: Sequence[str] | None, tested: Subject, *, same: bool) -> list[Wanted]:
    """The runtimes to compare, with those that cannot be, and why.

    Args:
        names: Those that the caller asks for; None for all.
        tested: The model that they run.
        same: Whether the two are one.

    Raises:
        DataError: There is no runtime of a name.
        BridgeError: A runtime that was asked for is not on this machine, or cannot run such a model.
    """
    unknown = [name for name in names or () if name not in RUNTIMES]
    if unknown:
        raise DataError(
            f"there is no runtime {unknown[0]!r}", hint=f"{suggest(unknown[0], RUNTIMES)} All: {', '.join(RUNTIMES)}."
        )
    chosen = []
    for name in RUNTIMES if names is None else dict.fromkeys(names):
        missing = _missing(name, tested)
        if names is None and missing is None and name == "tfjs-node-graph" and tested.graph is None:
            missing = ("unavailable", "it is no graph model; ask for this runtime by name to have one made")
        if missing is not None and names is not None:
            raise BridgeError(f"the runtime {name} cannot be compared: {missing[1]}", hint="Ask for others, or for none by name.")
        exact = same and name == "node"
        chosen.append(Wanted(name, names is not None, exact, missing))
    return chosen


def limit_for(name: str, subject: Subject, cases: Cases) -> int | None:
    """How many examples a runtime computes: all, unless it is a slow one and the model is large."""
    if subject.layers is not None:
        pixels = sum(int(np.prod(values.shape[1:3])) for values in cases.inputs)
        if subject.layers.parameters * pixels <= _QUICK:
            return None
    return _LIMITS.get(name)


def _missing(name: str, tested: Subject) -> tuple[Status, str] | None:
    if name == "keras" and tested.keras is None and tested.layers is None:
        return "unavailable", "the model is no Keras model and has no layers that Keras could take"
    if name == "node" and tested.graph is not None and tested.layers is None:
        return "unavailable", "the graph model has operations that Python's side has no layers for"
    if name == "tfjs-node-graph" and tested.saved is not None and importlib.util.find_spec("tensorflowjs") is None:
        return "unavailable", "a graph model is made of a SavedModel by the Python package tensorflowjs, which is not installed"
    if name.startswith(("tfjs-", "browser-")) and name != "tfjs-node-graph":
        if tested.saved is not None:
            return "unavailable", "TensorFlow.js runs a SavedModel only through TensorFlow itself; see the runtime node"
        if tested.refusal is not None:
            return "failed", tested.refusal
        if name == "tfjs-node-layers" and tested.layers is None:
            return "unavailable", "the graph model has operations that no layer has"
    if name in BROWSER_BACKENDS and find_browser() is None:
        return "unavailable", "no Chromium or Chrome on PATH; PYBRIDGE_BROWSER can name one"
    return None
