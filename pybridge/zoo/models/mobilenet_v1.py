"""MobileNet v1 with ImageNet weights, in the four widths that TensorFlow.js publishes for images of 224 x 224."""

from __future__ import annotations

from pybridge.data.preprocessing import Preprocessing
from pybridge.zoo.download import published
from pybridge.zoo.entry import ZooEntry


def _entry(
    width: str,
    parameters: int,
    multiply_adds: int,
    top1: float,
    *,
    model_sha256: str | None = None,
    weights_sha256: str | None = None,
    aliases: tuple[str, ...] = (),
) -> ZooEntry:
    url = f"https://storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_{width}_224/model.json"
    return ZooEntry(
        name=f"mobilenet_v1_{width}_224",
        title=f"MobileNet v1, width {float(width):.2f}",
        build=published,
        parameters=parameters,
        multiply_adds=multiply_adds,
        top1=top1,
        top1_source="https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md",
        input_size=(224, 224),
        origin=url,
        preprocessing=Preprocessing(224, 224, mean=(127.5,), std=(127.5,)),
        licence="Apache-2.0",
        url=url,
        model_sha256=model_sha256,
        weights_sha256=weights_sha256,
        aliases=aliases,
    )


ENTRIES = (
    _entry(
        "0.25",
        475_544,
        41_000_000,
        49.8,
        model_sha256="25e5e0f3dddd397a049a304ea1bc2bb52c8ce1d501becef621211ecd5598ff6c",
        weights_sha256="48baf731168c0934c603ddc35d11e78bb6503cca23380678fcf3ad795548a413",
    ),
    # The width is written in several ways for the same model.
    _entry("0.50", 1_342_536, 149_000_000, 63.3, aliases=("mobilenet_v1_0.5_224",)),
    _entry("0.75", 2_601_976, 325_000_000, 68.4),
    _entry("1.0", 4_253_864, 569_000_000, 70.9, aliases=("mobilenet_v1_1.00_224",)),
)
