"""The description of a traced program: its signatures and the names of their tensors in the graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError

MANIFEST = "program.json"
_GRAPH = "saved_model.pb"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: Its name for callers.
        tensor: The graph tensor's name, such as ``"images:0"``.
        dtype: A numpy dtype name, or ``"string"``.
        shape: Its shape, with None where the size is free.
    """

    name: str
    tensor: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Signature:
    """One way to call a program.

    Attributes:
        inputs: In the order of the call.
        output: The first output; programs in a chain have no other.
        others: Further outputs, in order.
    """

    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    others: tuple[TensorSpec, ...] = ()

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """All outputs, in order."""
        return (self.output, *self.others)


@dataclass(frozen=True)
class Program:
    """A SavedModel without variables, and how to call it.

    Attributes:
        folder: The SavedModel's folder.
        signatures: What it computes, by name.
    """

    folder: Path
    signatures: dict[str, Signature]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one example's output; the same for every signature."""
        shape = next(iter(self.signatures.values())).output.shape[1:]
        return tuple(int(size) for size in shape if size is not None)

    def to_dict(self) -> dict[str, Any]:
        """The program as Node's ``program.load`` and the reference process take it."""
        return {
            "folder": str(self.folder),
            "signatures": {name: asdict(signature) for name, signature in self.signatures.items()},
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Program:
        """The inverse of ``to_dict``."""
        signatures = {
            name: Signature(
                inputs=tuple(tensor_spec(spec) for spec in signature["inputs"]),
                output=tensor_spec(signature["output"]),
                others=tuple(tensor_spec(spec) for spec in signature.get("others", [])),
            )
            for name, signature in description["signatures"].items()
        }
        return cls(Path(description["folder"]), signatures)

    @classmethod
    def read(cls, folder: Path) -> Program:
        """Reads a traced program.

        Raises:
            ModelFormatError: The folder holds no complete program.
        """
        try:
            manifest = read_manifest(folder, MANIFEST)
            return cls.from_dict({"folder": str(folder), "signatures": manifest["signatures"]})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFormatError(
                f"{folder} holds no complete traced program: {error}",
                hint="Delete the folder; it is traced anew when it is next needed.",
            ) from error

    def write_manifest(self) -> None:
        """Writes ``program.json`` beside the SavedModel, whose size it keeps to notice a damaged cache."""
        manifest = {"bytes": (self.folder / _GRAPH).stat().st_size, "signatures": self.to_dict()["signatures"]}
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")


def tensor_spec(description: dict[str, Any]) -> TensorSpec:
    """A tensor's description out of a manifest."""
    return TensorSpec(
        name=description["name"],
        tensor=description["tensor"],
        dtype=description["dtype"],
        shape=tuple(description["shape"]),
    )


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """The manifest called `name` of a traced graph, whose file is as long as the manifest says.

    Raises:
        OSError: A file is missing.
        ValueError: The manifest is no JSON, or the graph was cut off.
        KeyError: The manifest says no length.
    """
    manifest: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    size = (folder / _GRAPH).stat().st_size
    if size != manifest["bytes"]:
        raise ValueError(f"{_GRAPH} has {size} bytes, not {manifest['bytes']}")
    return manifest
