"""Makes an npm package of a run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge._version import __version__
from pybridge.classifier.trained import TrainedClassifier, TrainingResult
from pybridge.deployment.destination import check_destination
from pybridge.deployment.documents import package_json, package_name, readme
from pybridge.deployment.drift import MAX_DRIFT, check_drift, drift, image_set
from pybridge.deployment.graph_form import write_graph_form
from pybridge.deployment.javascript import BROWSER_FILE, browser_entry, package_sources
from pybridge.deployment.manifest import (
    CHECK_HEIGHT,
    CHECK_TOLERANCE,
    CHECK_WIDTH,
    DESCRIPTION_FILE,
    FORMAT,
    MANIFEST_FILE,
    check_picture,
    description,
    file_hashes,
)
from pybridge.deployment.model_package import is_model, write_model_package
from pybridge.deployment.weight_equalization import equalized
from pybridge.errors import DataError, ParityError
from pybridge.graphs import Program
from pybridge.node import Node
from pybridge.parity.runs import verify_run
from pybridge.session import Session
from pybridge.storage.folders import staged_folder
from pybridge.tfjs.custom_layers import FILE_NAME as LAYERS_FILE
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.precision import PACKAGE_PRECISIONS, PackagePrecision
from pybridge.training.run_directory import RunDirectory

_NAME = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]{0,213}")
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


@dataclass(frozen=True)
class DeployedPackage:
    """What `deploy` wrote.

    Attributes:
        path: The package's folder.
        name: Its name for npm.
        manifest: What its ``manifest.json`` says.
        bytes: Size of all files.
    """

    path: Path
    name: str
    manifest: dict[str, Any]
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without the files' hashes."""
        facts = {key: value for key, value in self.manifest.items() if key not in ("files", "format", "version")}
        return {"path": str(self.path), "name": self.name, "bytes": self.bytes, "files": len(self.manifest["files"]), **facts}


