"""Traces the fitting of linear heads: penalised softmax regression and shrunken discriminant analysis, folds side by side.

Imports TensorFlow, so it runs in the TensorFlow process only. The shapes are all free: one graph fits every head.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from pybridge.graphs.program import Program
from pybridge.graphs.saving import save_functions
from pybridge.heads.normalization import EPSILON

MEMORY = 10
_TRIALS = 5


def trace_heads(folder: Path) -> Program:
    """Traces the program whose signatures a `HeadSolver` in Node calls.

    The coefficients of a batch of folds are one tensor of shape ``(D + 1, folds, K)``; its last row are the intercepts.
    Fold ``f`` learns from the examples whose part is another one.

    - ``prepare``: features ``(N, D)`` and whether to normalise each of them (subtract its mean, divide by its deviation); gives
      them centred and with a column of ones, their mean, and the mean square of their length.
    - ``solve`` and ``refine``: some steps of L-BFGS (Nocedal and Wright 2006, algorithm 7.4) on the sum of weighted log losses
      plus ``penalty / 2`` times the squared coefficients without intercepts, in float32 and in float64; give the state, the
      held-out logits ``(N, K)``, what the folds lose on what they learn from, their hits there, and whether all are done.
    - ``discriminate``: linear discriminant analysis whose pooled covariance is shrunken as Ledoit and Wolf 2004 say.
    - ``weights``: kernel and bias of a layer that takes the features as they were before they were centred.
    """

    def spec(name: str, shape: list[int | None], dtype: str = "float32") -> tf.TensorSpec:
        return tf.TensorSpec(shape, dtype, name=name)

    examples = [
        spec("x", [None, None]),
        spec("targets", [None], "int32"),
        spec("parts", [None], "int32"),
        spec("folds", [], "int32"),
        spec("example_weights", [None]),
    ]
    coefficients = spec("coefficients", [None, None, None])
    state = [
        coefficients,
        spec("moves", [MEMORY, None, None, None]),
        spec("changes", [MEMORY, None, None, None]),
        spec("curvatures", [MEMORY, None]),
    ]
    numbers = [spec("penalty", []), spec("tolerance", []), spec("steps", [], "int32")]
    functions: dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]] = {
        "prepare": (_prepare, [spec("x", [None, None]), spec("normalize", [], "bool")]),
        "solve": (functools.partial(_solve, tf.float32), [*examples, *state, *numbers]),
        "refine": (functools.partial(_solve, tf.float64), [*examples, *state, *numbers]),
        "discriminate": (_discriminate, [*examples, spec("classes", [], "int32")]),
        "weights": (_weights, [coefficients, spec("mean", [None]), spec("scale", [])]),
    }
    program = Program(folder, save_functions(folder, functions))
    program.write_manifest()
    return program


def _prepare(x: tf.Tensor, normalize: tf.Tensor) -> list[tf.Tensor]:
    def normalized() -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [1], keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + EPSILON)

    features = tf.cond(normalize, normalized, lambda: x)
    mean = tf.reduce_mean(features, 0)
    centred = features - mean
    square = tf.reduce_mean(tf.reduce_sum(tf.square(centred), 1))
    return [tf.concat([centred, tf.ones([tf.shape(x)[0], 1])], 1), mean, square]


def _solve(dtype: tf.DType, *arguments: tf.Tensor) -> list[tf.Tensor]:
    x, targets, parts, folds, example_weights, *state, penalty, tolerance, steps = arguments
    x, example_weights, penalty, tolerance = (tf.cast(value, dtype) for value in (x, example_weights, penalty, tolerance))
    state = [tf.cast(value, dtype) for value in state]
    count, classes = tf.shape(x)[0], tf.shape(state[0])[2]
    wanted = tf.one_hot(targets, classes, dtype=dtype)[:, tf.newaxis]
    shares = _shares(parts, folds, example_weights)
    # Of the coefficients; intercepts are free.
    penalties = penalty * tf.concat([tf.ones([tf.shape(x)[1] - 1, 1, 1], dtype), tf.zeros([1, 1, 1], dtype)], 0)

    def logits_of(coefficients: tf.Tensor) -> tf.Tensor:
        flat = tf.matmul(x, tf.reshape(coefficients, [tf.shape(x)[1], -1]))
        return tf.reshape(flat, [count, -1, classes])

    def gradient(coefficients: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        residuals = tf.reshape(shares[..., tf.newaxis] * (probabilities - wanted), [count, -1])
        return tf.reshape(tf.matmul(x, residuals, transpose_a=True), tf.shape(coefficients)) + penalties * coefficients

    def cost(coefficients: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        losses = -tf.reduce_sum(wanted * tf.nn.log_softmax(logits), 2)
        return tf.reduce_sum(shares * losses, 0) + _dot(penalties * coefficients, coefficients) / 2

    def body(
        i: tf.Tensor, _done: tf.Tensor, state: list[tf.Tensor], logits: tf.Tensor, slope: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor], tf.Tensor, tf.Tensor]:
        coefficients, moves, changes, curvatures = state
        direction = -_by_inverse_hessian(slope, moves, changes, curvatures)
        decrease = -_dot(slope, direction)
        logits_change = logits_of(direction)
        length = _length(shares, wanted, logits, logits_change, penalties, coefficients, direction)
        move = length[:, tf.newaxis] * direction
        after = coefficients + move
        logits_after = logits + length[:, tf.newaxis] * logits_change
        slope_after = gradient(after, tf.nn.softmax(logits_after))
        change = slope_after - slope
        curvature = tf.math.divide_no_nan(tf.ones([], dtype), tf.maximum(_dot(move, change), 0))
        converged = tf.reduce_all(decrease <= tolerance * cost(coefficients, logits))
        kept = [after, _pushed(moves, move), _pushed(changes, change), _pushed(curvatures, curvature)]
        # The first direction is steepest descent, whose length says nothing of how far there is to go.
        return i + 1, converged & (curvatures[-1, 0] > 0), kept, logits_after, slope_after

    logits = logits_of(state[0])
    shapes = [value.shape for value in state]
    _, done, state, logits, _ = tf.while_loop(
        lambda i, done, *_: (i < steps) & ~done,
        body,
        (tf.constant(0), tf.constant(False), state, logits, gradient(state[0], tf.nn.softmax(logits))),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), shapes, logits.shape, tf.TensorShape([None, None, None])),
        parallel_iterations=1,
    )
    losses = -tf.reduce_sum(wanted * tf.nn.log_softmax(logits), 2)
    right = tf.cast(tf.argmax(logits, 2, tf.int32) == targets[:, tf.newaxis], dtype)
    learned = tf.cast(shares > 0, dtype)
    figures = [tf.reduce_sum(shares * losses) / tf.reduce_sum(shares), tf.reduce_sum(learned * right) / tf.reduce_sum(learned)]
    return [*(tf.cast(value, tf.float32) for value in [*state, _held_out(logits, parts), *figures]), done]


def _shares(parts: tf.Tensor, folds: tf.Tensor, example_weights: tf.Tensor) -> tf.Tensor:
    """How much each example counts in each fold: of shape (N, folds)."""
    learned = tf.cast(parts[:, tf.newaxis] != tf.range(folds), example_weights.dtype)
    return learned * example_weights[:, tf.newaxis]


def _held_out(logits: tf.Tensor, parts: tf.Tensor) -> tf.Tensor:
    """What each example is given by the fold that did not learn from it: of shape (N, K)."""
    return tf.gather(logits, tf.maximum(parts, 0), batch_dims=1)


def _dot(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Of each fold."""
    return tf.reduce_sum(one * other, [0, 2])


