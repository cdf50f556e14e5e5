"""Walks two models layer by layer, and names the first layer at which they part."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError
from pybridge.parity.arrays import load_list, save_list
from pybridge.parity.bench import NODE_BACKENDS, Bench
from pybridge.parity.difference import difference
from pybridge.parity.edge_cases import Cases
from pybridge.parity.findings import LayerFinding, RuntimeResult
from pybridge.parity.keras_steps import Step, find_layer, keras_steps, read_steps
from pybridge.parity.subjects import Subject
from pybridge.parity.tolerance import accumulation_depth, derived, perturbed
from pybridge.tfjs.topology import parse_topology
from pybridge.tfjs.topology.names import snake

Pairs = list[tuple[int, Step, Step]]


def walk_layers(
    bench: Bench,
    subject: Subject,
    tested: Subject,
    rows: Sequence[RuntimeResult],
    cases: Cases,
    *,
    batch: int | None,
    tolerance: float | None,
) -> tuple[LayerFinding, ...]:
    """Where each runtime that failed parts from the reference; where none failed, whether layers do.

    Args:
        bench: Runs both.
        subject: The model that is right.
        tested: The model that the runtimes ran.
        rows: What they gave.
        cases: The examples.
        batch: How many examples the models take at once; None for any number.
        tolerance: The one that was asked for, if any.
    """
    compared = [row for row in rows if row.status == "compared"]
    failed = [row for row in compared if not row.passes(tolerance)]
    findings: list[LayerFinding] = []
    walked: set[str] = set()
    for row in failed or [row for row in compared if row.name == "tfjs-node-layers"]:
        # What a browser computes inside cannot be seen from here; TensorFlow.js in Node is the nearest to it.
        nearest = {"browser-wasm": "tfjs-wasm"}.get(row.name, "tfjs-node-layers")
        runtime = row.name if row.name in NODE_BACKENDS else nearest
        if runtime not in walked:
            walked.add(runtime)
            findings.append(_walk(bench, subject, tested, runtime, row, cases, batch))
    return tuple(findings)


def _walk(
    bench: Bench, subject: Subject, tested: Subject, runtime: str, row: RuntimeResult, cases: Cases, batch: int | None
) -> LayerFinding:
    position = _worst(row)
    start = position - position % (batch or 1)
    chosen = cases.take(range(start, start + (batch or 1)))
    example = cases.names[position]
    if subject.keras is None and subject.layers is None:
        return LayerFinding(runtime, example, remark="the reference has no layers to walk through")
    if tested.layers is None:
        return LayerFinding(runtime, example, remark="a graph model has no layers; give the model that it was made of")
    try:
        ours = _reference_steps(bench, subject, chosen.inputs)
        moved = _reference_steps(bench, subject, perturbed(chosen.inputs))
        layers_only = Subject(tested.name, layers=tested.layers)
        with bench.loaded(layers_only, NODE_BACKENDS[runtime]) as (model, _):
            runner = bench.node.runner
            found = runner.call("parity.walk", {"model": model.handle, "inputs": list(chosen.inputs)})
            theirs = [Step(step["path"], step["node"], step["className"], [], step["outputs"]) for step in found]
            pairs = _matched(ours, theirs)
            depth = accumulation_depth(tested.layers)
            finding = _first(LayerFinding(runtime, example, len(pairs)), pairs, moved, depth)
            if finding.layer is None:
                return finding
            _, reference, other = next(pair for pair in pairs if pair[1].path == finding.layer)
            parameters = {"model": model.handle, "path": other.path, "node": other.node, "inputs": reference.inputs}
            try:
                alone = runner.call("parity.layer", parameters)
            except BridgeError as error:
                alone = None
                finding = replace(finding, remark=f"the layer could not be run alone: {error.message.splitlines()[0]}")
        return _explained(bench, subject, tested, finding, reference, other, alone)
    except BridgeError as error:
        return LayerFinding(runtime, example, remark=f"the layers could not be walked: {error.message.splitlines()[0]}")


def _first(finding: LayerFinding, pairs: Pairs, moved: Sequence[Step], depth: int) -> LayerFinding:
    for position, reference, other in pairs:
        if [value.shape for value in reference.outputs] != [value.shape for value in other.outputs]:
            apart, allowed = float("inf"), 0.0
        else:
            apart = float(difference(reference.outputs, other.outputs).absolute.max())
            noise = difference(reference.outputs, moved[position].outputs).absolute
            exact = [value.astype(np.float64) for value in reference.outputs]
            allowed = float(derived(exact, np.nan_to_num(noise, posinf=0.0), depth).max())
        if apart > allowed:
            return replace(finding, layer=reference.path, class_name=reference.class_name, difference=apart, tolerance=allowed)
    return finding


def _explained(
    bench: Bench,
    subject: Subject,
    tested: Subject,
    finding: LayerFinding,
    reference: Step,
    other: Step,
    alone: dict[str, Any] | None,
) -> LayerFinding:
    config, weights = _reference_layer(bench, subject, reference)
    other_config, other_weights = _other_layer(bench, tested, other, alone)
    finding = replace(finding, reference_config=config, other_config=other_config)
    outputs = other.outputs if alone is None else alone["outputs"]
    allowed = finding.tolerance or 0.0
    if alone is not None:
        same_shapes = [value.shape for value in outputs] == [value.shape for value in reference.outputs]
        differs = not same_shapes or bool(difference(reference.outputs, outputs).absolute.max() > allowed)
        finding = replace(finding, alone=differs)
        if not differs:
            return finding
    folder = bench.folder()
    save_list(folder / "weights.npz", weights)
    save_list(folder / "inputs.npz", reference.inputs)
    save_list(folder / "found.npz", outputs)
    if other_weights is not None:
        save_list(folder / "other_weights.npz", other_weights)
    arguments = {
        "class_name": reference.class_name,
        "config": config,
        "other_config": other_config,
        "tolerance": max(allowed, 1e-6 * max(float(np.abs(value).max(initial=0)) for value in reference.outputs)),
    }
    causes = bench.job("explain", folder, arguments)["causes"]
    return replace(finding, causes=tuple(causes))


def _reference_steps(bench: Bench, subject: Subject, inputs: Sequence[NDArray[Any]]) -> list[Step]:
    if subject.keras is not None:
        return keras_steps(subject.keras, list(inputs))
    assert subject.layers is not None
    folder = bench.folder()
    subject.layers.write(folder / "model")
    save_list(folder / "inputs.npz", inputs)
    bench.job("walk", folder, {})
    return read_steps(folder / "steps")


def _reference_layer(bench: Bench, subject: Subject, step: Step) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    if subject.keras is not None:
        layer = find_layer(subject.keras, step.path)
        if layer is None or not hasattr(layer, "get_weights"):
            return {}, []
        return json.loads(json.dumps(layer.get_config(), default=str)), [np.asarray(value) for value in layer.get_weights()]
    return _in_keras(bench, subject, step) or ({}, [])


def _other_layer(
    bench: Bench, tested: Subject, step: Step, alone: dict[str, Any] | None
) -> tuple[dict[str, Any], list[NDArray[Any]] | None]:
    try:
        described = _in_keras(bench, tested, step)
    except BridgeError:
        described = None
    if described is not None:
        return described
    assert tested.layers is not None
    layers = {"/".join(path): entry for path, entry in parse_topology(tested.layers.topology).walk()}
    entry = layers.get(step.path)
    config = {snake(key): value for key, value in entry.config.items()} if entry is not None else {}
    return config, alone["weights"] if alone is not None else None


def _in_keras(bench: Bench, subject: Subject, step: Step) -> tuple[dict[str, Any], list[NDArray[Any]]] | None:
    assert subject.layers is not None
    folder = bench.folder()
    subject.layers.write(folder / "model")
    for path in dict.fromkeys((step.path, step.leaf)):
        described = bench.job("describe_layer", folder, {"path": path})
        if described["config"] is not None:
            return described["config"], load_list(folder / "weights.npz")
    return None


def _matched(ours: Sequence[Step], theirs: Sequence[Step]) -> Pairs:
    """Layers of both sides that are the same one: by path, by name, or where names are strange, by their place."""
    by_path = {(step.path, step.node): step for step in theirs}
    by_leaf = {(step.leaf, step.node): step for step in theirs}
    pairs: Pairs = []
    for position, step in enumerate(ours):
        other = by_path.get((step.path, step.node)) or by_leaf.get((step.leaf, step.node))
        if other is not None:
            pairs.append((position, step, other))
    if len(pairs) * 3 >= len(ours):
        return pairs
    shapes = [[tuple(value.shape for value in step.outputs) for step in steps] for steps in (ours, theirs)]
    blocks = difflib.SequenceMatcher(a=shapes[0], b=shapes[1], autojunk=False).get_matching_blocks()
    return [(a + i, ours[a + i], theirs[b + i]) for a, b, size in blocks for i in range(size)]


def _worst(row: RuntimeResult) -> int:
    if not row.examples:
        return 0
    return max(row.examples, key=lambda position: (row.examples[position][1], row.examples[position][0]))
