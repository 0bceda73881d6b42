"""Transposes of ops on axes and values: products, sums, reshapes, joins, splits, matrix products."""

from __future__ import annotations

import math

import numpy as np

from atlas.core.errors import LinearizeError
from atlas.core.records import Floats
from atlas.model.linear.places import Linear, Place, Rule, add_at, padded, unbroadcast
from atlas.model.positions import axes as ax

_TURNED = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))


def _concat(on: Linear, place: Place, grad: Floats) -> Floats:
    *parts, axis = on.view.inputs(place.name)
    at = int(np.asarray(on.view.constant(axis))) % grad.ndim
    if ax.letters((place.after[at],)):
        return _joined_maps(on, place, grad, at)
    starts = np.cumsum([0, *(on.length(part, at) for part in parts)])
    # A concatenation may contain a tensor twice.
    pieces = [
        np.take(grad, range(starts[i], starts[i + 1]), at)
        for i, part in enumerate(parts)
        if part == place.tensor
    ]
    return np.asarray(sum(pieces[1:], pieces[0]))


def _joined_maps(on: Linear, place: Place, grad: Floats, at: int) -> Floats:
    if not on.whole:
        raise LinearizeError(f"{place.name} joins maps side by side", expected="whole maps")
    start, total = 0, np.zeros(place.shape(), np.float32)
    for part in on.view.inputs(place.name)[:-1]:
        n = on.length(part, at)
        if part == place.tensor:
            total += np.take(grad, range(start, start + n), at)
        start += n
    return total


def _product(on: Linear, place: Place, grad: Floats) -> Floats:
    factor, at = on.other(place)
    divides = on.view.op(place.name) != "Mul"
    if divides and at == 1:
        raise LinearizeError(f"{place.name} divides by what depends on the image")
    by = on.taken(factor)
    return unbroadcast(grad / by if divides else grad * by, place.shape())


def _difference(on: Linear, place: Place, grad: Floats) -> Floats:
    left, right = on.view.inputs(place.name)
    taken_off = int(place.tensor == right)
    sign = (place.tensor == left) + (taken_off if on.absolute else -taken_off)
    return unbroadcast(grad * np.float32(sign), place.shape())


def _sum(on: Linear, place: Place, grad: Floats) -> Floats:
    times = on.view.inputs(place.name).count(place.tensor)
    return unbroadcast(grad * np.float32(times), place.shape())


def _negative(on: Linear, place: Place, grad: Floats) -> Floats:
    return grad if on.absolute else -grad


def _reverse(on: Linear, place: Place, grad: Floats) -> Floats:
    over = np.atleast_1d(on.constant(place.name, 1)) % grad.ndim
    return np.ascontiguousarray(np.flip(grad, tuple(over.tolist())))


def _reduce(on: Linear, place: Place, grad: Floats) -> Floats:
    shape = place.shape()
    over = {int(at) % len(shape) for at in np.atleast_1d(on.constant(place.name, 1))}
    kept_shape = [1 if at in over else n for at, n in enumerate(shape)]
    share = 1 / math.prod(shape[at] for at in over) if on.view.op(place.name) == "Mean" else 1
    return np.ascontiguousarray(np.broadcast_to(grad.reshape(kept_shape) * np.float32(share), shape))


def _reshape(on: Linear, place: Place, grad: Floats) -> Floats:
    if on.whole or place.taps == (None, None):
        return grad.reshape(place.shape())
    for axis, taps in enumerate(place.taps):
        if taps is not None and taps.per > 1:
            grad = _block_edge(grad, place, axis, taps.per)
    return grad.reshape(place.shape())


def _block_edge(grad: Floats, place: Place, axis: int, size: int) -> Floats:
    """Zero-pad a window of rows or columns to whole blocks; `size` of them form one before the reshape."""
    letter = ax.POSITIONS[axis]
    at = next(i for i, a in enumerate(place.after) if a[0][0] == letter and len(a) == 1)
    (a, b), (first, end) = place.made[axis], place.read[axis]
    pads = [(0, 0)] * grad.ndim
    pads[at] = (a - first * size, end * size - b)
    return padded(grad, pads)


