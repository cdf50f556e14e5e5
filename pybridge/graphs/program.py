"""The description of a traced program: its signatures and the names of their tensors in the graph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.tfjs.port import Port

MANIFEST = "program.json"
_GRAPH = "saved_model.pb"


@dataclass(frozen=True)
class Signature:
    """One way to call a program.

    Attributes:
        inputs: In the order of the call.
        output: The first output; programs in a chain have no other.
        others: Further outputs, in order.
    """

    inputs: tuple[Port, ...]
    output: Port
    others: tuple[Port, ...] = ()

    @property
    def outputs(self) -> tuple[Port, ...]:
        """All outputs, in order."""
        return (self.output, *self.others)

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it."""
        return {
            "inputs": [port.to_dict() for port in self.inputs],
            "output": self.output.to_dict(),
            "others": [port.to_dict() for port in self.others],
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Signature:
        """The inverse of ``to_dict``."""
        return cls(
            inputs=tuple(Port.from_dict(port) for port in description["inputs"]),
            output=Port.from_dict(description["output"]),
            others=tuple(Port.from_dict(port) for port in description.get("others", [])),
        )


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
            "signatures": {name: signature.to_dict() for name, signature in self.signatures.items()},
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Program:
        """The inverse of ``to_dict``."""
        signatures = {name: Signature.from_dict(signature) for name, signature in description["signatures"].items()}
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
