"""Definitions of PyTorch models in the style of torchvision, as narrow as a test likes them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def perturbed(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight and statistic a value that a mistake would not survive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1, generator=generator)
            elif tensor.ndim == 1 and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=generator)
    return module.eval()


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    def __init__(
        self, block: type[BasicBlock | Bottleneck], repeats: list[int], width: int = 8, classes: int = 10, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, stages = width, []
        for number, count in enumerate(repeats):
            blocks = []
            for repeat in range(count):
                stride = 2 if number and not repeat else 1
                blocks.append(block(inputs, width * 2**number, stride, groups))
                inputs = width * 2**number * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VGG(nn.Module):
    def __init__(self, plan: tuple[int | str, ...] = (8, "M", 16, "M", 16, 16, "M"), classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for entry in plan:
            if entry == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(inputs, int(entry), 3, padding=1), nn.BatchNorm2d(int(entry)), nn.ReLU(inplace=True)]
                inputs = int(entry)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(inputs * 49, 32),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(32, 32),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(32, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: Callable[[], nn.Module] | None = nn.ReLU6
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class Squeeze(nn.Module):
    """Squeeze-and-excite with the gate of the family."""

    def __init__(self, channels: int, narrow: int, act: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, channels, 1)
        self.activation, self.scale_activation = act(), gate()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x))))) * x


class Inverted(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        expand: int,
        act: type[nn.Module],
        gate: type[nn.Module] | None,
        squeeze_act: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        hidden = inputs * expand
        layers: list[nn.Module] = [conv_norm(inputs, hidden, 1, act=act)] if expand != 1 else []
        layers.append(conv_norm(hidden, hidden, kernel, stride, hidden, act))
        if gate is not None:
            layers.append(Squeeze(hidden, max(hidden // 4, 1), squeeze_act, gate))
        layers.append(conv_norm(hidden, outputs, 1, act=None))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class Mobile(nn.Module):
    """The frame that MobileNetV2, MobileNetV3 and EfficientNet share."""

    def __init__(self, act: type[nn.Module], blocks: list[Inverted], last: int, head: nn.Sequential, stem: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(conv_norm(3, stem, 3, 2, act=act), *blocks, conv_norm(last, 32, 1, act=act))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = head

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def mobilenet_v2() -> nn.Module:
    plan = [(8, 8, 3, 1, 1), (8, 12, 3, 2, 6), (12, 12, 3, 1, 6), (12, 16, 3, 2, 6)]
    blocks = [Inverted(*entry, nn.ReLU6, None) for entry in plan]
    return Mobile(nn.ReLU6, blocks, 16, nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 10)))


def mobilenet_v3() -> nn.Module:
    blocks = [
        Inverted(8, 8, 3, 2, 1, nn.ReLU, nn.Hardsigmoid),
        Inverted(8, 12, 3, 1, 4, nn.ReLU, None),
        Inverted(12, 12, 5, 1, 4, nn.Hardswish, nn.Hardsigmoid),
        Inverted(12, 16, 5, 2, 6, nn.Hardswish, nn.Hardsigmoid),
    ]
    head = nn.Sequential(nn.Linear(32, 24), nn.Hardswish(inplace=True), nn.Dropout(0.2, inplace=True), nn.Linear(24, 10))
    return Mobile(nn.Hardswish, blocks, 16, head)


def efficientnet() -> nn.Module:
    plan = [(8, 8, 3, 1, 1), (8, 12, 3, 2, 6), (12, 12, 5, 1, 6), (12, 16, 5, 2, 6), (16, 16, 3, 1, 6)]
    blocks = [Inverted(*entry, nn.SiLU, nn.Sigmoid, nn.SiLU) for entry in plan]
    return Mobile(nn.SiLU, blocks, 16, nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 10)))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = torch.cat(features, 1)
        return self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))


class DenseBlock(nn.ModuleDict):
    def __init__(self, inputs: int, growth: int, count: int) -> None:
        super().__init__({f"denselayer{i + 1}": DenseLayer(inputs + i * growth, growth) for i in range(count)})

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    def __init__(self, growth: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
            DenseBlock(8, growth, 3),
            nn.BatchNorm2d(20), nn.ReLU(inplace=True), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2),
            DenseBlock(10, growth, 2),
            nn.BatchNorm2d(18),
        )  # fmt: skip
        self.classifier = nn.Linear(18, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.features(x), inplace=True)
        return self.classifier(torch.flatten(functional.adaptive_avg_pool2d(x, (1, 1)), 1))


class Encoder(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class VisionTransformer(nn.Module):
    def __init__(self, size: int = 32, patch: int = 8, width: int = 16, heads: int = 2, depth: int = 2) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width))
        self.layers = nn.Sequential(*(Encoder(width, heads) for _ in range(depth)))
        self.ln = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embedding
        return self.head(self.ln(self.layers(x))[:, 0])


class WindowAttention(nn.Module):
    """A Swin block: windows, shifted windows, a bias by relative position."""

    def __init__(self, width: int = 16, heads: int = 2, window: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(torch.randn(window**4, heads))
        self.register_buffer("index", torch.randperm(window**4))
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.head = nn.Linear(2 * width, 10)

    def attend(self, x: Tensor, shift: int) -> Tensor:
        n, h, w, c = x.shape
        s = self.window
        if shift:
            x = torch.roll(x, (-shift, -shift), (1, 2))
        windows = x.view(n, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, c)
        q, k, v = self.qkv(windows).reshape(-1, s * s, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q * (c // self.heads) ** -0.5 @ k.transpose(-2, -1)
        bias = self.table[self.index].view(s * s, s * s, self.heads).permute(2, 0, 1).contiguous().unsqueeze(0)
        out = (scores + bias).softmax(-1) @ v
        out = self.proj(out.transpose(1, 2).reshape(-1, s * s, c))
        out = out.view(n, h // s, w // s, s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return torch.roll(out, (shift, shift), (1, 2)) if shift else out

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        x = x + self.attend(self.norm(x), 0)
        x = x + self.attend(self.norm(x), 2)
        merged = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.head(self.reduction(merged).mean((1, 2)))


class ConvNeXt(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.norm0 = nn.LayerNorm(width)
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.randn(width, 1, 1))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm0(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.act(self.pwconv1(y))).permute(0, 3, 1, 2)
        return self.head((x + self.gamma * y).mean([-2, -1]))


class ShuffleUnit(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = conv_norm(3, width, 3, 2)
        self.branch = nn.Sequential(
            conv_norm(width // 2, width // 2, 1), conv_norm(width // 2, width // 2, 3, groups=width // 2, act=None)
        )
        self.last = nn.Conv2d(width, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.last(x).mean([2, 3])


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (lambda: ResNet(BasicBlock, [2, 2, 2, 2]), 64),
    "resnet50": (lambda: ResNet(Bottleneck, [3, 4, 6, 3]), 64),
    "resnext": (lambda: ResNet(Bottleneck, [1, 1, 1, 1], groups=4), 64),
    "vgg": (VGG, 56),
    "mobilenet_v2": (mobilenet_v2, 64),
    "mobilenet_v3": (mobilenet_v3, 64),
    "efficientnet": (efficientnet, 64),
    "densenet": (DenseNet, 64),
    "vision_transformer": (VisionTransformer, 32),
    "swin": (WindowAttention, 32),
    "convnext": (ConvNeXt, 32),
    "shufflenet": (ShuffleUnit, 32),
}
