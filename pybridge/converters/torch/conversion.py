"""From a PyTorch module to a TF.js layers model, by way of torch.export."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Value, shown, without_batch
from pybridge.converters.refusals import Refusals, Refused
from pybridge.converters.torch.export import export, operation_of, path_of, shape_of
from pybridge.converters.torch.operations import OPERATIONS
from pybridge.converters.torch.registry import WHOLE_NUMBERS, Node
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

if TYPE_CHECKING:
    import torch

_FOLD_LIMIT = 2**27

# Inputs whose types are found by trying.
_MOST_TYPED = 4


def from_torch(
    module: torch.nn.Module, input_shape: Sequence[int] | Sequence[Sequence[int]], *, name: str | None = None
) -> LayersModel:
    """Convert a PyTorch module to a layers model that computes the same and can be trained further.

    The module is taken as it is in evaluation mode; Dropout layers stay. Parameters with ``requires_grad=False`` become
    layers that are not trainable.

    Args:
        module: A module that takes tensors. Those that an ``nn.Embedding`` looks up are whole numbers, the others float32.
        input_shape: The shape of one example as PyTorch counts it, such as ``(3, 224, 224)``; a batch size before it is
            ignored. For several inputs a list of shapes: ``[(3, 224, 224), (10,)]``. Images go into the TF.js model as
            ``(224, 224, 3)``, and feature maps come out with the channels last.
        name: The model's name; by default the class's.

    Returns:
        A model of the same outputs, with layers named after the module's parts: ``layer1.0.conv1`` is ``layer1_0_conv1``.

    Raises:
        ModelFormatError: PyTorch is not installed or cannot export the module, or operations have no exact counterpart; all
            of them are named.

    Example:
        >>> model = from_torch(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()), (3, 32, 32))
        >>> model.weights["0/kernel"].shape
        (3, 3, 3, 8)
    """
    torch = _torch()
    if isinstance(module, str | Path):
        raise ModelFormatError(
            f"{module} is a file of PyTorch, whose weights say nothing of what is computed with them",
            hint="Build the module in Python, load_state_dict(torch.load(file, weights_only=True)), and give the module.",
        )
    if not isinstance(module, torch.nn.Module):
        raise ModelFormatError(f"{type(module).__name__} is no torch.nn.Module", hint="Give the module itself.")
    shapes = example_shapes(module, input_shape)
    title = name or type(module).__name__
    inputs, exported = _exported(torch, module, shapes, title)
    return _Conversion(torch, module, exported, title).run(inputs)


def _exported(torch: Any, module: Any, shapes: Sequence[tuple[int, ...]], title: str) -> tuple[list[Any], Any]:
    """Export a module, with whole numbers for those inputs that it looks up in tables."""
    floating = placeholders(torch, module, shapes)
    looks_up = any(isinstance(part, torch.nn.Embedding | torch.nn.EmbeddingBag) for part in module.modules())
    first: ModelFormatError | None = None
    for mask in range(2 ** len(shapes) if looks_up and len(shapes) <= _MOST_TYPED else 1):
        inputs = [one.long() if mask >> place & 1 else one for place, one in enumerate(floating)]
        try:
            return inputs, export(torch, module, inputs, title, OPERATIONS)
        except ModelFormatError as error:
            first = first or error
    assert first is not None
    raise first


class _Conversion:
    """One pass over an exported program."""

    def __init__(self, torch: Any, module: Any, exported: Any, title: str) -> None:
        self.torch = torch
        self.module = module
        self.exported = exported
        self.builder = Builder(title)
        self.refusals = Refusals(f"the module {title}")
        self.results: dict[str, Any] = {}
        self.parameters = dict(module.named_parameters(remove_duplicate=False))

    def run(self, inputs: Sequence[Any]) -> LayersModel:
        from torch.export.graph_signature import InputKind, OutputKind

        signature = self.exported.graph_signature
        kinds = {spec.arg.name: spec for spec in signature.input_specs}
        users = [spec.arg.name for spec in signature.input_specs if spec.kind == InputKind.USER_INPUT]
        outputs = [spec.arg.name for spec in signature.output_specs if spec.kind == OutputKind.USER_OUTPUT]
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                if node.name in users:
                    self.results[node.name] = self._input(node.name, inputs[users.index(node.name)], len(users) > 1)
                else:
                    self.results[node.name] = self._stored(kinds[node.name])
            elif node.op == "call_function":
                self.results[node.name] = self._call(node)
        self._name_recurrent()
        self.refusals.raise_all()
        ends = [self.results.get(name) for name in outputs]
        title = self.refusals.source
        if not ends or not all(isinstance(end, Value) for end in ends):
            raise ModelFormatError(f"{title} has an output that does not depend on the input", hint="Return tensors only.")
        values = [end for end in ends if isinstance(end, Value)]
        orders = [(0, *range(2, end.rank), 1) if end.rank in (4, 5) else range(end.rank) for end in values]
        try:
            return self.builder.finish(values, orders=orders)
        except Refused as refused:
            raise ModelFormatError(f"{title}: the output cannot be given: {refused.reason}", hint="Return (N, ...)") from None

    def _input(self, argument: str, tensor: Any, is_one_of_several: bool) -> Value:
        shape = tuple(tensor.shape)
        order = (0, *range(2, len(shape)), 1) if len(shape) in (4, 5) else None
        name = argument if is_one_of_several else "image" if len(shape) == 4 else "input"
        dtype = "float32" if tensor.is_floating_point() else "int32"
        return self.builder.input(name, shape, order=order, dtype=dtype)

    def _name_recurrent(self) -> None:
        """Tell of a recurrent layer by its name, instead of by the dozens of operations that it is exported as."""
        for path, part in self.module.named_modules():
            others = [entry for entry in self.refusals.found if entry[1] != path]
            if isinstance(part, self.torch.nn.RNNBase | self.torch.nn.RNNCellBase) and len(others) < len(self.refusals.found):
                self.refusals.found = others
                self.refusals.add(f"torch.nn.{type(part).__name__}", path, "recurrent layers of PyTorch are not converted")

    def _stored(self, spec: Any) -> Any:
        """Read a parameter, a buffer or a constant of the program."""
        target = spec.target
        if target is None:
            return None
        tensor = self.exported.state_dict.get(target)
        if tensor is None:
            tensor = self.exported.constants.get(target)
        if not isinstance(tensor, self.torch.Tensor):
            return None
        parameter = self.parameters.get(target)
        if tensor.is_floating_point():
            if tensor.dtype != self.torch.float32:
                self.refusals.add("weight", target, f"it is of {tensor.dtype}; convert the module with .float()")
            tensor = tensor.float()
        array = tensor.detach().cpu().contiguous().numpy()
        return Constant(array, target, parameter is not None and parameter.requires_grad)

    def _call(self, node: Any) -> Any:
        operation, path = operation_of(node), path_of(node)
        try:
            arguments = self._mapped(node.args)
            named = self._mapped(node.kwargs)
        except _Unknown:
            # What it depends on is refused already; all that is left to tell is whether it would be known.
            if node.target is not operator.getitem and operation not in OPERATIONS:
                self.refusals.add(f"aten.{operation}", path or "the module itself", "this operation is not known")
            return _UNKNOWN
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        try:
            return self._convert(node, operation, path, arguments, named)
        except Refused as refused:
            self.refusals.add(f"aten.{operation}", path or "the module itself", without_batch(refused.reason))
            return _UNKNOWN
        # Arguments of a version of PyTorch that is not known here.
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            self.refusals.add(
                f"aten.{operation}", path or "the module itself", f"its arguments are not understood ({type(error).__name__})"
            )
            return _UNKNOWN

    def _convert(self, node: Any, operation: str, path: str, arguments: Any, named: Any) -> Any:
        tensors = [one for one in _flat((arguments, list(named.values()))) if isinstance(one, Value | Constant)]
        handler = OPERATIONS.find(operation)
        shape = shape_of(node)
        if not any(isinstance(one, Value) for one in tensors) and not _holds_batch(shape):
            return self._fold(node, arguments, named, tensors)
        if handler is None:
            raise Refused("this operation is not known")
        kinds = {self.builder.dtype(one) for one in tensors if isinstance(one, Value)}
        if kinds - {"float32"} and operation not in WHOLE_NUMBERS:
            raise Refused("it computes with whole numbers or truth values")
        context = Node(self.builder, self._name(path, operation), operation, self._module(path), shape)
        result = handler(context, *arguments, **named)
        self._check(result, shape)
        return result

    def _fold(self, node: Any, arguments: Any, named: Any, tensors: list[Any]) -> Any:
        """Compute what depends on weights alone, with PyTorch itself."""
        trained = [one for one in tensors if one.trainable]
        meta = node.meta.get("val")
        elements = sum(one.numel() for one in _flat(meta if isinstance(meta, list | tuple) else [meta]) if hasattr(one, "numel"))
        if elements > _FOLD_LIMIT:
            raise Refused(f"a constant of {elements} elements")
        if any(_holds_batch(one.shape) for one in tensors):
            raise Refused("a constant that is computed for each example")

        def real(one: Any) -> Any:
            if isinstance(one, Constant):
                return self.torch.from_numpy(np.ascontiguousarray(one.array))
            if isinstance(one, list | tuple):
                return [real(part) for part in one]
            return one

        with self.torch.no_grad():
            result = node.target(*[real(one) for one in arguments], **{key: real(one) for key, one in named.items()})

        def wrapped(one: Any) -> Any:
            if isinstance(one, self.torch.Tensor):
                return Constant(one.detach().contiguous().numpy(), trained[0].name if trained else "", bool(trained))
            return [wrapped(part) for part in one] if isinstance(one, list | tuple) else one

        return wrapped(result)

    def _check(self, result: Any, shape: tuple[int, ...]) -> None:
        """Compare the builder's reckoning with PyTorch's; a difference is a fault of the conversion, not of the model."""
        first = result[0] if isinstance(result, list) and result else result
        if isinstance(first, Value | Constant) and first.shape != shape:
            raise Refused(f"its shape is {shown(shape)} in PyTorch, but would be {shown(first.shape)}")

    def _mapped(self, given: Any) -> Any:
        if isinstance(given, self.torch.fx.Node):
            result = self.results.get(given.name)
            if result is _UNKNOWN:
                raise _Unknown
            return result
        if isinstance(given, dict):
            return {key: self._mapped(one) for key, one in given.items()}
        if isinstance(given, list | tuple):
            return [self._mapped(one) for one in given]
        return given

    def _module(self, path: str) -> Any:
        try:
            return self.module.get_submodule(path)
        except AttributeError:
            return None

    def _name(self, path: str, operation: str) -> str:
        module = self._module(path)
        is_leaf = module is not None and path and not any(True for _ in module.children())
        short = operation.strip("_").removesuffix("_default")
        if is_leaf and type(module).__module__.startswith("torch.nn"):
            return path
        return f"{path}.{short}" if path else short


class _Unknown(Exception):  # noqa: N818, never leaves this file
    """An operand comes from an operation that is refused."""


_UNKNOWN: Any = object()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ModelFormatError("PyTorch is not installed", hint="pip install 'pybridge[torch]'") from error
    return torch


def example_shapes(module: Any, input_shape: Sequence[int] | Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The shape of one example of each input, without a batch.

    Raises:
        ModelFormatError: One of them holds no sizes.
    """
    given: list[Any] = list(input_shape)
    several = given if given and all(isinstance(one, Sequence) for one in given) else [given]
    # More than channels, height and width, or for videos depth: the first is a batch.
    most = 4 if any(type(part).__name__.endswith("3d") for part in module.modules()) else 3
    shapes = [tuple(int(size) for size in (one[1:] if len(one) > most else one)) for one in several]
    for sizes in shapes:
        if not sizes or any(size < 1 for size in sizes):
            raise ModelFormatError(
                f"input_shape must hold the sizes of one example, not {sizes}",
                hint="For images as PyTorch counts them: (3, 224, 224).",
            )
    return shapes


def placeholders(torch: Any, module: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """A tensor of `BATCH` examples for each input, in the memory of one."""
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    return [torch.zeros(1, *shape, device=device).expand(BATCH, *shape) for shape in shapes]


def _holds_batch(shape: Sequence[int]) -> bool:
    return any(size and size % BATCH == 0 for size in shape)


def _flat(given: Any) -> list[Any]:
    if isinstance(given, list | tuple):
        return [leaf for one in given for leaf in _flat(one)]
    return [given]
