"""Each operation of PyTorch gives in TensorFlow.js what it gives in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pybridge as pb

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pybridge[torch]'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_models import perturbed  # noqa: E402

from pybridge.converters.torch.conversion import from_torch  # noqa: E402

pytestmark = pytest.mark.slow


class Call(nn.Module):
    """A function, with the modules that it uses."""

    def __init__(self, function: Callable[..., torch.Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.parts)


class Scaled(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.randn(shape))
        self.shift = nn.Parameter(torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor + self.shift


class Buffered(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(shape))
        self.register_buffer("std", torch.rand(shape) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


def shared(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
    return conv(torch.relu(conv(x)))


def scrambled(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.view(n, h, c * w).transpose(1, 2).reshape(n, w, h * c)


IMAGE = (4, 9, 10)
SQUARE = (4, 8, 8)
TOKENS = (6, 8)

CASES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv stride 2 on even": (nn.Conv2d(4, 6, 3, 2, 1), SQUARE),
    "conv stride 2 on odd": (nn.Conv2d(4, 6, 3, 2, 1), (4, 9, 9)),
    "conv without padding": (nn.Conv2d(4, 6, (3, 2), (2, 1)), IMAGE),
    "conv padded unequally": (nn.Conv2d(4, 6, 5, 1, (1, 3)), IMAGE),
    "conv same, even kernel": (nn.Conv2d(4, 6, 4, padding="same"), IMAGE),
    "conv dilated": (nn.Conv2d(4, 6, 3, 1, 2, dilation=2), IMAGE),
    "conv dilated with stride": (nn.Conv2d(4, 6, 3, 2, 2, dilation=2), IMAGE),
    "conv grouped": (nn.Conv2d(4, 8, 3, 2, 1, groups=2), IMAGE),
    "conv padded by reflection": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), IMAGE),
    "conv padded at the edge": (nn.Sequential(nn.ReplicationPad2d(1), nn.Conv2d(4, 6, 3)), IMAGE),
    "depthwise": (nn.Conv2d(4, 4, 3, 2, 1, groups=4), IMAGE),
    "depthwise, two for each": (nn.Conv2d(4, 8, 3, 1, 1, groups=4, bias=False), IMAGE),
    "depthwise dilated": (nn.Conv2d(4, 4, 3, 1, 2, dilation=2, groups=4), IMAGE),
    "depthwise, strides differ": (nn.Conv2d(4, 4, 3, (2, 1), 1, groups=4), IMAGE),
    "conv1d": (nn.Sequential(nn.Conv1d(6, 4, 3, 2, 1), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)), TOKENS),
    "depthwise conv1d": (nn.Conv1d(6, 6, 3, 2, 1, groups=6), TOKENS),
    "transposed conv": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), IMAGE),
    "transposed conv, small kernel": (nn.ConvTranspose2d(4, 6, 2, 3), IMAGE),
    "transposed conv, large kernel": (nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False), IMAGE),
    "max pooling of negative numbers": (nn.MaxPool2d(3, 2, 1), IMAGE),
    "max pooling after ReLU": (nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1)), IMAGE),
    "max pooling over the end": (nn.MaxPool2d(3, 2, ceil_mode=True), (4, 8, 10)),
    "max pooling, even window": (nn.MaxPool2d(2, 2, 1), IMAGE),
    "max pooling, even window over the end": (nn.MaxPool2d(2, 2, 1, ceil_mode=True), IMAGE),
    "average pooling with padding": (nn.AvgPool2d(3, 2, 1), IMAGE),
    "average pooling without padding": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "average pooling over the end": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), (4, 8, 10)),
    "average pooling, stride 1": (nn.AvgPool2d(3, 1, 1, count_include_pad=False), IMAGE),
    "adaptive pooling that divides": (nn.AdaptiveAvgPool2d((3, 5)), IMAGE),
    "adaptive pooling that does not": (nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "adaptive pooling that enlarges": (nn.AdaptiveAvgPool2d(12), IMAGE),
    "adaptive max pooling": (nn.AdaptiveMaxPool2d(1), IMAGE),
    "batch norm of vectors": (nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5)), TOKENS),
    "batch norm without weights": (nn.BatchNorm2d(4, affine=False), IMAGE),
    "layer norm over three axes": (nn.LayerNorm(IMAGE), IMAGE),
    "layer norm over the width": (nn.LayerNorm(10), IMAGE),
    "instance norm": (nn.InstanceNorm2d(4, affine=True), IMAGE),
    "group norm": (nn.GroupNorm(2, 4), IMAGE),
    "flatten mixes axes": (nn.Sequential(nn.Flatten(), nn.Dropout(), nn.ReLU(), nn.Linear(360, 5)), IMAGE),
    "linear over the width": (nn.Linear(10, 3), IMAGE),
    "softmax over channels": (nn.Softmax(1), IMAGE),
    "log softmax": (nn.LogSoftmax(-1), TOKENS),
    "activations": (
        nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.ELU(),
            nn.SELU(),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.SiLU(),
            nn.Mish(),
            nn.Hardswish(),
            nn.Softplus(),
            nn.Tanh(),
            nn.Hardsigmoid(),
            nn.Sigmoid(),
            nn.Hardtanh(),
            nn.ReLU6(),
        ),
        IMAGE,
    ),
    "prelu": (nn.PReLU(4), IMAGE),
    "prelu with one slope": (nn.PReLU(), IMAGE),
    "clamp": (Call(lambda x: x.clamp(-0.5, 0.7) + x.clamp(min=0.1) - x.clamp(max=0.2)), IMAGE),
    "scale and shift of channels": (Scaled(4, 1, 1), IMAGE),
    "scale and shift of rows": (Scaled(9, 1), IMAGE),
    "scale and shift of everything": (Scaled(1, 4, 9, 10), IMAGE),
    "one number": (Scaled(1), IMAGE),
    "normalization by buffers": (Buffered(1, 4, 1, 1), IMAGE),
    "arithmetic with numbers": (Call(lambda x: (2 - x) / 3 + 1 / (x * x + 1) - x / (x.abs() + 2) + torch.sqrt(x**2 + 1)), IMAGE),
    "maximum and minimum": (Call(lambda x: torch.maximum(x, -x) * torch.minimum(x, x * 2)), IMAGE),
    "broadcast between tensors": (
        Call(lambda x: x * x.mean(1, keepdim=True) + x.amax((2, 3), keepdim=True) - x.sum(3, keepdim=True)),
        IMAGE,
    ),
    "spatial attention": (
        Call(lambda x, conv: x * conv(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid(), nn.Conv2d(2, 1, 7, padding=3)),
        IMAGE,
    ),
    "largest and smallest along an axis": (Call(lambda x: x.max(1)[0] - x.min(1)[0] * 2), TOKENS),
    "sum of everything": (Call(lambda x: x.sum((1, 2, 3), keepdim=True).flatten(1)), IMAGE),
    "nearest by 2": (nn.Upsample(scale_factor=2), IMAGE),
    "nearest to a size": (nn.Upsample((13, 7)), IMAGE),
    "bilinear by 2": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear aligned": (nn.Upsample((17, 5), mode="bilinear", align_corners=True), IMAGE),
    "pixel shuffle": (nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(1, 2, 3), nn.PixelUnshuffle(4)), (4, 7, 9)),
    "channel shuffle": (nn.Sequential(nn.ChannelShuffle(2), nn.Conv2d(4, 2, 1)), IMAGE),
    "zero padding on two sides": (nn.ZeroPad2d((1, 0, 2, 3)), IMAGE),
    "padding of channels": (Call(lambda x: functional.pad(x, (0, 0, 0, 0, 2, 1))), IMAGE),
    "padding with a number": (nn.ConstantPad2d(1, 0.5), IMAGE),
    "negative padding": (nn.ZeroPad2d((-1, 1, -2, 0)), IMAGE),
    "slices": (Call(lambda x: torch.cat([x[:, 1:3, ::2, 1:-1], x[:, 0:2, 1:6, 2:]], 1)), IMAGE),
    "stack and unbind": (Call(lambda x: torch.stack([x, x * 2, *x.unbind(1)[:0]], 2).flatten(1, 2)), IMAGE),
    "chunks of channels": (Call(lambda x: torch.cat(x.chunk(2, 1)[::-1], 2)), IMAGE),
    "glu": (Call(lambda x: functional.glu(x, 1)), IMAGE),
    "scrambling reshape": (Call(scrambled), IMAGE),
    "attention": (nn.MultiheadAttention(8, 2, batch_first=True), TOKENS),
    "attention that shows its weights": (nn.MultiheadAttention(8, 2, batch_first=True), TOKENS),
    "causal attention": (Call(lambda x: functional.scaled_dot_product_attention(x, x * 2, x + 1, is_causal=True)), TOKENS),
    "transformer layer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True), TOKENS),
    "l2 normalization": (Call(lambda x: functional.normalize(x, dim=1)), IMAGE),
    "einsum": (Call(lambda x: torch.einsum("nlc,nmc->nlm", x, x + 1)), TOKENS),
    "product with a constant": (Call(lambda x: torch.ones(3, 6).tril() @ x), TOKENS),
    "roll": (Call(lambda x: torch.roll(x, (2, -3), (2, 3))), IMAGE),
    "expand": (Call(lambda x: x.mean((2, 3), True).expand(-1, -1, 3, 2)), IMAGE),
    "a module used twice": (Call(shared, nn.Conv2d(4, 4, 3, padding=1)), IMAGE),
}
for _name, _weights in (("attention", False), ("attention that shows its weights", True)):
    _module, _shape = CASES[_name]
    CASES[_name] = (Call(lambda x, attention, weights=_weights: attention(x, x + 1, x, need_weights=weights)[0], _module), _shape)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_gives_the_same_in_node(node: pb.Node, name: str) -> None:
    torch.manual_seed(0)
    module, shape = CASES[name]
    module = perturbed(module)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    model = node.load_model(from_torch(module, shape))
    actual = model.predict(np.moveaxis(x, 1, -1) if len(shape) == 3 else x)
    model.dispose()
    wanted = np.moveaxis(expected, 1, -1) if expected.ndim == 4 else expected
    assert actual.shape == wanted.shape
    assert np.abs(actual - wanted).max() <= 1e-5 * np.abs(wanted).max()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.words = nn.Linear(4, 2), nn.Embedding(7, 2)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.first(a) - self.words(b.long()).mean(1)


def test_a_module_with_two_inputs_takes_both(node: pb.Node) -> None:
    torch.manual_seed(0)
    module = Two().eval()
    numbers, words = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), np.array([[1, 2, 6], [0, 0, 3], [5, 4, 4]])
    with torch.no_grad():
        expected = module(torch.from_numpy(numbers), torch.from_numpy(words)).numpy()
    model = node.load_model(module, input_shape=[(4,), (3,)])
    assert [port.name for port in model.inputs] == ["a", "b"]
    np.testing.assert_allclose(model.predict([numbers, words]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.ELU(0.5),
        lambda: nn.CELU(0.5),
        lambda: nn.Softshrink(0.3),
        lambda: nn.Hardshrink(0.3),
        lambda: Call(lambda x: x.argmax(1)),
        lambda: Call(lambda x: torch.where(x > 0, x, x * x)),
        lambda: Call(lambda x: torch.cumsum(x, 1)),
    ],
    ids=["ELU", "CELU", "Softshrink", "Hardshrink", "argmax", "where", "cumsum"],
)
def test_an_operation_without_a_layer_of_its_own(node: pb.Node, make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 4), make()).eval()
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(node.load_model(module, input_shape=(4,)).predict(x), expected, rtol=1e-5, atol=1e-6)


def test_volumes_are_convolved(node: pb.Node) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1, stride=(1, 2, 1)), nn.MaxPool3d((2, 1, 2))).eval()
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    actual = node.load_model(module, input_shape=(2, 4, 5, 6)).predict(x.transpose(0, 2, 3, 4, 1))
    np.testing.assert_allclose(actual, expected.transpose(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
