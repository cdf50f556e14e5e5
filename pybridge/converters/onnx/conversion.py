"""From an ONNX file to a TF.js layers model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pybridge.converters.building import slicing
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.pointwise import wrapped
from pybridge.converters.building.values import BATCH, Constant, Operand, Value, as_value, without_batch
from pybridge.converters.onnx.folding import Folding, is_foldable
from pybridge.converters.onnx.inputs import FEW_BITS, INPUT_TYPES, NARROW, example_shapes, graph_inputs
from pybridge.converters.onnx.layout import Layout
from pybridge.converters.onnx.operations import OPERATIONS
from pybridge.converters.onnx.reading import DAMAGED, read_constant, read_model, read_tensor, written_out
from pybridge.converters.onnx.registry import OF_EXAMPLES, OVERFLOWING, TAKING_SHAPES, WHOLE_NUMBERS, WIDENING, Node
from pybridge.converters.refusals import OTHERWISE, Refusals, Refused
from pybridge.errors import ModelFormatError
from pybridge.text import printable
from pybridge.tfjs.layers_model import LayersModel

_CHANNELS = (1, 3, 4)


def from_onnx(
    path: str | Path,
    *,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    layout: str | None = None,
) -> LayersModel:
    """Convert an ONNX file to a layers model that computes the same and can be trained further.

    The first axis of the inputs is that of the examples, whose number is free in the TF.js model. Where a file fixes all sizes
    and computes along that axis too, the model takes exactly the sizes of the file.

    Args:
        path: The ``.onnx`` file; weights in files of their own must lie in its folder.
        input_shape: The shape of one example as the file counts it, such as ``(3, 224, 224)``, where the file leaves sizes
            open; for several inputs a list of shapes in their order.
        layout: ``"NCHW"`` or ``"NHWC"``: which axis of images holds the channels; by default the one that has 1, 3 or 4, and
            the first if both do. The TF.js model takes ``(height, width, channels)`` either way.

    Returns:
        A model of the same inputs and outputs; feature maps, which are tensors of rank 4 and 5, come out with the channels last.

    Raises:
        ModelFormatError: The package onnx is not installed, the file is damaged or unsafe, or operations have no exact
            counterpart; all of them are named.

    Example:
        >>> from_onnx("mobilenetv2.onnx").topology["class_name"]
        'Functional'
    """
    return convert(Path(path), input_shape=input_shape, layout=layout)[0]


def convert(
    file: Path, *, input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None, layout: str | None = None
) -> tuple[LayersModel, Layout]:
    """Convert an ONNX file as `from_onnx` does, and say how its tensors lie in the model.

    Raises:
        ModelFormatError: As `from_onnx`.
    """
    if layout not in (None, "NCHW", "NHWC"):
        raise ModelFormatError(f"layout must be NCHW or NHWC, not {layout!r}", hint="Leave it out to let it be found.")
    try:
        model = _read(file)
        entries = graph_inputs(model.graph)
        shapes = example_shapes(entries, input_shape, file)
        sizes = {shape[0] for shape in shapes if shape}
        fixed = next(iter(sizes), 1) if all(all(shape) for shape in shapes) and entries else None
        if len(sizes) == 1 and all(shapes):
            try:
                return _Conversion(model, file, layout, is_whole=False).run(entries, shapes)
            except (ModelFormatError, Refused):
                if fixed is None:
                    raise
                # Nodes are changed on the way, so that a second attempt reads the file again.
                model = _read(file)
        elif fixed is None:
            raise ModelFormatError(
                f"{file}: its inputs have the shapes {', '.join(map(_written, shapes))}, which differ in their first sizes",
                hint="Export it with a number of examples as the first size of each input, or with all sizes fixed.",
            )
        return _Conversion(model, file, layout, is_whole=True).run(graph_inputs(model.graph), shapes)
    except Refused as refused:
        raise ModelFormatError(f"{file}: {without_batch(refused.reason)}", hint=OTHERWISE) from None
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
        raise ModelFormatError(f"{file}: not a valid ONNX model ({type(error).__name__})", hint=DAMAGED) from error


class _Conversion:
    """One pass over the nodes of a graph.

    Args:
        model: The parsed file.
        file: Its path.
        layout: As in `from_onnx`.
        is_whole: Whether all sizes are fixed, and the first axis is one like any other.
    """

    def __init__(self, model: Any, file: Path, layout: str | None, *, is_whole: bool) -> None:
        self.graph = model.graph
        self.file = file
        self.layout = layout
        self.is_whole = is_whole
        self.opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
        self.builder = Builder(file.stem)
        self.refusals = Refusals(str(file))
        self.results: dict[str, Operand | None] = {"": None}
        self.static_batch: int | None = None
        self.narrow: dict[str, int] = {}
        self.folding = Folding(self.opset, self.graph.name)
        self.done: set[int] = set()

    def run(self, entries: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> tuple[LayersModel, Layout]:
        for initializer in self.graph.initializer:
            self.results[initializer.name] = self._initializer(initializer)
        if len(self.graph.sparse_initializer):
            raise ModelFormatError(f"{self.file}: holds sparse weights", hint="Export it with dense ones.")
        if not entries:
            raise ModelFormatError(f"{self.file}: has no inputs", hint="Give the file of a model that takes something.")
        for entry, shape in zip(entries, shapes, strict=True):
            self._input(entry, shape)
        users = self._users()
        for number, node in enumerate(self.graph.node):
            if number not in self.done:
                self._node(node, users)
        self.refusals.raise_all()
        model = self._finished()
        return model, self._layout(entries, shapes, model)

    def _layout(self, entries: Sequence[Any], shapes: Sequence[tuple[int, ...]], model: LayersModel) -> Layout:
        taken = {str(reference[0]) for reference in model.topology["config"]["input_layers"]}
        used = [(entry, value.layer in taken) for entry, value in zip(entries, self.builder.inputs, strict=True)]
        kept = [entry for entry, is_used in used if is_used]
        others = [
            (str(entry.name), shape, int(entry.type.tensor_type.elem_type))
            for (entry, is_used), shape in zip(used, shapes, strict=True)
            if not is_used
        ]
        return Layout(
            tuple(str(entry.name) for entry in kept),
            tuple(int(entry.type.tensor_type.elem_type) for entry in kept),
            tuple(others),
            self.layout == "NHWC",
            None if self.is_whole else self.static_batch or 1,
        )

    def _finished(self) -> LayersModel:
        values: list[Value] = []
        for entry in self.graph.output:
            end = self.results.get(entry.name)
            if isinstance(end, Constant) and self.is_whole:
                source = self.builder.inputs[0]
                like = next(
                    one for one in self.results.values() if isinstance(one, Value) and one.tensor[0].startswith(source.layer)
                )
                end = slicing.as_tensor(self.builder, end, like, name=entry.name)
            if not isinstance(end, Value):
                raise Refused(f"the output {printable(entry.name)} does not depend on the input")
            values.append(end)
        moved = self.layout != "NHWC"
        orders = [(0, *range(2, end.rank), 1) if moved and end.rank in (4, 5) else range(end.rank) for end in values]
        return self.builder.finish(values, orders=orders)

    def _input(self, entry: Any, shape: Sequence[int]) -> None:
        kind = entry.type.tensor_type.elem_type
        dtype = INPUT_TYPES.get(kind)
        if dtype is None:
            raise Refused(f"the input {printable(entry.name)} holds neither numbers nor truth values")
        if kind in NARROW:
            self.narrow[entry.name] = kind
        if not self.is_whole:
            self.static_batch = shape[0] or None
            shape = (BATCH, *shape[1:])
        if len(shape) == 4 and self.layout is None:
            self.layout = "NHWC" if shape[-1] in _CHANNELS and shape[1] not in _CHANNELS else "NCHW"
        order = (0, *range(2, len(shape)), 1) if len(shape) in (4, 5) and self.layout != "NHWC" else None
        self.results[entry.name] = self.builder.input(entry.name, shape, order=order, dtype=dtype)

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

        label = node.name or next(iter(node.output), node.op_type)
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
                self._check_types(node, operands, attributes)
                results = self._overflowing(node, self._convert(node, operands, attributes, users))
            except Refused as refused:
                self.refusals.add(node.op_type, label, without_batch(refused.reason))
                results = [_UNKNOWN] * len(node.output)
            # An operation may mean more than is known of it here; whether the file is at fault cannot be told.
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError) as error:
                self.refusals.add(node.op_type, label, f"its inputs and attributes are not understood ({type(error).__name__})")
                results = [_UNKNOWN] * len(node.output)
        for name, result in zip(node.output, [*results, *[None] * len(node.output)], strict=False):
            self.results[name] = result

    def _check_types(self, node: Any, operands: Sequence[Operand | None], attributes: dict[str, Any]) -> None:
        """Refuse arithmetic on whole numbers that would not overflow as in the file."""
        kinds = {self.builder.dtype(operand) for operand in operands if isinstance(operand, Value)}
        if kinds - {"float32"} and node.op_type not in WHOLE_NUMBERS:
            raise Refused("it computes with whole numbers")
        if node.op_type in WIDENING or (node.op_type == "Cast" and attributes.get("to") not in NARROW):
            return
        kinds_of_few_bits = {self.narrow[name] for name in node.input if name in self.narrow}
        for kind in kinds_of_few_bits:
            if node.op_type in OVERFLOWING and (kind not in FEW_BITS or len(kinds_of_few_bits) > 1 or node.op_type == "Pow"):
                raise Refused("it computes with whole numbers of these types")
            self.narrow.update(dict.fromkeys(node.output, kind))
        if node.op_type == "Cast" and attributes.get("to") in NARROW:
            self.narrow.update(dict.fromkeys(node.output, attributes["to"]))

    def _overflowing(self, node: Any, results: Sequence[Any]) -> list[Any]:
        """Let results of few bits overflow as their types do."""
        kind = self.narrow.get(node.output[0]) if node.output else None
        if kind is None or node.op_type not in OVERFLOWING:
            return list(results)
        bits, is_signed = FEW_BITS[kind]
        return [
            wrapped(self.builder, one, bits, is_signed=is_signed, name=f"{_name(node)}_bits") if isinstance(one, Value) else one
            for one in results
        ]

    def _convert(
        self, node: Any, operands: list[Operand | None], attributes: dict[str, Any], users: dict[str, list[int]]
    ) -> Sequence[Any]:
        if node.domain not in ("", "ai.onnx", "com.microsoft"):
            raise Refused(f"it belongs to {node.domain}")
        if node.op_type == "Constant":
            return [read_constant(attributes, self.file)]
        if operands and all(operand is None or isinstance(operand, Constant) for operand in operands):
            return self.folding.fold(node, operands)
        if node.op_type not in TAKING_SHAPES:
            self.folding.refuse_batch(operand for operand in operands if isinstance(operand, Constant))
        handler = OPERATIONS.find(node.op_type, max(self.opset, 1))
        if handler is None:
            raise Refused("this operation is not known")
        context = Node(self.builder, _name(node), node.op_type, attributes, len(node.output), self.static_batch)
        if node.op_type == "MatMul":
            operands = [*operands, self._bias_behind(node, operands, users)]
        first = operands[0] if operands else None
        if self.is_whole and node.op_type in OF_EXAMPLES and isinstance(first, Value):
            return self._of_examples(handler, context, first, operands[1:])
        result = handler(context, *operands)
        if node.op_type == "Shape" and isinstance(result, Constant):
            self.folding.note(result)
        return result if isinstance(result, list) else [result]

    def _of_examples(
        self, handler: Callable[..., Any], context: Node, x: Value, others: Sequence[Operand | None]
    ) -> Sequence[Any]:
        """Apply what works on each example by itself to a tensor whose sizes are all fixed."""
        if x.rank < 2 or any(isinstance(other, Value) for other in others):
            raise Refused("one of its weights is computed from the input")
        count = x.shape[0]
        name = context.name
        value = handler(context, self.builder.examples_first(x, name=name), *others)
        return [self.builder.examples_back(as_value(value), count, name=name)]

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


def _read(file: Path) -> Any:
    return written_out(read_model(file), lambda kind: kind in OPERATIONS or is_foldable(kind))


def _written(shape: Sequence[int]) -> str:
    return "(" + ", ".join(str(size) if size else "free" for size in shape) + ")"


def _name(node: Any) -> str:
    """Call a layer after the path that PyTorch gives to a node."""
    parts = [part for part in str(node.name or node.op_type).split("/") if part]
    # PyTorch repeats itself: /layer1/layer1.0/conv1/Conv.
    kept = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")]
    if len(kept) > 1 and kept[-1].split("_")[0] == node.op_type:
        kept.pop()
    return ".".join(kept) or str(node.op_type)
