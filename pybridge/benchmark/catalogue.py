"""What is measured, and who takes part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Work:
    """A piece of work that every peer does in its own way.

    Attributes:
        name: As it is typed.
        title: In words.
        unit: What is counted; a cost is seconds for one of them.
        shown: How a cost is written: ``rate`` (units a second), ``seconds``, ``milliseconds`` or ``microseconds`` for one unit.
        peers: Who can do it, the first of them pybridge.
        targets: How many times as fast pybridge shall be, by peer.
        limit: The cost that pybridge shall not exceed, whatever the others need.
        fresh: Whether each repetition is a new process, whose start is part of the work.
        checked: What each peer reports to show that it did the same work.
    """

    name: str
    title: str
    unit: str
    shown: str
    peers: tuple[str, ...]
    targets: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    fresh: bool = False
    checked: str = ""


@dataclass(frozen=True)
class Peer:
    """Who takes part.

    Attributes:
        name: As it is typed.
        title: In words.
        program: Its Python module in `pybridge.benchmark.peers`, or its JavaScript file in ``node_runner/benchmark``.
        onednn: What ``TF_ENABLE_ONEDNN_OPTS`` is set to; None leaves it unset, as users have it.
        by_default: Whether it takes part unasked.
    """

    name: str
    title: str
    program: str
    onednn: bool | None = None
    by_default: bool = True


_NETWORKS = ("pybridge", "keras-onednn", "keras", "tfjs", "tfjs-plain", "tfjs-onednn")

WORKS = (
    Work(
        "features",
        "Feature extraction, from JPEG files to cached features",
        "image",
        "rate",
        _NETWORKS,
        {"keras-onednn": 1.3, "tfjs": 5.0},
        checked="mean of the features",
    ),
    Work(
        "head",
        "Training a head on cached features, one epoch",
        "epoch",
        "seconds",
        _NETWORKS,
        {"keras-onednn": 3.0, "tfjs": 10.0},
        checked="loss of the last epoch",
    ),
    Work(
        "partial",
        "Fine-tuning the last third, from JPEG files to the trained model",
        "job",
        "seconds",
        ("pybridge", "keras-onednn", "keras-cached", "keras", "tfjs", "tfjs-plain", "tfjs-onednn"),
        {"keras-onednn": 3.0, "tfjs": 20.0},
        checked="loss of the last epoch",
    ),
    Work(
        "full",
        "Fine-tuning all of the network, training steps",
        "image",
        "rate",
        _NETWORKS,
        {"keras-onednn": 1.1, "tfjs": 10.0},
        checked="loss of the first epoch",
    ),
    Work(
        "latency",
        "Prediction, one image at a time",
        "image",
        "milliseconds",
        (*_NETWORKS, "json"),
        checked="mean top probability",
    ),
    Work("throughput", "Prediction, many images", "image", "rate", (*_NETWORKS, "json"), checked="mean top probability"),
    Work(
        "start",
        "From starting a process to the label of one JPEG file",
        "start",
        "seconds",
        ("pybridge", "pybridge-cold", "keras-onednn", "keras", "tfjs"),
        fresh=True,
        checked="top probability",
    ),
    Work("upload", "Sending an array to Node.js", "GB", "rate", ("pybridge", "json"), limit=1 / 2.5, checked="numbers"),
    Work(
        "upload-kept",
        "Sending an array to a function of one's own, which may keep it",
        "GB",
        "rate",
        ("pybridge",),
        checked="numbers",
    ),
    Work("download", "Receiving an array from Node.js", "GB", "rate", ("pybridge", "json"), limit=1 / 2.5, checked="numbers"),
    Work("call", "One call of a JavaScript function", "call", "microseconds", ("pybridge", "json"), limit=100e-6, checked="sum"),
)

PEERS = (
    Peer("pybridge", "pybridge", "bridge"),
    Peer("pybridge-cold", "pybridge, nothing traced before", "bridge"),
    Peer("keras-onednn", "Keras, oneDNN on", "keras_user", onednn=True),
    Peer("keras-cached", "Keras, oneDNN on, cached activations by hand", "keras_user", onednn=True),
    Peer("keras", "Keras, default settings", "keras_user"),
    Peer("tfjs", "stock tfjs-node", "stock.js"),
    Peer("tfjs-plain", "stock tfjs-node, oneDNN off", "stock.js", onednn=False),
    Peer("tfjs-onednn", "stock tfjs-node, oneDNN on", "stock.js", onednn=True, by_default=False),
    Peer("json", "numpy over lines of JSON, stock tfjs-node", "json_lines"),
)

WORK = {work.name: work for work in WORKS}
PEER = {peer.name: peer for peer in PEERS}