def deploy(
    run: Any,
    dest: str | Path,
    *,
    precision: PackagePrecision = "float32",
    images: Any = None,
    saved_model: bool = False,
    name: str | None = None,
    version: str = "1.0.0",
    max_drift: float = MAX_DRIFT,
    force: bool = False,
    node: Node | None = None,
) -> DeployedPackage:
    """Writes an npm package that classifies images in a Node service as the run does, or predicts as a model does.

    The package appears in one step: until then ``dest`` is as it was. An earlier package in ``dest`` is replaced.

    Args:
        run: A run directory; or any model that `Node.load_model` opens, whose package then takes and gives tensors.
        dest: A new or empty folder, or one with an earlier package.
        precision: How weights are stored: ``float32``, ``float16`` (half the size) or ``uint8`` (a quarter).
        images: Images to prove parity and to measure the precision on: best those that training was judged by, as a folder
            with one folder for each class (gives accuracies too); or image files, or pixels. Without them the parity that
            the training recorded counts.
        saved_model: Add the SavedModel form, which gives the same bits as training on the same TensorFlow (twice the size).
        name: For npm; by default made of the folder's name.
        version: For npm.
        max_drift: What a lower precision may cost on ``images``: the largest share of images whose label changes, and the
            largest loss of accuracy where their labels are known. 0.01 by default: one image in a hundred.
        force: Deploy where parity failed or was not measured, or where the precision costs more than ``max_drift``.
        node: A `Node` to work in; by default one is started.

    Returns:
        What was written.

    Raises:
        ParityError: Node and Python disagree, nobody has compared them, or the precision costs too much.
        DataError: An argument cannot be used.
        ModelFormatError: There is no such run, or its files were altered.
        BridgeError: ``dest`` holds something else.

    Example:
        >>> pb.deploy("run/", "service/model/", precision="float16", images="validation/")
    """
    dest = Path(dest).absolute()
    name = package_name(dest.name) if name is None else name
    _check_arguments(precision, images, saved_model, name, version, max_drift, force)
    check_destination(dest)
    if is_model(run):
        manifest = write_model_package(run, dest, precision=precision, name=name, version=version, node=node)
        return DeployedPackage(dest, name, manifest, _size(dest))
    result = TrainingResult.read(RunDirectory(run))
    record, model = result.record, result.model
    with Session(None if node is None else node.runner) as session, session.tensorflow():
        classifier = TrainedClassifier(result, session)
        parity = _parity(classifier, images, run, force)
        with staged_folder(dest, replace=True) as folder:
            _write_sources(folder)
            (equalized(model) if precision == "uint8" else model).write(folder / "model", precision=precision)
            stored = LayersModel.read(folder / "model") if precision != "float32" else model
            measured = _measure(classifier, stored, images, precision)
            if measured.drift is not None:
                measured.drift["limit"] = max_drift
                if not force:
                    check_drift(measured.drift, precision)
            form = _write_saved_model(classifier.programs, folder) if saved_model else None
            manifest = {
                "format": FORMAT,
                "version": 1,
                "labels": list(record.class_names),
                "preprocessing": record.preprocessing.to_dict(),
                "base": record.base["name"],
                "model": {
                    "file": "model/model.json",
                    "layers": f"model/{LAYERS_FILE}" if (folder / "model" / LAYERS_FILE).exists() else None,
                    "precision": precision,
                    "parameters": model.parameters,
                    "sha256": model.sha256(),
                },
                "graph": write_graph_form(model, folder, session) if precision == "float32" else None,
                "saved_model": form and {"tensorflow": session.runtime.tensorflow_version, **form},
                "metrics": record.metrics,
                "judged": _judged(record.data),
                "parity": parity,
                "precision_drift": measured.drift,
                "check": {
                    "width": CHECK_WIDTH,
                    "height": CHECK_HEIGHT,
                    "labels": list(record.class_names),
                    "probabilities": [float(value) for value in measured.check],
                    "tolerance": CHECK_TOLERANCE,
                },
                "versions": {**record.versions, "pybridge": __version__},
            }
            (folder / DESCRIPTION_FILE).write_bytes(description(manifest))
            forms = (folder / "model", folder / "graph")
            fetched = sorted(file.relative_to(folder).as_posix() for form in forms if form.exists() for file in form.iterdir())
            (folder / BROWSER_FILE).write_bytes(browser_entry([MANIFEST_FILE, *fetched]))
            (folder / "README.md").write_bytes(readme(name, manifest))
            manifest["files"] = file_hashes(folder)
            (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
            labels = f"{len(record.class_names)} labels"
            layers = manifest["model"]["layers"]
            (folder / "package.json").write_bytes(package_json(name, version, f"An image classifier with {labels}", layers))
            size = _size(folder)
            check_destination(dest)
    return DeployedPackage(dest, name, manifest, size)


def _judged(data: Mapping[str, Any]) -> dict[str, Any]:
    """On which images the metrics were measured, and what they were to the model."""
    counts = [sum(data.get(part, {}).values()) for part in ("validation", "training")]
    return {"by": data.get("judged_by"), "images": data.get("judged_images", counts[0] or counts[1])}


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _check_arguments(
    precision: PackagePrecision, images: Any, saved_model: bool, name: str, version: str, max_drift: float, force: bool
) -> None:
    if precision not in PACKAGE_PRECISIONS:
        raise DataError(f"precision must be one of {', '.join(PACKAGE_PRECISIONS)}, not {precision!r}")
    if precision != "float32" and images is None and not force:
        raise DataError(
            f"Nothing is known of what {precision} costs this model",
            hint="Give images to measure it on, best those that training was judged by; or force it.",
        )
    if not 0 <= max_drift <= 1:
        raise DataError(f"max_drift must be a share from 0 to 1, not {max_drift!r}")
    if saved_model and precision != "float32":
        raise DataError(f"The SavedModel form is float32, not {precision}", hint="Leave one of the two away.")
    if not _NAME.fullmatch(name):
        raise DataError(f"{name!r} is not a name for an npm package", hint="Use small letters, digits and hyphens.")
    if not _VERSION.fullmatch(version):
        raise DataError(f"{version!r} is not a version such as 1.0.0")


def _parity(classifier: TrainedClassifier, images: Any, run: str | Path, force: bool) -> dict[str, Any] | None:
    if images is not None:
        chosen, _ = image_set(images, classifier.record.class_names)
        found: dict[str, Any] | None = verify_run(classifier, chosen, runtimes=["node"]).to_dict()
    else:
        found = classifier.record.data.get("parity")
    if not force and found is None:
        raise ParityError(
            f"Nobody has compared Node and Python for {run}",
            hint="Give images to compare them on (--images FOLDER), or deploy with force.",
        )
    if not force and found is not None and not found["passed"]:
        raise ParityError(f"Node and Python disagree about {run}", hint="See `pybridge verify`; force deploys all the same.")
    return found and _without_files(found)


def _without_files(parity: dict[str, Any]) -> dict[str, Any]:
    """The figures; names of the user's files do not belong into a package."""
    kept = ("name", "status", "max_abs_diff", "max_abs_diff_features", "max_ulp_diff", "label_agreement", "identical")
    return {
        **{key: parity[key] for key in ("passed", "reference", "tolerance", "images") if key in parity},
        "runtimes": {runtime: {key: row[key] for key in kept if key in row} for runtime, row in dict(parity["runtimes"]).items()},
    }


@dataclass(frozen=True)
class _Measured:
    check: NDArray[np.float32]
    drift: dict[str, float | int] | None


def _measure(
    classifier: TrainedClassifier,
    stored: LayersModel,
    images: Any,
    precision: PackagePrecision,
) -> _Measured:
    record, session = classifier.record, classifier.session
    pattern = check_picture(record.class_names)
    if precision == "float32":
        return _Measured(classifier.probabilities(pattern)[0], None)
    lowered = session.programs([record.preprocessing, stored])
    check = session.extractor.compute(lowered, pattern)[0]
    if images is None:
        return _Measured(check, None)
    chosen, known = image_set(images, record.class_names)
    labels = chosen.labels if known else None
    return _Measured(check, drift(classifier.probabilities(chosen), session.extractor.compute(lowered, chosen), labels))


def _write_sources(folder: Path) -> None:
    for name, content in package_sources().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _write_saved_model(programs: Sequence[Program], folder: Path) -> dict[str, Any]:
    """Copies the programs: the first one decodes and prepares, the others are the model."""

    def copy(number: int) -> str:
        name = f"saved_model/{number}"
        (folder / name).mkdir(parents=True)
        shutil.copyfile(programs[number].folder / "saved_model.pb", folder / name / "saved_model.pb")
        return name

    files = programs[0].signatures["files"]
    images = {"folder": copy(0), "inputs": [spec.tensor for spec in files.inputs], "output": files.output.tensor}
    stages = []
    for number, program in enumerate(programs[1:], 1):
        signature = program.signatures["default"]
        stages.append({"folder": copy(number), "input": signature.inputs[0].tensor, "output": signature.output.tensor})
    return {"images": images, "stages": stages}
