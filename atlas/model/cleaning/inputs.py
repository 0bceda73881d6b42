"""The inputs of a graph: which takes the images, constants for the others, and floats throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.core.errors import ModelError, nearest
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import added, make_constant, make_identity, make_placeholder, names_of, rename
from atlas.model.graph.view import GraphView, node_of, tensor_of

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
_FLOATS = frozenset({tf.float32, tf.float64, tf.float16, tf.bfloat16})
_IMAGES = _FLOATS | {tf.uint8, tf.int8, tf.uint16, tf.int16, tf.int32, tf.int64, tf.uint32}
# Ops that make layers: a constant input matters where it reaches one of these.
_JOINS = frozenset(
    "Conv2D DepthwiseConv2dNative Conv2DBackpropInput MatMul BatchMatMulV2 ConcatV2 Add AddV2 Mul Sub".split()
)
# Ops that treat floats like integers.
_WHOLE = frozenset(
    """Identity Reshape Transpose ReverseV2 Pad PadV2 MirrorPad ResizeNearestNeighbor StridedSlice Slice
    GatherV2 ConcatV2 Squeeze ExpandDims Add AddV2 Sub Mul Maximum Minimum ClipByValue Tile SpaceToDepth
    DepthToSpace Split SplitV Unpack Pack BroadcastTo StopGradient
    PlaceholderWithDefault SpaceToBatchND""".split()
)
# Ops that read any numeric type and return floats.
_YIELD_FLOATS = frozenset({"ResizeBilinear", "ResizeBicubic", "ResizeArea", "CropAndResize"})
_MEASURES = frozenset({"Shape", "ShapeN", "Size", "Rank"})


@dataclass(frozen=True)
class Held:
    """Constants for the inputs besides the image."""

    values: Mapping[str, Any]
    """Name of an input, or of its tensor -> the number or list that it is held at."""
    asked: bool = False
    """Whether the user named inputs or values: then all other inputs that layers need are held at zero."""


def input_of(graph_def: Any, name: str | None, model: str, aliases: Mapping[str, str] | None = None) -> str:
    """Return the input tensor for images: the named one, else the only one that takes images.

    `aliases` maps other names of inputs to tensors. Raises ModelError.
    """
    tensors = dict(aliases or {})
    nodes = names_of(graph_def)
    if name:
        tensor = tensors.get(name) or tensors.get(node_of(name)) or name
        if node_of(tensor) not in nodes or tensor_of(tensor).partition(":")[2] != "0":
            names = list(tensors) or image_placeholders(graph_def) or sorted(nodes)
            raise ModelError(f"{model} has no input {name!r}", remedy=nearest(node_of(name), names))
        return tensor_of(tensor)
    placeholders = image_placeholders(graph_def)
    if len(placeholders) != 1:
        names = [_alias(tensors, each) for each in placeholders]
        raise ModelError(
            f"the input of {model} is not clear",
            found="the placeholders " + (", ".join(names) or "(none)"),
            expected="one",
            remedy=f"name it with --input, like --input {names[0]}; the others are held at zero"
            if names
            else "name the tensor that images enter by with --input, like --input data:0",
        )
    return tensor_of(placeholders[0])


def _alias(aliases: Mapping[str, str], node: str) -> str:
    return next((name for name, tensor in aliases.items() if node_of(tensor) == node), node)


def image_placeholders(graph_def: Any) -> list[str]:
    """Return the placeholders that may take images: those of rank 4, else all; floats before integers."""
    entries = [node for node in graph_def.node if node.op in PLACEHOLDERS]
    floats = [node for node in entries if tf.as_dtype(node.attr["dtype"].type) in _FLOATS]
    whole = [node for node in entries if tf.as_dtype(node.attr["dtype"].type) in _IMAGES]
    for group in (floats, whole):
        if maps := [node.name for node in group if len(node.attr["shape"].shape.dim) == 4]:
            return maps
    return [node.name for node in floats or whole]


def drawn_shape(graph_def: Any, entry: str) -> tuple[int | None, ...] | None:
    """Return a placeholder's shape (n, h, w, c), with None for unknown lengths; None for other ranks."""
    node = next(node for node in graph_def.node if node.name == node_of(entry))
    shape = tuple(int(dim.size) if dim.size > 0 else None for dim in node.attr["shape"].shape.dim)
    return shape if len(shape) == 4 else None


