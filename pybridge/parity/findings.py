"""What a comparison of runtimes finds, as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pybridge.text import printable

Status = Literal["compared", "unavailable", "unsupported", "failed"]
"""Compared; not on this machine; the runtime cannot run this model; it should have run it, but did not."""

TRAINING_TOLERANCE = 1e-3
"""By which share the losses of both engines may differ: they sum in another order, and Adam divides by small numbers."""

# The heat map's data, and what is the same for every runtime that was compared.
_NOT_IN_JSON = ("asked", "examples", "outputs", "reason", "status")

# Settings that change no output in inference, or only name things.
_IRRELEVANT = ("name", "dtype", "trainable", "batch_shape", "batch_input_shape", "module", "registered_name", "synchronized")


@dataclass(frozen=True)
class RuntimeResult:
    """How one runtime compares with the reference.

    Attributes:
        name: Which runtime.
        max_abs_diff: Largest absolute difference of an output.
        max_abs_diff_features: Of a classifier's run: largest absolute difference of an activation where the frozen part ends.
        max_ulp_diff: The largest difference in units in the last place of float32.
        label_agreement: Share of the examples that get the same label, ties within the tolerance included; None where the
            model has no scores of classes.
        identical: Whether every bit is the same.
        worst_image: The example with the largest difference, measured by its tolerance; None where there is no difference.
        seconds: Time for all examples.
        max_rel_diff: Largest difference as a share of the largest output of its example.
        inputs: How many examples this runtime computed; slow ones get a few only.
        tolerance: The largest difference that passes for the worst example.
        excess: The largest ratio of a difference to its tolerance: above 1 fails.
        status: Whether it was compared, and if not, why not.
        reason: Why it was not compared.
        asked: Whether the caller asked for this runtime by name.
        note: What else is worth knowing.
        examples: For each example that was computed, by its position: the difference, and its ratio to the tolerance.
        outputs: For the worst example, the differences of its outputs, at most 4096 of them.
    """

    name: str
    max_abs_diff: float
    max_abs_diff_features: float | None
    max_ulp_diff: int
    label_agreement: float | None
    identical: bool
    worst_image: str | None
    seconds: float
    max_rel_diff: float = 0.0
    inputs: int | None = None
    tolerance: float | None = None
    excess: float | None = None
    status: Status = "compared"
    reason: str | None = None
    asked: bool = False
    note: str | None = None
    examples: dict[int, tuple[float, float]] = field(default_factory=dict)
    outputs: tuple[float, ...] = ()

    @classmethod
    def missing(cls, name: str, status: Status, reason: str, *, asked: bool) -> RuntimeResult:
        """The row of a runtime that gave nothing."""
        return cls(name, math.nan, None, 0, None, False, None, 0.0, math.nan, 0, status=status, reason=reason, asked=asked)

    def passes(self, tolerance: float | None) -> bool:
        """Whether it is within the tolerance, the derived one where there is no other, and gives the same labels.

        A runtime that this machine does not have, or that lacks an operation, counts only where it was asked for.
        """
        if self.status != "compared":
            return self.status != "failed" and not self.asked
        plain = tolerance is not None and self.max_abs_diff <= tolerance
        within = plain if self.excess is None else self.excess <= 1
        features = self.max_abs_diff_features
        return within and (features is None or features <= (tolerance or 0)) and self.label_agreement in (None, 1)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; what is not finite is None."""
        facts = {key: value for key, value in asdict(self).items() if key not in _NOT_IN_JSON}
        return {key: _plain(value) for key, value in facts.items()}


@dataclass(frozen=True)
class LayerFinding:
    """Where a runtime parts from the reference.

    Attributes:
        runtime: Which runtime.
        example: The example that was walked.
        compared: How many layers have a counterpart on the other side.
        layer: Path of the first layer beyond its tolerance; None where every one is within.
        class_name: Its class.
        difference: Its largest absolute difference; infinite where the shapes differ.
        tolerance: How much would pass.
        alone: Whether it differs too when both sides get the reference's inputs; None where it could not be run alone.
        reference_config: Its options in the reference.
        other_config: Its options in the runtime.
        causes: Guesses that, tried on the layer alone, give what the runtime gave; the most likely one first.
        remark: Why there is nothing to say.
    """

    runtime: str
    example: str
    compared: int = 0
    layer: str | None = None
    class_name: str | None = None
    difference: float | None = None
    tolerance: float | None = None
    alone: bool | None = None
    reference_config: dict[str, Any] = field(default_factory=dict)
    other_config: dict[str, Any] = field(default_factory=dict)
    causes: tuple[str, ...] = ()
    remark: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        apart = self.difference is not None and not math.isfinite(self.difference)
        return {**facts, "causes": list(self.causes), "difference": None if apart else self.difference}

    def __str__(self) -> str:
        start = f"{self.runtime}, {printable(self.example)}: "
        if self.layer is None:
            return start + (self.remark or f"none of {self.compared} layers differs beyond its tolerance")
        lines = [
            f"{start}the first of {self.compared} layers that differs is {self.layer!r} ({printable(self.class_name)}), "
            f"by {self.difference:.3g}; {self.tolerance:.2g} would pass"
        ]
        if self.alone is False:
            lines.append("  given equal inputs, it does not differ: the difference builds up in the layers before it")
        lines += [
            f"  {printable(key)}: {ours!r} in the reference, {theirs!r} here" for key, ours, theirs in self.changed_options()
        ]
        lines.append(f"  likely cause: {printable(self.causes[0])}" if self.causes else "  no cause was found")
        lines += [f"  or: {printable(cause)}" for cause in self.causes[1:]]
        if self.remark:
            lines.append(f"  {self.remark}")
        return "\n".join(lines)

    def changed_options(self) -> list[tuple[str, Any, Any]]:
        """Options of the layer that both sides have with other values."""
        return [
            (key, self.reference_config[key], value) for key, value in differing_options(self.reference_config, self.other_config)
        ]


