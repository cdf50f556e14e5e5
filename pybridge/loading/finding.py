"""From what a user names to a model: whole, with its classifier, and with what is known of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union
from urllib.parse import urlsplit

from pybridge import zoo
from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.loading.applications import application_names, find_application
from pybridge.loading.converter_json import read_converted
from pybridge.loading.keras_files import application_model, keras_file_model
from pybridge.loading.reference import Reference, onnx_reference, torch_reference
from pybridge.loading.saved_model import SavedModel, is_saved_model, read_saved_model
from pybridge.text import suggest
from pybridge.tfjs.graph_model import GraphModel, is_graph_model_file
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import input_shape as shape_of_input
from pybridge.zoo.download import fetch_model, redacted

if TYPE_CHECKING:
    import keras
    import torch

Source = Union[str, Path, LayersModel, "keras.Model", "torch.nn.Module"]
"""What a model can come from; `find_model` says more."""

Shapes = Sequence[int] | Sequence[Sequence[int]]
"""The shape of one example, or for several inputs a list of shapes."""

OpenedModel = LayersModel | GraphModel | SavedModel
"""A model of layers, a TF.js graph model, or a SavedModel."""

_FORMATS = (
    "Known are a model.json or its folder, .keras and .h5 files, SavedModel folders, .onnx files, "
    "keras.applications.NAME, and the names of `pybridge zoo`."
)

# Files that are programs, or hold no architecture.
_REFUSED_FILES = {
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".pkl", ".pickle"),
        "Such a file can run code, and holds no architecture. Build the torch module yourself, load its weights with "
        "torch.load(file, weights_only=True), and give the module with input_shape=(3, height, width).",
    ),
    ".safetensors": "It holds weights without an architecture. Build the torch module, load them into it, and give the module.",
    ".tflite": "Give the Keras model or SavedModel that it was made of.",
    ".pb": "Give the folder of the SavedModel; a frozen graph alone names neither its inputs nor its outputs.",
}


@dataclass(frozen=True)
class FoundModel:
    """A model and what is known of it.

    Attributes:
        kind: ``zoo``, ``url``, ``file``, ``teachable_machine``, ``memory``, ``keras``, ``keras_application``,
            ``keras_file``, ``saved_model``, ``torch`` or ``onnx``.
        name: Short and readable.
        location: Where it came from; empty for a model in memory.
        model: The model.
        preprocessing: What turns a photo into its input, where that is published.
        assumed: ``(mean, std)`` that models of its kind are trained with, where nothing is published.
        labels: The class names of a Teachable Machine export.
        reference: What a converted model must answer, where the source's own runtime is at hand.
    """

    kind: str
    name: str
    location: str
    model: OpenedModel
    preprocessing: Preprocessing | None = None
    assumed: tuple[tuple[float, ...], tuple[float, ...]] = ((127.5,), (127.5,))
    labels: tuple[str, ...] = field(default=())
    reference: Reference | None = field(default=None, repr=False)


def find_model(
    source: Source,
    *,
    input_shape: Shapes | None = None,
    signature: str | None = None,
    allow_lambda: bool = False,
    allow_operations: Collection[str] | None = (),
    progress: Callable[[int, int], None] | None = None,
) -> FoundModel:
    """Find and open a model, whatever its kind.

    Nothing that is opened runs code of its author: no pickle, no Lambda layer unless allowed, no operation of TensorFlow that
    reaches files, addresses or code, no path out of the model's folder; sizes are checked before anything is allocated.

    Args:
        source: One of

            - a name of the zoo;
            - an http(s) address, path or folder of a TF.js ``model.json``, of layers or a graph;
            - a `LayersModel`, a Keras model or a ``torch.nn.Module`` in memory;
            - a ``.keras`` or ``.h5`` file;
            - ``keras.applications.MobileNetV2``, or shorter ``keras:MobileNetV2``, with its ImageNet weights;
            - the folder of a SavedModel;
            - an ``.onnx`` file.

            Names go before files and folders of that name.
        input_shape: For torch and ONNX: the shape of one example, ``(3, height, width)``; for several inputs a list of shapes.
        signature: Which signature of a SavedModel; ``serving_default`` by default.
        allow_lambda: Run the Python code of Lambda layers in Keras files.
        allow_operations: Operations that a SavedModel may have besides those that compute; they may read and write files.
            None where its user cannot allow any.
        progress: Told ``(done_bytes, total_bytes)`` while something is downloaded.

    Raises:
        ModelFormatError: There is no such model, it is damaged or unsafe, or of a kind that cannot be used.
    """
    if not isinstance(source, str | Path):
        return _from_memory(source, input_shape)
    text = str(source)
    entry = zoo.find(text) if isinstance(source, str) else None
    if entry is not None:
        return FoundModel("zoo", entry.name, entry.origin, entry.load(progress), entry.preprocessing)
    application = find_application(text) if isinstance(source, str) else None
    if application is not None:
        location = f"keras.applications.{application.name}"
        model = application_model(application.name)
        return FoundModel("keras_application", application.name, location, model, application.preprocessing)
    if isinstance(source, str) and urlsplit(text).scheme in ("http", "https"):
        return _from_tfjs(fetch_model(text, progress=progress), "url", redacted(text))
    return _from_path(Path(source).expanduser(), text, input_shape, signature, allow_lambda, allow_operations)


def open_model(
    source: Source,
    *,
    input_shape: Shapes | None = None,
    signature: str | None = None,
    allow_lambda: bool = False,
    allow_operations: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> OpenedModel:
    """The model alone; see `find_model`."""
    return find_model(
        source,
        input_shape=input_shape,
        signature=signature,
        allow_lambda=allow_lambda,
        allow_operations=allow_operations,
        progress=progress,
    ).model


def _from_memory(source: Any, input_shape: Shapes | None) -> FoundModel:
    if isinstance(source, LayersModel):
        return FoundModel("memory", "model", "", source)
    # Who has such an object has imported its package: nothing is imported to find out.
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if keras is not None and isinstance(source, keras.Model):
        from pybridge.converters.keras.conversion import from_keras

        return FoundModel("keras", str(source.name), "", from_keras(source))
    if torch is not None and isinstance(source, torch.nn.Module):
        if input_shape is None:
            raise ModelFormatError(
                "a torch module does not say what it takes",
                hint="Give the shape of one example: input_shape=(3, 224, 224).",
            )
        from pybridge.converters.torch.conversion import from_torch

        name = type(source).__name__
        converted = from_torch(source, input_shape)
        return FoundModel("torch", name, "", converted, assumed=_TORCHVISION, reference=torch_reference(source))
    module = type(source).__module__.partition(".")[0]
    hint = "Models of Keras 2 (tf_keras): save them as .h5 and give the file." if module == "tf_keras" else _FORMATS
    raise ModelFormatError(f"a {type(source).__module__}.{type(source).__qualname__} is no model", hint=hint)


# torchvision's weights are trained with these, in units of 0 to 1: mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225.
_TORCHVISION = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def _from_path(
    path: Path,
    text: str,
    input_shape: Shapes | None,
    signature: str | None,
    allow_lambda: bool,
    allow_operations: Collection[str] | None,
) -> FoundModel:
    if not path.exists():
        names = [known.name for known in zoo.list()]
        lowered = {name.lower(): f"keras.applications.{name}" for name in application_names()}
        if text.lower() in lowered:
            raise ModelFormatError(f"{text!r} is no model of the zoo", hint=f"Did you mean {lowered[text.lower()]}?")
        raise ModelFormatError(f"{text!r} is neither a model of the zoo nor a path that exists", hint=suggest(text, names))
    location = str(path)
    if path.is_dir() and is_saved_model(path):
        return FoundModel(
            "saved_model", _name(path), location, read_saved_model(path, signature, allow_operations=allow_operations)
        )
    if path.is_dir() or path.suffix == ".json":
        return _from_tfjs(path, "file", location)
    suffix = path.suffix.lower()
    if suffix in (".keras", ".h5", ".hdf5"):
        return FoundModel("keras_file", path.stem, location, keras_file_model(path, allow_lambda=allow_lambda))
    if suffix == ".onnx":
        from pybridge.converters.onnx.conversion import convert

        model, layout = convert(path, input_shape=input_shape)
        reference = onnx_reference(path, layout)
        return FoundModel("onnx", path.stem, location, model, assumed=_TORCHVISION, reference=reference)
    raise ModelFormatError(f"{path} is no model that can be opened", hint=_REFUSED_FILES.get(suffix, _FORMATS))


def _from_tfjs(path: Path, kind: str, location: str) -> FoundModel:
    file = path / "model.json" if path.is_dir() else path
    name = _name(Path(urlsplit(location).path if kind == "url" else location))
    if not file.is_file():
        raise ModelFormatError(f"{path} holds no model", hint=_FORMATS)
    if is_graph_model_file(file):
        return FoundModel(kind, name, location, GraphModel.read(file))
    model = read_converted(file)
    metadata = _teachable_machine_metadata(file.parent)
    if metadata is None:
        return FoundModel(kind, name, location, model)
    labels = metadata.get("labels")
    names = tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else ()
    height, width, *_ = (*shape_of_input(model), None, None)
    # @teachablemachine/image 0.8: cropTo() takes the centre square, capture() scales pixels to [-1, 1].
    known = Preprocessing(height or 224, width or 224, crop="centre", mean=(127.5,), std=(127.5,))
    return FoundModel("teachable_machine", "teachable_machine", location, model, known, labels=names)


def _teachable_machine_metadata(folder: Path) -> dict[str, Any] | None:
    try:
        file = folder / "metadata.json"
        if file.stat().st_size > 2**20:
            return None
        metadata = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return metadata if isinstance(metadata, dict) and "tmVersion" in metadata else None


def _name(path: Path) -> str:
    return (path.parent if path.suffix == ".json" else path).name or "model"
