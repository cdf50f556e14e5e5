"""Traces a training into a SavedModel. Imports TensorFlow, so it runs in the TensorFlow process only.

The graph holds no variables: a call takes the state (weights, optimizer slots) and gives the next. Equal inputs therefore
give equal outputs, wherever it runs, and one traced training serves all weights, rates and seeds.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pybridge.converters.to_keras import to_keras
from pybridge.errors import ModelFormatError
from pybridge.graphs.portions import gains_by_portions, in_portions
from pybridge.graphs.saving import save_functions
from pybridge.graphs.training import losses as training_losses
from pybridge.graphs.training import updates as training_updates
from pybridge.graphs.training.gradients import quicken_depthwise
from pybridge.graphs.training.normalization import hold_batch_normalization
from pybridge.graphs.training.program import TrainingProgram, TrainingRecipe
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import parse_topology

# A random layer may draw several times in a step, each draw adding one to its seed.
_DRAWS = 16
_OTHER_ENGINE = 'Train it with engine="layers".'


@dataclass(frozen=True)
class _Twin:
    """The Keras model of a LayersModel, as a function of its weights.

    Attributes:
        model: The Keras model.
        names: Of its weights: the trainable ones, then the others.
        trainable: How many of them train.
        updated: Positions of those others that a training step changes.
    """

    model: Any
    names: tuple[str, ...]
    trainable: int
    updated: tuple[int, ...] = ()

    def variables(self) -> list[Any]:
        """The variables of ``names``, without the states of random generators."""
        return [*self.model.trainable_variables, *(v for v in self.model.non_trainable_variables if not _is_seed(v))]

    def __call__(
        self, weights: Sequence[tf.Tensor], x: tf.Tensor, seed: tf.Tensor, step: tf.Tensor, *, training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """Outputs, the others' next values, and penalties on weights."""
        fixed = iter(weights[self.trainable :])
        seeds = [v for v in self.model.non_trainable_variables if _is_seed(v)]
        states = iter(_random_states([v.dtype for v in seeds], seed, step))
        others = [next(states) if _is_seed(v) else next(fixed) for v in self.model.non_trainable_variables]
        output, after, penalties = self.model.stateless_call(
            list(weights[: self.trainable]), others, x, training=training, return_losses=True
        )
        kept = [value for value, v in zip(after, self.model.non_trainable_variables, strict=True) if not _is_seed(v)]
        return output, kept, list(penalties)


def trace_training(
    topology: dict[str, Any], weights: Sequence[dict[str, Any]], recipe: TrainingRecipe, folder: Path
) -> TrainingProgram:
    """Traces the training of a model with one input and one output.

    Signature ``steps`` runs one step for each of its ``rates``. Its inputs, behind the state: ``x`` (any number of rows),
    ``targets``, for each example of the steps its row of ``x`` (``rows``), of ``targets`` (``target_rows``) and its weight
    (``example_weights``), then ``rates`` and ``mixing`` (one number for each step), ``numbers`` (momentum, weight decay,
    clip norm, label smoothing), ``seed``, ``step`` (steps done before) and ``batch_size``. The last step may be smaller. It
    gives the state that changes, and for each step its loss and its hits. Steps behind a loss that is no number are not run.

    Signature ``evaluate`` takes the weights, ``x``, ``targets``, ``rows``, ``target_rows``, ``numbers`` and ``batch_size``; it
    gives the model's outputs for all the rows, and for each batch its sums of losses and of hits.

    Args:
        topology: Of a `LayersModel`.
        weights: ``{"name", "shape", "dtype"}`` of each weight; their values are inputs of the program.
        recipe: What is built into the graph.
        folder: Where to.

    Raises:
        ModelFormatError: The model cannot be trained by Keras as TensorFlow.js would train it.
    """
    twin = _twin(topology, weights, recipe)
    slots = training_updates.slot_shapes(recipe, [v.shape for v in twin.variables()[: twin.trainable]])
    state = [_spec(f"w{i}", v.dtype, v.shape) for i, v in enumerate(twin.variables())]
    state_slots = [_spec(f"m{i}", "float32", shape) for i, shape in enumerate(slots)]
    x = _spec("x", "float32", tuple(twin.model.inputs[0].shape))
    targets = training_losses.target_spec(recipe, twin.model.outputs[0].shape)
    rows, target_rows = _spec("rows", "int32", [None]), _spec("target_rows", "int32", [None])
    numbers = _spec("numbers", "float32", [4])
    examples = [x, targets, rows, target_rows]
    behind = [
        _spec("example_weights", "float32", [None]),
        _spec("rates", "float32", [None]),
        _spec("mixing", "float32", [None]),
        numbers,
        _spec("seed", "int32", []),
        _spec("step", "int32", []),
        _spec("batch_size", "int32", []),
    ]
    steps = functools.partial(_steps, twin, recipe, len(state))
    evaluate = functools.partial(_evaluate, twin, recipe, len(state))
    functions = {
        "steps": (steps, [*state, *state_slots, *examples, *behind]),
        "evaluate": (evaluate, [*state, *examples, numbers, behind[-1]]),
    }
    updated = (*range(twin.trainable), *twin.updated, *range(len(state), len(state) + len(slots)))
    signatures = save_functions(folder, functions, hint=_OTHER_ENGINE)
    program = TrainingProgram(folder, twin.names, updated, tuple(slots), signatures)
    program.write_manifest()
    return program


