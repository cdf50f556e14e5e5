"""A transfer whose head is fitted: features once for each image, then the best penalised linear head on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pybridge.data import ImageSet
from pybridge.heads import EPSILON, STRENGTHS, HeadFit, HeadSetting, HeadSolver, fit_head, head_program, normalized, softmax
from pybridge.heads import Examples as HeadExamples
from pybridge.progress import progress
from pybridge.session import Session
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import truncate
from pybridge.training.callbacks import Callback, Loop
from pybridge.training.head import OUTPUT_LAYER, append_classifier
from pybridge.training.history import History
from pybridge.training.keras_callbacks import as_callbacks
from pybridge.training.loop import FitResult
from pybridge.training.options import ClassifierOptions
from pybridge.training.trainer import Examples
from pybridge.training.transfer import JudgedBy, Transfer, TransferResult, frozen_programs, training_data, validation_data

# Of two paths of penalties and a discriminant analysis; most searches end after half of them.
_MOST_STEPS = 2 * len(STRENGTHS) + 1


def run_fitted(transfer: Transfer, session: Session, *, callbacks: Sequence[Callback] = ()) -> TransferResult:
    """Extracts features, chooses and fits the head, and judges it.

    Without validation images every training image is judged by a fold that had not seen it; the head is fitted to all of
    them. With the same images and seed it is the same to the last bit, so that a killed training needs no state to go on from.

    Args:
        transfer: What to do; its cut is the layer whose output the head takes.
        session: Where.
        callbacks: Called around the steps of the search; ``stop_training`` ends it.

    Raises:
        DataError: Images cannot be decoded, or too few are left.
    """
    # The search is judged by what the folds had not seen.
    [result] = _run(transfer, session, [None], as_callbacks(callbacks, monitor="val_loss"))
    return result


def run_settings(transfer: Transfer, session: Session, settings: Sequence[HeadSetting]) -> list[TransferResult]:
    """As `run_fitted`, but without a search: a head for each setting, on the same features.

    Args:
        transfer: See `run_fitted`.
        session: See `run_fitted`.
        settings: How to fit the heads.

    Raises:
        DataError: Images cannot be decoded, or too few are left.
    """
    return _run(transfer, session, settings, [])


def _run(
    transfer: Transfer, session: Session, settings: Sequence[HeadSetting | None], callbacks: Sequence[Callback]
) -> list[TransferResult]:
    stages = frozen_programs(transfer.model, transfer.cut, transfer.preprocessing, session)
    # The program is traced while features are extracted.
    with ThreadPoolExecutor(1) as pool, ExitStack() as stores:
        traced = pool.submit(head_program, session.runtime)
        training, images = training_data(transfer, session.extractor, stages, stores)
        kept: tuple[Examples, ImageSet] | None = None
        if transfer.validation is not None:
            kept = validation_data(transfer, transfer.validation, session.extractor, stages, stores)
        program = traced.result()
        examples = _examples(training, len(images.class_names), stages[-1].output_shape[0])
        results = []
        with HeadSolver(session.runner.start().connection, program, examples) as solver:
            for setting in settings:
                history = History(engine="compiled")
                head = _searched(solver, transfer, history, callbacks, setting)
                judged = _judged(head, session, (training, images), kept)
                results.append(TransferResult(_with_head(transfer, head), FitResult(history), *judged, head))
    return results


def _judged(
    head: HeadFit, session: Session, training: tuple[Examples, ImageSet], validation: tuple[Examples, ImageSet] | None
) -> tuple[ImageSet, NDArray[np.float32], JudgedBy]:
    if validation is None and len(head.held_out):
        return training[1].take(head.held_out), head.probabilities, "held-out folds"
    examples, images = training if validation is None else validation
    features = session.extractor.read(examples.store, examples.used)
    taken = normalized(features) if head.setting.features == "normalized" else features
    return images, softmax(taken @ head.kernel + head.bias), "training" if validation is None else "validation"


def _examples(training: Examples, classes: int, channels: int) -> HeadExamples:
    used = training.used
    weights = np.ones(len(used), np.float32) if training.sample_weights is None else training.sample_weights[used]
    weights = (weights / weights.mean()).astype(np.float32)
    return HeadExamples(training.store, used, training.targets[used], classes, weights, channels)


def _searched(
    solver: HeadSolver, transfer: Transfer, history: History, callbacks: Sequence[Callback], setting: HeadSetting | None
) -> HeadFit:
    loop = Loop(_MOST_STEPS, transfer.options.learning_rate, history)
    for callback in callbacks:
        callback.loop = loop
        callback.on_train_begin({})
    with progress(None, "Fitting the head", "step") as bar:

        def told(row: dict[str, float]) -> bool:
            step = len(history)
            history.rows.append({"epoch": step + 1, **row})
            for callback in callbacks:
                callback.on_epoch_begin(step, {})
                callback.on_epoch_end(step, dict(row))
            bar.update(1)
            return loop.stop_training

        head = fit_head(solver, transfer.options.seed, told, setting)
        bar.set_total(len(history))
    history.best_epoch = None if head.best is None else head.best + 1
    for callback in callbacks:
        callback.on_train_end({})
    return head


def _with_head(transfer: Transfer, head: HeadFit) -> LayersModel:
    model = transfer.model
    if head.setting.features == "normalized":
        assert transfer.cut is not None
        model = append_classifier(
            truncate(model, transfer.cut),
            *head.kernel.shape,
            dropout=transfer.options.dropout if isinstance(transfer.options, ClassifierOptions) else 0.0,
            hidden_units=0,
            seed=0,
            normalize=EPSILON,
        )
    fitted = {f"{OUTPUT_LAYER}/kernel": head.kernel, f"{OUTPUT_LAYER}/bias": head.bias}
    return replace(model, weights={**model.weights, **fitted})