@dataclass(frozen=True)
class TrainingCheck:
    """How the training of a run's trainable part compares.

    Attributes:
        images: How many were trained on.
        epochs: How many epochs.
        values: How many numbers all weights have.
        different: How many of them differ between Node and Python after the training.
        max_abs_diff: By how much at most.
        worst_weight: The weight with the largest difference; None where there is none.
        changed: How many of the numbers the training changed; where nothing changes, equality says nothing.
        losses: The loss of each epoch, in ``node`` and in ``python``.
        engine_images: How many of the images both engines were compared on, without dropout, whose masks they draw differently.
        engine_losses: The loss of each epoch there, with ``compiled`` and with ``layers``.
        max_loss_diff: The largest difference of these, as a share of the loss.
        tolerance: The largest ``max_loss_diff`` that passes.
    """

    images: int
    epochs: int
    values: int
    different: int
    max_abs_diff: float
    worst_weight: str | None
    changed: int
    losses: dict[str, list[float]]
    engine_images: int
    engine_losses: dict[str, list[float]]
    max_loss_diff: float
    tolerance: float = TRAINING_TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the training changed weights, all are equal in Node and Python, and the engines agree."""
        same_losses = self.losses["node"] == self.losses["python"]
        return self.changed > 0 and not self.different and same_losses and self.max_loss_diff <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"passed": self.passed, **asdict(self)}

    def __str__(self) -> str:
        node, python = (", ".join(f"{loss:.6f}" for loss in self.losses[name]) for name in ("node", "python"))
        found = "all equal to the last bit" if not self.different else f"differ by up to {self.max_abs_diff:.3g}"
        worst = f", most in {printable(self.worst_weight)}" if self.worst_weight else ""
        compiled, layers = (", ".join(f"{loss:.6f}" for loss in losses) for losses in self.engine_losses.values())
        return (
            f"training           {self.epochs} epochs on {self.images} images: {self.different} of {self.values} weight values "
            f"differ between Node and Python ({found}{worst}); {self.changed} changed\n"
            f"  loss in Node     {node}\n"
            f"  loss in Python   {python}\n"
            f"engines            {self.engine_images} images: losses differ by {self.max_loss_diff:.2g} of themselves, allowed "
            f"{self.tolerance:.2g}\n"
            f"  loss, compiled   {compiled}\n"
            f"  loss, layers     {layers}"
        )


@dataclass(frozen=True)
class ParityFindings:
    """Everything that a comparison found; `pybridge.parity.report.ParityReport` adds what is made of it.

    Attributes:
        reference: What the runtimes were compared with.
        tolerance: The largest ``max_abs_diff`` that passes; None where each example has a tolerance of its own.
        images: How many examples the reference computed.
        runtimes: One result for each runtime.
        names: What the examples are.
        formula: How the tolerances were derived.
        noise_floor: The largest share of its largest output by which an example's outputs move under noise.
        depth: How many roundings lie on the way through the model.
        layers: The first layer that differs, for each runtime that was walked; None where nobody asked.
        training: Whether the run's training gives the same weights in Node and in Python; None where nobody asked.
    """

    reference: str
    tolerance: float | None
    images: int
    runtimes: tuple[RuntimeResult, ...]
    names: tuple[str, ...] = ()
    formula: str | None = None
    noise_floor: float | None = None
    depth: int | None = None
    layers: tuple[LayerFinding, ...] | None = None
    training: TrainingCheck | None = None

    @property
    def passed(self) -> bool:
        """Whether every runtime is within the tolerance and gives every example the same label, and at least one was compared.

        Where the training was compared it must pass too.
        """
        if self.training is not None and not self.training.passed:
            return False
        compared = any(result.status == "compared" for result in self.runtimes)
        return compared and all(result.passes(self.tolerance) for result in self.runtimes)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; ``runtimes`` by name, and in ``not_compared`` those that gave nothing, with the reason."""
        facts: dict[str, Any] = {
            "passed": self.passed,
            "reference": self.reference,
            "tolerance": self.tolerance,
            "images": self.images,
            "runtimes": {result.name: result.to_dict() for result in self.runtimes if result.status == "compared"},
        }
        missing = [result for result in self.runtimes if result.status != "compared"]
        if missing:
            facts["not_compared"] = {result.name: {"status": result.status, "reason": result.reason} for result in missing}
        if self.formula is not None:
            facts |= {"formula": self.formula, "noise_floor": _plain(self.noise_floor), "depth": self.depth}
        if self.layers is not None:
            facts["layers"] = [finding.to_dict() for finding in self.layers]
        if self.training is not None:
            facts["training"] = self.training.to_dict()
        return facts


def differing_options(reference: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any]]:
    """Options that change outputs and have another value on the other side, with that value."""
    return [
        (key, other[key])
        for key in reference
        if key in other
        and key not in _IRRELEVANT
        and not key.endswith(("_initializer", "_regularizer", "_constraint"))
        and _comparable(reference[key]) != _comparable(other[key])
    ]


def _comparable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = [_comparable(item) for item in value]
        return items[0] if len(items) > 0 and all(item == items[0] for item in items) else items
    return value


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
