"""One training from its beginning, or from where it was killed, to a run directory."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pybridge._version import __version__
from pybridge.classifier.trained import Judged, Trained
from pybridge.data import ImageSet
from pybridge.errors import DataError
from pybridge.runtime import Runtime
from pybridge.session import Session
from pybridge.training.callbacks import Callback
from pybridge.training.checkpoint import read_checkpoint, write_checkpoint
from pybridge.training.history import History
from pybridge.training.loop import FitState
from pybridge.training.run_directory import RunDirectory, RunRecord
from pybridge.training.trainer import AUTO
from pybridge.training.transfer import Transfer, run_transfer

# Settings that a resumed training may change without becoming another training; the cut stands for `unfreeze`.
_FREE_TO_CHANGE = {"engine", "unfreeze", "epochs", "patience", "seed", "skip_unreadable"}

# What runs did before there were these settings.
_BEFORE = {"schedule": "constant", "warmup_epochs": 0.0, "mixup": 0.0}


def prepare_run(path: str | Path | None, resume: bool) -> RunDirectory | None:
    """The folder for a new run, or that of an unfinished one.

    Raises:
        RunFolderError: It cannot be made, or holds something.
    """
    if path is None:
        if resume:
            raise ValueError("resume=True needs run_dir, the run to go on with")
        return None
    run = RunDirectory(path)
    if not (resume and (run.exists() or run.is_beginning())):
        run.check_vacant()
    return run


def new_record(
    transfer: Transfer, base: Mapping[str, Any], settings: Mapping[str, Any], label_kind: str, runtime: Runtime
) -> RunRecord:
    """What a run's record says when its training begins.

    Args:
        transfer: What shall be trained.
        base: The base model's name and origin.
        settings: The classifier's parameters.
        label_kind: The numpy kind of the labels that the user gave.
        runtime: Whose versions are recorded.
    """
    names = transfer.training.class_names

    def counts(images: ImageSet | None) -> dict[str, int]:
        return {} if images is None else dict(zip(names, images.counts.tolist(), strict=True))

    return RunRecord(
        status="training",
        base=dict(base),
        class_names=names,
        preprocessing=transfer.preprocessing,
        cut=transfer.cut,
        settings=dict(settings),
        seed=transfer.fit.seed,
        versions=_versions(runtime),
        data={
            "training": counts(transfer.training),
            "validation": counts(transfer.validation),
            "label_dtype": label_kind,
        },
    )


def train(
    transfer: Transfer,
    record: RunRecord,
    before: History,
    *,
    session: Session,
    run: RunDirectory | None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Trained, bool]:
    """Trains, and keeps the run directory loadable all the while.

    Args:
        transfer: What to train, on what, and how.
        record: What the run's record shall say; see `new_record`.
        before: The epochs of an earlier training, which this one goes on from.
        session: Where.
        run: Where the run is written, or None. A checkpoint there is gone on from.
        callbacks: Called around the epochs.

    Returns:
        The trained classifier, and whether Ctrl-C ended the training.

    Raises:
        DataError: The images cannot be used, or a resumed training is not the one that was begun.
    """
    checkpoint = None if run is None else _checkpoint(run, record)
    if checkpoint is not None:
        assert checkpoint.history.engine is not None
        transfer = replace(transfer, engine=checkpoint.history.engine)
    record = replace(record, epochs_before=len(before))
    if run is not None:
        # Until the end the model on disk is that of the beginning; what was learned since is in the checkpoint.
        known = before.extended(checkpoint.history.rows, None, checkpoint.history.engine) if checkpoint else before
        run.write(replace(record, history=known), transfer.model)
    result = run_transfer(
        transfer,
        session,
        callbacks=callbacks,
        resume=checkpoint,
        on_epoch=None if run is None else _saver(run, before),
    )
    judged = Judged(result.validation, result.probabilities)
    finished = replace(
        record,
        status="interrupted" if result.fit.interrupted else "finished",
        metrics=judged.metrics(),
        history=before.extended(result.fit.history.rows, result.fit.history.best_epoch, result.fit.history.engine),
    )
    described = {"labels": list(record.class_names), "preprocessing": record.preprocessing.to_dict()}
    model = replace(result.model, user_metadata={**result.model.user_metadata, "pybridge": described})
    trained = Trained(finished, model, judged)
    if run is not None:
        trained.write(run)
    return trained, result.fit.interrupted


def _checkpoint(run: RunDirectory, record: RunRecord) -> FitState | None:
    state = read_checkpoint(run.checkpoints)
    if state is None:
        return None
    begun, _ = run.read()
    if begun.class_names != record.class_names:
        raise DataError(
            f"{run.path} was trained on the classes {', '.join(begun.class_names)}, but these images have "
            f"{', '.join(record.class_names)}",
            hint="Go on with the images that it was trained on, or choose another folder for a new run.",
        )
    if begun.base.get("sha256") != record.base.get("sha256"):
        raise DataError(
            f"{run.path} was begun with the base {begun.base['name']}, not with {record.base['name']}",
            hint="Give the same base as then, or choose another folder for a new run.",
        )
    if begun.cut != record.cut:
        raise DataError(
            f"{run.path} was begun with everything up to {begun.cut} frozen, not {record.cut}",
            hint="Give the same unfreeze as then, or choose another folder for a new run.",
        )
    then, now = _settings_in_use(begun), _settings_in_use(record)
    # A schedule spans all epochs, so that other epochs make it another one.
    free = _FREE_TO_CHANGE if now.get("schedule") == "constant" else _FREE_TO_CHANGE - {"epochs"}
    changed = [
        f"{name} was {then.get(name, _BEFORE.get(name))!r} and is {value!r}"
        for name, value in now.items()
        if name not in free and then.get(name, _BEFORE.get(name)) != value
    ]
    engine = begun.history.engine
    if record.settings["engine"] not in (AUTO, engine):
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


def _settings_in_use(record: RunRecord) -> dict[str, Any]:
    """The classifier's parameters, and what fine-tuning does otherwise."""
    return {**record.settings, **record.data.get("fine_tuning", {})}


def _saver(run: RunDirectory, before: History) -> Callable[[FitState], None]:
    def save(state: FitState) -> None:
        write_checkpoint(run.checkpoints, state)
        run.write_history(before.extended(state.history.rows, None, state.history.engine))

    return save


def _versions(runtime: Runtime) -> dict[str, str]:
    package = runtime.node_modules / "@tensorflow" / "tfjs-node" / "package.json"
    return {
        "pybridge": __version__,
        "tensorflow": runtime.tensorflow_version,
        "tensorflow.js": str(json.loads(package.read_text("utf-8"))["version"]),
        "node": runtime.node_version,
        "python": platform.python_version(),
    }
