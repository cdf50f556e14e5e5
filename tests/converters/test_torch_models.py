"""Whole models of PyTorch give in Node, and in Keras, what they give in PyTorch, and train further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pybridge as pb
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo.legacy_pickle import read_checkpoint
from pybridge.zoo.models import efficientnet_lite

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pybridge[torch]'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_models import MODELS, ConvNeXt, perturbed  # noqa: E402

from pybridge.converters.torch.conversion import from_torch  # noqa: E402

pytestmark = pytest.mark.slow


def built(name: str) -> tuple[nn.Module, int]:
    torch.manual_seed(0)
    make, size = MODELS[name]
    return perturbed(make()), size


def pictures(size: int, count: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, size, size, 3)).astype(np.float32)


def in_torch(module: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        return module.eval()(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))).numpy()


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_in_node_as_in_pytorch(node: pb.Node, name: str) -> None:
    module, size = built(name)
    model = node.load_model(from_torch(module, (3, size, size)))
    assert_close(model.predict(pictures(size)), in_torch(module, pictures(size)))
    model.dispose()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3", "efficientnet", "vision_transformer"])
def test_a_model_goes_on_to_keras(name: str) -> None:
    from pybridge.models import to_keras

    module, size = built(name)
    keras_model = to_keras(from_torch(module, (3, size, size)))
    assert_close(keras_model.predict(pictures(size), verbose=0), in_torch(module, pictures(size)))


@pytest.mark.parametrize("name", ["resnet18", "densenet", "vision_transformer"])
def test_a_model_is_trained_in_node(node: pb.Node, name: str) -> None:
    module, size = built(name)
    source = from_torch(module, (3, size, size))
    model = node.load_model(source)
    targets = np.eye(10, dtype=np.float32)[:4]
    node.train(model, pictures(size), targets, epochs=1, batch_size=4, optimizer="sgd", learning_rate=0.01)
    trained = model.layers_model().weights
    assert all(not np.array_equal(trained[name], value) for name, value in source.weights.items())
    assert all(np.isfinite(value).all() for value in trained.values())
    model.dispose()


def test_a_training_step_is_that_of_pytorch(node: pb.Node) -> None:
    torch.manual_seed(0)
    module = perturbed(ConvNeXt())
    model = node.load_model(from_torch(module, (3, 32, 32)))
    targets = np.eye(10, dtype=np.float32)[:4]
    node.train(
        model, pictures(32), targets, epochs=1, batch_size=4, optimizer="sgd", learning_rate=0.1, loss="mean_squared_error"
    )
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    loss = functional.mse_loss(module(torch.from_numpy(pictures(32).transpose(0, 3, 1, 2).copy())), torch.from_numpy(targets))
    loss.backward()
    optimizer.step()
    expected = from_torch(module, (3, 32, 32)).weights
    actual = model.layers_model().weights
    assert actual.keys() == expected.keys()
    assert all(np.abs(actual[name] - value).max() <= 1e-5 for name, value in expected.items())


def test_layers_are_named_after_the_parts_of_the_module() -> None:
    module, size = built("resnet18")
    weights = from_torch(module, (3, size, size)).weights
    assert {"conv1/kernel", "layer1_0_conv1/kernel", "layer2_0_downsample_1/moving_variance", "fc/bias"} <= set(weights)


def test_weights_are_those_of_the_module_bit_for_bit() -> None:
    module, size = built("mobilenet_v2")
    weights = from_torch(module, (3, size, size)).weights
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    kernel = weights["features_1_block_0_0/depthwise_kernel"]
    assert np.array_equal(kernel.transpose(2, 3, 0, 1), state["features.1.block.0.0.weight"])
    assert np.array_equal(weights["classifier_1/kernel"].T, state["classifier.1.weight"])


def test_frozen_parameters_are_not_trainable() -> None:
    module, size = built("resnet18")
    module.conv1.requires_grad_(False)
    layers = {layer["name"]: layer["config"] for layer in from_torch(module, (3, size, size)).topology["config"]["layers"]}
    assert (layers["conv1"]["trainable"], layers["fc"]["trainable"]) == (False, True)


def test_the_module_stays_in_the_mode_that_it_was_in() -> None:
    module, size = built("mobilenet_v2")
    module.train()
    module.avgpool.eval()
    from_torch(module, (3, size, size))
    assert module.training and not module.avgpool.training


def test_every_operation_that_cannot_be_converted_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Softplus(beta=2)
            self.second = nn.Conv3d(3, 4, 1, dilation=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(x.unsqueeze(2)).sum() + torch.sort(self.first(x), 1)[0]

    with pytest.raises(pb.ModelFormatError) as caught:
        from_torch(Odd(), (3, 8, 8))
    assert all(word in str(caught.value) for word in ("aten.softplus at first", "at second", "aten.sort at the module itself"))


def test_a_recurrent_layer_is_refused_by_its_own_name() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = nn.GRU(4, 3, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.memory(x)[0][:, -1]

    with pytest.raises(pb.ModelFormatError, match=r"torch.nn.GRU at memory: recurrent layers") as caught:
        from_torch(Recurrent(), (5, 4))
    assert "aten." not in str(caught.value)


def test_a_module_that_branches_on_numbers_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(pb.ModelFormatError, match="cannot export the module Branching"):
        from_torch(Branching(), (3, 8, 8))
    assert capfd.readouterr() == ("", "")


def test_a_file_of_weights_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(pb.ModelFormatError, match="weights_only=True"):
        from_torch(tmp_path / "model.pth", (3, 8, 8))  # type: ignore[arg-type]


class Same(nn.Conv2d):
    """A convolution with the padding that TensorFlow calls SAME."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.expand = expand != 1
        if self.expand:
            self._expand_conv, self._bn0 = Same(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden, 1e-3)
        self._depthwise_conv = Same(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, 1e-3)
        self._project_conv, self._bn2 = Same(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, 1e-3)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The published model: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, 1e-3)
        blocks, width = [], 32
        stages = [
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (2, 5, 2, 6, 40),
            (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112),
            (4, 5, 2, 6, 192),
            (1, 3, 1, 6, 320),
        ]
        for repeats, kernel, stride, expand, filters in stages:
            for repeat in range(repeats):
                blocks.append(Block(width, filters, kernel, stride if not repeat else 1, expand))
                width = filters
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, 1e-3)
        self._dropout, self._fc = nn.Dropout(0.2), nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(x.mean((2, 3)))).softmax(-1)


