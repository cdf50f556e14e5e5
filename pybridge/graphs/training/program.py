"""The description of a traced training: what its graph expects and gives, and what it does not hold, its state."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.graphs.program import Program, Signature, read_manifest

MANIFEST = "training.json"
_GRAPH = "saved_model.pb"


@dataclass(frozen=True)
class TrainingRecipe:
    """What of a training's settings is built into its graph; numbers such as rates are inputs of the graph.

    Attributes:
        optimizer: An ``algorithm`` of `pybridge.optimizers`.
        loss: A Keras loss name.
        momentum: Whether ``sgd`` has momentum.
        nesterov: Whether that is Nesterov's.
        weight_decay: Whether kernels decay.
        global_clipnorm: Whether gradients are clipped.
        label_smoothing: Whether labels are smoothed.
        mixup: Whether examples are mixed.
        hold_batch_normalization: Whether batch normalization stays in inference mode while its layer trains.
    """

    optimizer: str
    loss: str
    momentum: bool = False
    nesterov: bool = False
    weight_decay: bool = False
    global_clipnorm: bool = False
    label_smoothing: bool = False
    mixup: bool = False
    hold_batch_normalization: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingProgram:
    """A SavedModel without variables that turns the state of a training into its next.

    The state is a list of tensors: the weights in the order of ``weights``, then the optimizer's slots, zeros at the
    beginning. Signature ``steps`` takes the whole state and runs training steps; signature ``evaluate`` takes the weights.

    Attributes:
        folder: The SavedModel's folder.
        weights: Names of the weights, in the state's order.
        updated: For each output of ``steps`` that is state, its position there.
        slots: Shapes of the optimizer's slots.
        signatures: ``steps`` and ``evaluate``.
    """

    folder: Path
    weights: tuple[str, ...]
    updated: tuple[int, ...]
    slots: tuple[tuple[int, ...], ...]
    signatures: dict[str, Signature]

    def to_dict(self) -> dict[str, Any]:
        """The program as Node takes it."""
        return {
            "folder": str(self.folder),
            "weights": list(self.weights),
            "updated": list(self.updated),
            "slots": [list(shape) for shape in self.slots],
            "signatures": {name: signature.to_dict() for name, signature in self.signatures.items()},
        }

    @classmethod
    def read(cls, folder: Path) -> TrainingProgram:
        """Reads a traced training.

        Raises:
            ModelFormatError: The folder holds no complete one.
        """
        try:
            manifest = read_manifest(folder, MANIFEST)
            return cls(
                folder,
                tuple(manifest["weights"]),
                tuple(manifest["updated"]),
                tuple(tuple(shape) for shape in manifest["slots"]),
                Program.from_dict({"folder": str(folder), "signatures": manifest["signatures"]}).signatures,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFormatError(
                f"{folder} holds no complete traced training: {error}",
                hint="Delete the folder; it is traced anew when it is next needed.",
            ) from error

    def write_manifest(self) -> None:
        """Writes ``training.json`` beside the SavedModel, whose size it keeps to notice a damaged cache."""
        manifest = {**self.to_dict(), "bytes": (self.folder / _GRAPH).stat().st_size}
        del manifest["folder"]
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
