"""The command line. Each verb reads its arguments, calls the package, and prints the answer."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pybridge
from pybridge.errors import BridgeError, DataError, ModelFormatError

SUCCESS, FAILED, MISUSED = 0, 1, 2

_FORMATS = ("tfjs_layers", "tfjs_graph", "saved_model", "keras")
_ALLOW_LAMBDA = "run the Python code in Lambda layers of a Keras file; only where you trust its author"
_INPUT_SHAPE = "of one example, for ONNX files with free sizes"

# What the user can mend by another argument; everything else means that the thing asked failed.
_MISTAKES = (DataError, ModelFormatError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit code: 0 success, 1 the thing asked failed, 2 the user's mistake.
    """
    options = _parser().parse_args(arguments)
    _configure_logging(options.verbose)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return _complain("Interrupted.", 130)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again when it flushes at exit.
        sys.stdout = None
        return FAILED
    except _MISTAKES as error:
        return _complain(str(error), MISUSED)
    except BridgeError as error:
        return _complain(str(error), FAILED)
    except OSError as error:
        # A full disk, a folder that is read-only: nothing in pybridge can mend it.
        place = f": {error.filename}" if error.filename else ""
        return _complain(f"{error.strerror or error}{place}", FAILED)
    return code


def _doctor(options: argparse.Namespace) -> int:
    from pybridge.runtime import doctor

    report = doctor(report=_say)
    _answer(options, report.to_dict(), str(report))
    return SUCCESS if report.ok else FAILED


def _setup(options: argparse.Namespace) -> int:
    from pybridge.runtime import ensure

    runtime = ensure(report=_say, force=options.force)
    facts = {
        "node": str(runtime.node),
        "node_version": runtime.node_version,
        "tensorflow_version": runtime.tensorflow_version,
        "node_modules": str(runtime.node_modules),
        "addon": str(runtime.addon),
    }
    _answer(options, facts, "\n".join(f"{name:18} {value}" for name, value in facts.items()))
    return SUCCESS


