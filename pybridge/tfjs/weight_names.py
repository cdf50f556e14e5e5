"""Which layer owns a weight: names of weights begin with the name of their layer."""

from __future__ import annotations

from collections.abc import Container, Iterable


def weights_by_layer(weights: Iterable[str], layers: Iterable[str]) -> dict[str, list[str]]:
    """Group weight names by the layer that owns them.

    A weight belongs to the layer whose name it starts with, the longest such name first (Keras allows slashes in the
    names of layers); where none matches, enclosing scopes are dropped from the front one by one. Weights of no layer,
    such as an optimizer's, are left out.
    """
    known = set(layers)
    owned: dict[str, list[str]] = {}
    for weight in weights:
        owner, _ = owner_of(weight, known)
        if owner is not None:
            owned.setdefault(owner, []).append(weight)
    return owned


def owner_of(weight: str, known: Container[str]) -> tuple[str | None, str]:
    """Split a weight's name into the layer that owns it, or None, and its name within the layer."""
    parts = weight.split("/")
    for start in range(len(parts) - 1):
        for end in range(len(parts) - 1, start, -1):
            name = "/".join(parts[start:end])
            if name in known:
                return name, "/".join(parts[end:])
    return None, weight
