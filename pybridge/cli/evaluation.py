"""Verbs that evaluate a trained run: on labelled photos, on new ones, and in every runtime."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pybridge.cli.common import ALLOW_OPERATION, FAILED, INPUT_SHAPE, SUCCESS, Verbs, answer, label_flags, set_up, sizes
from pybridge.text import listed, printable


def add(verbs: Verbs) -> None:
    """Declares the verbs of this file."""
    evaluate = verbs.add("evaluate", _evaluate, "measure a run on labelled photos", "pybridge evaluate run test_photos/ --json")
    evaluate.add_argument("run_dir", type=Path, metavar="RUN")
    evaluate.add_argument("folder", type=Path, help="a folder with one folder of images for each class")
    label_flags(evaluate)
    predict = verbs.add("predict", _predict, "name what is on images", "pybridge predict run cat.jpg more/ --json")
    predict.add_argument("run_dir", type=Path, metavar="RUN")
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files or folders of images")
    verify = verbs.add(
        "verify",
        _verify,
        "prove that every runtime computes the same: Python, Node.js, TensorFlow.js on WebAssembly, JavaScript and in a browser",
        "pybridge verify run test_photos/ --html parity.html\npybridge verify model.keras --against exported/ --layers",
    )
    verify.add_argument("model", metavar="RUN_OR_MODEL", help="a run, or a model of any kind that pybridge can load")
    verify.add_argument(
        "inputs", type=Path, nargs="*", metavar="IMAGE", help="image files or folders of images (default, for models: edge cases)"
    )
    verify.add_argument("--against", metavar="MODEL", help="another model, which is to compute the same")
    verify.add_argument("--runtimes", metavar="A,B", help="only these; without it, all that this machine has")
    verify.add_argument("--layers", action="store_true", help="find the first layer that differs, and guess why")
    verify.add_argument("--training", action="store_true", help="compare the training of a run too, weight by weight, bit by bit")
    verify.add_argument("--training-epochs", type=int, default=2, metavar="N", help="for so many epochs (default 2)")
    verify.add_argument("--html", type=Path, metavar="FILE", help="write a report with a heat map of inputs by runtimes")
    verify.add_argument("--input-shape", type=sizes, metavar="C,H,W", help=INPUT_SHAPE)
    verify.add_argument("--allow-operation", action="append", default=[], metavar="NAME", help=ALLOW_OPERATION)
    verify.add_argument(
        "--tolerance", type=_tolerance, metavar="X", help="largest difference that passes (default: derived for each runtime)"
    )


def _evaluate(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.classifier import ImageClassifier

    with ImageClassifier.load(options.run_dir) as classifier:
        measured = classifier.evaluate(options.folder, labels=options.labels, label_from_name=options.label_from_name)
    lines = [
        f"accuracy          {measured['accuracy']:.4f}  on {measured['images']} images",
        f"balanced accuracy {measured['balanced_accuracy']:.4f}",
        f"loss              {measured['loss']:.4f}",
        "",
        f"{'class':24} {'precision':>9} {'recall':>9} {'f1':>9} {'images':>7}",
    ]
    for name, row in measured["per_class"].items():
        lines.append(f"{printable(name):24} {row['precision']:9.3f} {row['recall']:9.3f} {row['f1']:9.3f} {row['support']:7d}")
    answer(options, measured, "\n".join(lines))
    return SUCCESS


def _predict(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.classifier import ImageClassifier
    from pybridge.classifier.inputs import unlabelled_files

    found = _listed(options.images)
    files = [path for path, wrong in found if wrong is None]
    with ImageClassifier.load(options.run_dir) as classifier:
        names = classifier.class_names_
        probabilities, unreadable = classifier.trained_.probabilities_of_readable(unlabelled_files(files, names))
    rows = iter(probabilities)
    answers = [{"error": unreadable[i]} if i in unreadable else _best(next(rows), names) for i in range(len(files))]
    remaining = iter(answers)
    facts = [{"file": str(path), **(next(remaining) if wrong is None else {"error": wrong})} for path, wrong in found]
    answer(options, facts, "\n".join(map(_prediction_line, facts)))
    return FAILED if any("error" in fact for fact in facts) else SUCCESS


def _listed(given: list[Path]) -> list[tuple[Path, str | None]]:
    """The files that are named, in order, each with what is wrong with it; folders give the images in them.

    Raises:
        DataError: None of them is an image.
    """
    from pybridge.data import check_image, pictures_below
    from pybridge.errors import DataError

    found: list[tuple[Path, str | None]] = []
    first: DataError | None = None
    for path in (each.expanduser() for each in given):
        for file in pictures_below(path) if path.is_dir() else [path]:
            try:
                found.append((check_image(file), None))
            except DataError as error:
                first = first or error
                found.append((file, str(error).splitlines()[0]))
    if all(wrong is not None for _, wrong in found):
        raise first or DataError(f"no images in {listed(given)}")
    return found


def _best(row: Any, names: Sequence[str]) -> dict[str, Any]:
    label = int(row.argmax())
    return {"label": names[label], "probability": float(row[label])}


def _prediction_line(fact: dict[str, Any]) -> str:
    if "error" in fact:
        return f"{'not read':24}         {printable(fact['file'])}: {printable(fact['error'].splitlines()[0])}"
    return f"{printable(fact['label']):24} {fact['probability']:6.1%}  {printable(fact['file'])}"


def _verify(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.parity import verify

    report = verify(
        options.model,
        options.inputs or None,
        against=options.against,
        runtimes=options.runtimes.split(",") if options.runtimes else None,
        tolerance=options.tolerance,
        layers=options.layers,
        training=options.training,
        training_epochs=options.training_epochs,
        input_shape=options.input_shape,
        allow_operations=options.allow_operation,
    )
    if options.html is not None:
        report.write_html(options.html, str(options.model))
    answer(options, report.to_dict(), str(report))
    return SUCCESS if report.passed else FAILED


def _tolerance(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must not be negative, but is {text}")
    return value