def _pushed(memory: tf.Tensor, newest: tf.Tensor) -> tf.Tensor:
    return tf.concat([memory[1:], newest[tf.newaxis]], 0)


def _by_inverse_hessian(slope: tf.Tensor, moves: tf.Tensor, changes: tf.Tensor, curvatures: tf.Tensor) -> tf.Tensor:
    """The two loops of L-BFGS; what is not remembered yet has a curvature of 0, and changes nothing."""
    result, shares = slope, []
    for i in reversed(range(MEMORY)):
        share = curvatures[i] * _dot(moves[i], result)
        shares.append(share)
        result -= share[:, tf.newaxis] * changes[i]
    square = _dot(changes[-1], changes[-1])
    one = tf.ones_like(square)
    scale = tf.where(curvatures[-1] > 0, tf.math.divide_no_nan(one, curvatures[-1] * square), one)
    result *= scale[:, tf.newaxis]
    for i, share in enumerate(reversed(shares)):
        back = curvatures[i] * _dot(changes[i], result)
        result += (share - back)[:, tf.newaxis] * moves[i]
    return result


def _length(
    shares: tf.Tensor,
    wanted: tf.Tensor,
    logits: tf.Tensor,
    change: tf.Tensor,
    penalties: tf.Tensor,
    coefficients: tf.Tensor,
    direction: tf.Tensor,
) -> tf.Tensor:
    """How far each fold goes: Newton's method on the line, where the cost is convex, between what is too near and too far."""
    across = _dot(penalties * coefficients, direction)
    square = _dot(penalties * direction, direction)
    offset = tf.reduce_sum(wanted * change, 2)
    near = length = tf.zeros_like(square)
    far = tf.fill(tf.shape(square), tf.constant(float("inf"), square.dtype))
    for _ in range(_TRIALS):
        probabilities = tf.nn.softmax(logits + length[:, tf.newaxis] * change)
        mean = tf.reduce_sum(probabilities * change, 2)
        slope = tf.reduce_sum(shares * (mean - offset), 0) + across + length * square
        spread = tf.reduce_sum(probabilities * tf.square(change), 2) - tf.square(mean)
        bend = tf.reduce_sum(shares * spread, 0) + square
        near, far = tf.where(slope < 0, length, near), tf.where(slope < 0, far, length)
        proposed = length - tf.math.divide_no_nan(slope, bend)
        halfway = tf.where(tf.math.is_finite(far), (near + far) / 2, 2 * near + 1)
        # At the minimum, as nearly as numbers can say, there is nothing between the two.
        length = tf.where((proposed > near) & (proposed < far), proposed, tf.where(slope == 0, length, halfway))
    return length


