"""What all peers work on: the same pictures, the same models with the same weights, in a folder that each of them reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.benchmark.peers.workload import FINE_TUNING_RATE, HEAD_RATE, SCRIPT, WORKLOAD_FILE, Workload
from pybridge.benchmark.pictures import cut_pictures, own_pictures
from pybridge.benchmark.sizes import Sizes
from pybridge.classifier import ImageClassifier
from pybridge.classifier.transfers import without_head
from pybridge.data import ImageSet, Preprocessing
from pybridge.node import Node
from pybridge.node.conversion import convert
from pybridge.runtime.bundle import find_bundle
from pybridge.tfjs.cuts import choose_cut
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import layer_names, truncate
from pybridge.training.head import POOLING_LAYER
from pybridge.training.transfer import trainable_part

UNFREEZE = 1 / 3
_SEED = 0
_EPOCHS = 3
_NOISE = 0.5


def make_workload(folder: Path, sizes: Sizes, *, base: str, images: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Trains a small classifier, and writes it in the form that each peer reads, with pictures and arrays.

    Args:
        folder: An empty folder.
        sizes: How much will be measured.
        base: The base model, as `ImageClassifier` takes it.
        images: A folder with one folder of JPEG files for each class; None for crops of scikit-learn's photos.
        say: Told what is being done.

    Returns:
        What ``workload.json`` holds.

    Raises:
        DataError: The pictures cannot be used.
        ModelFormatError: The base cannot be used.
    """
    say("Preparing pictures and models")
    photos = folder / "photos"
    found = cut_pictures(photos, sizes.pictures) if images is None else own_pictures(images, photos, sizes.pictures)
    order = np.random.default_rng(_SEED).permutation(len(found))
    files, labels = [Path(found.images[i]) for i in order], found.labels[order]
    _link(files[: sizes.partial], photos, folder / "partial")
    with (
        Node() as node,
        ImageClassifier(base, epochs=_EPOCHS, dropout=0.0, batch_size=sizes.batch, seed=_SEED, node=node) as classifier,
    ):
        classifier.fit(photos, validation_split=0, run_dir=folder / "run")
        trained, preprocessing = classifier.trained_, classifier.preprocessing_
        model = trained.model
        features = trained.activations(ImageSet(files[:256], labels[:256], found.class_names))
        head = trainable_part(model, POOLING_LAYER, features.shape[1:])
        head.write(folder / "head")
        for source in ("run/model", "head"):
            convert(folder / source, folder / f"{Path(source).name}.keras", to="keras", node=node)
        cut = choose_cut(without_head(model), UNFREEZE)
        # Traced ahead of time, as whatever has been used once on a machine; `pybridge-cold` measures the other case.
        trained.session.programs([preprocessing, truncate(model, POOLING_LAYER), head])
    shutil.copyfile(find_bundle().node_runner / "benchmark" / SCRIPT, folder / SCRIPT)
    _write_pixels(folder, files[: max(sizes.throughput, sizes.full)], preprocessing)
    _write_features(folder, features, labels[:256], sizes.head_rows)
    workload = {
        "files": [str(file.relative_to(folder)) for file in files],
        "labels": labels.tolist(),
        "classes": list(found.class_names),
        "batch": sizes.batch,
        "height": preprocessing.height,
        "width": preprocessing.width,
        "mean": _three(preprocessing.mean),
        "std": _three(preprocessing.std),
        "features": int(features.shape[1]),
        "pooling": POOLING_LAYER,
        "cut": cut,
        "frozen": _frozen(model, cut),
        "unfreeze": UNFREEZE,
        "order": Workload(folder, {}).order(sizes.plan("full", "tfjs").images).tolist(),
        "headRate": HEAD_RATE,
        "fineTuningRate": FINE_TUNING_RATE,
        "sizes": asdict(sizes),
        "model": {"layers": len(layer_names(model)), "parameters": model.parameters, "base": Path(base).name},
    }
    (folder / WORKLOAD_FILE).write_text(json.dumps(workload), encoding="utf-8")
    return workload


def _frozen(model: LayersModel, cut: str | None) -> list[str]:
    return [] if cut is None else layer_names(truncate(model, cut))


def _link(files: list[Path], photos: Path, folder: Path) -> None:
    for file in files:
        place = folder / file.relative_to(photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())


def _write_pixels(folder: Path, files: list[Path], preprocessing: Preprocessing) -> None:
    from PIL import Image

    size = (preprocessing.width, preprocessing.height)
    with (folder / "pixels.bin").open("wb") as out:
        for file in files:
            with Image.open(file) as image:
                out.write(image.convert("RGB").resize(size, Image.Resampling.BILINEAR).tobytes())


def _write_features(folder: Path, features: NDArray[np.float32], labels: NDArray[np.int32], rows: int) -> None:
    """Real features, repeated with noise of half their spread, so that no two rows are equal."""
    random = np.random.default_rng(_SEED)
    chosen = np.arange(rows) % len(features)
    noise = random.normal(scale=_NOISE * features.std(), size=(rows, features.shape[1]))
    (features[chosen] + noise).astype(np.float32).tofile(folder / "features.bin")
    labels[chosen].astype(np.int32).tofile(folder / "feature_labels.bin")


def _three(values: tuple[float, ...]) -> list[float]:
    return [float(value) for value in (values * 3 if len(values) == 1 else values)]
