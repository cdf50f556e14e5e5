"""Whether a training is the one that was begun in a run directory, and what it goes on from."""

from __future__ import annotations

from dataclasses import replace

from pybridge.classifier.settings import in_use
from pybridge.errors import DataError
from pybridge.text import listed, printable
from pybridge.training.checkpoint import read_checkpoint
from pybridge.training.loop import FitState
from pybridge.training.run_directory import RunDirectory, RunRecord

# Settings that a resumed training may change without becoming another training; the cut stands for `unfreeze`.
_FREE_TO_CHANGE = {"engine", "unfreeze", "epochs", "patience", "seed", "skip_unreadable", "time_limit"}


def checkpoint_to_resume(run: RunDirectory, record: RunRecord) -> FitState | None:
    """The state that an unfinished training left in its run directory; None where there is none.

    Args:
        run: The run.
        record: Of the training that shall go on with it.

    Raises:
        DataError: It is not the training that was begun there.
    """
    state = read_checkpoint(run.checkpoints)
    if state is None:
        return None
    begun, _ = run.read()
    if begun.class_names != record.class_names:
        raise DataError(
            f"{run.path} was trained on the classes {listed(begun.class_names)}, but these images have "
            f"{listed(record.class_names)}",
            hint="Go on with the images that it was trained on, or choose another folder for a new run.",
        )
    if begun.base.get("sha256") != record.base.get("sha256"):
        raise DataError(
            f"{run.path} was begun with the base {printable(begun.base['name'])}, not with {printable(record.base['name'])}",
            hint="Give the same base as then, or choose another folder for a new run.",
        )
    if begun.cut != record.cut:
        raise DataError(
            f"{run.path} was begun with everything up to {begun.cut!r} frozen, not {record.cut!r}",
            hint="Give the same unfreeze as then, or choose another folder for a new run.",
        )
    then, now = in_use(begun), in_use(record)
    # A schedule spans all epochs, so that other epochs make it another one.
    free = _FREE_TO_CHANGE if now.get("schedule") == "constant" else _FREE_TO_CHANGE - {"epochs"}
    changed = [
        f"{name} was {then.get(name)!r} and is {value!r}"
        for name, value in now.items()
        if name not in free and then.get(name) != value
    ]
    engine = begun.history.engine
    if record.settings["engine"] not in ("auto", engine):
        changed.append(f"engine was {engine!r} and is {record.settings['engine']!r}")
    if changed:
        raise DataError(
            f"{run.path} was begun with other settings: {'; '.join(changed)}",
            hint="Give the same settings as then, or choose another folder for a new run.",
        )
    for part in ("training", "validation"):
        if begun.data[part] != record.data[part]:
            raise DataError(
                f"{run.path} was begun with other {part} images: {begun.data[part]} then, {record.data[part]} now",
                hint="Go on with the images that it was trained on, or choose another folder for a new run.",
            )
    return replace(state, history=replace(state.history, engine=engine))