def _steps(twin: _Twin, recipe: TrainingRecipe, count: int, *arguments: tf.Tensor) -> list[tf.Tensor]:
    x, targets, rows, target_rows, example_weights, rates, mixing, numbers, seed, step, batch_size = arguments[-11:]
    weights, slots = arguments[:count], arguments[count:-11]
    fixed = {i: weights[i] for i in range(twin.trainable, count) if i not in twin.updated}
    total = tf.shape(rates)[0]

    def body(i: tf.Tensor, _good: tf.Tensor, carried: list[tf.Tensor], losses: tf.Tensor, hits: tf.Tensor) -> tuple[Any, ...]:
        moving = dict(zip([*range(twin.trainable), *twin.updated], carried, strict=False))
        present = [moving[j] if j in moving else fixed[j] for j in range(count)]
        begin, end = i * batch_size, tf.minimum((i + 1) * batch_size, tf.shape(rows)[0])
        batch = tf.gather(x, rows[begin:end])
        wanted = training_losses.targets(recipe, tf.gather(targets, target_rows[begin:end]), twin.model.outputs[0].shape, numbers)
        shares = example_weights[begin:end]
        if recipe.mixup:
            batch, wanted, shares = (_mix(value, mixing[i]) for value in (batch, wanted, shares))
        batch.set_shape(twin.model.inputs[0].shape)
        trained = present[: twin.trainable]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            output, others, penalties = twin(present, batch, seed, step + i, training=True)
            cost = tf.reduce_mean(training_losses.losses(recipe, wanted, output) * shares)
            cost = tf.add_n([cost, *penalties]) if penalties else cost
        gradients = tape.gradient(cost, trained)
        decayed = ["kernel" in name for name in twin.names[: twin.trainable]]
        after, after_slots = training_updates.update(
            recipe, trained, gradients, carried[len(moving) :], decayed, rates[i], step + i + 1, numbers
        )
        position = tf.reshape(i, [1, 1])
        return (
            i + 1,
            tf.math.is_finite(cost),
            [*after, *(others[j - twin.trainable] for j in twin.updated), *after_slots],
            tf.tensor_scatter_nd_update(losses, position, cost[tf.newaxis]),
            tf.tensor_scatter_nd_update(hits, position, training_losses.hits(recipe, wanted, output)[tf.newaxis]),
        )

    carried = [*weights[: twin.trainable], *(weights[j] for j in twin.updated), *slots]
    *_, carried, losses, hits = tf.while_loop(
        lambda i, good, *_: tf.logical_and(i < total, good),
        body,
        (tf.constant(0), tf.constant(True), carried, tf.zeros([total]), tf.zeros([total])),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([]),
            [value.shape for value in carried],
            tf.TensorShape([None]),
            tf.TensorShape([None]),
        ),
        parallel_iterations=2,
    )
    return [*carried, losses, hits]


def _evaluate(twin: _Twin, recipe: TrainingRecipe, count: int, *arguments: tf.Tensor) -> list[tf.Tensor]:
    weights, (x, targets, rows, target_rows, numbers, batch_size) = arguments[:count], arguments[count:]
    output_shape = twin.model.outputs[0].shape
    examples = tf.shape(rows)[0]
    total = (examples + batch_size - 1) // batch_size
    zero = tf.constant(0)

    def network(images: tf.Tensor) -> tf.Tensor:
        images.set_shape(twin.model.inputs[0].shape)
        return twin(weights, images, zero, zero, training=False)[0]

    judge = functools.partial(in_portions, network, shape=output_shape) if gains_by_portions(twin.model) else network

    def body(i: tf.Tensor, outputs: tf.TensorArray, losses: tf.TensorArray, hits: tf.TensorArray) -> tuple[Any, ...]:
        begin, end = i * batch_size, tf.minimum((i + 1) * batch_size, examples)
        batch = tf.gather(x, rows[begin:end])
        batch.set_shape(twin.model.inputs[0].shape)
        wanted = training_losses.targets(recipe, tf.gather(targets, target_rows[begin:end]), output_shape, numbers)
        output = judge(batch)
        return (
            i + 1,
            outputs.write(i, output),
            losses.write(i, tf.reduce_sum(training_losses.losses(recipe, wanted, output))),
            hits.write(i, training_losses.hits(recipe, wanted, output)),
        )

    outputs = tf.TensorArray(tf.float32, total, element_shape=tuple(output_shape), infer_shape=False)
    # A sum for each batch: one for all of a call would depend, in its last bit, on how many batches the call has.
    losses, hits = (tf.TensorArray(tf.float32, total, element_shape=()) for _ in range(2))
    # With one batch at a time in memory.
    _, outputs, losses, hits = tf.while_loop(lambda i, *_: i < total, body, (zero, outputs, losses, hits), parallel_iterations=1)
    return [outputs.concat(), losses.stack(), hits.stack()]