def hold(graph_def: Any, entry: str, held: Held, size: tuple[int, int, int]) -> tuple[str, ...]:
    """Replace all inputs but `entry` by constants, in place; return notes on those that affect layers.

    An array is held at zero, or at the given value; a single number must be given, since zero is rarely a
    sensible value for it. Raises ModelError.
    """
    view = GraphView(graph_def)
    moving = view.descendants(entry)
    others = [node for node in graph_def.node if node.op in PLACEHOLDERS and node.name != node_of(entry)]
    given = {node_of(name): value for name, value in held.values.items()}
    if unknown := set(given) - {node.name for node in others}:
        raise ModelError(
            f"[model.inputs] names {sorted(unknown)[0]!r}, which is no further input",
            remedy=nearest(sorted(unknown)[0], [node.name for node in others]),
        )
    notes: list[str] = []
    for node in others:
        needed = any(n in moving and view.op(n) in _JOINS for n in view.descendants(node.name))
        if node.name in given or (held.asked and needed):
            notes += _hold(node, given.get(node.name), size)
    return tuple(notes)


def _hold(node: Any, value: Any, size: tuple[int, int, int]) -> list[str]:
    dtype = tf.as_dtype(node.attr["dtype"].type)
    lengths = [int(dim.size) for dim in node.attr["shape"].shape.dim]
    if value is None and (not lengths or dtype == tf.string):
        raise ModelError(
            f"the layers depend on the input {node.name}, a single value",
            expected="a number to hold it at",
            remedy=f"give it in the config: [model.inputs] {node.name} = 1",
        )
    shape = _drawn(lengths, size)
    try:
        array = np.asarray(0 if value is None else value).astype(dtype.as_numpy_dtype)
        make_constant(node, np.array(np.broadcast_to(array, shape)))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the input {node.name} cannot be held at {value!r}",
            found=str(error).splitlines()[0],
            expected=f"a number, or a list for the shape {shape}",
        ) from error
    if dtype == tf.bool and value is None:
        return []
    return [f"the input {node.name} is held at {'zero' if value is None else _short(value)}"]


