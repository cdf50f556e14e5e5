"""Verbs that carry a model elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from pybridge.cli.common import ALLOW_LAMBDA, ALLOW_OPERATION, INPUT_SHAPE, SUCCESS, Verbs, answer, set_up, sizes
from pybridge.saving.formats import FORMATS
from pybridge.tfjs.precision import PACKAGE_PRECISIONS, PRECISIONS


def add(verbs: Verbs) -> None:
    """Declares the verbs of this file."""
    conversion = verbs.add(
        "convert",
        _convert,
        "bring a model into another format, and prove that it answers the same",
        "pybridge convert model.keras web/ --to tfjs_layers --precision float16",
    )
    conversion.add_argument("source", metavar="SOURCE", help="a model, as --base of `pybridge train` takes it")
    conversion.add_argument("destination", type=Path, metavar="DEST", help="a folder that does not exist, or a .keras file")
    conversion.add_argument("--to", default="tfjs_layers", choices=FORMATS, metavar="FORMAT", help=f"{', '.join(FORMATS)}")
    conversion.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="of the weights (default float32)",
    )
    conversion.add_argument("--input-shape", type=sizes, metavar="C,H,W", help=INPUT_SHAPE)
    conversion.add_argument("--signature", metavar="NAME", help="of a SavedModel (default serving_default)")
    conversion.add_argument("--allow-lambda", action="store_true", help=ALLOW_LAMBDA)
    conversion.add_argument("--allow-operation", action="append", default=[], metavar="NAME", help=ALLOW_OPERATION)
    deploying = verbs.add(
        "deploy", _deploy, "make an npm package for Node services", "pybridge deploy run service/model --images photos/"
    )
    deploying.add_argument("run_dir", metavar="RUN", help="a run, or a model as `pybridge convert` takes it")
    deploying.add_argument("dest", type=Path, metavar="DEST", help="a new folder, or that of an earlier package")
    deploying.add_argument("--precision", default="float32", choices=PACKAGE_PRECISIONS, help="of the weights")
    deploying.add_argument("--images", type=Path, metavar="FOLDER", help="photos to prove parity and measure the precision on")
    deploying.add_argument("--saved-model", action="store_true", help="add the form that equals training bit by bit on tfjs-node")
    deploying.add_argument("--name", help="for npm (default: made of DEST)")
    deploying.add_argument("--package-version", default="1.0.0", metavar="X.Y.Z", help="for npm (default 1.0.0)")
    deploying.add_argument(
        "--max-drift",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="of the images whose label may change by the precision, and of accuracy that may be lost (default 0.01)",
    )
    deploying.add_argument(
        "--force", action="store_true", help="deploy where parity failed or was not measured, or the precision costs too much"
    )


def _convert(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.node.conversion import convert

    report = convert(
        options.source,
        options.destination,
        to=options.to,
        precision=options.precision,
        input_shape=options.input_shape,
        signature=options.signature,
        allow_lambda=options.allow_lambda,
        allow_operations=options.allow_operation,
    )
    answer(options, report.to_dict(), str(report))
    return SUCCESS


def _deploy(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.deployment import deploy, describe_drift
    from pybridge.deployment.model_package import shown_signatures

    package = deploy(
        options.run_dir,
        options.dest,
        precision=options.precision,
        images=options.images,
        saved_model=options.saved_model,
        name=options.name,
        version=options.package_version,
        max_drift=options.max_drift,
        force=options.force,
    )
    measured = package.manifest.get("precision_drift")
    drift = f"drift    {options.precision}: {describe_drift(measured)}\n" if measured else ""
    if "signatures" in package.manifest:
        attempt = "\n".join(f"takes    {line}" for line in shown_signatures(package.manifest))
    else:
        attempt = f"try it   node -e \"require('{package.path}').load().then(c => c.classify('photo.jpg')).then(console.log)\""
    text = (
        f"package  {package.path}  ({package.name}, {package.bytes / 1e6:.1f} MB)\n{drift}{attempt}\n"
        f"pack it  npm pack {package.path}"
    )
    answer(options, package.to_dict(), text)
    return SUCCESS
