"""What happens to one case: converted, loaded, compared, trained for a step, brought back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cases import Case, inputs_of

import pybridge as pb
from pybridge.converters.to_keras.recovery import recover
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.models import from_keras
from pybridge.tfjs.custom_layers import custom_classes
from pybridge.tfjs.layers_model import LayersModel

SCRIPT = Path(__file__).with_name("matrix.js")
TOLERANCE = 1e-4
"""How much outputs may differ, as a part of the largest."""

_RATE = 0.01


@dataclass
class Outcome:
    """What was seen of a case; None where a step was not reached or is not asked for.

    Attributes:
        refused: The reason of a refusal by name.
        difference: The largest difference of an output, as a part of the largest output.
        step: The largest difference of a weight after a training step, as a part of the largest change.
        back: Whether config, weights and outputs came back unchanged.
        own: Our classes that the model uses.
        resaved: What was wrong when TensorFlow.js saved the model and loaded it again; empty where nothing was.
        problem: What went wrong.
    """

    converts: bool = False
    refused: str = ""
    loads: bool | None = None
    difference: float | None = None
    step: float | None = None
    back: bool | None = None
    own: tuple[str, ...] = ()
    resaved: str = ""
    problem: str = ""

    @property
    def equal(self) -> bool:
        """Whether the outputs agree."""
        return self.difference is not None and self.difference <= TOLERANCE

    @property
    def step_equal(self) -> bool:
        """Whether the weights agree after a training step."""
        return self.step is not None and self.step <= 1e-2

    def passes(self, case: Case) -> bool:
        """Whether the case does what it should."""
        if case.refused:
            return case.refused in self.refused
        trained = not case.train or self.step_equal
        # What TensorFlow.js loses of its own classes when it saves is not ours to mend; our classes lose nothing.
        saved = not (self.resaved and self.own)
        return bool(self.converts and self.loads and self.equal and trained and saved and self.back and not self.problem)


def cross(case: Case, node: pb.Node) -> Outcome:
    """Take one case through all steps, as far as it goes."""
    outcome = Outcome()
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    try:
        model = case.build()
    except NotImplementedError as error:
        outcome.refused = str(error)
        return outcome
    perturb(model)
    try:
        converted = from_keras(model)
    except ModelFormatError as error:
        outcome.refused = str(error)
        return outcome
    outcome.converts = True
    outcome.own = tuple(sorted(custom_classes(converted.topology)))
    inputs = inputs_of(model)
    # A step that is random must run as well, though it cannot be compared.
    steps = case.train or "random" in case.note
    expected = _outputs(model, inputs)
    _reset(model)
    try:
        answer = node.call(
            SCRIPT,
            "check",
            converted.topology,
            list(converted.weights),
            list(converted.weights.values()),
            [_tfjs(x) for x in inputs],
            steps,
            timeout=60,
        )
    except BridgeError as error:
        outcome.problem = error.message.splitlines()[0][:300]
        outcome.loads = False
        return outcome
    outcome.loads = True
    outcome.difference = _difference(expected, answer["outputs"])
    outcome.problem = answer["problem"]
    outcome.resaved = answer["resaved"]
    _bring_back(outcome, model, converted, inputs, expected)
    if case.train and not outcome.problem:
        outcome.step = _step(model, converted, inputs, answer["weights"])
    return outcome


def perturb(model: keras.Model) -> None:
    """Give every weight random numbers, so that none is at a value where two formulas agree."""
    random = np.random.default_rng(3)
    for variable in model.weights:
        if not variable.dtype.startswith("float"):
            continue
        if "variance" in variable.path:
            variable.assign(random.uniform(0.5, 2.0, variable.shape))
        elif variable.name != "rnn_state":
            variable.assign(random.normal(0, 0.4, variable.shape))
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _outputs(model: keras.Model, inputs: list[Any]) -> list[np.ndarray]:
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(value) for value in keras.tree.flatten(found)]


def _reset(model: keras.Model) -> None:
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def _tfjs(x: np.ndarray) -> np.ndarray:
    return x.astype(np.int32) if x.dtype.kind in "iu" else x


def _difference(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    if [value.shape for value in expected] != [value.shape for value in found]:
        return float("inf")
    worst = 0.0
    for one, other in zip(expected, found, strict=True):
        scale = max(float(np.max(np.abs(one), initial=0)), 1e-30)
        gap = float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64)), initial=0))
        worst = max(worst, gap / scale if np.isfinite(gap) else float("inf"))
    return worst


def _bring_back(outcome: Outcome, model: keras.Model, converted: LayersModel, inputs: list[Any], expected: list[Any]) -> None:
    back = recover(converted)
    if back is None:
        outcome.back = False
        return
    _reset(back)
    same = [
        np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(model.weights, back.weights, strict=True)
        if a.name != "rnn_state"
    ]
    equal_config = _plain(back) == _plain(model)
    outcome.back = all(same) and equal_config and _difference(expected, _outputs(back, inputs)) < 1e-6


def _plain(model: keras.Model) -> str:
    return json.dumps(model.get_config(), default=str, sort_keys=True)


def _step(model: keras.Model, converted: LayersModel, inputs: list[Any], weights: list[np.ndarray]) -> float:
    trained = recover(
        LayersModel(converted.topology, dict(zip(converted.weights, weights, strict=True)), converted.user_metadata)
    )
    if trained is None:
        return float("inf")
    before = [np.asarray(variable).astype(np.float64) for variable in model.trainable_variables]
    if before:
        _reset(model)
        with tf.GradientTape() as tape:
            predicted = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=True))
            loss = sum(tf.reduce_mean(tf.square(tf.cast(value, "float32"))) for value in predicted) + sum(model.losses)
        for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True):
            if gradient is not None:
                variable.assign_sub(_RATE * tf.convert_to_tensor(gradient))
    worst = 0.0
    for old, ours, theirs in zip(before, model.trainable_variables, trained.trainable_variables, strict=True):
        here, there = np.asarray(ours).astype(np.float64), np.asarray(theirs).astype(np.float64)
        change = float(np.max(np.abs(here - old), initial=0))
        # Weights are float32: what one rounding of the largest weight can change is no difference.
        gap = max(0.0, float(np.max(np.abs(here - there), initial=0)) - 2e-7 * float(np.max(np.abs(here), initial=0)))
        worst = max(worst, gap / max(change, 1e-12) if gap else 0.0)
    for ours, theirs in zip(model.non_trainable_variables, trained.non_trainable_variables, strict=True):
        if ours.name == "rnn_state" or "seed" in ours.name or not ours.dtype.startswith("float"):
            continue
        gap = float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs)), initial=0))
        worst = max(worst, gap / max(float(np.max(np.abs(np.asarray(ours)), initial=0)), 1e-30))
    return worst
