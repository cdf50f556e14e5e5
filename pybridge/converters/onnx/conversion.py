"""From an ONNX file to a TF.js layers model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Operand, Value
from pybridge.converters.onnx.folding import fold, is_foldable
from pybridge.converters.onnx.operations import OPERATIONS
from pybridge.converters.onnx.reading import DAMAGED, read_constant, read_model, read_tensor
from pybridge.converters.onnx.registry import Node
from pybridge.converters.refusals import Refusals, Refused
from pybridge.errors import ModelFormatError
from pybridge.text import printable
from pybridge.tfjs.layers_model import LayersModel

_CHANNELS = (1, 3, 4)


def from_onnx(path: str | Path, *, input_shape: Sequence[int] | None = None, layout: str | None = None) -> LayersModel:
    """Convert an ONNX file to a layers model that computes the same and can be trained further.

    Args:
        path: The ``.onnx`` file; weights in files of their own must lie in its folder.
        input_shape: The shape of one example as the file counts it, such as ``(3, 224, 224)``, where the file leaves sizes
            open.
        layout: ``"NCHW"`` or ``"NHWC"``: which axis of images holds the channels; by default the one that has 1, 3 or 4, and
            the first if both do. The TF.js model takes ``(height, width, channels)`` either way.

    Returns:
        A model of the same outputs; feature maps come out with the channels last.

    Raises:
        ModelFormatError: The package onnx is not installed, the file is damaged or unsafe, or operations have no exact
            counterpart; all of them are named.

    Example:
        >>> from_onnx("mobilenetv2.onnx").topology["class_name"]
        'Functional'
    """
    if layout not in (None, "NCHW", "NHWC"):
        raise ModelFormatError(f"layout must be NCHW or NHWC, not {layout!r}", hint="Leave it out to let it be found.")
    file = Path(path)
    model = read_model(file)
    try:
        return _Conversion(model, file, layout).run(input_shape)
    except Refused as refused:
        raise ModelFormatError(f"{file}: {refused.reason}", hint=DAMAGED) from None
    # The file decides what its attributes hold, so any of these says that they make no sense together.
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        ZeroDivisionError,
    ) as error:
        raise ModelFormatError(f"{file}: not a valid ONNX model ({error})", hint=DAMAGED) from error


class _Conversion:
    """One pass over the nodes of a graph."""

    def __init__(self, model: Any, file: Path, layout: str | None) -> None:
        self.graph = model.graph
        self.file = file
        self.layout = layout
        self.opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
        self.builder = Builder(file.stem)
        self.refusals = Refusals(str(file))
        self.results: dict[str, Operand | None] = {"": None}
        self.static_batch: int | None = None
        self.done: set[int] = set()

    def run(self, input_shape: Sequence[int] | None) -> LayersModel:
        for initializer in self.graph.initializer:
            self.results[initializer.name] = self._initializer(initializer)
        if len(self.graph.sparse_initializer):
            raise ModelFormatError(f"{self.file}: holds sparse weights", hint="Export it with dense ones.")
        inputs = [entry for entry in self.graph.input if entry.name not in self.results]
        if len(inputs) != 1:
            names = ", ".join(printable(entry.name) for entry in inputs)
            raise ModelFormatError(f"{self.file}: has {len(inputs)} inputs ({names})", hint="Export it with one input.")
        self._input(inputs[0], input_shape)
        users = self._users()
        for number, node in enumerate(self.graph.node):
            if number not in self.done:
                self._node(node, users)
        self.refusals.raise_all()
        ends = [self.results.get(entry.name) for entry in self.graph.output]
        values = [end for end in ends if isinstance(end, Value)]
        if not values or len(values) != len(ends):
            raise ModelFormatError(f"{self.file}: an output does not depend on the input", hint=DAMAGED)
        moved = self.layout == "NCHW"
        orders = [(0, *range(2, end.rank), 1) if moved and end.rank in (4, 5) else range(end.rank) for end in values]
        return self.builder.finish(values, orders=orders)

    def _input(self, entry: Any, input_shape: Sequence[int] | None) -> None:
        declared = [one.dim_value if one.HasField("dim_value") else 0 for one in entry.type.tensor_type.shape.dim]
        sizes = [int(size) for size in input_shape] if input_shape is not None else declared[1:]
        if len(sizes) == len(declared) and len(sizes) > 1:
            sizes = sizes[1:]
        if len(sizes) != len(declared) - 1 or any(size < 1 for size in sizes):
            raise ModelFormatError(
                f"{self.file}: the input {entry.name!r} has the shape {declared or 'unknown'}, where 0 is left open",
                hint="Give input_shape, such as (3, 224, 224).",
            )
        if any(have not in (0, want) for have, want in zip(declared[1:], sizes, strict=True)):
            raise ModelFormatError(f"{self.file}: takes {declared[1:]}, not input_shape {sizes}", hint="Leave it out.")
        self.static_batch = declared[0] or None
        shape = (BATCH, *sizes)
        if len(shape) == 4 and self.layout is None:
            self.layout = "NHWC" if sizes[-1] in _CHANNELS and sizes[0] not in _CHANNELS else "NCHW"
        order = (0, 2, 3, 1) if len(shape) == 4 and self.layout == "NCHW" else None
        self.results[entry.name] = self.builder.input(entry.name, shape, order=order)

    def _initializer(self, tensor: Any) -> Constant:
        array = read_tensor(tensor, self.file)
        # Single numbers are settings such as the exponent of a square; training must leave them alone.
        return Constant(array, tensor.name, array.dtype.kind == "f" and array.size > 1)

    def _users(self) -> dict[str, list[int]]:
        users: dict[str, list[int]] = {}
        for number, node in enumerate(self.graph.node):
            for name in node.input:
                users.setdefault(name, []).append(number)
        for entry in self.graph.output:
            users.setdefault(entry.name, []).append(-1)
        return users

    def _node(self, node: Any, users: dict[str, list[int]]) -> None:
        import onnx

        label = node.name or node.output[0]
        missing = [name for name in node.input if name not in self.results]
        if missing:
            raise ModelFormatError(f"{self.file}: {label!r} uses {missing[0]!r}, which is not there yet", hint=DAMAGED)
        operands = [self.results[name] for name in node.input]
        if any(operand is _UNKNOWN for operand in operands):
            results: Sequence[Any] = [_UNKNOWN] * len(node.output)
            if node.op_type not in OPERATIONS and not is_foldable(node.op_type):
                self.refusals.add(node.op_type, label, "this operation is not known")
        else:
            try:
                attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
                results = self._convert(node, operands, attributes, users)
            except Refused as refused:
                self.refusals.add(node.op_type, label, refused.reason)
                results = [_UNKNOWN] * len(node.output)
        for name, result in zip(node.output, [*results, *[None] * len(node.output)], strict=False):
            self.results[name] = result

    def _convert(
        self, node: Any, operands: list[Operand | None], attributes: dict[str, Any], users: dict[str, list[int]]
    ) -> Sequence[Any]:
        if node.domain not in ("", "ai.onnx", "com.microsoft"):
            raise Refused(f"it belongs to {node.domain}")
        if node.op_type == "Constant":
            return [read_constant(attributes, self.file)]
        if all(operand is None or isinstance(operand, Constant) for operand in operands):
            return fold(node, operands, self.opset, self.graph.name)
        handler = OPERATIONS.find(node.op_type, max(self.opset, 1))
        if handler is None:
            raise Refused("this operation is not known")
        context = Node(self.builder, _name(node), node.op_type, attributes, len(node.output), self.static_batch)
        if node.op_type == "MatMul":
            operands = [*operands, self._bias_behind(node, operands, users)]
        result = handler(context, *operands)
        return result if isinstance(result, list) else [result]

    def _bias_behind(self, node: Any, operands: list[Operand | None], users: dict[str, list[int]]) -> Constant | None:
        """Find the bias that the next node adds to a product, so that both become one Dense layer."""
        matrix, followers = operands[1], users.get(node.output[0], [])
        if not isinstance(matrix, Constant) or matrix.rank != 2 or len(followers) != 1 or followers[0] < 0:
            return None
        adding = self.graph.node[followers[0]]
        others = [name for name in adding.input if name != node.output[0]]
        bias = self.results.get(others[0]) if adding.op_type == "Add" and len(others) == 1 else None
        if not isinstance(bias, Constant) or bias.array.shape != matrix.array.shape[1:]:
            return None
        self.done.add(followers[0])
        # The product itself is used nowhere else, so that both names may mean the sum.
        node.output.append(adding.output[0])
        return bias


_UNKNOWN: Any = object()


def _name(node: Any) -> str:
    """Call a layer after the path that PyTorch gives to a node."""
    parts = [part for part in str(node.name or node.op_type).split("/") if part]
    # PyTorch repeats itself: /layer1/layer1.0/conv1/Conv.
    kept = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")]
    if len(kept) > 1 and kept[-1].split("_")[0] == node.op_type:
        kept.pop()
    return ".".join(kept) or str(node.op_type)
