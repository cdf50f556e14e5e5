"""One training from its beginning, or from where it was killed, to a run directory."""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pybridge._version import __version__
from pybridge.classifier.advice import advise
from pybridge.classifier.comparison import Beginning
from pybridge.classifier.evaluation import Evaluation
from pybridge.classifier.resumption import checkpoint_to_resume
from pybridge.classifier.trained import TrainingResult
from pybridge.data import ImageSet
from pybridge.heads import is_uneven
from pybridge.runtime import Runtime
from pybridge.session import Session
from pybridge.training.callbacks import Callback
from pybridge.training.checkpoint import write_checkpoint
from pybridge.training.fitted import run_fitted
from pybridge.training.history import History
from pybridge.training.loop import FitState
from pybridge.training.run_directory import RunDirectory, RunRecord
from pybridge.training.transfer import Transfer, run_transfer


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


def choose_seed(wanted: int | None, run: RunDirectory | None = None) -> int:
    """The seed of a training: that of the run which it goes on with, else the one that is wanted, else a drawn one."""
    if run is not None and run.exists():
        return run.read()[0].seed
    return secrets.randbelow(2**31) if wanted is None else int(wanted)


def new_record(
    transfer: Transfer,
    base: Mapping[str, Any],
    settings: Mapping[str, Any],
    label_kind: str,
    runtime: Runtime,
    *,
    fine_tuning: Mapping[str, Any] | None = None,
) -> RunRecord:
    """What a run's record says when its training begins.

    Args:
        transfer: What shall be trained.
        base: The base model's name and origin.
        settings: The classifier's parameters.
        label_kind: The numpy kind of the labels that the user gave.
        runtime: Whose versions are recorded.
        fine_tuning: What fine-tuning does otherwise than the settings say.
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
        seed=transfer.options.seed,
        versions=_versions(runtime),
        data={
            "training": counts(transfer.training),
            "validation": counts(transfer.validation),
            "label_dtype": label_kind,
            **({} if fine_tuning is None else {"fine_tuning": dict(fine_tuning)}),
        },
    )


def train(
    transfer: Transfer,
    record: RunRecord,
    session: Session,
    run: RunDirectory | None = None,
    *,
    before: History | None = None,
    beginning: Beginning | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingResult:
    """Trains, and keeps the run directory loadable all the while.

    Args:
        transfer: What to train, on what, and how.
        record: What the run's record shall say; see `new_record`.
        session: Where.
        run: Where the run is written, or None. A checkpoint there is gone on from.
        before: The epochs of an earlier training, which this one goes on from.
        beginning: What a fine-tuning is compared with; where it does not help, the classifier stays what it was.
        callbacks: Called around the epochs.

    Returns:
        What the training leaves. Its record's status says whether Ctrl-C ended it.

    Raises:
        DataError: The images cannot be used, or a resumed training is not the one that was begun.
    """
    if run is not None and not run.exists():
        with run.nothing_left_of_a_refusal():
            return _train(transfer, record, session, run, before, beginning, callbacks)
    return _train(transfer, record, session, run, before, beginning, callbacks)


def _train(
    transfer: Transfer,
    record: RunRecord,
    session: Session,
    run: RunDirectory | None,
    before: History | None,
    beginning: Beginning | None,
    callbacks: Sequence[Callback],
) -> TrainingResult:
    before = History() if before is None else before
    checkpoint = None if run is None else checkpoint_to_resume(run, record)
    if checkpoint is not None:
        assert checkpoint.history.engine is not None
        transfer = replace(transfer, options=replace(transfer.options, engine=checkpoint.history.engine))
    record = replace(record, epochs_before=len(before))
    if run is not None:
        # Until the end the model on disk is that of the beginning; what was learned since is in the checkpoint.
        known = before.extended(checkpoint.history.rows, None, checkpoint.history.engine) if checkpoint else before
        run.write(replace(record, history=known), transfer.model)
    if transfer.fitted:
        result = run_fitted(transfer, session, callbacks=callbacks)
    else:
        saved = None if run is None else _saver(run, before)
        result = run_transfer(transfer, session, callbacks=callbacks, resume=checkpoint, on_epoch=saved)
    evaluation = Evaluation(result.judged, result.probabilities)
    finished = replace(
        record,
        status="interrupted" if result.fit.interrupted else "finished",
        metrics=evaluation.summary(),
        data={
            **record.data,
            "judged_by": result.judged_by,
            "judged_images": len(result.judged),
            "uneven": is_uneven(result.judged.counts),
            **({} if result.head is None else {"head": result.head.to_dict()}),
        },
        history=before.extended(result.fit.history.rows, result.fit.history.best_epoch, result.fit.history.engine),
    )
    described = {"labels": list(record.class_names), "preprocessing": record.preprocessing.to_dict()}
    model = replace(result.model, user_metadata={**result.model.user_metadata, "pybridge": described})
    left = TrainingResult(finished, model, evaluation)
    if beginning is not None and beginning.probabilities is not None:
        left = _better(left, beginning, result.fit.history.best_epoch is not None)
    advice = advise(left.record, left.evaluation)
    left = replace(left, record=replace(left.record, data={**left.record.data, "advice": advice}))
    if run is not None:
        left.write(run)
    return left


def _better(tuned: TrainingResult, beginning: Beginning, learned: bool) -> TrainingResult:
    """The fine-tuned classifier, or where that is no better on the same images, the one before; with the comparison."""
    assert tuned.evaluation is not None
    record = tuned.record
    comparison = beginning.compare(tuned.evaluation.images, tuned.evaluation.probabilities)
    comparison["helped"] = comparison["helped"] and learned
    if comparison["helped"]:
        return replace(tuned, record=replace(record, data={**record.data, "comparison": comparison}))
    known = beginning.known
    data = {**known.record.data, "comparison": {**comparison, "tried": record.data["fine_tuning"]}}
    history = replace(record.history, best_epoch=known.record.history.best_epoch)
    return replace(known, record=replace(known.record, status=record.status, data=data, history=history))


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
