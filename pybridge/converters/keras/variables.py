"""The Keras variables of a model, and which of them the weights of TF.js hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.keras.expressions import Weight
from pybridge.converters.refusals import Refused

_KEPT_LIMIT = 2**18


class Variables:
    """The Keras variables of a model, in the order of ``model.weights``, and where each one went."""

    def __init__(self, model: Any) -> None:
        self.all = list(model.weights)
        self._index = {id(variable): index for index, variable in enumerate(self.all)}
        self._owners: dict[int, Any] = {}
        self.kept: dict[int, NDArray[Any]] = {}

    def weight(self, variable: Any, owner: Any) -> Weight:
        """A variable as a weight; each may be used by one layer alone."""
        index = self._index.get(id(variable))
        if index is None:
            raise Refused(f"uses a variable ({getattr(variable, 'path', '?')}) that is not a weight of the model")
        if self._owners.setdefault(index, owner) is not owner:
            other = getattr(self._owners[index], "name", "?")
            raise Refused(f"shares its weights with {other!r}, which TF.js cannot do", "Use one layer twice instead of two.")
        return Weight.of(index, np.asarray(variable))

    def keep(self, variable: Any) -> None:
        """Keep the numbers of a variable that does not train in the record alone."""
        index = self._index[id(variable)]
        value = np.asarray(variable)
        if value.nbytes > _KEPT_LIMIT:
            raise Refused(f"has a weight of {value.nbytes} bytes ({variable.path}) that no weight of TF.js holds")
        self.kept[index] = value

    def lost(self, weights: Mapping[str, Weight]) -> list[Any]:
        """The variables that appear neither in weights of TF.js nor in the record."""
        found = set(self.kept)
        for weight in weights.values():
            found.update(_variables_in(weight.expression))
        return [variable for index, variable in enumerate(self.all) if index not in found]

    def repeated(self, weights: Mapping[str, Weight]) -> list[Any]:
        """The variables that several weights of TF.js hold as a whole: they would part in training."""
        uses = [
            index
            for weight in weights.values()
            if not _is_sliced(weight.expression)
            for index in _variables_in(weight.expression)
        ]
        return [self.all[index] for index, count in Counter(uses).items() if count > 1]


def _variables_in(expression: Any) -> Iterator[int]:
    if expression[0] == "variable":
        yield expression[1]
    elif expression[0] == "concat":
        for part in expression[1]:
            yield from _variables_in(part)
    elif expression[0] != "constant":
        yield from _variables_in(expression[1])


def _is_sliced(expression: Any) -> bool:
    if expression[0] == "concat":
        return any(_is_sliced(part) for part in expression[1])
    return expression[0] == "slice" or (expression[0] in ("reshape", "transpose") and _is_sliced(expression[1]))
