"""What torch.export writes down of a module: a graph of ATen's operations, and how to read its nodes.

PyTorch itself reads the module; nothing is unpickled. It is exported with `BATCH` examples, so that the batch can be told apart
in every shape.
"""

from __future__ import annotations

import io
import logging
import operator
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

from pybridge.converters.building.values import without_batch
from pybridge.errors import ModelFormatError


def export(torch: Any, module: Any, inputs: Sequence[Any], title: str, known: Container[str]) -> Any:
    """Let PyTorch write down what a module does in evaluation mode.

    Args:
        torch: The package.
        module: The module; its modes of training are left as they were.
        inputs: A tensor for each input, with `BATCH` examples.
        title: What to call the module in errors.
        known: The operations that can be converted; PyTorch takes others apart where it can.

    Returns:
        The ``torch.export.ExportedProgram``.

    Raises:
        ModelFormatError: PyTorch cannot follow the module.
    """
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with warnings.catch_warnings(), _silent():
            warnings.simplefilter("ignore")
            return _decomposed(torch, torch.export.export(module, tuple(inputs)).run_decompositions({}), known)
    # torch.export reports what it cannot follow by errors of many types.
    except Exception as error:
        sizes = " and ".join(f"(N, {', '.join(map(str, one.shape[1:]))})" for one in inputs)
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelFormatError(
            f"torch.export cannot export the module {title}: {without_batch(reason[:400])}",
            hint=f"It must take tensors of shape {sizes}, without branches that depend on numbers in them.",
        ) from error
    finally:
        for part, mode in training.items():
            part.training = mode


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what PyTorch logs and prints about an export that fails off the terminal; the error says it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _decomposed(torch: Any, exported: Any, known: Container[str]) -> Any:
    """Let PyTorch take apart the operations that are not known, such as einsum, and only those."""
    table = torch.export.default_decompositions()
    for _ in range(3):
        targets = {node.target for node in exported.graph.nodes if node.op == "call_function"}
        unknown = {target for target in targets if target is not operator.getitem and _named(target) not in known}
        apart = {target: table[target] for target in unknown if target in table}
        if not apart:
            break
        exported = exported.run_decompositions(apart)
    return exported


def operation_of(node: Any) -> str:
    """The name of a node's operation in ATen, without overload."""
    return _named(node.target)


def _named(target: Any) -> str:
    name = target.name() if callable(getattr(target, "name", None)) else str(target)
    return str(name).split("::")[-1].split(".")[0]


def path_of(node: Any) -> str:
    """The path of the innermost module that a node belongs to, such as ``layer1.0.conv1``; empty for the module itself."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((str(entry[0]) for entry in reversed(list(stack.values()))), "")
    return path.removeprefix("L['self'].").removeprefix("L['self']")


def shape_of(node: Any) -> tuple[int, ...]:
    """The shape of a node's first result."""
    meta = node.meta.get("val")
    first = meta[0] if isinstance(meta, list | tuple) and meta else meta
    return tuple(int(size) for size in first.shape) if hasattr(first, "shape") else ()
