"""A conversion is believed when it answers as the source's own runtime does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ParityError
from pybridge.loading.reference import Arrays, Reference
from pybridge.node.inputs import examples_of
from pybridge.node.model import Model

# As a share of the largest number of an output: other kernels differ by 2e-7, those of deep networks by up to 1e-5.
_TOLERANCE = 1e-4
# Two nearly equal candidates may change places.
_WHOLE_TOLERANCE = 0.01
_NOISE = 1e-6


def prove(model: Model, reference: Reference) -> None:
    """Compare a converted model with its source on batches of one, two and three examples, each of them different.

    Args:
        model: The converted model.
        reference: What runs the source; where it fails by itself nothing is compared.

    Raises:
        ParityError: They answer differently.
    """
    if any(None in port.shape[1:] for port in model.inputs):
        return
    counts = (1, 2, 3) if reference.examples is not None else (None,)
    for count in counts:
        inputs = _inputs(model, None if count is None else count * (reference.examples or 1), seed=count or 0)
        expected = _expected(reference, inputs)
        if expected is None:
            return
        answer = model.predict(inputs)
        answers = answer if isinstance(answer, list) else [answer]
        difference = _difference(answers, expected, 0.0)
        if difference:
            noise = _noise(reference, inputs, expected)
            difference = _difference(answers, expected, noise)
        if difference:
            raise ParityError(
                f"The converted model answers differently from {reference.name} {'' if count is None else f'for {count} '}"
                f"example{'' if count == 1 else 's'}: {difference}. It is not used",
                hint="The source does something that its conversion does not; please report it. Its Keras version, or a "
                "SavedModel of it, may work.",
            )


def _inputs(model: Model, count: int | None, seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    arrays = []
    for port, example in zip(model.inputs, examples_of(model.inputs).values(), strict=True):
        shape = example.shape if count is None else (count, *example.shape[1:])
        if example.dtype.kind == "f":
            arrays.append(random.normal(size=shape).astype(np.float32))
        else:
            arrays.append(random.integers(0, 2, shape).astype(bool if port.dtype == "bool" else np.int32))
    return arrays


def _expected(reference: Reference, inputs: Arrays) -> Arrays | None:
    step = reference.examples
    try:
        if step is None or step == len(inputs[0]):
            return reference.run(inputs)
        if step == 1:
            try:
                return reference.run(inputs)
            # A file for one example at a time.
            except Exception:
                if len(inputs[0]) == 1:
                    raise
        parts = [reference.run([one[start : start + step] for one in inputs]) for start in range(0, len(inputs[0]), step)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
    # A runtime that cannot compute its own source says nothing about the conversion.
    except Exception:
        return None


def _noise(reference: Reference, inputs: Arrays, expected: Arrays) -> float:
    """How far the source itself moves when its inputs move by a rounding, as a share of the largest number."""
    random = np.random.default_rng(7)
    moved = [
        (one * (1 + _NOISE * random.uniform(-1, 1, one.shape))).astype(one.dtype) if one.dtype.kind == "f" else one
        for one in inputs
    ]
    again = _expected(reference, moved)
    if again is None:
        return 0.0
    return max((_share(one, other) for one, other in zip(again, expected, strict=True) if other.dtype.kind == "f"), default=0.0)


def _share(have: NDArray[Any], want: NDArray[Any]) -> float:
    finite = np.isfinite(have) & np.isfinite(want)
    if not finite.any():
        return 0.0
    scale = float(np.abs(want[finite].astype(np.float64)).max()) or 1.0
    return float(np.abs(have[finite].astype(np.float64) - want[finite]).max()) / scale


def _difference(answers: Arrays, expected: Arrays, noise: float) -> str:
    if len(answers) != len(expected):
        return f"{len(answers)} outputs instead of {len(expected)}"
    for have, want in zip(answers, expected, strict=True):
        if have.shape != want.shape:
            return f"an output of shape {have.shape} instead of {want.shape}"
        if want.dtype.kind != "f":
            changed = float(np.mean(have != want)) if want.size else 0.0
            if changed > _WHOLE_TOLERANCE and noise == 0:
                return f"{changed:.0%} of the whole numbers of an output"
            continue
        if not np.array_equal(np.isnan(have), np.isnan(want)):
            return "numbers where there should be none, or the reverse"
        share = _share(have, want)
        if share > max(_TOLERANCE, 10 * noise):
            return f"by up to {share:.3g} of the largest number of an output"
    return ""
