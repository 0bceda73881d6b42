"""Values of a network with channels first, held in TensorFlow with channels last.

A value remembers which dimension of the source each axis of its tensor holds, so that a permutation of
dimensions costs nothing. Flattened maps remember the order of their features, which the next dense layer
puts into the rows of its weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf

# Sources are traced with a batch of this size: a prime that no layer has as another size.
BATCH = 509
# Of (n, h, w, c), the dimensions of the source, (n, c, h, w).
MAP_AXES = (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """A tensor and what its axes hold."""

    tensor: Any
    """The tensor in TensorFlow."""
    axes: tuple[int, ...]
    """Dimension of the source that each axis holds."""
    shape: tuple[int, ...]
    """Shape in the source, where a batch has `BATCH` images."""
    order: NDArray[np.int64] | None = None
    """Of a flattened map: where each feature of the source stands on the tensor's last axis."""

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.axes)

    def axis(self, dim: int) -> int:
        """Return the axis that holds a dimension of the source; negative ones count from the end."""
        return self.axes.index(dim % self.rank)

    def lengths(self) -> list[int]:
        """Return the lengths of the tensor's axes, -1 for the one that counts images."""
        return [_length(self.shape[dim]) for dim in self.axes]

    def with_tensor(self, tensor: Any) -> Value:
        """Return another tensor of the same shape and layout."""
        return replace(self, tensor=tensor)


def image_value(tensor: Any, shape: Sequence[int]) -> Value:
    """Return the value of an image batch [n, h, w, c] that the source knows as `shape`, (n, c, h, w)."""
    return Value(tensor, MAP_AXES, tuple(shape))


def plain(value: Value) -> Value:
    """Return a value whose features stand in the source's order."""
    if value.order is None:
        return value
    gathered = tf.gather(value.tensor, tf.constant(value.order.astype(np.int32)), axis=value.rank - 1)
    return replace(value, tensor=gathered, order=None)


def laid_out(value: Value, axes: Sequence[int]) -> Value:
    """Return a value whose axes hold the dimensions `axes`; moves data only where it has to."""
    value, axes = plain(value), tuple(axes)
    if value.axes == axes:
        return value
    long = [dim for dim in value.axes if value.shape[dim] != 1]
    if long == [dim for dim in axes if value.shape[dim] != 1]:
        lengths = [_length(value.shape[dim]) for dim in axes]
        return replace(value, tensor=tf.reshape(value.tensor, lengths), axes=axes)
    order = [value.axes.index(dim) for dim in axes]
    return replace(value, tensor=tf.transpose(value.tensor, order), axes=axes)


def as_map(value: Value) -> Value:
    """Return a value of four dimensions, (n, c, h, w) in the source, as [n, h, w, c]."""
    return laid_out(value, MAP_AXES)


def canonical(value: Value) -> Value:
    """Return a value whose axes are the source's dimensions in their order."""
    return laid_out(value, range(value.rank))


def permuted(value: Value, dims: Sequence[int]) -> Value:
    """Return the value whose dimension i is dimension `dims[i]` of `value`; no data are moved."""
    value = plain(value)
    dims = [dim % value.rank for dim in dims]
    axes = tuple(dims.index(dim) for dim in value.axes)
    return replace(value, axes=axes, shape=tuple(value.shape[dim] for dim in dims))


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """Return a value with another shape in the source, its elements in the source's order.

    Dimensions are compared in groups of equal size. A dimension that stays, is taken apart, or is joined from
    neighbours that are neighbours in the tensor too, costs a Reshape. A map that is flattened remembers the
    order of its features. Anything else is brought into the source's order first.
    """
    shape = tuple(int(length) for length in shape)
    value = plain(_unflattened(value, shape))
    if shape == value.shape:
        return value
    groups = _groups(value.shape, shape)
    if groups is None:
        return _straight(canonical(value), shape)
    flat = _flattened(value, shape, groups)
    if flat is not None:
        return flat
    if not all(_is_run(value, old) for old, _ in groups):
        moved = _runs(value, groups)
        value = canonical(value) if moved is None else moved
    by_first = sorted((g for g in groups if g[0]), key=lambda group: value.axes.index(group[0][0]))
    axes = [dim for _, new in by_first for dim in new if shape[dim] != 1]
    axes = _with_ones(axes, shape)
    tensor = tf.reshape(value.tensor, [_length(shape[dim]) for dim in axes])
    return Value(tensor, tuple(axes), shape)


