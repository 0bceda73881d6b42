"""PyTorch's ops on dimensions: views, permutations, joins, slices, borders; and ops that pass a tensor on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.op_tables import TORCH, as_fixed, as_value
from atlas.model.channels_first.pointwise import chosen, numbers
from atlas.model.channels_first.values import Value, permuted, plain, reshaped
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

# What passes a tensor on.
for _name in (
    "clone.default alias.default detach.default dropout.default contiguous.default lift_fresh_copy.default "
    "_to_copy.default to.dtype to.dtype_layout _assert_tensor_metadata.default feature_dropout.default "
    "alpha_dropout.default"
).split():
    TORCH[_name] = lambda writer, x, *_, **__: numbers(x)


@TORCH.op("view.default", "reshape.default", "_unsafe_view.default", "_reshape_copy.default")
def _view(writer: Writer, x: Value, shape: Sequence[int]) -> Value:
    known = -int(np.prod(shape)) if -1 in shape else 1
    total = int(np.prod(x.shape))
    return reshaped(x, [total // known if length == -1 else length for length in shape])


@TORCH.op("flatten.using_ints")
def _flatten(writer: Writer, x: Value, start: int = 0, end: int = -1) -> Value:
    start, end = start % x.rank, end % x.rank
    return reshaped(x, (*x.shape[:start], int(np.prod(x.shape[start : end + 1])), *x.shape[end + 1 :]))


@TORCH.op("unflatten.int")
def _unflatten(writer: Writer, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    dim %= x.rank
    known = -int(np.prod(sizes)) if -1 in sizes else 1
    lengths = [x.shape[dim] // known if n == -1 else n for n in sizes]
    return reshaped(x, (*x.shape[:dim], *lengths, *x.shape[dim + 1 :]))


@TORCH.op("unsqueeze.default")
def _unsqueeze(writer: Writer, x: Value, dim: int) -> Value:
    dim %= x.rank + 1
    return reshaped(x, (*x.shape[:dim], 1, *x.shape[dim:]))


TORCH["squeeze.default"] = lambda writer, x: shaping.squeezed(x)
TORCH["squeeze.dim"] = lambda writer, x, dim: shaping.squeezed(x, [dim])
TORCH["squeeze.dims"] = lambda writer, x, dims: shaping.squeezed(x, dims)
TORCH["permute.default"] = lambda writer, x, dims: permuted(x, dims)
TORCH["t.default"] = lambda writer, x: permuted(x, list(range(x.rank))[::-1])


@TORCH.op("transpose.int")
def _transpose(writer: Writer, x: Value, a: int, b: int) -> Value:
    dims = list(range(x.rank))
    dims[a], dims[b] = dims[b], dims[a]
    return permuted(x, dims)


TORCH["cat.default"] = lambda writer, parts, dim=0: shaping.joined(writer, parts, dim)
TORCH["stack.default"] = lambda writer, parts, dim=0: shaping.stacked(writer, parts, dim)
TORCH["split_with_sizes.default"] = lambda writer, x, sizes, dim=0: shaping.split(x, sizes, dim)
TORCH["select.int"] = lambda writer, x, dim, index: shaping.selected(x, dim, index)
TORCH["expand.default"] = lambda writer, x, shape, **_: shaping.expanded(x, shape)
TORCH["copy.default"] = lambda writer, x, source, *_: shaping.expanded(as_value(writer, source), x.shape)
TORCH["repeat.default"] = lambda writer, x, times: shaping.repeated(x, times)
TORCH["pixel_shuffle.default"] = lambda writer, x, factor: shaping.shuffled_out(x, factor)
TORCH["pixel_unshuffle.default"] = lambda writer, x, factor: shaping.shuffled_in(x, factor)
TORCH["channel_shuffle.default"] = lambda writer, x, groups: _channel_shuffle(x, groups)


def _channel_shuffle(x: Value, groups: int) -> Value:
    n, channels, h, w = x.shape
    apart = reshaped(x, (n, groups, channels // groups, h, w))
    return reshaped(permuted(apart, (0, 2, 1, 3, 4)), x.shape)


@TORCH.op("split.Tensor")
def _split(writer: Writer, x: Value, size: int, dim: int = 0) -> list[Value]:
    length = x.shape[dim]
    return shaping.split(x, [min(size, length - at) for at in range(0, length, size)], dim)


@TORCH.op("chunk.default")
def _chunk(writer: Writer, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    size = -(-x.shape[dim] // chunks)
    parts: list[Value] = _split(writer, x, size, dim)
    return parts


@TORCH.op("unbind.int")
def _unbind(writer: Writer, x: Value, dim: int = 0) -> list[Value]:
    return [shaping.selected(x, dim, index) for index in range(x.shape[dim])]


@TORCH.op("slice.Tensor")
def _slice(
    writer: Writer, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    return shaping.cut(x, dim, start, end, step)


@TORCH.op("slice_scatter.default")
def _slice_scatter(
    writer: Writer, x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    whole, part = as_value(writer, x), as_value(writer, part)
    first, last, _ = slice(start, end).indices(whole.shape[dim])
    # What is assigned in one piece, or place by place, and where each piece begins.
    runs = [(first, part)]
    if step != 1:
        runs = [(at, shaping.cut(part, dim, i, i + 1)) for i, at in enumerate(range(first, last, step))]
    pieces, end = [], 0
    for at, piece in runs:
        pieces += [shaping.cut(whole, dim, end, at), piece]
        end = at + piece.shape[dim]
    pieces.append(shaping.cut(whole, dim, end, None))
    return shaping.joined(writer, [value for value in pieces if value.shape[dim]], dim)


@TORCH.op("select_scatter.default")
def _select_scatter(writer: Writer, x: Any, part: Any, dim: int, index: int) -> Value:
    whole, part = as_value(writer, x), as_value(writer, part)
    dim, index = dim % whole.rank, index % whole.shape[dim]
    wide = reshaped(part, (*whole.shape[:dim], 1, *whole.shape[dim + 1 :]))
    return _slice_scatter(writer, whole, wide, dim, index, index + 1)  # type: ignore[no-any-return]


@TORCH.op("index_select.default")
def _index_select(writer: Writer, x: Value, dim: int, index: Any) -> Value:
    return shaping.taken(x, dim, as_fixed(index, "an index").array)


@TORCH.op("index.Tensor")
def _index(writer: Writer, x: Value, indices: Sequence[Any]) -> Value:
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(given) == 1 and isinstance(given[0][1], Fixed) and given[0][1].array.ndim == 1:
        return shaping.taken(x, given[0][0], given[0][1].array)
    raise ModelError("an index over several dimensions cannot be written")


@TORCH.op("index_put.default")
def _index_put(writer: Writer, x: Any, indices: Sequence[Any], put: Any, adds: bool = False) -> Value:
    mask = indices[0]
    if adds or len(indices) > 1 or not isinstance(mask, Value) or mask.tensor.dtype != tf.bool:
        raise ModelError("an assignment to places by their numbers cannot be written")
    if mask.shape != x.shape or not isinstance(put, Fixed) or put.array.size != 1:
        raise ModelError("an assignment of other than one number cannot be written")
    return chosen(writer, mask, put, x)


@TORCH.op("unfold.default")
def _unfold(writer: Writer, x: Value, dim: int, size: int, step: int) -> Value:
    """Return windows along a dimension; their places are the last one."""
    reach = (x.shape[dim] - size) // step * step + 1
    return shaping.stacked(writer, [shaping.cut(x, dim, i, i + reach, step) for i in range(size)], -1)


@TORCH.op("im2col.default")
def _im2col(writer: Writer, x: Value, side: Any, dilation: Any, pad: Any, stride: Any) -> Value:
    """Return the windows of a kernel, (n, c * places of the kernel, places of the map)."""
    x = shaping.padded(x, [(p, p) for p in pad])
    reach = [n - d * (k - 1) for n, d, k in zip(x.shape[2:], dilation, side, strict=True)]
    parts = []
    for i, j in np.ndindex(*side):
        rows = shaping.cut(x, 2, i * dilation[0], i * dilation[0] + reach[0], stride[0])
        parts.append(shaping.cut(rows, 3, j * dilation[1], j * dilation[1] + reach[1], stride[1]))
    windows = shaping.stacked(writer, parts, 2)
    return reshaped(windows, (x.shape[0], x.shape[1] * len(parts), int(np.prod(windows.shape[3:]))))


@TORCH.op("flip.default")
def _flip(writer: Writer, x: Value, dims: Sequence[int]) -> Value:
    x = plain(x)
    return x.with_tensor(tf.reverse(x.tensor, [x.axis(dim) for dim in dims]))


@TORCH.op("roll.default")
def _roll(writer: Writer, x: Value, shifts: Sequence[int], dims: Sequence[int] = ()) -> Value:
    return shaping.rolled(x, shifts, dims)


@TORCH.op("pad.default")
def _pad(
    writer: Writer, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return shaping.padded(x, pairs, mode, value or 0.0)


TORCH["constant_pad_nd.default"] = lambda writer, x, pad, value=0.0: _pad(writer, x, pad, "constant", value)
TORCH["reflection_pad2d.default"] = lambda writer, x, pad: _pad(writer, x, pad, "reflect")
TORCH["replication_pad2d.default"] = lambda writer, x, pad: _pad(writer, x, pad, "replicate")