def _demo(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.demo import run_demo

    say = _say if options.json else print
    result = run_demo(options.out, say, [_epoch_lines()])
    advice = (
        f"\nNext:\n  pybridge predict {result['run']} {result['test_photos']}/*/*.png\n"
        f"  pybridge verify {result['run']} {result['test_photos']}\n"
        f"  pybridge train YOUR_PHOTOS --out YOUR_RUN\n"
        f"The report, with pictures: {result['run']}/report.html"
    )
    _answer(options, result, advice)
    return SUCCESS


def _zoo(options: argparse.Namespace) -> int:
    from pybridge.models import zoo

    entries = zoo.list()
    _answer(options, [entry.to_dict() for entry in entries], zoo.table(entries))
    return SUCCESS


def _train(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.classifier import ImageClassifier

    with ImageClassifier(
        base=options.base,
        input_shape=options.input_shape,
        allow_lambda=options.allow_lambda,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        hidden_units=options.hidden_units,
        label_smoothing=options.label_smoothing,
        schedule=options.schedule,
        warmup_epochs=options.warmup_epochs,
        mixup=options.mixup,
        **({"engine": options.engine} if options.engine else {}),
        class_weight="balanced" if options.balanced else None,
        patience=options.patience if options.patience > 0 else None,
        augment=options.augment or False,
        skip_unreadable=options.skip_unreadable,
        seed=options.seed,
    ) as classifier:
        classifier.fit(
            options.folder,
            validation_split=options.validation_split,
            validation_data=options.validation,
            run_dir=options.out,
            resume=options.resume,
            callbacks=[_epoch_lines()],
        )
        return _prove_and_report(options, classifier)


def _fine_tune(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.classifier import ImageClassifier

    with ImageClassifier.load(options.run_dir) as classifier:
        classifier.set_params(skip_unreadable=options.skip_unreadable or classifier.skip_unreadable)
        if options.augment is not None:
            classifier.set_params(augment=options.augment)
        classifier.fine_tune(
            options.folder,
            unfreeze=_unfreeze(options.unfreeze),
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            validation_split=options.validation_split,
            validation_data=options.validation,
            run_dir=options.out,
            resume=options.resume,
            callbacks=[_epoch_lines(before=len(classifier.history_))],
        )
        return _prove_and_report(options, classifier)


def _evaluate(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.classifier import ImageClassifier

    with ImageClassifier.load(options.run_dir) as classifier:
        measured = classifier.evaluate(options.folder)
    lines = [
        f"accuracy          {measured['accuracy']:.4f}  on {measured['images']} images",
        f"balanced accuracy {measured['balanced_accuracy']:.4f}",
        f"loss              {measured['loss']:.4f}",
        "",
        f"{'class':24} {'precision':>9} {'recall':>9} {'f1':>9} {'images':>7}",
    ]
    for name, row in measured["per_class"].items():
        lines.append(f"{name:24} {row['precision']:9.3f} {row['recall']:9.3f} {row['f1']:9.3f} {row['support']:7d}")
    _answer(options, measured, "\n".join(lines))
    return SUCCESS


def _predict(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.classifier import ImageClassifier
    from pybridge.data import list_images

    files = list_images(options.images)
    with ImageClassifier.load(options.run_dir) as classifier:
        probabilities = classifier.predict_proba(files)
        names = classifier.class_names_
    best = probabilities.argmax(axis=1)
    facts = [
        {"file": str(file), "label": names[label], "probability": float(row[label])}
        for file, label, row in zip(files, best, probabilities, strict=True)
    ]
    _answer(options, facts, "\n".join(f"{fact['label']:24} {fact['probability']:6.1%}  {fact['file']}" for fact in facts))
    return SUCCESS


def _verify(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.parity import verify

    report = verify(
        options.model,
        options.inputs or None,
        against=options.against,
        runtimes=options.runtimes.split(",") if options.runtimes else None,
        tolerance=options.tolerance,
        layers=options.layers,
        input_shape=options.input_shape,
    )
    if options.html is not None:
        report.write_html(options.html, str(options.model))
    _answer(options, report.to_dict(), str(report))
    return SUCCESS if report.passed else FAILED


def _convert(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.conversion import convert

    report = convert(
        options.source,
        options.destination,
        to=options.to,
        precision=options.precision,
        input_shape=options.input_shape,
        signature=options.signature,
        allow_lambda=options.allow_lambda,
    )
    _answer(options, report.to_dict(), str(report))
    return SUCCESS


def _deploy(options: argparse.Namespace) -> int:
    _set_up()
    from pybridge.deployment import deploy

    package = deploy(
        options.run_dir,
        options.dest,
        precision=options.precision,
        images=options.images,
        saved_model=options.saved_model,
        name=options.name,
        version=options.package_version,
        force=options.force,
    )
    text = (
        f"package  {package.path}  ({package.name}, {package.bytes / 1e6:.1f} MB)\n"
        f"try it   node -e \"require('{package.path}').load().then(c => c.classify('photo.jpg')).then(console.log)\"\n"
        f"pack it  npm pack {package.path}"
    )
    _answer(options, package.to_dict(), text)
    return SUCCESS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pybridge",
        description="Train image classifiers in Node.js from Python, and prove that both agree.",
        epilog="New here? `pybridge demo` trains on real pictures in about a minute.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pybridge {pybridge.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--json", action="store_true", help="print one JSON document on stdout, nothing else")
        sub.add_argument("--verbose", "-v", action="store_true", help="show what Node.js and pybridge log")
        sub.set_defaults(run=run)
        return sub

    verb("doctor", _doctor, "say what was found on this machine, and what to do about what is wrong", "pybridge doctor --json")
    setup = verb("setup", _setup, "install the Node.js side ahead of time", "pybridge setup")
    setup.add_argument("--force", action="store_true", help="install anew what is there already")
    demo = verb("demo", _demo, "train on real pictures that come along, and show the result", "pybridge demo --out demo")
    demo.add_argument("--out", type=Path, help="folder for pictures and run (default: a new temporary one)")
    verb("zoo", _zoo, "list the base models that can be used by name", "pybridge zoo")

    train = verb("train", _train, "train a classifier on a folder of photos", "pybridge train photos/ --out run --seed 0")
    train.add_argument("folder", type=Path, help="a folder with one folder of images for each class")
    train.add_argument(
        "--base",
        default="efficientnet_lite0",
        help="a name of `pybridge zoo`; a model.json's path or URL; a .keras, .h5 or .onnx file; keras.applications.NAME; the "
        "folder of a SavedModel (default efficientnet_lite0)",
    )
    train.add_argument("--input-shape", type=_sizes, metavar="C,H,W", help=_INPUT_SHAPE)
    train.add_argument("--allow-lambda", action="store_true", help=_ALLOW_LAMBDA)
    train.add_argument("--batch-size", type=int, default=32, metavar="N", help="images in a step (default 32)")
    train.add_argument("--optimizer", default="adam", choices=("adam", "adamw", "rmsprop", "sgd"))
    train.add_argument("--weight-decay", type=float, default=0.0, metavar="X")
    train.add_argument("--dropout", type=float, default=0.2, metavar="X", help="share of features dropped (default 0.2)")
    train.add_argument("--hidden-units", type=int, default=0, metavar="N", help="a ReLU layer before the output (default none)")
    train.add_argument("--label-smoothing", type=float, default=0.0, metavar="X")
    train.add_argument("--schedule", default="constant", choices=("constant", "cosine", "one_cycle"), help="of the learning rate")
    train.add_argument("--warmup-epochs", type=float, default=0.0, metavar="N", help="epochs over which the rate rises")
    train.add_argument("--mixup", type=float, default=0.0, metavar="X", help="train on mixtures of examples; 0.1 to 0.4 is usual")
    train.add_argument(
        "--engine",
        default=None,
        choices=("compiled", "layers"),
        help="compiled: a graph that Python's Keras traces; layers: TensorFlow.js alone",
    )
    train.add_argument("--balanced", action="store_true", help="let rare classes weigh as much as common ones")
    train.add_argument(
        "--patience", type=int, default=5, metavar="N", help="epochs without improvement; 0 trains all (default 5)"
    )
    train.add_argument("--seed", type=int, help="makes the weights the same, bit for bit, on one machine")
    _training_options(train, epochs=30, learning_rate=3e-3)

    tune = verb(
        "fine-tune",
        _fine_tune,
        "go on training with the last layers of the base unfrozen",
        "pybridge fine-tune run photos/ --out tuned --unfreeze 0.3",
    )
    tune.add_argument("run_dir", type=Path, metavar="RUN")
    tune.add_argument("folder", type=Path, help="the photos, with the classes of the run")
    tune.add_argument("--unfreeze", default="0.3", help='how much trains: 20 layers, a share (0.3), a layer\'s name, or "all"')
    _training_options(tune, epochs=10, learning_rate=1e-5)

    evaluate = verb("evaluate", _evaluate, "measure a run on labelled photos", "pybridge evaluate run test_photos/ --json")
    evaluate.add_argument("run_dir", type=Path, metavar="RUN")
    evaluate.add_argument("folder", type=Path, help="a folder with one folder of images for each class")
    predict = verb("predict", _predict, "name what is on images", "pybridge predict run cat.jpg more/ --json")
    predict.add_argument("run_dir", type=Path, metavar="RUN")
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files or folders of images")
    verify = verb(
        "verify",
        _verify,
        "prove that every runtime computes the same: Python, Node.js, TensorFlow.js on WebAssembly, JavaScript and in a browser",
        "pybridge verify run test_photos/ --html parity.html\n  pybridge verify model.keras --against exported/ --layers",
    )
    verify.add_argument("model", metavar="RUN_OR_MODEL", help="a run, or a model of any kind that pybridge can load")
    verify.add_argument(
        "inputs", type=Path, nargs="*", metavar="IMAGE", help="image files or folders of images (default, for models: edge cases)"
    )
    verify.add_argument("--against", metavar="MODEL", help="another model, which is to compute the same")
    verify.add_argument("--runtimes", metavar="A,B", help="only these; without it, all that this machine has")
    verify.add_argument("--layers", action="store_true", help="find the first layer that differs, and guess why")
    verify.add_argument("--html", type=Path, metavar="FILE", help="write a report with a heat map of inputs by runtimes")
    verify.add_argument("--input-shape", type=_sizes, metavar="C,H,W", help=_INPUT_SHAPE)
    verify.add_argument(
        "--tolerance", type=_tolerance, metavar="X", help="largest difference that passes (default: derived for each runtime)"
    )
    conversion = verb(
        "convert",
        _convert,
        "bring a model into another format, and prove that it answers the same",
        "pybridge convert model.keras web/ --to tfjs_layers --precision float16",
    )
    conversion.add_argument("source", metavar="SOURCE", help="a model, as --base of `pybridge train` takes it")
    conversion.add_argument("destination", type=Path, metavar="DEST", help="a folder that does not exist, or a .keras file")
    conversion.add_argument("--to", default="tfjs_layers", choices=_FORMATS, metavar="FORMAT", help=f"{', '.join(_FORMATS)}")
    conversion.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "float16", "uint16", "uint8"),
        help="of the weights (default float32)",
    )
    conversion.add_argument("--input-shape", type=_sizes, metavar="C,H,W", help=_INPUT_SHAPE)
    conversion.add_argument("--signature", metavar="NAME", help="of a SavedModel (default serving_default)")
    conversion.add_argument("--allow-lambda", action="store_true", help=_ALLOW_LAMBDA)
    deploying = verb(
        "deploy", _deploy, "make an npm package for Node services", "pybridge deploy run service/model --images photos/"
    )
    deploying.add_argument("run_dir", type=Path, metavar="RUN")
    deploying.add_argument("dest", type=Path, metavar="DEST", help="a new folder, or that of an earlier package")
    deploying.add_argument("--precision", default="float32", choices=("float32", "float16", "uint8"), help="of the weights")
    deploying.add_argument("--images", type=Path, metavar="FOLDER", help="photos to prove parity and measure the precision on")
    deploying.add_argument("--saved-model", action="store_true", help="add the form that equals training bit by bit on tfjs-node")
    deploying.add_argument("--name", help="for npm (default: made of DEST)")
    deploying.add_argument("--package-version", default="1.0.0", metavar="X.Y.Z", help="for npm (default 1.0.0)")
    deploying.add_argument("--force", action="store_true", help="deploy where parity failed or was not measured")
    return parser


def _training_options(parser: argparse.ArgumentParser, *, epochs: int, learning_rate: float) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for the run; must not exist yet")
    parser.add_argument("--epochs", type=int, default=epochs, metavar="N", help=f"epochs at most (default {epochs})")
    parser.add_argument("--learning-rate", type=float, default=learning_rate, metavar="X", help=f"default {learning_rate:g}")
    parser.add_argument("--validation", type=Path, metavar="FOLDER", help="photos to judge by, instead of a share of the others")
    parser.add_argument("--validation-split", type=float, default=0.2, metavar="X", help="share kept to judge by (default 0.2)")
    parser.add_argument("--augment", type=int, metavar="VIEWS", help="views of each photo: itself, and crops of it")
    parser.add_argument("--skip-unreadable", action="store_true", help="leave out images that cannot be decoded")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in RUN")


def _unfreeze(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _tolerance(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must not be negative, but is {text}")
    return value


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between, not {text!r}") from None


def _set_up() -> None:
    from pybridge.runtime import ensure

    ensure(report=_say)


def _epoch_lines(before: int = 0) -> Any:
    """Epochs as lines of a log, for where no progress bar is shown; ``before`` were trained earlier."""
    from pybridge.training.callbacks import LambdaCallback

    def show(epoch: int, logs: dict[str, float]) -> None:
        if not sys.stderr.isatty():
            shown = (f"{name} {value:.4f}" for name, value in logs.items() if name != "learning_rate")
            _say(f"epoch {before + epoch + 1}: " + "  ".join(shown))

    return LambdaCallback(on_epoch_end=show)


def _prove_and_report(options: argparse.Namespace, classifier: Any) -> int:
    from pybridge.parity import prove

    parity = prove(classifier, options.out)
    history = classifier.history_
    facts = {
        "run": str(options.out),
        "base": options.base if "base" in options else classifier.base,
        "labels": list(classifier.class_names_),
        "seed": classifier.seed_,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        **classifier.metrics_,
        "parity": None if parity is None else parity.to_dict(),
    }
    text = (
        f"accuracy {classifier.metrics_['accuracy']:.4f} on the images kept to judge by, "
        f"after epoch {history.best_epoch} of {len(history)}\n{_parity_line(parity)}"
        f"run      {options.out}\nreport   {options.out / 'report.html'}\n"
        f"next     pybridge predict {options.out} IMAGE...   or   pybridge verify {options.out} FOLDER"
    )
    _answer(options, facts, text)
    return SUCCESS if parity is None or parity.passed else FAILED


def _parity_line(parity: Any) -> str:
    if parity is None:
        return ""
    result = parity.runtimes[0]
    equal = "equal to the last bit" if result.identical else f"differ by up to {result.max_abs_diff:.3g}"
    return f"parity   Node and Python are {equal} on {parity.images} images\n"


def _answer(options: argparse.Namespace, facts: Any, text: str) -> None:
    print(json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) if options.json else text, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _complain(text: str, code: int) -> int:
    _say(f"pybridge: {text}")
    return code


def _configure_logging(verbose: bool) -> None:
    logging.basicConfig(format="%(name)s: %(message)s" if verbose else "%(message)s", stream=sys.stderr)
    logging.getLogger("pybridge").setLevel(logging.DEBUG if verbose else logging.WARNING)
