"""Walk through a Keras model and write it layer by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.emitter import Container, EmittedLayer, Names, Shape, Symbol
from pybridge.converters.keras.expressions import Weight
from pybridge.converters.keras.registry import operation_rewrites_of, rewrites_of
from pybridge.converters.keras.stock import emit_stock
from pybridge.converters.keras.wrappers import WRAPPERS
from pybridge.converters.refusals import Refused
from pybridge.errors import ModelFormatError

_GRAPH_FORMAT = 'Save the model with format="tfjs_graph", which runs everything that TensorFlow runs, but is not trainable.'
_OWN_MODULES = ("keras.", "pybridge.converters.to_keras.keras_layers")
_KEPT_LIMIT = 2**18
# Layers to which TF.js gives the mask that travels with their input, as Keras does.
_RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
_MASKED = (*_RECURRENT, "GlobalAveragePooling1D", "TimeDistributed")


@dataclass(frozen=True)
class Refusal:
    """A layer that cannot be converted."""

    layer: str
    class_name: str
    reason: str
    alternative: str


class Variables:
    """The Keras variables of a model, in the order of ``model.weights``, and where each one went."""

    def __init__(self, model: Any) -> None:
        self.all = list(model.weights)
        self._index = {id(variable): index for index, variable in enumerate(self.all)}
        self._owners: dict[int, Any] = {}
        self.kept: dict[int, NDArray[Any]] = {}

    def weight(self, variable: Any, owner: Any) -> Weight:
        """A variable as a weight; each may be used by one layer alone."""
        index = self._index.get(id(variable))
        if index is None:
            raise Refused(f"uses a variable ({getattr(variable, 'path', '?')}) that is not a weight of the model")
        if self._owners.setdefault(index, owner) is not owner:
            other = getattr(self._owners[index], "name", "?")
            raise Refused(f"shares its weights with {other!r}, which TF.js cannot do", "Use one layer twice instead of two.")
        return Weight.of(index, np.asarray(variable))

    def keep(self, variable: Any) -> None:
        """Keep the numbers of a variable that does not train in the record alone."""
        index = self._index[id(variable)]
        value = np.asarray(variable)
        if value.nbytes > _KEPT_LIMIT:
            raise Refused(f"has a weight of {value.nbytes} bytes ({variable.path}) that no weight of TF.js holds")
        self.kept[index] = value

    def lost(self, weights: Mapping[str, Weight]) -> list[Any]:
        """The variables that appear neither in weights of TF.js nor in the record."""
        found = set(self.kept)
        for weight in weights.values():
            found.update(_variables_in(weight.expression))
        return [variable for index, variable in enumerate(self.all) if index not in found]

    def repeated(self, weights: Mapping[str, Weight]) -> list[Any]:
        """The variables that several weights of TF.js hold as a whole: they would part in training."""
        uses = [
            index
            for weight in weights.values()
            if not _is_sliced(weight.expression)
            for index in _variables_in(weight.expression)
        ]
        return [self.all[index] for index, count in Counter(uses).items() if count > 1]


class Conversion:
    """The conversion of one Keras model.

    Attributes:
        variables: The model's variables.
        emitted: The layers written so far, by container, Keras layer and part.
        refusals: What cannot be converted.
    """

    def __init__(self, model: Any) -> None:
        import keras

        if not isinstance(model, keras.Model):
            raise ModelFormatError(
                f"a {type(model).__name__} is not a Keras model", hint="Give a keras.Model (Sequential or Functional)."
            )
        self.model = model
        self.variables = Variables(model)
        self.names = Names()
        self.emitted: dict[tuple[int, int, str], EmittedLayer] = {}
        self.refusals: list[Refusal] = []
        self._alive: list[Any] = []
        self._own_names: dict[int, str] = {}
        self._inner: dict[tuple[int, Shape, str], tuple[dict[str, Any], dict[str, Weight], Container | None]] = {}
        self._inline = False
        self._masks: list[str] = []
        self._unmasked: list[Any] = []

    def run(self) -> Container:
        """Convert the model.

        Raises:
            ModelFormatError: It is not built or not made of layers, or layers cannot be converted; all are named.
        """
        try:
            graph = _graph_of(self.model)
        except Refused as refused:
            name = str(getattr(self.model, "name", ""))
            raise _error(self.model, [Refusal(name, type(self.model).__name__, refused.reason, refused.alternative)]) from None
        self._inline = _shares_across_models(graph)
        self._reserve(graph, set())
        container = Container(str(self.model.name), self.names, trainable=bool(self.model.trainable))
        self._fill(container, graph)
        self._check_unmasked()
        if not self.refusals:
            for variable in self.variables.lost(container.all_weights()):
                self._refuse(variable.path, "weight", Refused("would be lost: no layer of TF.js holds it"))
            for variable in self.variables.repeated(container.all_weights()):
                shared = Refused("is shared by two layers, which TF.js cannot do", "Use one layer twice instead of two.")
                self._refuse(variable.path, "weight", shared)
        if self.refusals:
            raise _error(self.model, self.refusals)
        return container

    def note_unmasked(self, layer: Any) -> None:
        """Remember a layer that takes no mask, but would apply any that TF.js gave to it."""
        self._unmasked.append(layer)

    @property
    def has_masks(self) -> bool:
        """Whether a layer before the one that is being converted makes a mask."""
        return bool(self._masks)

    def _check_unmasked(self) -> None:
        # execute() of tfjs-layers 4.22 keeps the last mask in the arguments of all layers that it runs after it.
        for layer in self._unmasked if self._masks else []:
            reason = f"is not masked, but TF.js would apply the mask of {self._masks[0]!r} to it"
            self._refuse(layer.name, type(layer).__name__, Refused(reason))

    def convert_inner(
        self, layer: Any, shape: Shape, dtype: str, trainable: bool
    ) -> tuple[dict[str, Any], dict[str, Weight], Container | None]:
        """Convert the layer that a wrapper holds; see ``Call.nested``."""
        key = (id(layer), shape, dtype)
        if key in self._inner:
            return self._inner[key]
        container = Container(self._name_of(layer), self.names, trainable=trainable)
        self._alive.append(container)
        entrance = container.add_input(self.names.reserve(f"{container.name}_input"), shape, dtype)
        specs = _flat_specs(layer.compute_output_spec(_keras_tensor(shape, dtype)))
        outputs = [(tuple(spec.shape), str(spec.dtype)) for spec in specs]
        result = self._convert_layer(container, layer, [entrance], {}, [entrance], outputs)
        container.outputs = result
        rest = [item for item in container.layers.values() if item.class_name != "InputLayer"]
        places = [(rest[0].name, index) for index in range(len(result))] if rest else []
        if len(rest) == 1 and rest[0].nodes == [[entrance]] and [(item.layer, item.index) for item in result] == places:
            only = rest[0].entry()
            entry = {"class_name": only["class_name"], "config": only["config"]}
            converted = (entry, rest[0].weights, rest[0].inner)
        else:
            container.name = self.names.reserve(f"{container.name}_model")
            converted = (container.topology(), {}, container)
        self._inner[key] = converted
        return converted

    def _fill(self, container: Container, graph: Any) -> None:
        self._alive.append(container)
        known: dict[int, Symbol] = {}
        for tensor in graph.inputs:
            layer = tensor._keras_history.operation
            try:
                known[id(tensor)] = container.add_input(
                    self._name_of(layer), tuple(tensor.shape), str(tensor.dtype), sparse=bool(tensor.sparse)
                )
                if not tensor.shape[1:] and graph is _graph_of(self.model):
                    reason = "takes one number for each example; TF.js makes [batch, 1] of [batch]"
                    raise Refused(reason, "Give it the shape (1,) and reshape it behind, e.g. with layers.Reshape(()).")
            except Refused as refused:
                self._refuse(layer.name, type(layer).__name__, refused)
                known[id(tensor)] = container.add_input(self._name_of(layer), tuple(tensor.shape), "float32")
        container.outputs = container.distinct_outputs(self._walk(container, graph, known))
        if not self.refusals:
            container.part_repeated()
            container.settle()

    def _walk(self, container: Container, graph: Any, known: dict[int, Symbol]) -> list[Symbol]:
        for node in _needed_nodes(graph):
            operation = node.operation
            outputs = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in node.outputs]
            travelling = _travelling_mask(node)
            tensors = [tensor for tensor in node.input_tensors if tensor is not travelling]
            if any(id(tensor) not in known for tensor in tensors):
                continue
            inputs = [known[id(tensor)] for tensor in tensors]
            kwargs = {key: value for key, value in node.arguments.kwargs.items() if value is not travelling or value is None}
            args, kwargs = _with_symbols(node.arguments.args, known), _with_symbols(kwargs, known)
            try:
                _check_mask(operation, inputs, travelling)
                if travelling is None and type(operation).__name__ in _RECURRENT:
                    self.note_unmasked(operation)
                symbols = self._convert(container, operation, args, kwargs, inputs, outputs)
                symbols = _with_new_mask(operation, node, symbols)
                if _makes_mask(operation):
                    self._masks.append(operation.name)
            except Refused as refused:
                self._refuse(operation.name, type(operation).__name__, refused)
                symbols = self._placeholder(container, operation, outputs)
            known.update({id(tensor): symbol for tensor, symbol in zip(node.outputs, symbols, strict=True)})
        return [known[id(tensor)] for tensor in graph.outputs]

    def _convert(
        self,
        container: Container,
        operation: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Symbol],
        outputs: list[tuple[Shape, str]],
    ) -> list[Symbol]:
        import keras

        if isinstance(operation, keras.Model):
            return self._convert_model(container, operation, args, inputs, outputs)
        if isinstance(operation, keras.Layer):
            return self._convert_layer(container, operation, args, kwargs, inputs, outputs)
        call = Call(self, container, operation, self._name_of(operation), args, kwargs, inputs, outputs)
        for rewrite in operation_rewrites_of(call.class_name):
            result = _ask(rewrite, call)
            if result is not None:
                return _as_declared(result, outputs)
        raise Refused("is an operation that no exact rewriting into TF.js layers is known for")

    def _convert_layer(
        self,
        container: Container,
        layer: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Symbol],
        outputs: list[tuple[Shape, str]],
    ) -> list[Symbol]:
        import keras

        if isinstance(layer, keras.Model):
            return self._convert_model(container, layer, args, inputs, outputs)
        _check_class(layer)
        _check_dtype(layer)
        given = {key: value for key, value in kwargs.items() if key != "training" and not (key == "mask" and value is None)}
        call = Call(self, container, layer, self._name_of(layer), args, given, inputs, outputs)
        for rewrite in rewrites_of(call.class_name):
            result = _ask(rewrite, call)
            if result is not None:
                return _as_declared(result, outputs)
        wrapper = WRAPPERS.get(call.class_name)
        return _as_declared(_ask(wrapper, call) if wrapper else emit_stock(call, call.config, None, "", None), outputs)

    def _convert_model(
        self, container: Container, model: Any, args: Sequence[Any], inputs: list[Symbol], outputs: list[tuple[Shape, str]]
    ) -> list[Symbol]:
        graph = _graph_of(model)
        taken = _in_order_of(graph, args, inputs)
        for tensor, symbol in zip(graph.inputs, taken, strict=True):
            if len(tensor.shape) != len(symbol.shape):
                raise Refused(f"is called with a tensor of rank {len(symbol.shape)} where it takes rank {len(tensor.shape)}")
        if self._inline:
            known = {id(tensor): symbol for tensor, symbol in zip(graph.inputs, taken, strict=True)}
            return self._walk(container, graph, known)
        key = (id(container), id(model), "")
        layer = self.emitted.get(key)
        if layer is None:
            trainable = container.trainable and bool(model.trainable)
            inner = Container(self._name_of(model), self.names, trainable=trainable)
            self._fill(inner, graph)
            chain = type(model).__name__ == "Sequential" and inner.is_chain
            topology = inner.sequential() if chain else inner.topology()
            layer = EmittedLayer(inner.name, topology["class_name"], topology["config"], inner=inner, first_node=1)
            container.layers[layer.name] = layer
            self.emitted[key] = layer
        return container.call_layer(layer, taken, [shape for shape, _ in outputs], [dtype for _, dtype in outputs])

    def _placeholder(self, container: Container, operation: Any, outputs: list[tuple[Shape, str]]) -> list[Symbol]:
        layer = EmittedLayer(self.names.reserve(f"{operation.name}_refused"), type(operation).__name__, {})
        container.layers[layer.name] = layer
        return container.call_layer(layer, [], [shape for shape, _ in outputs], [dtype for _, dtype in outputs])

    def _refuse(self, layer: str, class_name: str, refused: Refused) -> None:
        refusal = Refusal(layer, class_name, refused.reason, refused.alternative)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def _name_of(self, operation: Any) -> str:
        name = self._own_names.get(id(operation))
        if name is None:
            name = self._own_names[id(operation)] = self.names.reserve(str(operation.name))
            self._alive.append(operation)
        return name

    def _reserve(self, graph: Any, seen: set[int]) -> None:
        """Give every Keras layer its own name before parts of rewrites take names."""
        import keras

        for operation in graph.operations:
            if id(operation) in seen:
                continue
            seen.add(id(operation))
            self._name_of(operation)
            if isinstance(operation, keras.Model):
                try:
                    self._reserve(_graph_of(operation), seen)
                except Refused:
                    continue


def _graph_of(model: Any) -> Any:
    import keras

    functional = _functional_class()
    if isinstance(model, keras.Sequential):
        graph = getattr(model, "_functional", None)
        if graph is None:
            raise Refused("is not built: the shape of its input is unknown", "Call model.build(input_shape) first.")
        return graph
    if not isinstance(model, functional) or type(model).call is not functional.call:
        raise Refused(
            "is a subclassed model: its call() is Python code, of which there is no list of layers",
            f"Write it as a Functional or Sequential model. {_GRAPH_FORMAT}",
        )
    return model


def _functional_class() -> Any:
    from keras.src.models.functional import Functional

    return Functional


def _needed_nodes(graph: Any) -> list[Any]:
    """The calls of a model in the order of data, without inputs and without those that only make masks TF.js makes itself."""
    by_depth = graph._nodes_by_depth
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if node.operation is not None]
    wanted = {id(tensor) for tensor in graph.outputs}
    needed: list[Any] = []
    for node in reversed(ordered):
        if not node.is_input and any(id(tensor) in wanted for tensor in node.outputs):
            needed.append(node)
            travelling = _travelling_mask(node)
            wanted.update(id(tensor) for tensor in node.input_tensors if tensor is not travelling)
    return needed[::-1]


def _travelling_mask(node: Any) -> Any:
    """The mask that a call takes only because it travels with its input, or None."""
    mask = node.arguments.kwargs.get("mask")
    tensors = node.arguments.keras_tensors
    if mask is None or type(node.operation).__name__ not in _MASKED or not tensors:
        return None
    own = getattr(tensors[0], "_keras_mask", None)
    return mask if own is not None and _origin(mask) == _origin(own) else None


def _origin(tensor: Any) -> int:
    """A number that two tensors share if the same operations made them of the same tensors.

    A Keras model that was loaded holds its masks twice: as its config says, and as its layers make them again.
    """
    import keras

    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None or isinstance(history.operation, keras.Layer):
        return hash((id(history.operation), history.node_index, history.tensor_index)) if history else id(tensor)
    operation = history.operation
    arguments = operation._inbound_nodes[history.node_index].arguments

    def key(leaf: Any) -> Any:
        return _origin(leaf) if isinstance(leaf, keras.KerasTensor) else repr(leaf)

    parts = [key(leaf) for leaf in keras.tree.flatten([arguments.args, arguments.kwargs])]
    options = {name: repr(value) for name, value in vars(operation).items() if isinstance(value, (bool, int, float, str, tuple))}
    options.pop("name", None)
    options.pop("_name", None)
    return hash((type(operation).__name__, tuple(sorted(options.items())), tuple(parts), history.tensor_index))


def _check_mask(operation: Any, inputs: list[Symbol], travelling: Any) -> None:
    """Refuse where Keras and TF.js would not apply the same mask."""
    if type(operation).__name__ not in _MASKED:
        return
    found = inputs[0].mask if inputs else None
    if travelling is not None and found != _origin(travelling):
        raise Refused("is masked, but the layers before it lose or change the mask in TF.js")
    if travelling is None and found is not None:
        raise Refused("would be masked in TF.js, but is not in Keras")
    if travelling is None:
        return
    if type(operation).__name__ in ("TimeDistributed", "ConvLSTM2D"):
        inner = getattr(operation, "layer", None)
        if inner is None or getattr(inner, "_call_has_mask_arg", True):
            raise Refused("is masked, which TF.js does not do for it")


def _makes_mask(operation: Any) -> bool:
    name = type(operation).__name__
    return name == "Masking" or (name == "Embedding" and bool(getattr(operation, "mask_zero", False)))


def _with_new_mask(operation: Any, node: Any, symbols: list[Symbol]) -> list[Symbol]:
    """Name the mask that a layer makes by the tensor that Keras has for it."""
    mask = getattr(node.outputs[0], "_keras_mask", None) if _makes_mask(operation) else None
    return [replace(symbols[0], mask=_origin(mask)), *symbols[1:]] if mask is not None else symbols


def _shares_across_models(graph: Any) -> bool:
    """Whether a layer with weights belongs to more than one of the models in a model."""
    import keras

    owners: dict[int, int] = {}
    seen: set[int] = set()

    def visit(current: Any) -> bool:
        seen.add(id(current))
        for operation in current.operations:
            if isinstance(operation, keras.Model):
                try:
                    inner = _graph_of(operation)
                except Refused:
                    continue
                if id(inner) not in seen and visit(inner):
                    return True
                # A model within two models would have to be written twice.
                if owners.setdefault(id(operation), id(current)) != id(current) and operation.weights:
                    return True
            elif getattr(operation, "weights", None) and owners.setdefault(id(operation), id(current)) != id(current):
                return True
        return False

    return visit(graph)


def _in_order_of(graph: Any, args: Sequence[Any], inputs: list[Symbol]) -> list[Symbol]:
    """The inputs of a nested model in the order of its own inputs: a dict names them."""
    if args and isinstance(args[0], Mapping) and not isinstance(graph._inputs_struct, Mapping):
        named = args[0]
        try:
            return [named[tensor.name] for tensor in graph.inputs]
        except KeyError as error:
            raise Refused(f"is called with a dict that has no {error}") from error
    if len(inputs) != len(graph.inputs):
        raise Refused(f"is called with {len(inputs)} tensors, but has {len(graph.inputs)} inputs")
    return inputs


def _with_symbols(value: Any, known: Mapping[int, Symbol]) -> Any:
    import keras

    def replace(leaf: Any) -> Any:
        return known.get(id(leaf), leaf) if isinstance(leaf, keras.KerasTensor) else leaf

    return keras.tree.map_structure(replace, value)


def _keras_tensor(shape: Shape, dtype: str) -> Any:
    import keras

    return keras.KerasTensor(shape, dtype=dtype)


def _flat_specs(spec: Any) -> list[Any]:
    import keras

    return [item for item in keras.tree.flatten(spec) if item is not None]


def _check_class(layer: Any) -> None:
    module = type(layer).__module__
    if type(layer).__name__ == "Lambda":
        raise Refused("is Python code, which does not exist in JavaScript", "Replace it by layers or keras.ops.")
    if not module.startswith(_OWN_MODULES):
        raise Refused(f"is a class of your own ({module}.{type(layer).__name__}), which TF.js does not know")
    if not layer.built:
        raise Refused("is not built: it has no weights yet", "Call the model once before converting.")


def _check_dtype(layer: Any) -> None:
    dtype = str(layer.compute_dtype)
    if dtype in ("float16", "bfloat16", "float64"):
        raise Refused(
            f"computes in {dtype}; TF.js computes in float32",
            'Build the model with dtype "float32" and set_weights() of this one.',
        )


def _ask(rewrite: Any, call: Call) -> Any:
    try:
        return rewrite(call)
    except (Refused, ModelFormatError):
        raise
    except Exception as error:
        raise Refused(f"cannot be converted ({type(error).__name__}: {error})") from error


def _as_declared(result: Any, outputs: list[tuple[Shape, str]]) -> list[Symbol]:
    symbols = _flat(result)
    if len(symbols) != len(outputs):
        raise Refused(f"became {len(symbols)} tensors where Keras has {len(outputs)}")
    return [replace(symbol, shape=shape, dtype=dtype) for symbol, (shape, dtype) in zip(symbols, outputs, strict=True)]


def _flat(value: Any) -> list[Symbol]:
    if isinstance(value, Symbol):
        return [value]
    import keras

    return [item for item in keras.tree.flatten(value) if isinstance(item, Symbol)]


def _variables_in(expression: Any) -> Iterator[int]:
    if expression[0] == "variable":
        yield expression[1]
    elif expression[0] == "concat":
        for part in expression[1]:
            yield from _variables_in(part)
    elif expression[0] != "constant":
        yield from _variables_in(expression[1])


def _is_sliced(expression: Any) -> bool:
    if expression[0] == "concat":
        return any(_is_sliced(part) for part in expression[1])
    return expression[0] == "slice" or (expression[0] in ("reshape", "transpose") and _is_sliced(expression[1]))


def _error(model: Any, refusals: list[Refusal]) -> ModelFormatError:
    lines = [f"  - {item.layer!r} ({item.class_name}) {item.reason}" for item in refusals]
    count = "1 layer" if len(refusals) == 1 else f"{len(refusals)} layers"
    alternatives = dict.fromkeys(item.alternative or _GRAPH_FORMAT for item in refusals)
    return ModelFormatError(
        f"{count} of the model {model.name!r} cannot become layers of TF.js:\n" + "\n".join(lines), hint=" ".join(alternatives)
    )
