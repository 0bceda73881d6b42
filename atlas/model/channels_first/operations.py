"""What ops of PyTorch and ONNX do, on values held with channels last: convolutions, pooling, norms, resizing.

Both front ends, `torch_ops` and `onnx_ops`, call these. Arguments are meant as in torch.nn.functional;
paddings are pairs (before, after) for h and w, as ONNX has them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first.pointwise import multiply
from atlas.model.channels_first.values import Value, as_map, laid_out, plain
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

Pads = Sequence[tuple[int, int]]
Pair = Sequence[int]


def both(number: int | Sequence[int]) -> tuple[int, int]:
    """Return a setting for h and w: one number stands for both."""
    values = [number] if isinstance(number, int) else list(number)
    return (values[0], values[-1])


def symmetric(padding: int | Sequence[int]) -> list[tuple[int, int]]:
    """Return the same padding before and after."""
    return [(pad, pad) for pad in both(padding)]


def convolution(
    writer: Writer,
    value: Value,
    weight: Fixed,
    bias: Fixed | None,
    *,
    strides: Pair,
    pads: Pads,
    dilations: Pair,
    groups: int,
    same: bool = False,
) -> Value:
    """Return a convolution; `weight` is (out, in / groups, h, w).

    With `same` its padding is TensorFlow's SAME also where that is another at other sizes of the map.
    """
    value = as_map(value)
    n_in, (n_out, _, *sides) = value.shape[1], weight.array.shape
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, sides, strict=True)]
    depthwise = 1 < groups == n_in and strides[0] == strides[1] and (max(strides) == 1 or max(dilations) == 1)
    same = same or _is_same(pads, spans, strides)
    image, padding = value.tensor, "SAME" if same else "VALID"
    if not same and any(map(any, pads)):
        if depthwise:  # TensorFlow aborts on a depthwise convolution with explicit padding and a bias
            image = tf.pad(image, [(0, 0), *pads, (0, 0)])
        else:
            padding = [(0, 0), *map(tuple, pads), (0, 0)]  # type: ignore[assignment]
    if depthwise:
        array = weight.array.reshape(n_in, n_out // n_in, *sides).transpose(2, 3, 0, 1)
        kernel = writer.weight(weight.name, array)
        scale = [1, *strides, 1]
        tensor = tf.nn.depthwise_conv2d(image, kernel, scale, padding, dilations=list(dilations))
    else:
        kernel = writer.weight(weight.name, weight.array.transpose(2, 3, 1, 0))
        tensor = tf.nn.conv2d(image, kernel, list(strides), padding, dilations=list(dilations))
    lengths = [
        (n + sum(pad) - span) // stride + 1
        for n, pad, span, stride in zip(value.shape[2:], pads, spans, strides, strict=True)
    ]
    return _biased(writer, Value(tensor, value.axes, (value.shape[0], n_out, *lengths)), bias)


def transposed_convolution(
    writer: Writer,
    value: Value,
    weight: Fixed,
    bias: Fixed | None,
    *,
    strides: Pair,
    pads: Pads,
    output_padding: Pair,
    dilations: Pair,
    groups: int,
) -> Value:
    """Return a transposed convolution; `weight` is (in, out / groups, h, w)."""
    value = as_map(value)
    kernel = _dilated(weight.array, dilations)
    sides = kernel.shape[2:]
    parts = []
    images = tf.split(value.tensor, groups, axis=3) if groups > 1 else [value.tensor]
    for number, (image, each) in enumerate(zip(images, np.split(kernel, groups), strict=True)):
        name = weight.name if groups == 1 else f"{weight.name}.{number}"
        filters = writer.weight(name, each.transpose(2, 3, 1, 0))
        sizes = tf.shape(image)
        height, width = ((sizes[i + 1] - 1) * strides[i] + sides[i] for i in (0, 1))
        shape = tf.stack([sizes[0], height, width, each.shape[1]])
        parts.append(tf.nn.conv2d_transpose(image, filters, shape, list(strides), "VALID"))
    tensor = tf.concat(parts, 3) if groups > 1 else parts[0]
    lengths = []
    for i in (0, 1):
        full = (value.shape[i + 2] - 1) * strides[i] + sides[i]
        lengths.append(full - sum(pads[i]) + output_padding[i])
    tensor = _cropped(tensor, pads, output_padding)
    shape = (value.shape[0], kernel.shape[1] * groups, *lengths)
    return _biased(writer, Value(tensor, value.axes, shape), bias)


def _dilated(kernel: Any, dilations: Pair) -> Any:
    """Return a kernel (in, out, h, w) with zeros between its taps."""
    if tuple(dilations) == (1, 1):
        return kernel
    sides = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilations, strict=True)]
    spread = np.zeros((*kernel.shape[:2], *sides), kernel.dtype)
    spread[:, :, :: dilations[0], :: dilations[1]] = kernel
    return spread


def _cropped(tensor: Any, pads: Pads, extra: Pair) -> Any:
    """Return a map without `pads` at its borders, and with `extra` rows and columns of zeros at its end."""
    ends = [e - after for (_, after), e in zip(pads, extra, strict=True)]
    if any(end > 0 for end in ends):
        tensor = tf.pad(tensor, [(0, 0), *((0, max(end, 0)) for end in ends), (0, 0)])
    if any(before for before, _ in pads) or any(end < 0 for end in ends):
        cuts = [slice(p[0], end if end < 0 else None) for p, end in zip(pads, ends, strict=True)]
        tensor = tensor[:, cuts[0], cuts[1], :]
    return tensor


def _biased(writer: Writer, value: Value, bias: Fixed | None) -> Value:
    if bias is None:
        return value
    return value.with_tensor(tf.nn.bias_add(value.tensor, writer.weight(bias.name, bias.array)))


def _is_same(pads: Pads, spans: Sequence[int], strides: Pair) -> bool:
    """Return whether TensorFlow's SAME padding is this one at every size of the map."""
    if max(strides) > 1:
        return False
    return any(map(any, pads)) and all(
        tuple(pad) == ((span - 1) // 2, span // 2) for pad, span in zip(pads, spans, strict=True)
    )


def _same_pads(lengths: Sequence[int], sides: Pair, strides: Pair) -> list[tuple[int, int]]:
    """Return the padding that SAME means for a map of one size."""
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(lengths, sides, strides, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


def dense(writer: Writer, value: Value, weight: Fixed, bias: Fixed | None) -> Value:
    """Return a dense layer over the last dimension; `weight` is (out, in).

    Over a map it is a convolution with a kernel of 1 x 1; over flattened features the order of the
    weights' rows is the tensor's.
    """
    last = value.rank - 1
    rows = weight.array.T
    if value.order is not None:
        ordered = np.empty_like(rows)
        ordered[value.order] = rows
        rows, value = ordered, Value(value.tensor, value.axes, value.shape)
    if value.axes[-1] != last:
        value = laid_out(value, [*(axis for axis in value.axes if axis != last), last])
    shape = (*value.shape[:-1], weight.array.shape[0])
    if value.rank == 4:
        kernel = writer.weight(weight.name, rows[None, None])
        tensor = tf.nn.conv2d(value.tensor, kernel, 1, "VALID")
    else:
        tensor = tf.matmul(value.tensor, writer.weight(weight.name, rows))
    return _biased(writer, Value(tensor, value.axes, shape), bias)


def pooled(
    value: Value,
    *,
    largest: bool,
    sides: Pair,
    strides: Pair,
    pads: Pads,
    ceil: bool = False,
    counts_padding: bool = True,
) -> Value:
    """Return a map pooled by the largest value or by the mean of each window."""
    value = as_map(value)
    lengths = value.shape[2:]
    sizes = [
        _pooled_length(n, k, s, pad, ceil) for n, k, s, pad in zip(lengths, sides, strides, pads, strict=True)
    ]
    # What the last windows reach beyond the padding, where lengths are rounded up.
    over = [
        max((size - 1) * s + k - n - sum(pad), 0)
        for size, k, s, n, pad in zip(sizes, sides, strides, lengths, pads, strict=True)
    ]
    ends = [(before, after + extra) for (before, after), extra in zip(pads, over, strict=True)]
    pool = tf.nn.max_pool2d if largest else tf.nn.avg_pool2d
    padded = any(map(any, ends))
    excluded = largest or not counts_padding or not any(map(any, pads))
    tensor, padding = value.tensor, "VALID"
    if padded and excluded and ends == _same_pads(lengths, sides, strides):
        padding = "SAME"
    elif padded and largest:
        floor = 0.0 if tensor.op.type in ("Relu", "Relu6") else tf.float32.min
        tensor = tf.pad(tensor, [(0, 0), *ends, (0, 0)], constant_values=floor)
    elif padded and any(over):
        raise ModelError(
            "an average pooling that rounds sizes up cannot be written",
            found=f"windows of {sides[0]} x {sides[1]}, a map of {lengths[0]} x {lengths[1]}",
            remedy="leave out ceil_mode, or choose another --input-shape",
        )
    elif padded and not counts_padding:
        total = _mean_of_padded(tensor, sides, strides, ends)
        ones = tf.ones_like(tensor[:1, :, :, :1])
        tensor = total / tf.stop_gradient(_mean_of_padded(ones, sides, strides, ends))
        return Value(tensor, value.axes, (*value.shape[:2], *sizes))
    elif padded:
        tensor = tf.pad(tensor, [(0, 0), *ends, (0, 0)])
    tensor = pool(tensor, list(sides), list(strides), padding)
    return Value(tensor, value.axes, (*value.shape[:2], *sizes))


def _mean_of_padded(tensor: Any, sides: Pair, strides: Pair, pads: Pads) -> Any:
    return tf.nn.avg_pool2d(tf.pad(tensor, [(0, 0), *pads, (0, 0)]), list(sides), list(strides), "VALID")


def _pooled_length(n: int, side: int, stride: int, pad: tuple[int, int], ceil: bool) -> int:
    """Return how many windows there are; rounded up, the last one has to begin in the map or its padding."""
    free = n + sum(pad) - side
    size = (-(-free // stride) if ceil else free // stride) + 1
    return size - 1 if ceil and (size - 1) * stride >= n + pad[0] else size


def adaptively_pooled(writer: Writer, value: Value, sizes: Pair) -> Value:
    """Return a map's means over a grid of windows, as AdaptiveAvgPool2d has them."""
    value = as_map(value)
    lengths = value.shape[2:]
    if tuple(sizes) == (1, 1):
        tensor = tf.reduce_mean(value.tensor, (1, 2), keepdims=True)
        return Value(tensor, value.axes, (*value.shape[:2], 1, 1))
    if all(n % size == 0 for n, size in zip(lengths, sizes, strict=True)):
        sides = [n // size for n, size in zip(lengths, sizes, strict=True)]
        if sides == [1, 1]:
            return value
        return pooled(value, largest=False, sides=sides, strides=sides, pads=[(0, 0), (0, 0)])
    rows, columns = (_windows(n, size) for n, size in zip(lengths, sizes, strict=True))
    tensor = tf.einsum("nhwc,ih->niwc", value.tensor, writer.weight("rows", rows))
    tensor = tf.einsum("nhwc,jw->nhjc", tensor, writer.weight("columns", columns))
    return Value(tensor, value.axes, (*value.shape[:2], *sizes))


def _windows(n: int, size: int) -> Any:
    """Return the matrix [size, n] of the means over windows that cover n places."""
    matrix = np.zeros((size, n), np.float32)
    for i in range(size):
        first, last = i * n // size, -(-(i + 1) * n // size)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def batch_norm(
    writer: Writer,
    value: Value,
    scale: Fixed | None,
    shift: Fixed | None,
    mean: Fixed,
    variance: Fixed,
    epsilon: float,
) -> Value:
    """Return a batch norm at inference, over dimension 1."""
    count = mean.array.shape[0]
    scale = scale or Fixed(f"{mean.name}.ones", np.ones(count, np.float32))
    shift = shift or Fixed(f"{mean.name}.zeros", np.zeros(count, np.float32))
    if value.rank != 4:
        factor = scale.array / np.sqrt(variance.array + np.float32(epsilon))
        shape = (count, *(1,) * (value.rank - 2))
        by = Fixed(scale.name, factor.reshape(shape))
        added = Fixed(shift.name, (shift.array - mean.array * factor).reshape(shape))
        scaled = multiply(writer, value, by)
        return scaled.with_tensor(scaled.tensor + writer.fixed(added, scaled))
    value = as_map(value)
    tensors = [writer.weight(each.name, each.array) for each in (scale, shift, mean, variance)]
    # tf.nn's own function takes no epsilon as small as PyTorch's.
    normed = tf.raw_ops.FusedBatchNormV3(
        x=value.tensor,
        scale=tensors[0],
        offset=tensors[1],
        mean=tensors[2],
        variance=tensors[3],
        epsilon=epsilon,
        is_training=False,
    )
    return value.with_tensor(normed.y)


def layer_norm(
    writer: Writer, value: Value, n_dims: int, scale: Fixed | None, shift: Fixed | None, epsilon: float
) -> Value:
    """Return a norm by mean and deviation over the last `n_dims` dimensions."""
    value = plain(value)
    axes = sorted(value.axis(dim) for dim in range(value.rank - n_dims, value.rank))
    return value.with_tensor(_normed(writer, value, value.tensor, axes, scale, shift, epsilon))


def group_norm(
    writer: Writer, value: Value, groups: int, scale: Fixed | None, shift: Fixed | None, epsilon: float
) -> Value:
    """Return a norm by mean and deviation of each group of channels; an instance norm has one for each."""
    value = as_map(value)
    count, (height, width) = value.shape[1], value.shape[2:]
    shape = (count, 1, 1)
    scale, shift = (each and Fixed(each.name, each.array.reshape(shape)) for each in (scale, shift))
    if groups == count:
        return value.with_tensor(_normed(writer, value, value.tensor, [1, 2], scale, shift, epsilon))
    split = tf.reshape(value.tensor, [-1, height, width, groups, count // groups])
    normed = tf.reshape(
        _normed(writer, value, split, [1, 2, 4], None, None, epsilon), [-1, height, width, count]
    )
    if scale is not None:
        normed = normed * writer.fixed(scale, value)
    if shift is not None:
        normed = normed + writer.fixed(shift, value)
    return value.with_tensor(normed)


def _normed(
    writer: Writer,
    value: Value,
    tensor: Any,
    axes: Sequence[int],
    scale: Fixed | None,
    shift: Fixed | None,
    epsilon: float,
) -> Any:
    mean, variance = tf.nn.moments(tensor, list(axes), keepdims=True)
    factor = None if scale is None else writer.fixed(scale, value)
    offset = None if shift is None else writer.fixed(shift, value)
    return tf.nn.batch_normalization(tensor, mean, variance, offset, factor, epsilon)


def resized(
    value: Value,
    sizes: Sequence[int],
    scales: Sequence[float] | None,
    *,
    method: str,
    align_corners: bool = False,
    half_pixels: bool = True,
) -> Value:
    """Return a map of another size: "bilinear", or "nearest"; whole `scales` serve maps of every size."""
    value = as_map(value)
    factors = [size / n for size, n in zip(sizes, value.shape[2:], strict=True)]
    if scales is not None and any(abs(a - b) > 1e-6 for a, b in zip(scales, factors, strict=True)):
        raise ModelError(
            "a resize by a factor that the sizes do not have cannot be written",
            found=f"{list(scales)}, {list(value.shape[2:])} to {list(sizes)}",
            remedy="choose another --input-shape",
        )
    size: Any = list(sizes)
    if all(factor == int(factor) for factor in factors):
        size = tf.shape(value.tensor)[1:3] * tf.constant([int(factor) for factor in factors])
    resize = {
        "bilinear": tf.raw_ops.ResizeBilinear,
        "nearest": tf.raw_ops.ResizeNearestNeighbor,
    }[method]
    tensor = resize(
        images=value.tensor,
        size=size,
        align_corners=align_corners,
        half_pixel_centers=half_pixels and not align_corners,
    )
    return Value(tensor, value.axes, (*value.shape[:2], *sizes))