def _straight(value: Value, shape: tuple[int, ...]) -> Value:
    return Value(tf.reshape(value.tensor, _target(shape)), tuple(range(len(shape))), shape)


def _target(shape: tuple[int, ...]) -> list[int]:
    """Return a shape for a Reshape: the first length that counts images is left open."""
    lengths = [_length(length) for length in shape]
    if lengths.count(-1) > 1:
        first = lengths.index(-1)
        lengths = [n if i == first else shape[i] for i, n in enumerate(lengths)]
    return lengths


Group = tuple[tuple[int, ...], tuple[int, ...]]


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[Group] | None:
    """Return the smallest runs of dimensions of `old` and `new` with equal products; lengths of 1 in none.

    None where there is none, as for tensors without elements.
    """
    olds = [dim for dim, length in enumerate(old) if length != 1]
    news = [dim for dim, length in enumerate(new) if length != 1]
    groups: list[Group] = []
    while olds or news:
        if not olds or not news:
            return None
        left, right = [olds.pop(0)], [news.pop(0)]
        while (a := math.prod(old[d] for d in left)) != (b := math.prod(new[d] for d in right)):
            source, into = (olds, left) if a < b else (news, right)
            if not source:
                return None
            into.append(source.pop(0))
        groups.append((tuple(left), tuple(right)))
    return groups


def _is_run(value: Value, dims: Sequence[int]) -> bool:
    """Return whether dimensions are neighbours in the tensor, in their order; lengths of 1 do not count."""
    long = [dim for dim in value.axes if value.shape[dim] != 1]
    first = long.index(dims[0])
    return long[first : first + len(dims)] == list(dims)


def _runs(value: Value, groups: Sequence[Group]) -> Value | None:
    """Return the value with the dimensions of each group next to each other; None where all lengths are 1.

    The groups stay in the tensor's order, so that the channels of a map stay last.
    """
    old = sorted((dims for dims, _ in groups), key=lambda dims: min(map(value.axes.index, dims)))
    order = [dim for dims in old for dim in dims]
    ones = [dim for dim in value.axes if dim not in order]
    return laid_out(value, [*order, *ones]) if order else None


def _flattened(value: Value, shape: tuple[int, ...], groups: Sequence[Group]) -> Value | None:
    """Return a map (n, c, h, w) as features (n, c * h * w) and their order; None for another reshape."""
    joined = [group for group in groups if len(group[0]) > 1]
    if len(shape) != 2 or len(joined) != 1 or value.axes[0] != 0 or value.shape[0] != shape[0]:
        return None
    # A batch of one image is in no group.
    batch = [] if shape[0] == 1 else [((0,), (0,))]
    if joined[0][1] != (1,) or groups != [*batch, joined[0]] or _is_run(value, joined[0][0]):
        return None
    rest = [dim for dim in value.axes if dim != 0]
    lengths = [value.shape[dim] for dim in rest]
    places = np.arange(math.prod(lengths)).reshape(lengths)
    order = places.transpose([rest.index(dim) for dim in sorted(rest)]).ravel()
    return Value(tf.reshape(value.tensor, [-1, len(order)]), (0, 1), shape, order)


def _unflattened(value: Value, shape: tuple[int, ...]) -> Value:
    """Return features as the map (n, c, h, w) = `shape` that they were, others as they are."""
    if value.order is None or len(shape) != 4 or len(value.order) != math.prod(shape[1:]):
        return value
    _, channels, height, width = shape
    places = np.arange(len(value.order)).reshape(height, width, channels).transpose(2, 0, 1)
    if not np.array_equal(value.order, places.ravel()):
        return value
    return Value(tf.reshape(value.tensor, [-1, height, width, channels]), MAP_AXES, shape)


def _with_ones(axes: list[int], shape: tuple[int, ...]) -> list[int]:
    """Return all dimensions: lengths of 1 put in, as a map's where there are four, else in order."""
    if len(shape) == 4:
        as_maps = [dim for dim in MAP_AXES if shape[dim] == 1 or dim in axes]
        if [dim for dim in as_maps if shape[dim] != 1] == axes:
            return as_maps
    complete = list(axes)
    for dim in range(len(shape)):
        if shape[dim] == 1:
            before = [complete.index(d) + 1 for d in range(dim) if d in complete]
            complete.insert(before[-1] if before else 0, dim)
    return complete


def _length(length: int) -> int:
    """Return a length for a Reshape: -1 where it counts images, in whole or times something."""
    return -1 if length % BATCH == 0 and length else length
