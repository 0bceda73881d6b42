"""Graphs exported for a fixed batch size, changed to take any number of images, each computed by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import added, make_identity
from atlas.model.graph.view import GraphView, node_of
from atlas.model.positions.axes import Shape

Shapes = Mapping[str, Shape]
_PAIRS = ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum")


def bound_nodes(view: GraphView, entry: str, batch: int = 1) -> list[str]:
    """Return the nodes after the input whose constants contain the batch size, in order."""
    moving = view.descendants(entry)
    names = [name for name in view.order if name in moving and name != node_of(entry)]
    return [name for name in names if _is_bound(view, name, batch)]


def _is_bound(view: GraphView, name: str, batch: int) -> bool:
    op, inputs = view.op(name), view.inputs(name)
    if op == "Squeeze":
        return not view.nodes[name].attr["squeeze_dims"].list.i
    if op == "ConcatV2":
        return any(_single(view, tensor, batch) is not None for tensor in inputs[:-1])
    if op in _PAIRS:
        return batch > 1 and any(_single(view, tensor, batch) is not None for tensor in inputs)
    at = {"Reshape": 1, "BroadcastTo": 1, "Conv2DBackpropInput": 0, "Slice": 2}.get(op)
    value = view.constant(inputs[at]) if at is not None else None
    if value is None or not value.size or int(value.flat[0]) <= 0:
        return False
    # Where another length is open, it is the batch's, as in attention [token, image * head, channel], unless
    # the first length is that of the batch exported, or all else is flattened.
    is_open = op == "Reshape" and -1 in value
    return not is_open or (int(value.flat[0]) == batch and (batch > 1 or value.size == 2))


def _single(view: GraphView, tensor: str, batch: int) -> NDArray[Any] | None:
    """Return the row of a constant that has the same row for every image; None for other tensors."""
    value = view.constant(tensor)
    if value is None or value.ndim < 2 or value.shape[0] not in (1, batch):
        return None
    return value[:1] if np.array_equal(value, np.broadcast_to(value[:1], value.shape)) else None


def free_batch(graph_def: Any, entry: str, shapes: Shapes, batch: int) -> None:
    """Let the nodes of a graph take any number of images, in place.

    `shapes` holds the shapes of all nodes for `batch` images, the number for which the graph was exported.
    """
    view = GraphView(graph_def)
    for name in bound_nodes(view, entry, batch):
        _FREE[view.op(name)](graph_def, view, name, shapes, batch)


def _reshape(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    """Leave the first length of a new shape open; a length that was open already becomes a number."""
    shape = _lengths(view, name, 1)
    static = shapes.get(name, ())
    if -1 in shape:
        if len(static) != len(shape) or None in static[1:]:
            return
        shape = [int(length or 0) for length in static]
    _replace(graph_def, view.nodes[name], 1, [-1, *shape[1:]])


def _slice(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    sizes = _lengths(view, name, 2)
    if sizes[0] == batch:
        _replace(graph_def, view.nodes[name], 2, [-1, *sizes[1:]])


def _squeeze(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    """Keep the batch axis where all axes of length 1 are removed."""
    before = shapes.get(node_of(view.inputs(name)[0]))
    if before and None not in before[1:]:
        axes = [axis for axis, length in enumerate(before) if axis and length == 1]
        node = view.nodes[name]
        if axes:
            node.attr["squeeze_dims"].list.i[:] = axes
        else:
            make_identity(node, node.input[0])


def _broadcast(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    shape = _lengths(view, name, 1)
    _measured(graph_def, view, name, 1, view.inputs(name)[0], shape)


def _transposed(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    sizes = _lengths(view, name, 0)
    if len(sizes) == 4:
        _measured(graph_def, view, name, 0, view.inputs(name)[2], sizes)


def _concat(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    """Repeat constants that are concatenated with images once per image."""
    *tensors, axis = view.inputs(name)
    rank = len(shapes.get(name, ()))
    value = view.constant(axis)
    moving = next((tensor for tensor in tensors if view.constant(tensor) is None), None)
    if value is None or moving is None or not rank or int(value) % rank == 0:
        return
    node = view.nodes[name]
    dtype = tf.as_dtype(node.attr["T"].type)
    for index, tensor in enumerate(tensors):
        row = _single(view, tensor, batch)
        if row is not None:
            build = partial(_repeated, row)
            node.input[index] = added(graph_def, f"{name}/for_each_image", build, (moving, dtype))


def _repeated(row: NDArray[Any], images: Any) -> Any:
    return tf.tile(tf.constant(row), tf.stack([tf.shape(images)[0], *[1] * (row.ndim - 1)]))


def _pair(graph_def: Any, view: GraphView, name: str, shapes: Shapes, batch: int) -> None:
    """Replace a constant with equal rows for all images by a single row, which is broadcast."""
    for index, tensor in enumerate(view.inputs(name)):
        row = _single(view, tensor, batch)
        if row is not None:
            build = partial(tf.constant, row)
            view.nodes[name].input[index] = added(graph_def, f"{name}/for_all_images", build)


def _measured(graph_def: Any, view: GraphView, name: str, at: int, images: str, shape: list[int]) -> None:
    """Replace the shape that a node reads at `at` by one whose first length is taken from `images`."""
    single = tf.float32 if "T" not in view.nodes[name].attr else tf.as_dtype(view.nodes[name].attr["T"].type)
    view.nodes[name].input[at] = added(
        graph_def, f"{name}/shape", lambda x: tf.stack([tf.shape(x)[0], *shape[1:]]), (images, single)
    )
    _of_int32(view.nodes[name])


def _lengths(view: GraphView, name: str, at: int) -> list[int]:
    """Return the integers in the constant that a node reads at `at`."""
    value = view.constant(view.inputs(name)[at])
    return [int(length) for length in np.ravel(value)] if value is not None else []


def _replace(graph_def: Any, node: Any, at: int, shape: list[int]) -> None:
    """Give a node a separate constant, since other nodes may read the old one."""
    node.input[at] = added(graph_def, f"{node.name}/shape", lambda: tf.constant(shape, tf.int32))
    _of_int32(node)


def _of_int32(node: Any) -> None:
    kind = {"Reshape": "Tshape", "Slice": "Index", "BroadcastTo": "Tidx"}.get(node.op)
    if kind:
        node.attr[kind].type = tf.int32.as_datatype_enum


_FREE: Mapping[str, Callable[..., None]] = {
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "BroadcastTo": _broadcast,
    "Conv2DBackpropInput": _transposed,
    "ConcatV2": _concat,
    **dict.fromkeys(_PAIRS, _pair),
}
