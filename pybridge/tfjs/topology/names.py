"""How names of layers and of their options are spelled, and how they stay unique."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from functools import lru_cache
from itertools import count


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """``poolSize`` and ``pool_size`` are the same key for TF.js; this is the latter (``toSnakeCase`` of tfjs-layers).

    Example:
        >>> snake("recurrentActivation"), snake("Conv2DTranspose"), snake("KLDivergence")
        ('recurrent_activation', 'conv2d_transpose', 'kl_divergence')
    """
    parted = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()


def tfjs_name(name: str) -> str:
    """A name in the letters that TF.js allows in names of weights (``tensorNameRegex`` of tfjs-layers); others become ``_``.

    Example:
        >>> tfjs_name("block 1/größe")
        'block_1/gr__e'
    """
    allowed = re.sub(r"[^-A-Za-z0-9_./]", "_", name)
    return allowed if re.match(r"[A-Za-z0-9.]", allowed) else f"layer{allowed}"


def numbered(name: str) -> Iterator[str]:
    """``name``, ``name_1``, ``name_2`` and so on."""
    yield name
    for number in count(1):
        yield f"{name}_{number}"


def underscored(name: str) -> Iterator[str]:
    """``name``, ``name_``, ``name__`` and so on."""
    while True:
        yield name
        name += "_"


def first_free(wishes: Iterable[str], taken: Container[str]) -> str:
    """The first of the names wished for that is not taken.

    Example:
        >>> first_free(numbered("conv"), {"conv", "conv_1"})
        'conv_2'
    """
    return next(name for name in wishes if name not in taken)


class Names:
    """Names that are unique in a model.

    Args:
        legal: Makes of a wish a name that may be written.
    """

    def __init__(self, legal: Callable[[str], str] = tfjs_name) -> None:
        self._legal = legal
        self._taken: set[str] = set()

    def reserve(self, wanted: str) -> str:
        """Take a name, made legal, or the next one with a number behind it."""
        name = first_free(numbered(self._legal(wanted)), self._taken)
        self._taken.add(name)
        return name
