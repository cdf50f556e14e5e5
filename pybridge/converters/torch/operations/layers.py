"""Convolutions, products, normalizations, poolings and attention of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pybridge.converters.building import arithmetic, convolution, dense, normalization, pooling, reshaping, volumes
from pybridge.converters.building.activations import activation, prelu, rescale
from pybridge.converters.building.values import Constant, Operand, Value, as_constant, as_value
from pybridge.converters.refusals import Refused
from pybridge.converters.torch.registry import Node, operation, several


@operation("conv1d", "conv2d", "conv3d")
def _conv(
    at: Node, x: Any, kernel: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Value:
    at, kernel = at.named_after(kernel), as_constant(kernel)
    spatial = kernel.rank - 2
    if spatial == 3:
        if isinstance(padding, str) or groups != 1:
            raise Refused("a convolution of volumes with groups, or with padding by name")
        return volumes.convolution(
            at.builder,
            as_value(x),
            kernel.transpose(2, 3, 4, 1, 0),
            as_constant(bias) if bias is not None else None,
            strides=several(stride, 3),
            padding=[(amount, amount) for amount in several(padding, 3)],
            dilation=several(dilation, 3),
            name=at.name,
        )
    if padding == "same":
        # PyTorch's "same" has stride 1 and puts the odd pixel at the end, as TensorFlow does.
        pads: Any = "same"
    elif padding == "valid":
        pads = "valid"
    else:
        pads = [(amount, amount) for amount in several(padding, spatial)]
    return convolution.convolution(
        at.builder,
        as_value(x),
        kernel.transpose(*range(2, kernel.rank), 1, 0),
        as_constant(bias) if bias is not None else None,
        channels=1,
        strides=several(stride, spatial),
        padding=pads,
        dilation=several(dilation, spatial),
        groups=groups,
        name=at.name,
    )


@operation("conv_transpose1d", "conv_transpose2d")
def _conv_transposed(
    at: Node,
    x: Any,
    kernel: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    at, kernel = at.named_after(kernel), as_constant(kernel)
    spatial = kernel.rank - 2
    if groups != 1 or max(several(dilation, spatial)) > 1:
        raise Refused("a transposed convolution with groups or dilation")
    return convolution.transposed(
        at.builder,
        as_value(x),
        kernel.transpose(*range(2, kernel.rank), 1, 0),
        as_constant(bias) if bias is not None else None,
        channels=1,
        strides=several(stride, spatial),
        padding=[(amount, amount) for amount in several(padding, spatial)],
        output_padding=several(output_padding, spatial),
        name=at.name,
    )


@operation("convolution")
def _any_convolution(
    at: Node,
    x: Any,
    kernel: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    is_transposed: bool,
    output: Any,
    groups: int,
) -> Value:
    if is_transposed:
        return _conv_transposed(at, x, kernel, bias, stride, padding, output, groups, dilation)
    return _conv(at, x, kernel, bias, stride, padding, dilation, groups)


@operation("linear")
def _linear(at: Node, x: Any, kernel: Any, bias: Any = None) -> Value:
    at, matrix = at.named_after(kernel), as_constant(kernel).transpose(1, 0)
    return dense.linear(at.builder, as_value(x), matrix, as_constant(bias) if bias is not None else None, name=at.name)


@operation("addmm")
def _addmm(at: Node, bias: Any, x: Any, matrix: Any, *, beta: float = 1, alpha: float = 1) -> Operand:
    at = at.named_after(matrix)
    if beta == 1 and alpha == 1 and isinstance(bias, Constant) and isinstance(matrix, Constant) and bias.rank == 1:
        return dense.linear(at.builder, as_value(x), matrix, bias, name=at.name)
    if beta != 1 or alpha != 1:
        raise Refused("addmm with factors")
    return arithmetic.binary(at.builder, "add", dense.matmul(at.builder, x, matrix, name=at.name), bias, name=f"{at.name}_bias")


@operation("matmul")
def _matmul(at: Node, x: Any, y: Any) -> Value:
    return dense.matmul(at.builder, x, y, name=at.name)


@operation("baddbmm")
def _baddbmm(at: Node, bias: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Operand:
    product = rescale(at.builder, dense.matmul(at.builder, x, y, name=at.name), float(alpha), 0.0, name=f"{at.name}_scale")
    if beta == 0:
        return product
    if beta != 1:
        raise Refused("baddbmm with a factor")
    return arithmetic.binary(at.builder, "add", product, bias, name=f"{at.name}_bias")


@operation("batch_norm")
def _batch_norm(
    at: Node, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, training: bool, momentum: float, epsilon: float, *_: Any
) -> Value:
    if training or mean is None or variance is None:
        raise Refused("a batch normalization without moving statistics")
    return normalization.batch_normalization(
        at.builder,
        as_value(x),
        gamma,
        beta,
        as_constant(mean),
        as_constant(variance),
        channels=1,
        epsilon=epsilon,
        # PyTorch's momentum is the weight of the new value; None means a plain average, which Keras has not.
        momentum=1 - momentum if momentum is not None else 0.9,
        name=at.name,
    )


@operation("_native_batch_norm_legit_no_training")
def _native_batch_norm(at: Node, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, momentum: float, epsilon: float) -> Any:
    return [_batch_norm(at, x, gamma, beta, mean, variance, False, momentum, epsilon)]


@operation("_native_batch_norm_legit")
def _batch_statistics(*_: Any, **__: Any) -> Value:
    raise Refused("it normalizes with the statistics of its input, not with moving ones")


@operation("layer_norm")
def _layer_norm(
    at: Node, x: Any, shape: Sequence[int], gamma: Any = None, beta: Any = None, epsilon: float = 1e-5, *_: Any
) -> Value:
    at, axes = at.named_after(gamma), range(-len(shape), 0)
    return normalization.layer_normalization(at.builder, as_value(x), gamma, beta, axes=list(axes), epsilon=epsilon, name=at.name)


@operation("native_layer_norm")
def _native_layer_norm(at: Node, x: Any, shape: Sequence[int], gamma: Any, beta: Any, epsilon: float) -> Any:
    return [_layer_norm(at, x, shape, gamma, beta, epsilon)]


@operation("group_norm")
def _group_norm(at: Node, x: Any, groups: int, gamma: Any = None, beta: Any = None, epsilon: float = 1e-5, *_: Any) -> Value:
    at = at.named_after(gamma)
    return normalization.group_normalization(
        at.builder, as_value(x), gamma, beta, groups=groups, channels=1, epsilon=epsilon, name=at.name
    )


@operation("instance_norm")
def _instance_norm(
    at: Node,
    x: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    own_statistics: bool,
    momentum: float,
    epsilon: float,
    *_: Any,
) -> Value:
    if not own_statistics:
        return _batch_norm(at, x, gamma, beta, mean, variance, False, momentum, epsilon)
    x = as_value(x)
    return normalization.group_normalization(
        at.builder, x, gamma, beta, groups=x.shape[1], channels=1, epsilon=epsilon, name=at.name
    )


@operation("max_pool1d", "max_pool2d")
def _max_pool(
    at: Node, x: Any, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Value:
    x = as_value(x)
    spatial = x.rank - 2
    if max(several(dilation, spatial)) > 1:
        raise Refused("a pooling with dilation")
    return pooling.maximum(
        at.builder,
        x,
        channels=1,
        size=several(size, spatial),
        strides=several(stride or size, spatial),
        padding=[(amount, amount) for amount in several(padding, spatial)],
        ceil_mode=ceil_mode,
        name=at.name,
    )


@operation("max_pool2d_with_indices")
def _max_pool_with_indices(at: Node, *arguments: Any, **named: Any) -> Any:
    return [_max_pool(at, *arguments, **named)]


@operation("avg_pool1d", "avg_pool2d")
def _avg_pool(
    at: Node,
    x: Any,
    size: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    x = as_value(x)
    spatial = x.rank - 2
    if divisor_override:
        raise Refused("an average with a divisor of its own")
    return pooling.average(
        at.builder,
        x,
        channels=1,
        size=several(size, spatial),
        strides=several(stride or size, spatial),
        padding=[(amount, amount) for amount in several(padding, spatial)],
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        name=at.name,
    )


@operation("adaptive_avg_pool1d", "adaptive_avg_pool2d")
def _adaptive_avg_pool(at: Node, x: Any, size: Any) -> Value:
    return pooling.adaptive_average(at.builder, as_value(x), size, channels=1, name=at.name)


@operation("adaptive_max_pool1d", "adaptive_max_pool2d")
def _adaptive_max_pool(at: Node, x: Any, size: Any) -> Any:
    x = as_value(x)
    wanted = several(size, x.rank - 2)
    windows = [have // want for have, want in zip(x.shape[2:], wanted, strict=True)]
    if any(have % want for have, want in zip(x.shape[2:], wanted, strict=True)):
        raise Refused(f"an adaptive maximum from {list(x.shape[2:])} to {wanted}, which does not divide")
    if all(want == 1 for want in wanted):
        return [arithmetic.reduce(at.builder, "max", x, range(2, x.rank), True, name=at.name)]
    return [pooling.maximum(at.builder, x, channels=1, size=windows, strides=windows, name=at.name)]


@operation("prelu")
def _prelu(at: Node, x: Any, slope: Any) -> Value:
    slope = as_constant(slope)
    return prelu(at.builder, as_value(x), slope.reshape(-1), 1, name=at.name)


@operation("dropout", "feature_dropout", "alpha_dropout", "native_dropout")
def dropout(at: Node, x: Any, rate: float = 0.5, *_: Any) -> Any:
    """A Dropout layer, which acts in training alone; of constants nothing is dropped."""
    if not isinstance(x, Value) or rate == 0:
        return x
    return at.builder.layer("Dropout", {"rate": rate}, [x], name=at.name, nonnegative=x.nonnegative)


@operation("scaled_dot_product_attention")
def _attention(
    at: Node,
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    _rate: float = 0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    **_: Any,
) -> Value:
    b, q, k = at.builder, as_value(q), as_value(k)
    factor = scale if scale is not None else 1 / math.sqrt(q.shape[-1])
    scaled = rescale(b, q, factor, 0.0, name=f"{at.name}_scale")
    swapped = reshaping.transpose(k, [*range(k.rank - 2), k.rank - 1, k.rank - 2])
    scores: Operand = dense.matmul(b, scaled, swapped, name=f"{at.name}_scores")
    if is_causal:
        mask = Constant(np.tril(np.ones((q.shape[-2], k.shape[-2]), bool)))
    if isinstance(mask, Constant) and mask.array.dtype == bool:
        mask = Constant(np.where(mask.array, 0, -1e30).astype(np.float32))
    if mask is not None:
        scores = arithmetic.binary(b, "add", scores, mask, name=f"{at.name}_mask")
    shares = activation(b, as_value(scores), "softmax", axis=-1, name=f"{at.name}_softmax")
    return dense.matmul(b, shares, v, name=at.name)


@operation("max_pool3d", "avg_pool3d")
def _pool_volumes(at: Node, x: Any, size: Any, stride: Any = (), padding: Any = 0, *others: Any) -> Value:
    if any(several(padding, 3)) or any(one not in (1, [1], [1, 1, 1], False, True, None) for one in others):
        raise Refused("a pooling of volumes with padding or dilation")
    steps = several(stride, 3) if stride else several(size, 3)
    kind = "max" if at.kind == "max_pool3d" else "average"
    return volumes.pool(at.builder, as_value(x), kind, size=several(size, 3), strides=steps, name=at.name)


@operation("embedding")
def _embedding(at: Node, table: Any, indices: Any, *_: Any) -> Value:
    at = at.named_after(table)
    return dense.embedding(at.builder, as_constant(table), as_value(indices), name=at.name)