def _mix(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Mixup (Zhang et al. 2018, arXiv:1710.09412). The order is random, so the neighbour is as good as any other example."""
    return share * values + (1.0 - share) * tf.roll(values, 1, 0)


def _random_states(dtypes: Sequence[str], seed: tf.Tensor, step: tf.Tensor) -> list[tf.Tensor]:
    starts = [_DRAWS * (step * len(dtypes) + i) for i in range(len(dtypes))]
    return [tf.cast(tf.stack([seed, start]), dtype) for start, dtype in zip(starts, dtypes, strict=True)]


def _is_seed(variable: Any) -> bool:
    return str(variable.path).endswith("seed_generator_state")


def _twin(topology: dict[str, Any], weights: Sequence[dict[str, Any]], recipe: TrainingRecipe) -> _Twin:
    marks = _marks(weights)
    model = to_keras(LayersModel(topology, marks))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelFormatError(
            f"The model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; only models with one of each train",
            hint="Train a part of it that has one of each.",
        )
    if not model.trainable_variables:
        raise ModelFormatError("The model has no trainable weights", hint="Unfreeze a layer that has weights.")
    _refuse_what_keras_model_lacks(topology, model)
    quicken_depthwise(model)
    hold_batch_normalization(model, frozen_only=not recipe.hold_batch_normalization)
    twin = _Twin(model, (), len(model.trainable_variables))
    by_content = {_content(value): name for name, value in marks.items()}
    names = []
    for variable in twin.variables():
        name = by_content.get(_content(variable.numpy()))
        if name is None:
            raise ModelFormatError(
                f"the weight {variable.path} of the Keras model is no weight of the TF.js model", hint=_OTHER_ENGINE
            )
        names.append(name)
    return _Twin(model, tuple(names), twin.trainable, _updated(twin))


def _marks(weights: Sequence[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Values by which each weight is known again in the Keras model, whatever it is called there."""
    random = np.random.default_rng(0)
    return {
        weight["name"]: (random.uniform(0.5, 1, weight["shape"]) * (1 if weight["dtype"] == "float32" else 2**30)).astype(
            weight["dtype"]
        )
        for weight in weights
    }


def _content(value: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return value.shape, value.tobytes()


def _updated(twin: _Twin) -> tuple[int, ...]:
    """Which weights a training step changes beside the trainable ones: moving statistics that are not held."""
    changed: list[int] = []

    def probe(*weights: tf.Tensor) -> tf.Tensor:
        zero = tf.constant(0)
        shape = [2 if size is None else size for size in twin.model.inputs[0].shape]
        output, others, _ = twin(weights, tf.zeros(shape), zero, zero, training=True)
        pairs = zip(others, weights[twin.trainable :], strict=True)
        changed.extend(twin.trainable + i for i, (after, before) in enumerate(pairs) if after is not before)
        return output

    specs = [tf.TensorSpec(v.shape, v.dtype) for v in twin.variables()]
    tf.function(probe, autograph=False).get_concrete_function(*specs)
    return tuple(changed)


def _refuse_what_keras_model_lacks(topology: dict[str, Any], model: Any) -> None:
    """TensorFlow.js adds the penalties that layers have; a Keras model without them would train otherwise."""
    layers = {layer.name: layer for layer in model._flatten_layers()}

    for _, node in parse_topology(topology).walk():
        wanted = [key for key, value in node.config.items() if key.endswith(("regularizer", "constraint")) and value]
        lost = [key for key in wanted if not getattr(layers.get(node.name), key, None)]
        if lost and node.config.get("trainable", True):
            raise ModelFormatError(
                f"the layer {node.name!r} has a {lost[0]}, which this engine does not train with", hint=_OTHER_ENGINE
            )


def _spec(name: str, dtype: Any, shape: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tuple(shape), dtype, name=name)
