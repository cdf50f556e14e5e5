"""Data sets that are split already: a folder whose folders are parts such as ``train`` and ``val``, with the classes inside."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from pybridge.data.listing import class_entries, has_images, named
from pybridge.errors import DataError
from pybridge.text import printable

_log = logging.getLogger("pybridge.data")

Role = Literal["training", "validation", "test", "unlabelled"]

_WORDS: Mapping[Role, frozenset[str]] = {
    "training": frozenset({"train", "training", "trainset", "trainingset", "trn", "learn", "learning"}),
    "validation": frozenset(
        {"val", "valid", "validate", "validation", "valset", "validset", "validationset", "dev", "devset", "development"}
        | {"eval", "evaluate", "evaluation", "holdout"}
    ),
    "test": frozenset({"test", "testing", "tests", "testset", "testingset", "tst"}),
    "unlabelled": frozenset({"pred", "predict", "prediction", "unlabeled", "unlabelled", "unsup"}),
}
_FOLD = re.compile(r"(fold|split|part|partition|subset|cv)[ _-]*\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """The parts of a data set.

    Attributes:
        training: The folder to train on.
        judging: The folder to judge by while training: the validation part, else the test part; None where there is neither.
        test: The test part, if it has labels.
        others: What else lies there.
    """

    training: Path
    judging: Path | None
    test: Path | None
    others: tuple[Path, ...]


def role_of(name: str) -> Role | None:
    """What a part is for, by its name: ``seg_train``, ``Training`` and ``trainImages`` are all for training."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return next((role for role, known in _WORDS.items() if known.intersection(words)), None)


def find_parts(root: Path) -> Parts | None:
    """The parts of a split data set, or None where the folders in ``root`` are classes.

    Folders are parts where they hold folders themselves, one of them is named as one to train on, and another one is named as
    a part too, or holds folders of the same names.

    Args:
        root: A folder.

    Raises:
        DataError: The folders in it look like parts, but not which of them is to train on.

    Example:
        ``find_parts(Path("photos")).training`` is ``photos/train`` beside ``photos/val``, both with ``cat`` and ``dog``.
    """
    folders = class_entries(root)
    if len(folders) < 2:
        return None
    layers = {name: found for name, folder in folders.items() if (found := _layer(folder))}
    roles = {name: role_of(name) for name in folders}
    training = [name for name in layers if roles[name] == "training"]
    alike = [{one, other} for one, other in combinations(layers, 2) if _are_alike(layers[one], layers[other])]
    is_split = training and any(roles[name] or {training[0], name} in alike for name in folders if name != training[0])
    if is_split and len(training) == 1:
        return _parts(training[0], folders, layers, roles)
    if is_split:
        raise DataError(
            f"{printable(root)} has several parts to train on: {named(training)}",
            hint="Pass the one to train on, and another one to judge by with --validation (validation_data).",
        )
    if all(roles.values()) or all(_FOLD.fullmatch(name) for name in folders):
        raise DataError(
            f"{printable(root)} holds a data set that is split already ({named(folders)}), not class folders",
            hint=f"Pass one part of it, for example {printable(next(iter(folders.values())))}, which has to hold class folders.",
        )
    if len(layers) == len(folders) and len(alike) == len(list(combinations(folders, 2))):
        _refuse_ambiguous(root, folders, layers)
    return None


def say_parts(root: Path, parts: Parts) -> None:
    """Tell the user what each part is used for."""
    judged = f", judging by {printable(parts.judging.relative_to(root))}" if parts.judging else ""
    left = [path.relative_to(root) for path in (parts.test, *parts.others) if path is not None and path != parts.judging]
    rest = f"; not used: {named(map(str, left))}" if left else ""
    _log.warning(
        "%s is split already: training on %s%s%s", printable(root), printable(parts.training.relative_to(root)), judged, rest
    )


@dataclass(frozen=True)
class _Layer:
    """The folder that holds the class folders of a part, which may lie in another one; and their names."""

    folder: Path
    names: frozenset[str]


def _layer(folder: Path) -> _Layer | None:
    inner = class_entries(folder)
    if not inner or has_images(folder):
        return None
    only = next(iter(inner.values()))
    if len(inner) == 1 and (deeper := _layer(only)) is not None:
        return deeper
    return _Layer(folder, frozenset(name.casefold() for name in inner))


def _are_alike(one: _Layer, other: _Layer) -> bool:
    names, others = ({name for name in layer.names if re.search(r"[^\W\d_]", name)} for layer in (one, other))
    return len(names & others) * 2 >= max(1, min(len(names), len(others)))


def _parts(training: str, folders: Mapping[str, Path], layers: Mapping[str, _Layer], roles: Mapping[str, Role | None]) -> Parts:
    def only(role: Role) -> Path | None:
        found = [name for name in layers if roles[name] == role]
        if len(found) > 1:
            raise DataError(
                f"{printable(folders[training].parent)} has several {role} parts: {named(found)}",
                hint=f"Pass {printable(folders[training])}, and the one to judge by with --validation (validation_data).",
            )
        return layers[found[0]].folder if found else None

    validation, test = only("validation"), only("test")
    used = {training, *(name for name in layers if roles[name] in ("validation", "test"))}
    return Parts(layers[training].folder, validation or test, test, tuple(folders[name] for name in folders if name not in used))


def _refuse_ambiguous(root: Path, folders: Iterable[str], layers: Mapping[str, _Layer]) -> None:
    inner = sorted(frozenset.union(*(layer.names for layer in layers.values())))
    raise DataError(
        f"{printable(root)}: the folders {named(folders)} all hold folders of the same names ({named(inner)}); are the outer "
        "ones parts of the data set, or the classes?",
        hint="Say which folder is the class: --label-from-name '^([^/]+)/' for the outer one, '^[^/]+/([^/]+)/' for the inner "
        "one (label_from_name in Python). Or pass one part, and another one with --validation.",
    )
