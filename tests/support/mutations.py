"""Seeded damage to model files: to their bytes, to their JSON, and to their shards."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 1.5, -0.5, 1e308, -1e308, 2**31, 2**31 - 1, 2**40, 2**63, -(2**31), 10**30),
    *(
        "",
        "a",
        "../../canary",
        "/etc/hostname",
        "..\\canary",
        "a\0b",
        "%2e%2e/canary",
        "file:///etc/hostname",
        "\ud800",
        "é" * 600,
    ),
    *("__proto__", "constructor", "toString", "hasOwnProperty", "-1", "NaN", "linear", "same", "Dense", "Lambda", "Sequential"),
    *([], {}, [[]], [None], [[[]]], {"a": 1}, [1, 2, 3], [2**31] * 4, [-1], [0, 0], {"class_name": "Lambda", "config": {}}),
)
"""What takes the place of values anywhere in a model.json."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON tree."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _replace(tree: Any, random_: random.Random) -> None:
    path = random_.choice(list(places(tree))[1:])
    at(tree, path[:-1])[path[-1]] = random_.choice(ODD_VALUES)


def _delete(tree: Any, random_: random.Random) -> None:
    path = random_.choice(list(places(tree))[1:])
    del at(tree, path[:-1])[path[-1]]


def _swap(tree: Any, random_: random.Random) -> None:
    """Exchange two values; not one with what holds it."""
    one, other = (random_.choice(list(places(tree))[1:]) for _ in range(2))
    if one[: len(other)] == other or other[: len(one)] == one:
        return
    first, second = at(tree, one), at(tree, other)
    at(tree, one[:-1])[one[-1]], at(tree, other[:-1])[other[-1]] = second, first


def _repeat(tree: Any, random_: random.Random) -> None:
    lists = [path for path in places(tree) if isinstance(at(tree, path), list) and at(tree, path)]
    chosen = at(tree, random_.choice(lists))
    chosen.insert(random_.randrange(len(chosen) + 1), json.loads(json.dumps(random_.choice(chosen))))


def _nest(tree: Any, random_: random.Random) -> None:
    path = random_.choice(list(places(tree))[1:])
    value = at(tree, path)
    for _ in range(random_.choice([1, 3, 30, 200])):
        value = [value] if random_.random() < 0.5 else {"config": value}
    at(tree, path[:-1])[path[-1]] = value


def _rewire(tree: Any, random_: random.Random) -> None:
    """Let a layer take its input from another layer, itself among them."""
    config = tree["modelTopology"]
    config = config.get("model_config", config)["config"]
    layers = config["layers"]
    names = [layer.get("name", layer["config"].get("name")) for layer in layers]
    target = random_.choice(layers)
    reference = [random_.choice(names), random_.choice([0, 0, 0, 1, 2, -1, 10**9]), random_.choice([0, 0, 0, 1, -1]), {}]
    nodes = target.setdefault("inbound_nodes", [])
    if nodes and random_.random() < 0.7:
        random_.choice(nodes)[0] = reference
    else:
        nodes.append([reference])


def _rename(tree: Any, random_: random.Random) -> None:
    path = random_.choice([path for path in places(tree) if path and path[-1] in ("name", "class_name")])
    others = [at(tree, other) for other in places(tree) if other and other[-1] in ("name", "class_name")]
    at(tree, path[:-1])[path[-1]] = random_.choice(others)


def _resize(tree: Any, random_: random.Random) -> None:
    numbers = [path for path in places(tree) if path and type(at(tree, path)) in (int, float)]
    path = random_.choice(numbers)
    at(tree, path[:-1])[path[-1]] = random_.choice(
        [0, -1, 1, 2, 7, 64, 4097, 10**6, 2**31 - 1, 2**31, 10**12, 1e300, 0.5, -1e300]
    )


TREE_MUTATIONS: tuple[Callable[[Any, random.Random], None], ...] = (
    *(_replace, _replace, _replace, _delete, _swap, _repeat, _nest, _rewire, _rewire, _rename, _resize, _resize),
)


def mutate_tree(document: dict[str, Any], random_: random.Random) -> dict[str, Any]:
    """A copy with one to three kinds of damage to its JSON."""
    tree: dict[str, Any] = json.loads(json.dumps(document))
    for _ in range(random_.choice([1, 1, 1, 2, 3])):
        try:
            random_.choice(TREE_MUTATIONS)(tree, random_)
        except (KeyError, IndexError, TypeError, AttributeError):
            # Damage done before may have taken away what this one needs.
            continue
    return tree


def mutate_bytes(data: bytes, random_: random.Random) -> bytes:
    """A copy with flipped, lost, repeated or cut bytes."""
    changed = bytearray(data)
    for _ in range(random_.choice([1, 1, 2, 5])):
        position = random_.randrange(len(changed)) if changed else 0
        kind = random_.randrange(5)
        if kind == 0 and changed:
            changed[position] = random_.randrange(256)
        elif kind == 1:
            del changed[position : position + random_.choice([1, 4, 100])]
        elif kind == 2:
            changed[position:position] = changed[position : position + 50]
        elif kind == 3:
            del changed[position:]
        else:
            changed[position:position] = random_.choice([b"\0", b"[" * 3000, b'"', b"NaN", b"1e999", b"9" * 5000, b"\xff\xfe"])
    return bytes(changed)


def mutate_shards(folder: Path, canary: Path, random_: random.Random) -> None:
    """Damage the weight files of a model: their sizes, their content, or what kind of file they are."""
    files = sorted(folder.glob("*.bin"))
    file = random_.choice(files)
    kind = random_.randrange(6)
    data = file.read_bytes()
    file.unlink()
    if kind == 0:
        file.write_bytes(data[: random_.randrange(len(data) + 1)])
    elif kind == 1:
        file.write_bytes(data + b"\0" * random_.choice([1, 3, 4, 4096]))
    elif kind == 2:
        file.symlink_to(canary)
    elif kind == 3:
        file.mkdir()
    elif kind == 4:
        os.mkfifo(file)
