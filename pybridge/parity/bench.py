"""Runs one model on one set of inputs in any runtime. Processes start when they are first needed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.graphs import Program, TensorFlowProcess
from pybridge.node import Model, Node
from pybridge.parity.arrays import load_list, save_list
from pybridge.parity.browser import Browser
from pybridge.parity.edge_cases import Cases
from pybridge.parity.keras_steps import keras_outputs
from pybridge.parity.subjects import Subject
from pybridge.parity.tolerance import Precision
from pybridge.runtime.sandbox import Confinement
from pybridge.session import Session
from pybridge.tfjs.graph_model import GraphModel

Arrays = list[NDArray[Any]]

# TensorFlow.js names the backends; a browser is told to take one of them.
NODE_BACKENDS = {
    "tfjs-node-layers": "tensorflow",
    "tfjs-node-graph": "tensorflow",
    "tfjs-wasm": "wasm",
    "tfjs-cpu": "cpu",
}
BROWSER_BACKENDS = {"browser-webgl": "webgl", "browser-wasm": "wasm"}
_EXAMPLES_AT_ONCE = 16


@dataclass(frozen=True)
class Outputs:
    """What a runtime gave.

    Attributes:
        arrays: One for each output of the model, of shape (examples, ...).
        seconds: For the computation; loading the model is not included.
        precision: What rounds there.
        note: What else is worth knowing, such as which graphics processor it was.
    """

    arrays: Arrays
    seconds: float
    precision: Precision = field(default_factory=Precision)
    note: str | None = None


class Bench:
    """Holds a session and a folder.

    Args:
        node: A Node.js process to use; by default one is started.

    Attributes:
        node: The same.
        session: Works in it.
        tensorflow: The TensorFlow process, which starts with its first job.
    """

    def __init__(self, node: Node | None = None) -> None:
        self._stack = ExitStack()
        self.node = node or Node()
        if node is None:
            self._stack.callback(self.node.close)
        self.session = Session(self.node.runner)
        self.tensorflow = self._stack.enter_context(self.session.tensorflow())
        self._strangers: dict[Path, TensorFlowProcess] = {}
        self._programs: dict[int, Program] = {}
        self._folders = 0
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pybridge-parity-")))

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """A new empty folder, which goes with the bench."""
        self._folders += 1
        folder = self._root / str(self._folders)
        folder.mkdir()
        return folder

    def reference(self, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """Python's TensorFlow, from a graph with the weights as constants."""
        started = time.perf_counter()
        if subject.saved is not None:
            saved = subject.saved
            tensors: dict[str, Any] = {
                "folder": str(saved.folder),
                "inputs": [port.tensor for port in saved.inputs],
                "outputs": [port.tensor for port in saved.outputs],
            }
            outputs = self._in_child("run_saved_model", tensors, _batches(cases, batch), process=self._confined(saved.folder))
        else:
            program = self._program(subject)
            started = time.perf_counter()
            outputs = self._in_child("run_program", {"program": program.to_dict()}, _batches(cases, batch))
        return Outputs(outputs, time.perf_counter() - started)

    def _confined(self, folder: Path) -> TensorFlowProcess:
        """A TensorFlow process that reaches the graph of a stranger and the files of the bench, and nothing else."""
        if folder not in self._strangers:
            environment = {**self.session.runtime.environment(), "TMPDIR": str(self._root)}
            process = TensorFlowProcess(environment, Confinement(read=(folder,), write=(self._root,)))
            self._strangers[folder] = self._stack.enter_context(process)
        return self._strangers[folder]

    def keras(self, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """Keras, operation by operation."""
        started = time.perf_counter()
        if subject.keras is not None:
            parts = [keras_outputs(subject.keras, inputs) for inputs in _batches(cases, batch)]
            return Outputs(_joined(parts), time.perf_counter() - started)
        assert subject.layers is not None
        folder = self.folder()
        subject.layers.write(folder / "model")
        started = time.perf_counter()
        outputs = self._in_child("run_keras", {}, _batches(cases, batch), folder)
        return Outputs(outputs, time.perf_counter() - started)

    def node_program(self, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """The reference's graph in Node."""
        if subject.saved is not None:
            return self.tfjs("tfjs-node-layers", subject, cases, batch)
        program = self._program(subject)
        runner = self.node.runner
        handle = runner.call("program.load", program.to_dict())
        try:
            started = time.perf_counter()
            parts = [
                runner.call("program.runAll", {"program": handle, "signature": "default", "inputs": inputs})
                for inputs in _batches(cases, batch)
            ]
            return Outputs(_joined(parts), time.perf_counter() - started)
        finally:
            runner.call("program.dispose", {"program": handle})

    def tfjs(self, name: str, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """TensorFlow.js in Node, on one of its backends."""
        if name == "tfjs-node-graph" and subject.graph is None:
            subject = self._as_graph(subject)
        elif name == "tfjs-node-layers" and subject.layers is not None:
            subject = Subject(subject.name, layers=subject.layers)
        with self.loaded(subject, NODE_BACKENDS[name]) as (model, note):
            parts, started = [], time.perf_counter()
            for inputs in _batches(cases, batch):
                outputs = model.predict(inputs, batch_size=len(inputs[0]))
                parts.append(outputs if isinstance(outputs, list) else [outputs])
            return Outputs(_joined(parts), time.perf_counter() - started, note=note)

    @contextmanager
    def loaded(self, subject: Subject, backend: str = "tensorflow") -> Iterator[tuple[Model, str | None]]:
        """The model in Node, on a backend that all of Node uses for so long."""
        runner = self.node.runner
        note = None
        if backend != "tensorflow":
            threads = runner.call("parity.backend", {"name": backend})["threads"]
            note = f"threads: {threads}" if backend == "wasm" else None
        try:
            model = Model(runner, subject.in_node)
            try:
                yield model, note
            finally:
                model.dispose()
        finally:
            if backend != "tensorflow" and runner.alive:
                runner.call("parity.backend", {"name": "tensorflow"})

    def browser(self, name: str, subject: Subject, cases: Cases, batch: int | None) -> Outputs:
        """TensorFlow.js in a browser without a window."""
        folder = self.folder()
        if subject.graph is not None:
            folder = subject.graph.folder
        else:
            assert subject.layers is not None
            subject.layers.write(folder)
        kind = "layers" if subject.graph is None else "graph"
        browser = Browser(self.session.runtime.node_modules, folder, self.folder())
        found = browser.run(BROWSER_BACKENDS[name], kind, _batches(cases, batch))
        precision = Precision(found.bits, 4.0 if name == "browser-webgl" else 1.0)
        return Outputs(_joined(found.batches), found.seconds, precision, found.note)

    def job(self, name: str, folder: Path, arguments: dict[str, Any], process: TensorFlowProcess | None = None) -> dict[str, Any]:
        """Runs a function of `pybridge.parity.tensorflow_jobs` in the TensorFlow process, or in another one."""
        return (process or self.tensorflow).run(folder, f"pybridge.parity.tensorflow_jobs:{name}", arguments)

    def _as_graph(self, subject: Subject) -> Subject:
        folder = self.folder() / "graph"
        with self.loaded(subject) as (model, _):
            model.save(folder, format="tfjs_graph")
        return Subject(subject.name, graph=GraphModel.read(folder / "model.json"))

    def _program(self, subject: Subject) -> Program:
        if id(subject) not in self._programs:
            folder = self.folder()
            if subject.keras is not None:
                from pybridge.graphs.tracing import trace_keras

                self._programs[id(subject)] = trace_keras(subject.keras, folder / "program")
            else:
                assert subject.layers is not None
                (folder / "0").mkdir()
                subject.layers.write(folder / "0" / "model")
                self.tensorflow.run(folder, "trace", {"items": [{"folder": "0", "preprocessing": None}]})
                self._programs[id(subject)] = Program.read(folder / "0" / "program")
        return self._programs[id(subject)]

    def _in_child(
        self,
        job: str,
        arguments: dict[str, Any],
        batches: Sequence[Arrays],
        folder: Path | None = None,
        process: TensorFlowProcess | None = None,
    ) -> Arrays:
        place = folder or self.folder()
        for position, inputs in enumerate(batches):
            save_list(place / f"inputs-{position}.npz", inputs)
        self.job(job, place, {**arguments, "batches": len(batches)}, process)
        return _joined([load_list(place / f"outputs-{position}.npz") for position in range(len(batches))])


def _batches(cases: Cases, batch: int | None) -> list[Arrays]:
    """One example alone, then 16 at a time; or as many as the model wants."""
    count = len(cases)
    starts = [0, *range(1, count, _EXAMPLES_AT_ONCE)] if batch is None else list(range(0, count, batch))
    ends = [*starts[1:], count]
    return [[np.ascontiguousarray(values[start:end]) for values in cases.inputs] for start, end in zip(starts, ends, strict=True)]


def _joined(parts: Sequence[Sequence[NDArray[Any]]]) -> Arrays:
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