def _transpose(on: Linear, place: Place, grad: Floats) -> Floats:
    return np.ascontiguousarray(grad.transpose(np.argsort(on.constant(place.name, 1))))


def _repeat(on: Linear, place: Place, grad: Floats) -> Floats:
    """Sum over the copies that Tile and BroadcastTo make."""
    shape = place.shape()
    lead = grad.ndim - len(shape)
    grad = grad.sum(tuple(range(lead))) if lead else grad
    for at, n in enumerate(shape):
        if grad.shape[at] != n:
            copies = grad.reshape(*grad.shape[:at], grad.shape[at] // n, n, *grad.shape[at + 1 :])
            grad = copies.sum(at)
    return grad


def _split(on: Linear, place: Place, grad: Floats) -> Floats:
    return grad


def _pack(on: Linear, place: Place, grad: Floats) -> Floats:
    at = int(on.view.nodes[place.name].attr["axis"].i) % grad.ndim
    parts = [i for i, t in enumerate(on.view.inputs(place.name)) if t == place.tensor]
    return np.asarray(np.take(grad, parts, at).sum(at))


def _gather(on: Linear, place: Place, grad: Floats) -> Floats:
    at = int(on.constant(place.name, 2)) % len(place.before)
    indices = on.constant(place.name, 1)
    total = np.zeros(place.shape(), np.float32)
    add_at(total, at, indices, grad)
    return total


def _matmul(on: Linear, place: Place, grad: Floats) -> Floats:
    matrix, at = on.other(place)
    node = on.view.nodes[place.name]
    flips = [any(key in node.attr and node.attr[key].b for key in keys) for keys in _TURNED]
    transposed = on.taken(np.swapaxes(matrix, -1, -2) if flips[1 - at] else matrix)
    transposed = np.swapaxes(transposed, -1, -2)
    rows = grad.reshape(-1, grad.shape[-1]) if grad.ndim < 2 else grad
    pulled = np.matmul(rows, transposed) if at == 0 else np.matmul(transposed, rows)
    if flips[at]:
        pulled = np.swapaxes(pulled, -1, -2)
    return unbroadcast(pulled, place.shape())


def _einsum(on: Linear, place: Place, grad: Floats) -> Floats:
    equation = on.view.nodes[place.name].attr["equation"].s.decode().replace(" ", "")
    sides, _, out = equation.partition("->")
    terms = sides.split(",")
    at, constants, inputs = 0, [], [out]
    if len(terms) > 1:
        other, at = on.other(place)
        constants, inputs = [on.taken(other)], [out, terms[1 - at]]
    labels = terms[at]
    if set(labels) - set("".join(inputs)):
        raise LinearizeError(f"{place.name} sums over an axis of one operand alone", found=equation)
    return np.asarray(np.einsum(f"{','.join(inputs)}->{labels}", grad, *constants), np.float32)


RULES: dict[str, Rule] = {
    "ConcatV2": _concat,
    "Mul": _product,
    "RealDiv": _product,
    "Div": _product,
    "Sub": _difference,
    "Add": _sum,
    "AddV2": _sum,
    "AddN": _sum,
    "Neg": _negative,
    "Split": _split,
    "SplitV": _split,
    "Pack": _pack,
    "Unpack": _split,
    "GatherV2": _gather,
    "ReverseV2": _reverse,
    "Mean": _reduce,
    "Sum": _reduce,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "ExpandDims": _reshape,
    "Transpose": _transpose,
    "Tile": _repeat,
    "BroadcastTo": _repeat,
    "MatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "BatchMatMulV3": _matmul,
    "BatchMatMul": _matmul,
    "Einsum": _einsum,
}