@pytest.fixture(scope="module")
def published() -> nn.Module:
    module = EfficientNetLite0()
    tensors = read_checkpoint(efficientnet_lite.checkpoint_path())
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}, strict=False)
    missing = {name for name in module.state_dict() if name not in tensors and not name.endswith("num_batches_tracked")}
    assert not missing
    return module.eval()


@pytest.fixture(scope="module")
def real_photos(shared_data: Path) -> NDArray[np.float32]:
    files = [file for folder in sorted((shared_data / "trashnet").iterdir()) for file in sorted(folder.glob("*.jpg"))[:6]]
    pixels = [np.asarray(Image.open(file).convert("RGB").resize((224, 224)), np.float32) for file in files]
    return (np.stack(pixels) - 127) / 128


def test_efficientnet_lite0_with_its_imagenet_weights_crosses_over(
    node: pb.Node, published: nn.Module, real_photos: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = in_torch(published, real_photos)
    converted: LayersModel = from_torch(published, (3, 224, 224))
    actual = node.load_model(converted).predict(real_photos)
    zoo = node.load_model("efficientnet_lite0").predict(real_photos)
    with capsys.disabled():
        print(
            f"\nEfficientNet-Lite0 on {len(real_photos)} photos: PyTorch to Node {np.abs(actual - expected).max():.2e}, "
            f"Node to the zoo's model {np.abs(actual - zoo).max():.2e}, largest output {expected.max():.3f}"
        )
    assert np.array_equal(actual.argmax(1), expected.argmax(1))
    assert np.array_equal(actual.argmax(1), zoo.argmax(1))
    assert_close(actual, expected)
    assert_close(actual, zoo)