def _drawn(lengths: Sequence[int], size: tuple[int, int, int]) -> tuple[int, ...]:
    """Return a placeholder's shape for one image; unknown lengths are taken from the image."""
    default = (1, *size) if len(lengths) == 4 else (1,) * len(lengths)
    return tuple(
        1 if axis == 0 else (length if length > 0 else default[axis]) for axis, length in enumerate(lengths)
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def set_aside(graph_def: Any, entry: str, others: Sequence[str]) -> None:
    """Move nodes that depend on `others` and not on `entry` into a separate scope, in place.

    A layer that several inputs share occurs more than once; its name is left to the nodes behind `entry`.
    """
    if not others:
        return
    view = GraphView(graph_def)
    reached = frozenset().union(*(view.descendants(other) for other in others))
    aside = set(reached - view.descendants(entry) - {node_of(other) for other in others})
    for name in reversed(view.order):
        readers = view.consumers(name)
        if readers and name not in reached and aside.issuperset(readers):
            aside.add(name)
    rename(graph_def, {name: f"aside_/{name}" for name in aside})


def turn_channels_last(graph_def: Any, entry: str) -> None:
    """Let images enter as [n, h, w, c] where the graph begins by transposing them to that, in place.

    Otherwise height and channels of a network for [n, c, h, w] would be confused.
    """
    view = GraphView(graph_def)
    readers = [view.nodes[name] for name in view.consumers(entry)]
    shape = drawn_shape(graph_def, entry)
    if not readers or shape is None:
        return
    for node in readers:
        order = view.constant(view.inputs(node.name)[1]) if node.op == "Transpose" else None
        if order is None or order.tolist() != [0, 2, 3, 1]:
            return
    for node in readers:
        make_identity(node, node.input[0])
    dims = view.nodes[node_of(entry)].attr["shape"].shape.dim
    for dim, length in zip(dims, [shape[0], *shape[2:], shape[1]], strict=True):
        dim.size = -1 if length is None else length


def open_entry(graph_def: Any, entry: str, size: tuple[int, int, int]) -> None:
    """Turn `entry` into a float32 placeholder for any number of images, in place, whatever it was.

    Integers computed from the image become floats, since rounding has no gradient. Raises ModelError where
    an op would compute something else with floats.
    """
    node = next(node for node in graph_def.node if node.name == node_of(entry))
    is_placeholder = node.op in PLACEHOLDERS
    dtype = tf.as_dtype(node.attr["dtype" if is_placeholder else "T"].type or tf.float32.as_datatype_enum)
    shape = drawn_shape(graph_def, entry) if is_placeholder else None
    make_placeholder(node, [-1, *(length or -1 for length in (shape or (None, *size))[1:])])
    # Half precision keeps three digits and rounds gradients too; float32 computes the same more exactly.
    for each in (tf.float16, tf.bfloat16, *([dtype] if dtype == tf.float64 else [])):
        _to_single(graph_def, each)
    if dtype not in _FLOATS:
        _to_floats(graph_def, node.name)


def _to_single(graph_def: Any, dtype: Any) -> None:
    """Change a graph from another float type to float32."""
    old, new = dtype.as_datatype_enum, tf.float32.as_datatype_enum
    for node in graph_def.node:
        if node.op == "Const" and node.attr["dtype"].type == old:
            make_constant(node, tf.make_ndarray(node.attr["value"].tensor).astype(np.float32))
        for attr in node.attr.values():
            if attr.type == old:
                attr.type = new
            elif old in attr.list.type:
                attr.list.type[:] = [new if each == old else each for each in attr.list.type]
        if node.op == "Cast" and node.attr["SrcT"].type == node.attr["DstT"].type == new:
            _pass_on(node)


def _pass_on(node: Any) -> None:
    """Turn a cast from float to float into an Identity."""
    node.attr["T"].type = tf.float32.as_datatype_enum
    make_identity(node, node.input[0])


def _to_floats(graph_def: Any, entry: str) -> None:
    """Replace integers by floats from the image up to the casts that turn them into floats."""
    view = GraphView(graph_def)
    single = tf.float32.as_datatype_enum
    floats = {entry}
    for name in view.order:
        node = view.nodes[name]
        readers = [tensor for tensor in view.inputs(name) if node_of(tensor) in floats]
        if not readers or name == entry:
            continue
        if node.op == "Cast":
            _uncast(node, floats)
            continue
        if node.op not in _WHOLE | _YIELD_FLOATS | _MEASURES:
            raise ModelError(
                f"{name} ({node.op}) computes with the whole numbers of the image",
                expected="a cast to floats first",
                remedy="export the model with an input of floats",
            )
        whole = node.attr["T" if node.op != "GatherV2" else "Tparams"].type
        node.attr["T" if node.op != "GatherV2" else "Tparams"].type = single
        if node.op in _WHOLE:
            floats.add(name)
            _floats_beside(graph_def, view, node, whole, floats)


def _uncast(node: Any, floats: set[str]) -> None:
    """Turn a cast of integers, which now reads floats, into an Identity or a cast to another float type."""
    target = tf.as_dtype(node.attr["DstT"].type)
    node.attr["SrcT"].type = tf.float32.as_datatype_enum
    if target in _FLOATS - {tf.float32}:
        return
    if target != tf.float32:
        floats.add(node.name)
    _pass_on(node)


def _floats_beside(graph_def: Any, view: GraphView, node: Any, whole: int, floats: set[str]) -> None:
    """Convert the integer constants of a node that now computes with floats."""
    for index, tensor in enumerate(list(node.input)):
        value = view.constant(tensor) if node_of(tensor) not in floats else None
        is_data = index in _data_inputs(node.op, len(node.input))
        if value is not None and is_data and tf.as_dtype(value.dtype).as_datatype_enum == whole:
            single = value.astype(np.float32)
            node.input[index] = added(graph_def, f"{node.name}/float", lambda v=single: tf.constant(v))


def _data_inputs(op: str, count: int) -> range:
    """Return which inputs of an op hold data of the op's type, not shapes, axes or sizes."""
    if op in ("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "ClipByValue", "Pack"):
        return range(count)
    if op == "PadV2":
        return range(2, 3)
    return range(count - 1) if op == "ConcatV2" else range(0)
