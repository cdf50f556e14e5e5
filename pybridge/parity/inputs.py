"""What a user hands to `verify` as inputs, as examples with names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.inputs import unlabelled
from pybridge.data import ImageSet
from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import DataError
from pybridge.features import image_batches
from pybridge.graphs import run_reference
from pybridge.parity.bench import Bench
from pybridge.parity.edge_cases import Cases, InputSpec
from pybridge.parity.subjects import Subject


def given_cases(inputs: Any, specs: Sequence[InputSpec], subject: Subject, bench: Bench) -> Cases:
    """Examples of a user's arrays or images.

    Args:
        inputs: An array for a model with one input; a list of arrays, or a dict by the inputs' names; or files or a folder of
            images.
        specs: What the model takes.
        subject: The model; its preprocessing prepares images.
        bench: Runs the preprocessing.

    Raises:
        DataError: They do not fit the model.
    """
    if _are_files(inputs):
        return _from_images(inputs, specs, subject, bench)
    if isinstance(inputs, Mapping):
        unknown = set(inputs) ^ {spec.name for spec in specs}
        if unknown:
            raise DataError(f"The model's inputs are {[spec.name for spec in specs]}, not {list(inputs)}")
        inputs = [inputs[spec.name] for spec in specs]
    listed = list(inputs) if isinstance(inputs, list | tuple) and len(specs) > 1 else [inputs]
    if len(listed) == 1 and isinstance(inputs, list | tuple) and len(inputs) == 1 and np.ndim(inputs[0]) == len(specs[0].shape):
        listed = [inputs[0]]
    if len(listed) != len(specs):
        raise DataError(f"The model has {len(specs)} inputs, but {len(listed)} arrays were given")
    arrays = [_checked(values, spec) for values, spec in zip(listed, specs, strict=True)]
    counts = {len(values) for values in arrays}
    if len(counts) > 1 or counts == {0}:
        raise DataError(f"The inputs have {sorted(counts)} examples", hint="Give as many of each, and at least one.")
    return Cases(arrays, tuple(f"array[{position}]" for position in range(counts.pop())))


def image_cases(images: ImageSet, preprocessing: Preprocessing, bench: Bench) -> Cases:
    """Images as the model takes them, prepared by Python's TensorFlow."""
    stages = bench.session.programs([preprocessing])
    batches = (batch.inputs for batch in image_batches(images))
    (values,) = run_reference(stages, "pixels" if images.is_array else "files", batches, bench.tensorflow, keep=[0])
    return Cases([values], tuple(images.source(position) for position in range(len(images))))


def _from_images(inputs: Any, specs: Sequence[InputSpec], subject: Subject, bench: Bench) -> Cases:
    if len(specs) != 1 or len(specs[0].shape) != 4:
        raise DataError("The model does not take images", hint="Give arrays, one for each input.")
    preprocessing = subject.preprocessing
    if preprocessing is None:
        # What the pixels mean does not matter to parity; [-1, 1] is what most models are trained with.
        height, width, _ = specs[0].example_shape
        preprocessing = Preprocessing(height, width, mean=(127.5,), std=(127.5,))
    return image_cases(unlabelled(inputs, ("",)), preprocessing, bench)


def _are_files(inputs: Any) -> bool:
    if isinstance(inputs, str | os.PathLike):
        return True
    return isinstance(inputs, list | tuple) and bool(inputs) and all(isinstance(each, str | os.PathLike) for each in inputs)


def _checked(values: Any, spec: InputSpec) -> NDArray[Any]:
    array = np.asarray(values)
    fits = len(array.shape) == len(spec.shape) and all(
        size is None or size == given for size, given in zip(spec.shape[1:], array.shape[1:], strict=True)
    )
    if array.dtype.kind not in "fiub" or not fits:
        raise DataError(
            f"The input {spec.name} must be numbers of shape {spec.shape}, not {array.dtype} of shape {array.shape}",
            hint="For a single example add an axis: x[None]." if array.ndim == len(spec.shape) - 1 else None,
        )
    if spec.shape[0] and len(array) % spec.shape[0]:
        raise DataError(f"The model takes batches of {spec.shape[0]} examples; {len(array)} are no multiple of that")
    return np.ascontiguousarray(array, spec.dtype)
