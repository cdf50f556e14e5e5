"""How much of each work is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What one peer does in one repetition.

    Attributes:
        units: How many units of the work this is; may be a part of one.
        images: Pictures, or calls where there are none.
        epochs: Passes over them.
        reduced: Whether it is less than pybridge does, since this peer would take too long; costs are for one unit all the same.
    """

    units: float
    images: int
    epochs: int = 1
    reduced: bool = False


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Peers that would take minutes get less to do; what they need grows in proportion.

    Attributes:
        name: Of this choice.
        repeat: Repetitions of each work by each peer.
        features: Pictures whose features are extracted.
        head_rows: Cached features that a head trains on.
        head_epochs: Epochs of that.
        partial: Pictures that the last third trains on.
        partial_epochs: Epochs of that.
        full: Pictures that the whole network trains on, for one epoch.
        latency: Predictions of one image.
        throughput: Pictures predicted at once.
        array_bytes: Size of the array that crosses.
        calls: Calls of a function.
        slow_share: What stock TensorFlow.js, which is slow, does of the features and of the predictions.
        slow_images: Pictures that it trains on.
        slow_epochs: Epochs for which it trains a head.
        slow_partial_epochs: Epochs for which it fine-tunes the last third; the first has the decoding in it.
        json_bytes: Size of the array that crosses as JSON.
        batch: Pictures in a training step.
    """

    name: str
    repeat: int
    features: int
    head_rows: int
    head_epochs: int
    partial: int
    partial_epochs: int
    full: int
    latency: int
    throughput: int
    array_bytes: int
    calls: int
    slow_share: float
    slow_images: int
    slow_epochs: int
    slow_partial_epochs: int
    json_bytes: int
    batch: int = 32

    @property
    def pictures(self) -> int:
        """How many pictures all the works need at most."""
        return max(self.features, self.partial, self.full, self.throughput, 2)

    def plan(self, work: str, peer: str) -> Plan:
        """What a peer does in one repetition of a work."""
        stock = peer.startswith("tfjs") or peer == "json"
        if work in ("features", "throughput"):
            whole = getattr(self, work)
            images = max(2, round(whole * self.slow_share)) if stock else whole
            return Plan(images, images, reduced=images < whole)
        if work == "head":
            epochs = min(self.slow_epochs, self.head_epochs) if stock else self.head_epochs
            return Plan(epochs, self.head_rows, epochs, epochs < self.head_epochs)
        if work == "partial":
            images = min(self.slow_images, self.partial) if stock else self.partial
            epochs = min(self.slow_partial_epochs, self.partial_epochs) if stock else self.partial_epochs
            units = images * epochs / (self.partial * self.partial_epochs)
            return Plan(units, images, epochs, units < 1)
        if work == "full":
            images = min(self.slow_images, self.full) if stock else self.full
            return Plan(images, images, reduced=images < self.full)
        if work in ("upload", "upload-kept", "download"):
            size = self.json_bytes if peer == "json" else self.array_bytes
            return Plan(size / 1e9, size // 4, reduced=size < self.array_bytes)
        if work == "start":
            return Plan(1, 1)
        count = self.latency if work == "latency" else self.calls
        count = max(2, round(count * self.slow_share)) if peer == "json" and work == "latency" else count
        return Plan(count, count)


THOROUGH = Sizes(
    "thorough",
    repeat=3,
    features=1024,
    head_rows=4096,
    head_epochs=20,
    partial=1000,
    partial_epochs=10,
    full=128,
    latency=60,
    throughput=512,
    array_bytes=100_000_000,
    calls=5000,
    slow_share=0.125,
    slow_images=64,
    slow_epochs=2,
    slow_partial_epochs=4,
    json_bytes=4_000_000,
)
"""The sizes that the targets speak of; takes more than an hour on two cores."""

STANDARD = Sizes(
    "standard",
    repeat=3,
    features=256,
    head_rows=4096,
    head_epochs=10,
    partial=192,
    partial_epochs=10,
    full=64,
    latency=30,
    throughput=128,
    array_bytes=100_000_000,
    calls=2000,
    slow_share=0.25,
    slow_images=32,
    slow_epochs=1,
    slow_partial_epochs=4,
    json_bytes=2_000_000,
)
"""About a quarter of an hour on two cores."""

QUICK = Sizes(
    "quick",
    repeat=2,
    features=64,
    head_rows=1024,
    head_epochs=4,
    partial=32,
    partial_epochs=4,
    full=32,
    latency=10,
    throughput=32,
    array_bytes=100_000_000,
    calls=500,
    slow_share=0.25,
    slow_images=8,
    slow_epochs=1,
    slow_partial_epochs=4,
    json_bytes=500_000,
    batch=8,
)
"""A look whether all of it works, in one or two minutes; small sizes leave fixed costs large."""

SIZES = {sizes.name: sizes for sizes in (QUICK, STANDARD, THOROUGH)}
