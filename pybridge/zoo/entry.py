"""A base model that can be used by name: what it is, what it costs, and what builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes of all weights."""


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """A base model that can be used by name, declared beside the code that builds it.

    Attributes:
        name: What ``ImageClassifier(base=...)`` takes.
        title: Its name in words.
        build: Gives the model with its original classifier: fetches or converts it, or takes it from the cache. It is called with
            this entry and with who wants to be told of the progress.
        parameters: Numbers in its weights, with the original classifier and batch normalization statistics.
        multiply_adds: Multiply-adds for one image, as published.
        top1: Published top-1 accuracy on ImageNet's validation images, in percent; None where nothing is published.
        top1_source: The address where that is published.
        input_size: Height and width of its input in pixels.
        origin: Where its weights come from, in words.
        preprocessing: What turns a photo into its input: the scaling of its training. The whole picture is used, as
            new classes are not always in the middle: with EfficientNet-Lite0 on 1264 photos of waste, a linear
            classifier reaches 0.880 so, 0.865 on the middle square, and 0.858 on the middle 7/8 that the published
            top-1 is measured on.
        licence: SPDX name of the licence of the weights.
        url: Address of its ``model.json``, or None where a Python package carries it.
        model_sha256: SHA-256 of that ``model.json``, or None where we have not seen it.
        weights_sha256: SHA-256 of its weight files one after the other in the order of the manifest (of the checkpoint,
            where a package carries it), or None where we have not seen the files.
        aliases: Other names for the same model.
    """

    name: str
    title: str
    build: Callable[[ZooEntry, Progress | None], LayersModel] = field(repr=False)
    parameters: int
    multiply_adds: int
    input_size: tuple[int, int]
    origin: str
    preprocessing: Preprocessing
    licence: str
    top1: float | None = None
    top1_source: str | None = None
    url: str | None = None
    model_sha256: str | None = None
    weights_sha256: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Its size on disk as a TF.js model."""
        return self.parameters * 4

    def load(self, progress: Progress | None = None) -> LayersModel:
        """The model with its original classifier, from the cache once it has been fetched or converted.

        Args:
            progress: Told of each piece that is downloaded.

        Raises:
            ModelFormatError: It cannot be had, or another model came.

        Example:
            >>> zoo.get("efficientnet_lite0").load().parameters
            4694024
        """
        model = self.build(self, progress)
        if model.parameters != self.parameters:
            raise ModelFormatError(
                f"{self.origin}: the model has {model.parameters} parameters, but {self.name} has {self.parameters}",
                hint="The server or mirror has another model under this name. Give its address or path to use it anyway.",
            )
        return model

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("build", "aliases")}
        return {
            **plain,
            "size_bytes": self.size_bytes,
            "input_size": [*self.input_size],
            "preprocessing": self.preprocessing.to_dict(),
        }

    def __str__(self) -> str:
        accuracy = "" if self.top1 is None else f"top-1 {self.top1} %, "
        return (
            f"{self.name}: {self.parameters / 1e6:.1f} M parameters, {self.size_bytes / 1e6:.1f} MB, "
            f"{self.multiply_adds / 1e6:.0f} M multiply-adds, {accuracy}from {self.origin}"
        )
