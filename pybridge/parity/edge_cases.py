"""Inputs on which runtimes are likely to part, made for any model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import DataError

_MOST_NUMBERS = 64 * 2**20


@dataclass(frozen=True)
class InputSpec:
    """What one input of a model takes.

    Attributes:
        name: Its name.
        shape: With None where the size is free; the first is the batch.
        dtype: ``float32`` or an integer type.
        below: For an input that is looked up in a table: how long the shortest table is.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    below: int | None = None

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Of one example; sizes that are free are 32 in images, else 8, and 3 channels."""
        free = [32, 32, 3] if len(self.shape) == 4 else [8] * (len(self.shape) - 1)
        return tuple(instead if size is None else size for size, instead in zip(self.shape[1:], free, strict=True))


@dataclass(frozen=True)
class Cases:
    """Examples with names.

    Attributes:
        inputs: One array of shape (examples, ...) for each input of the model.
        names: What each example is.
    """

    inputs: list[NDArray[np.generic]]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, positions: Sequence[int]) -> Cases:
        """Some of the examples."""
        return Cases([values[list(positions)] for values in self.inputs], tuple(self.names[i] for i in positions))


def edge_cases(specs: Sequence[InputSpec], seed: int = 0) -> Cases:
    """Examples with zeros, ones, extremes, noise, single pixels and gradients, the same for the same seed.

    Args:
        specs: The model's inputs.
        seed: Of the noise.

    Raises:
        DataError: One example would have more than 64 million numbers.

    Example:
        >>> edge_cases([InputSpec("x", (None, 4), "float32")]).names[:3]
        ('zeros', 'ones', 'minus ones')
    """
    for spec in specs:
        if np.prod(spec.example_shape, dtype=float) > _MOST_NUMBERS:
            raise DataError(f"the input {spec.name} of shape {spec.shape} is too large to make examples for", hint="Give inputs.")
    columns = [list(_examples(spec, np.random.default_rng([seed, position]))) for position, spec in enumerate(specs)]
    names = [name for name, _ in columns[0]]
    # A model with a fixed batch takes whole batches only.
    batch = next((spec.shape[0] for spec in specs if spec.shape[0]), 1) or 1
    rows = [*range(len(names)), *(position % len(names) for position in range(-len(names) % batch))]
    inputs = [np.stack([column[row][1] for row in rows]) for column in columns]
    return Cases(inputs, tuple(names[row] for row in rows))


def _examples(spec: InputSpec, random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.generic]]]:
    shape, dtype = spec.example_shape, np.dtype(spec.dtype)
    size = int(np.prod(shape))
    if spec.below is not None or dtype.kind in "iub":
        yield from _integers(spec, random)
        return
    flat = np.zeros(size)
    spot = flat.copy()
    spot[size // 2 : size // 2 + 1] = 1
    ramp = np.linspace(-1, 1, size) if size > 1 else flat + 0.5
    values = {
        "zeros": flat,
        "ones": flat + 1,
        "minus ones": flat - 1,
        "uniform -1 to 1": random.uniform(-1, 1, size),
        "normal": random.normal(size=size),
        "normal, again": random.normal(size=size),
        "bytes 0 to 255": random.integers(0, 256, size).astype(float),
        "large, up to 1000": random.uniform(-1000, 1000, size),
        "tiny, 1e-30": random.uniform(-1e-30, 1e-30, size),
        "denormal, 1e-40": random.uniform(-1e-40, 1e-40, size),
        "one element": spot,
        "gradient": ramp,
        "gradient, reversed": ramp[::-1],
    }
    for name, numbers in values.items():
        yield name, numbers.reshape(shape).astype(dtype)


def _integers(spec: InputSpec, random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.generic]]]:
    shape, below = spec.example_shape, spec.below or 2
    rising = np.arange(int(np.prod(shape))).reshape(shape) % below
    values = {
        "zeros": np.zeros(shape),
        "ones": np.full(shape, min(1, below - 1)),
        "minus ones": np.full(shape, below - 1),
        "uniform -1 to 1": random.integers(0, below, shape),
        "normal": random.integers(0, below, shape),
        "normal, again": random.integers(0, below, shape),
        "bytes 0 to 255": random.integers(0, below, shape),
        "large, up to 1000": np.full(shape, below - 1),
        "tiny, 1e-30": np.zeros(shape),
        "denormal, 1e-40": np.zeros(shape),
        "one element": rising == below // 2,
        "gradient": rising,
        "gradient, reversed": rising[..., ::-1],
    }
    for name, numbers in values.items():
        yield name, np.asarray(numbers).astype(spec.dtype)
