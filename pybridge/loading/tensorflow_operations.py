"""Operations of TensorFlow that Keras 2 wrote into models as layers of their own, as operations of Keras 3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError

LAYERS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
"""The classes of such layers."""

_HINT = "Export the model with Keras 3, or as a SavedModel, and give that."
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class _Operation:
    """An operation of Keras.

    Attributes:
        module: Of ``keras.src.ops``.
        name: Of its class.
        operands: How TensorFlow calls what it takes, in order.
        options: How TensorFlow calls each option, and how Keras does.
        listed: Whether it takes its operands as one list.
    """

    module: str
    name: str
    operands: tuple[str, ...] = ("x",)
    options: dict[str, str] = field(default_factory=dict)
    listed: bool = False


def _binary(name: str) -> _Operation:
    return _Operation("numpy", name, ("x", "y"))


_SLICE = _Operation("numpy", "GetItem")
_REDUCED = {"axis": "axis", "keepdims": "keepdims"}
_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = _binary("Add"), _binary("Subtract"), _binary("Multiply"), _binary("TrueDivide")
_FUNCTIONS: dict[str, _Operation] = {
    **{f"math.{name}": made for name, made in (("add", _ADD), ("subtract", _SUBTRACT), ("multiply", _MULTIPLY))},
    **{f"__operators__.{name}": made for name, made in (("add", _ADD), ("sub", _SUBTRACT), ("mul", _MULTIPLY))},
    **dict.fromkeys(("math.truediv", "math.divide", "realdiv", "truediv"), _DIVIDE),
    **{name: _binary(made) for name, made in (("math.maximum", "Maximum"), ("math.minimum", "Minimum"), ("math.pow", "Power"))},
    **{
        f"math.{name}": _Operation("numpy", made)
        for name, made in (
            ("abs", "Absolute"),
            ("ceil", "Ceil"),
            ("cos", "Cos"),
            ("exp", "Exp"),
            ("floor", "Floor"),
            ("log", "Log"),
            ("negative", "Negative"),
            ("round", "Round"),
            ("sign", "Sign"),
            ("sin", "Sin"),
            ("sqrt", "Sqrt"),
            ("square", "Square"),
            ("tanh", "Tanh"),
        )
    },
    **{
        f"{room}.{name}": _Operation("nn", made, ("x", "features", "logits"))
        for room, name, made in (
            ("nn", "elu", "Elu"),
            ("nn", "relu", "Relu"),
            ("nn", "relu6", "Relu6"),
            ("nn", "selu", "Selu"),
            ("nn", "sigmoid", "Sigmoid"),
            ("math", "sigmoid", "Sigmoid"),
            ("nn", "silu", "Silu"),
            ("nn", "swish", "Silu"),
            ("nn", "softplus", "Softplus"),
            ("math", "softplus", "Softplus"),
            ("nn", "softsign", "Softsign"),
        )
    },
    "nn.tanh": _Operation("numpy", "Tanh"),
    "math.rsqrt": _Operation("math", "Rsqrt"),
    "math.erf": _Operation("math", "Erf"),
    "nn.gelu": _Operation("nn", "Gelu", ("features",), {"approximate": "approximate"}),
    "nn.leaky_relu": _Operation("nn", "LeakyRelu", ("features",), {"alpha": "negative_slope"}),
    "nn.softmax": _Operation("nn", "Softmax", ("logits",), {"axis": "axis"}),
    "nn.log_softmax": _Operation("nn", "LogSoftmax", ("logits",), {"axis": "axis"}),
    **{
        f"math.reduce_{name}": _Operation("numpy", made, ("input_tensor",), _REDUCED)
        for name, made in (("mean", "Mean"), ("sum", "Sum"), ("max", "Max"), ("min", "Min"), ("prod", "Prod"))
    },
    "concat": _Operation("numpy", "Concatenate", ("values",), {"axis": "axis"}, listed=True),
    "stack": _Operation("numpy", "Stack", ("values",), {"axis": "axis"}, listed=True),
    "reshape": _Operation("numpy", "Reshape", ("tensor",), {"shape": "newshape"}),
    "transpose": _Operation("numpy", "Transpose", ("a",), {"perm": "axes"}),
    "expand_dims": _Operation("numpy", "ExpandDims", ("input",), {"axis": "axis"}),
    "squeeze": _Operation("numpy", "Squeeze", ("input",), {"axis": "axis"}),
    "tile": _Operation("numpy", "Tile", ("input",), {"multiples": "repeats"}),
    "cast": _Operation("core", "Cast", ("x",), {"dtype": "dtype"}),
    "clip_by_value": _Operation("numpy", "Clip", ("t",), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "linalg.matmul": _Operation("numpy", "Matmul", ("a", "b")),
}
# What a TensorFlowOpLayer holds is a node of a graph, whose operations have other names.
_NODES = {
    "AddV2": "math.add",
    "Add": "math.add",
    "Sub": "math.subtract",
    "Mul": "math.multiply",
    "RealDiv": "math.truediv",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Pow": "math.pow",
    "Abs": "math.abs",
    "Exp": "math.exp",
    "Log": "math.log",
    "Neg": "math.negative",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Rsqrt": "math.rsqrt",
    "Sigmoid": "nn.sigmoid",
    "Softmax": "nn.softmax",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "Tanh": "nn.tanh",
}


def translated(layer: dict[str, Any], shown: Path) -> dict[str, Any]:
    """Describe such a layer as an operation of Keras 3.

    Args:
        layer: Its entry in the configuration of a Functional model.
        shown: The file's name for errors.

    Raises:
        ModelFormatError: It is not known what the operation means; its name is said.
    """
    config = layer.get("config") if isinstance(layer.get("config"), dict) else {}
    assert isinstance(config, dict)
    name = layer.get("name") or config.get("name")
    if layer["class_name"] == "TensorFlowOpLayer":
        function, constants = _node(config)
    else:
        function, constants = str(config.get("function", "")).removeprefix("tf."), {}
    made = _SLICE if function == "__operators__.getitem" else _FUNCTIONS.get(function)
    if made is None:
        raise ModelFormatError(
            f"{shown}: the layer {str(name)[:80]!r} computes {function[:80]!r}, which is not known", hint=_HINT
        )
    options: dict[str, Any] = {}
    uses = []
    for use in layer.get("inbound_nodes", []):
        try:
            tensors = _tensors(use)
            arguments = _sliced(tensors) if made is _SLICE else _called(made, tensors, constants, options)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise ModelFormatError(
                f"{shown}: the layer {str(name)[:80]!r} calls {function[:80]!r} in a way that is not known", hint=_HINT
            ) from error
        uses.append({"args": arguments, "kwargs": {}})
    return {
        "module": f"keras.src.ops.{made.module}",
        "class_name": made.name,
        "registered_name": made.name,
        "config": {"name": name, **options},
        "name": name,
        "inbound_nodes": uses,
    }


def _tensors(use: Any) -> list[Any]:
    """The tensors of a use, each as ``[layer, node, index, arguments]``."""
    return [use] if use and isinstance(use[0], str) else list(use)


def _called(made: _Operation, tensors: Sequence[Any], constants: dict[int, Any], options: dict[str, Any]) -> list[Any]:
    given = dict(tensors[0][3]) if len(tensors[0]) > 3 else {}
    given = {key: value for key, value in given.items() if value is not None and key != "name"}
    for key in [key for key in given if key in made.options]:
        options[made.options[key]] = given.pop(key)
    if made.listed:
        if given:
            raise ValueError("options that are not known")
        return [[_tensor(one) for one in tensors]]
    operands: list[Any] = [_tensor(one) for one in tensors]
    for place in sorted(constants):
        operands.insert(place, constants[place])
    for key in made.operands:
        if key in given:
            value = given.pop(key)
            operands.append(_tensor(value) if _is_tensor(value) else value)
    if any(value not in (False, 0, "") for value in given.values()):
        raise ValueError("options that are not known")
    return operands


def _sliced(tensors: Sequence[Any]) -> list[Any]:
    spec = tensors[0][3]["slice_spec"]
    places: list[Any] = []
    for one in spec if isinstance(spec, list) else [spec]:
        if isinstance(one, dict):
            parts = [one.get(key) for key in ("start", "stop", "step")]
            if any(part is not None and not isinstance(part, int) for part in parts):
                raise ValueError("a slice that depends on tensors")
            places.append({"class_name": "__slice__", "config": dict(zip(("start", "stop", "step"), parts, strict=True))})
        elif isinstance(one, int):
            places.append(one)
        else:
            raise ValueError("an index that is not known")
    return [_tensor(tensors[0]), places]


def _node(config: dict[str, Any]) -> tuple[str, dict[int, Any]]:
    node: Any = config.get("node_def")
    try:
        described: dict[str, Any] = json.loads(node) if isinstance(node, str) else node
        kind = str(described["op"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", {}
    constants = config.get("constants") if isinstance(config.get("constants"), dict) else {}
    assert isinstance(constants, dict)
    return _NODES.get(kind, kind), {int(place): value for place, value in constants.items() if str(place).isdigit()}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)


def _tensor(value: Sequence[Any]) -> Any:
    layer, use, index = value[:3]
    if layer == _CONSTANT:
        return index
    history = [layer, use, index]
    return {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": history}}
