"""All optimizers by their names: pybridge's, Keras's and TensorFlow.js's."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pybridge.optimizers.optimizer import Optimizer, TrainingOptimizer

_NO_OPTIMIZERS = {"optimizer", "registry"}

# What Keras may be asked for beyond the formula itself; TF.js has none of it.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "weight_decay": (None, 0, False),
    "clipnorm": (None,),
    "clipvalue": (None,),
    "global_clipnorm": (None,),
    "use_ema": (None, False),
    "loss_scale_factor": (None,),
    "gradient_accumulation_steps": (None,),
}

T = TypeVar("T")


@cache
def optimizers() -> dict[str, Optimizer]:
    """One optimizer for each file of this folder, by the file's name."""
    names = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return {name: importlib.import_module(f"{__package__}.{name}").OPTIMIZER for name in names if name not in _NO_OPTIMIZERS}


def training_optimizer(name: str) -> TrainingOptimizer:
    """The optimizer of this name that trains in Node.

    Raises:
        ValueError: There is no such optimizer.
    """
    found = _by_name().get(name)
    if found is None:
        raise ValueError(f"optimizer must be one of {', '.join(_by_name())}, not {name!r}")
    return found


def written_for_tfjs(keras_class: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The ``optimizer_config`` of a TF.js training configuration for an optimizer of Keras.

    Args:
        keras_class: The class's name, in any case.
        options: Its configuration, as ``get_config`` gives it.

    Returns:
        ``{"class_name": ..., "config": {"learning_rate": ..., ...}}``.

    Raises:
        ValueError: TF.js lacks the optimizer or one of these options, or would compute something else.

    Example:
        >>> written_for_tfjs("SGD", {"learning_rate": 0.1})
        {'class_name': 'SGD', 'config': {'learning_rate': 0.1}}
    """
    found = _by_keras_class().get(keras_class.lower())
    if found is None:
        raise ValueError(f"TF.js has no optimizer {keras_class}")
    if any(options.get(key) not in allowed for key, allowed in _PLAIN.items()):
        raise ValueError("TF.js lacks an option of the optimizer")
    rate = options.get("learning_rate")
    if not isinstance(rate, (int, float)):
        raise ValueError("TF.js has no learning rate schedules")
    name, config = found.in_tfjs(options)
    return {"class_name": name, "config": {"learning_rate": rate, **config}}


def keras_options(tfjs_class: str) -> tuple[str, Mapping[str, str]] | None:
    """The class in ``keras.optimizers`` for an optimizer of TF.js, and what its options are called there; None for unknown ones.

    Example:
        >>> keras_options("Momentum")
        ('SGD', {'momentum': 'momentum', 'use_nesterov': 'nesterov'})
    """
    found = _by_tfjs_class().get(tfjs_class)
    return None if found is None else (found.keras, found.tfjs[tfjs_class])


@cache
def _by_name() -> dict[str, TrainingOptimizer]:
    return unique((each.name, each) for each in optimizers().values() if isinstance(each, TrainingOptimizer))


@cache
def _by_keras_class() -> dict[str, Optimizer]:
    return unique((each.keras.lower(), each) for each in optimizers().values())


@cache
def _by_tfjs_class() -> dict[str, Optimizer]:
    return unique((name, each) for each in optimizers().values() for name in each.tfjs)


def unique(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """A dict in which no later entry silently replaces an earlier one.

    Raises:
        TypeError: Two entries have one name.
    """
    found: dict[str, T] = {}
    for name, each in pairs:
        if name in found:
            raise TypeError(f"two optimizers are called {name}: {type(found[name]).__name__} and {type(each).__name__}")
        found[name] = each
    return found
