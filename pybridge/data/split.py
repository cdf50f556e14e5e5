"""Parting a data set, and weighing its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.errors import DataError

Indices = NDArray[np.int64]


def stratified_split(labels: ArrayLike, fraction: float, seed: int, groups: ArrayLike | None = None) -> tuple[Indices, Indices]:
    """Part a data set into training and validation, with the same mix of classes in both.

    Of each class, ``round(fraction * count)`` pictures go to validation, but at least one, and at least one stays for
    training. The only picture of a class goes to training.

    Args:
        labels: Class numbers, shape (N,).
        fraction: Share for validation, above 0 and below 1.
        seed: Equal seeds give equal parts.
        groups: Optional, shape (N,): pictures with an equal value (a person, a place, a burst of shots) stay together.
            The share is then only approximate.

    Returns:
        The indices for training and for validation, int64, each in ascending order.

    Raises:
        DataError: The fraction is out of range, or a part would be empty or would lack a class for training.

    Example:
        >>> train, validation = stratified_split([0, 0, 0, 1, 1], 0.34, seed=1)
        >>> len(train), len(validation)
        (3, 2)
    """
    classes = np.asarray(labels)
    if classes.ndim != 1:
        raise DataError(f"labels must have the shape (N,), not {classes.shape}")
    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise DataError(
            f"the validation share must be above 0 and below 1, not {fraction!r}",
            hint="0.2 keeps a fifth for validation.",
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed must be a whole number from 0 on, not {seed!r}")
    in_validation = _by_class(classes, fraction, seed) if groups is None else _by_group(classes, fraction, seed, groups)
    if not in_validation.any():
        raise DataError(
            f"{len(classes)} images are too few to keep some for validation",
            hint="Give at least two images of a class.",
        )
    return np.flatnonzero(~in_validation).astype(np.int64), np.flatnonzero(in_validation).astype(np.int64)


def class_weights(
    labels: ArrayLike,
    n_classes: int,
    spec: Literal["balanced"] | Mapping[Any, float] | None,
    class_names: Sequence[str] | None = None,
) -> NDArray[np.float32] | None:
    """How much each class counts in the loss.

    Args:
        labels: Class numbers, shape (N,).
        n_classes: Number of classes.
        spec: None: all alike. ``"balanced"``: ``N / (n_classes * count)``, the formula of scikit-learn's
            ``compute_class_weight``, so that rare classes weigh as much in total as common ones. Or weights by class
            number or name; classes that are not mentioned weigh 1, as in Keras.
        class_names: Lets ``spec`` use names.

    Returns:
        float32 of shape (n_classes,), or None where all weigh alike.

    Raises:
        DataError: An unknown word or class, or a weight that is not a finite number from 0 on.

    Example:
        >>> class_weights([0, 0, 0, 1], 2, "balanced").round(2).tolist()
        [0.6700000166893005, 2.0]
    """
    if spec is None:
        return None
    if isinstance(spec, str):
        if spec != "balanced":
            raise DataError(f"class_weight must be None, 'balanced' or a dict, not {spec!r}")
        counts = np.bincount(np.asarray(labels, np.int64), minlength=n_classes)
        balanced = counts.sum() / (n_classes * np.maximum(counts, 1))
        return np.where(counts > 0, balanced, 1.0).astype(np.float32)
    if not isinstance(spec, Mapping):
        raise DataError(f"class_weight must be None, 'balanced' or a dict, not {type(spec).__name__}")
    names = {name: i for i, name in enumerate(class_names or ())}
    weights = np.ones(n_classes, np.float32)
    for key, weight in spec.items():
        number = names.get(key, key) if isinstance(key, str) else key
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < n_classes:
            raise DataError(f"class_weight names {key!r}, which is no class", hint=f"Classes: {list(names)[:20] or n_classes}")
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.number) or not 0 <= weight < np.inf:
            raise DataError(f"class_weight of {key!r} must be a number from 0 on, not {weight!r}")
        weights[number] = weight
    if not weights.any():
        raise DataError("class_weight is 0 for every class: nothing would be learned")
    return weights


def _by_class(classes: NDArray[Any], fraction: float, seed: int) -> NDArray[np.bool_]:
    # scikit-learn's StratifiedShuffleSplit refuses classes with one image and parts smaller than the class count.
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(classes), bool)
    for value in np.unique(classes):
        members = np.flatnonzero(classes == value)
        if len(members) > 1:
            count = min(max(round(fraction * len(members)), 1), len(members) - 1)
            chosen[rng.permutation(members)[:count]] = True
    return chosen


def _by_group(classes: NDArray[Any], fraction: float, seed: int, groups: ArrayLike) -> NDArray[np.bool_]:
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    owners = np.asarray(groups)
    if owners.shape != classes.shape:
        raise DataError(f"groups must have the shape {classes.shape} of the labels, not {owners.shape}")
    smaller = min(fraction, 1 - fraction)
    folds = StratifiedGroupKFold(max(round(1 / smaller), 2), shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            _, fold = next(iter(folds.split(np.zeros(len(classes)), classes, owners)))
    except ValueError as error:
        raise DataError(f"the groups cannot be parted: {error}", hint="Give more groups, or a larger share.") from None
    chosen = np.zeros(len(classes), bool)
    chosen[fold] = True
    if fraction > 0.5:
        chosen = ~chosen
    if lost := sorted(set(np.unique(classes).tolist()) - set(classes[~chosen].tolist())):
        raise DataError(
            f"with these groups the classes {lost[:10]} have no image left for training",
            hint="Spread each class over more groups, or choose another seed or share.",
        )
    return chosen
