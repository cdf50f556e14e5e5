"""Verbs that train."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pybridge.cli.common import ALLOW_LAMBDA, FAILED, INPUT_SHAPE, SUCCESS, Verbs, answer, label_flags, say, set_up, sizes
from pybridge.cli.options import add_flags, chosen
from pybridge.training.options import ClassifierOptions, FineTuningOptions

# The options of each verb, in the order of its help.
_TRAIN = (
    "preset",
    "time_limit",
    "head",
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "warmup_epochs",
    "optimizer",
    "weight_decay",
    "global_clipnorm",
    "dropout",
    "hidden_units",
    "label_smoothing",
    "mixup",
    "class_weight",
    "augment",
    "patience",
    "monitor",
    "engine",
    "feature_memory",
    "skip_unreadable",
)
_TUNE_ALONE = ("epochs", "learning_rate", "schedule", "warmup_epochs")
_TUNE = (*_TUNE_ALONE, "augment", "feature_memory", "skip_unreadable")


def add(verbs: Verbs) -> None:
    """Declares the verbs of this file."""
    train = verbs.add("train", _train, "train a classifier on a folder of photos", "pybridge train photos/ --out run --seed 0")
    train.add_argument("folder", type=Path, help="a folder with one folder of images for each class, or a zip file of one")
    label_flags(train)
    train.add_argument(
        "--base",
        default="efficientnet_lite0",
        help="a name of `pybridge zoo`; a model.json's path or URL; a .keras, .h5 or .onnx file; keras.applications.NAME; the "
        "folder of a SavedModel (default efficientnet_lite0)",
    )
    train.add_argument("--input-shape", type=sizes, metavar="C,H,W", help=INPUT_SHAPE)
    train.add_argument("--allow-lambda", action="store_true", help=ALLOW_LAMBDA)
    add_flags(train, ClassifierOptions, _TRAIN)
    train.add_argument(
        "--find-lr", action="store_true", help="train nothing, but try learning rates and suggest one; --out FILE.html draws it"
    )
    train.add_argument("--seed", type=int, help="makes the weights the same, bit for bit, on one machine")
    _run_flags(train)

    tune = verbs.add(
        "fine-tune",
        _fine_tune,
        "go on training with the last layers of the base unfrozen",
        "pybridge fine-tune run photos/ --out tuned --unfreeze 0.3",
    )
    tune.add_argument("run_dir", type=Path, metavar="RUN")
    tune.add_argument("folder", type=Path, help="the photos, with the classes of the run")
    label_flags(tune)
    tune.add_argument("--unfreeze", default="0.3", help='how much trains: 20 layers, a share (0.3), a layer\'s name, or "all"')
    add_flags(tune, FineTuningOptions, _TUNE)
    # None leaves it as the run has it.
    tune.set_defaults(augment=None)
    _run_flags(tune)


def _train(options: argparse.Namespace) -> int:
    if options.find_lr:
        _check_curve(options)
    else:
        _check_out(options)
    set_up()
    from pybridge.classifier import ImageClassifier

    with (
        ImageClassifier(
            base=options.base,
            input_shape=options.input_shape,
            allow_lambda=options.allow_lambda,
            **chosen(options, _TRAIN),
            seed=options.seed,
        ) as classifier,
        # One for tracing and for the proof.
        classifier.session.tensorflow() as tensorflow,
    ):
        if options.find_lr:
            return _find_rate(options, classifier)
        classifier.fit(
            options.folder,
            labels=options.labels,
            label_from_name=options.label_from_name,
            validation_split=options.validation_split,
            validation_data=options.validation,
            run_dir=options.out,
            resume=options.resume,
            callbacks=[epoch_lines(), _starting(tensorflow)],
        )
        return _prove_and_report(options, classifier)


def _fine_tune(options: argparse.Namespace) -> int:
    _check_out(options)
    set_up()
    from pybridge.classifier import ImageClassifier

    with ImageClassifier.load(options.run_dir) as classifier, classifier.session.tensorflow() as tensorflow:
        classifier.set_params(skip_unreadable=options.skip_unreadable or classifier.skip_unreadable)
        classifier.set_params(feature_memory=options.feature_memory)
        if options.augment is not None:
            classifier.set_params(augment=options.augment)
        classifier.fine_tune(
            options.folder,
            labels=options.labels,
            label_from_name=options.label_from_name,
            unfreeze=_unfreeze(options.unfreeze),
            **chosen(options, _TUNE_ALONE),
            validation_split=0.2 if options.validation_split is None else options.validation_split,
            validation_data=options.validation,
            run_dir=options.out,
            resume=options.resume,
            callbacks=[epoch_lines(before=len(classifier.history_)), _starting(tensorflow)],
        )
        return _prove_and_report(options, classifier)


def _find_rate(options: argparse.Namespace, classifier: Any) -> int:
    curve = classifier.find_learning_rate(options.folder, labels=options.labels, label_from_name=options.label_from_name)
    if options.out is not None:
        curve.write_html(options.out)
    drawn = "" if options.out is None else f"\nthe curve     {options.out}"
    next_step = f"next          pybridge train {options.folder} --out RUN --learning-rate {curve.suggestion:.2g}"
    answer(options, curve.to_dict(), f"{curve}{drawn}\n{next_step}")
    return SUCCESS


def _check_curve(options: argparse.Namespace) -> None:
    if options.resume:
        raise ValueError("--find-lr looks for a learning rate and trains no run that --resume could go on with; leave it out")
    if options.out is not None and options.out.is_dir():
        raise ValueError(
            f"--find-lr writes the curve to an HTML file, but --out {options.out} is a folder; name a file, such as lr.html"
        )


def _check_out(options: argparse.Namespace) -> None:
    if options.out is None:
        raise ValueError("the following arguments are required: --out")


def _run_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder for the run; must not exist yet")
    parser.add_argument("--validation", type=Path, metavar="FOLDER", help="photos to judge by, instead of a share of the others")
    parser.add_argument(
        "--validation-split", type=float, metavar="X", help="share kept to judge by (default 0.2, or none for a fitted head)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in RUN")


def _unfreeze(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def epoch_lines(before: int = 0) -> Any:
    """Epochs as lines of a log, for where no progress bar is shown; ``before`` were trained earlier."""
    from pybridge.training.callbacks import LambdaCallback

    def show(epoch: int, logs: dict[str, float]) -> None:
        if not sys.stderr.isatty():
            shown = (f"{name} {value:.4f}" for name, value in logs.items() if name != "learning_rate")
            # What is fitted has no rate.
            word = "epoch" if "learning_rate" in logs else "step"
            say(f"{word} {before + epoch + 1}: " + "  ".join(shown))

    return LambdaCallback(on_epoch_end=show)


def _starting(tensorflow: Any) -> Any:
    """Lets TensorFlow, which the proof needs, start while Node.js trains."""
    from pybridge.training.callbacks import LambdaCallback

    return LambdaCallback(on_train_begin=lambda _: tensorflow.start())


def _prove_and_report(options: argparse.Namespace, classifier: Any) -> int:
    from pybridge.parity import prove

    parity = prove(classifier, options.out)
    history, data = classifier.history_, classifier.trained_.record.data
    facts = {
        "run": str(options.out),
        "base": options.base if "base" in options else classifier.base,
        "labels": list(classifier.class_names_),
        "seed": classifier.seed_,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "engine": history.engine,
        "judged_by": data.get("judged_by"),
        "comparison": data.get("comparison"),
        "advice": data.get("advice"),
        "head": data.get("head"),
        **classifier.metrics_,
        "parity": None if parity is None else parity.to_dict(),
    }
    text = (
        f"{_verdict(classifier)}{_parity_line(parity)}"
        f"run      {options.out}\nreport   {options.out / 'report.html'}\n"
        f"next     pybridge predict {options.out} IMAGE...   or   pybridge verify {options.out} FOLDER\n"
        f"helps    {data.get('advice', 'train it anew: what would help is measured in training')}"
    )
    answer(options, facts, text)
    return SUCCESS if parity is None or parity.passed else FAILED


def _verdict(classifier: Any) -> str:
    """What came out, for people: how often it is right, on which images, and what they were to it."""
    from pybridge.heads import HeadSetting
    from pybridge.report.metrics import wilson_interval

    record, metrics, history = classifier.trained_.record, classifier.metrics_, classifier.history_
    counts = [sum(part.values()) for part in (record.data["training"], record.data["validation"])]
    images = record.data.get("judged_images", counts[1] or counts[0])
    low, high = wilson_interval(round(metrics["accuracy"] * images), images)
    lines = [f"accuracy {metrics['accuracy']:.4f} ({low:.3f} to {high:.3f})"]
    if record.data.get("uneven"):
        uneven = f"over the classes, which are uneven; macro F1 {metrics['macro_f1']:.4f}"
        lines.append(f"balanced {metrics['balanced_accuracy']:.4f}, the mean {uneven}")
    head = record.data.get("head")
    judged_by = record.data.get("judged_by", "validation" if counts[1] else "training")
    if judged_by == "held-out folds":
        lines.append(f"judged   on all {images} images, each by a head that had not seen it ({head['folds']} folds)")
    elif judged_by == "validation":
        lines.append(f"judged   on {images} images kept to judge by; trained on {counts[0]}")
    else:
        lines.append(f"judged   on the {images} images that it was trained on: no measure of new ones")
    if (comparison := record.data.get("comparison")) is not None:
        lines.append(f"tuning   {_tuning(comparison)}")
    if head is not None:
        strength = "" if head["C"] is None else f", C {head['C']:.3g}"
        lines.append(f"head     {HeadSetting.from_dict(head)}{strength}, fitted to all {counts[0]} training images")
    else:
        lines.append(f"head     trained in epochs; the weights are those of epoch {history.best_epoch} of {len(history)}")
    return "\n".join(lines) + "\n"


def _tuning(comparison: dict[str, Any]) -> str:
    """What fine-tuning was good for, measured on the same photos before and after."""
    measure = comparison["measure"].replace("_", " ")
    change = f"{comparison['before']:.4f} to {comparison['after']:.4f}"
    doubt = f"accuracy {100 * comparison['low']:+.1f} to {100 * comparison['high']:+.1f} points"
    told = f"{measure} {change} on {comparison['images']} photos kept to judge by ({doubt}, 95 % interval)"
    return f"helped: {told}" if comparison["helped"] else f"did not help, the head stays as it was: {told}"


def _parity_line(parity: Any) -> str:
    if parity is None:
        return ""
    result = parity.runtimes[0]
    equal = "equal to the last bit" if result.identical else f"differ by up to {result.max_abs_diff:.3g}"
    return f"parity   Node and Python are {equal} on {parity.images} images\n"