def _discriminate(
    x: tf.Tensor, targets: tf.Tensor, parts: tf.Tensor, folds: tf.Tensor, example_weights: tf.Tensor, classes: tf.Tensor
) -> list[tf.Tensor]:
    features = x[:, :-1]
    wanted = tf.one_hot(targets, classes)
    shares = tf.transpose(_shares(parts, folds, example_weights))
    coefficients = tf.map_fn(lambda share: _one_discriminant(features, wanted, share), shares, parallel_iterations=1)
    coefficients = tf.transpose(coefficients, [1, 0, 2])
    flat = tf.matmul(x, tf.reshape(coefficients, [tf.shape(x)[1], -1]))
    return [coefficients, _held_out(tf.reshape(flat, [tf.shape(x)[0], -1, classes]), parts)]


def _one_discriminant(features: tf.Tensor, wanted: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Coefficients of shape (D + 1, K): the class means times the inverse of (1 - s) S + s m I, and their intercepts."""
    size = tf.shape(features)[1]
    weighted = wanted * share[:, tf.newaxis]
    counts = tf.reduce_sum(weighted, 0)
    total = tf.reduce_sum(counts)
    means = tf.math.divide_no_nan(tf.matmul(weighted, features, transpose_a=True), counts[:, tf.newaxis])
    residuals = features - tf.matmul(wanted, means)
    lengths = tf.reduce_sum(tf.square(residuals), 1)
    scaled = residuals * tf.sqrt(share / total)[:, tf.newaxis]
    wide = tf.shape(features)[0] <= size
    # The covariance, or the products of the residuals with each other, which have the same eigenvalues and are fewer.
    gram = tf.cond(wide, lambda: tf.matmul(scaled, scaled, transpose_b=True), lambda: tf.matmul(scaled, scaled, transpose_a=True))
    gram, dimension = tf.cast(gram, tf.float64), tf.cast(size, tf.float64)
    level = tf.linalg.trace(gram) / dimension
    square = tf.reduce_sum(tf.square(gram))
    effective = tf.cast(tf.square(total) / tf.reduce_sum(tf.square(share)), tf.float64)
    fourth = tf.cast(tf.reduce_sum(share * tf.square(lengths)) / total, tf.float64)
    distance = square - tf.square(level) * dimension
    shrinkage = tf.clip_by_value(tf.math.divide_no_nan((fourth - square) / effective, distance), 1e-6, 1.0)
    ridge = tf.maximum(shrinkage * level, 1e-12)
    rows = tf.cast(tf.transpose(means), tf.float64)
    matrix = (1 - shrinkage) * gram + ridge * tf.eye(tf.shape(gram)[0], dtype=tf.float64)

    def by_examples() -> tf.Tensor:  # the identity of Woodbury
        exact = tf.cast(scaled, tf.float64)
        inner = tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), tf.matmul(exact, rows))
        return (rows - (1 - shrinkage) * tf.matmul(exact, inner, transpose_a=True)) / ridge

    kernel = tf.cond(wide, by_examples, lambda: tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), rows))
    priors = tf.math.log(tf.cast(tf.maximum(counts, 0.5) / total, tf.float64))
    bias = priors - tf.reduce_sum(rows * kernel, 0) / 2
    return tf.cast(tf.concat([kernel, bias[tf.newaxis]], 0), tf.float32)


def _weights(coefficients: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> list[tf.Tensor]:
    exact = tf.cast(coefficients[:, 0], tf.float64) * tf.cast(scale, tf.float64)
    kernel, bias = exact[:-1], exact[-1]
    bias -= tf.linalg.matvec(kernel, tf.cast(mean, tf.float64), transpose_a=True)
    return [tf.cast(kernel, tf.float32), tf.cast(bias - tf.reduce_mean(bias), tf.float32)]
