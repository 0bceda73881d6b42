"""Nodes of a GraphDef: made from others, changed in place or added."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf
from atlas.model.graph.view import node_of

# Bytes from which on a constant is a kernel, whose values say nothing about shapes.
_LARGE = 4096


def make_constant(node: Any, value: Any) -> None:
    """Turn a node into the constant `value`; its name stays."""
    array = np.asarray(value)
    dtype = tf.as_dtype(array.dtype)
    node.op = "Const"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = dtype.as_datatype_enum
    tensor = node.attr["value"].tensor
    if array.size < 2 or array.dtype.kind not in "fiu":
        tensor.CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
        return
    # As TensorFlow does, with one copy less.
    tensor.dtype = dtype.as_datatype_enum
    tensor.tensor_shape.SetInParent()
    for length in array.shape:
        tensor.tensor_shape.dim.add(size=length)
    tensor.tensor_content = array.tobytes()


def make_identity(node: Any, tensor: str) -> None:
    """Turn a node into one that passes `tensor` on; its name and its type, the attribute T, stay."""
    dtype = node.attr["T"].type
    node.op = "Identity"
    read(node, [tensor])
    node.attr.clear()
    node.attr["T"].type = dtype


def make_placeholder(node: Any, shape: list[int]) -> None:
    """Turn a node into a float32 placeholder; -1 is an unknown length."""
    node.op = "Placeholder"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    for length in shape:
        node.attr["shape"].shape.dim.add(size=length)


def read(node: Any, tensors: list[str]) -> None:
    """Replace a node's inputs by these tensors."""
    del node.input[:]
    node.input.extend(tensors)


def reread(node: Any, old: str, new: str) -> None:
    """Replace the first output of the node `old` by `new` among the inputs of a node."""
    read(node, [new if name in (old, f"{old}:0") else name for name in node.input])


def rename(graph_def: Any, names: Mapping[str, str]) -> None:
    """Give nodes other names, in place, also where they are read; `names` maps old ones to new ones."""
    for node in graph_def.node:
        node.name = names.get(node.name, node.name)
        for index, tensor in enumerate(node.input):
            mark = "^" if tensor.startswith("^") else ""
            name, colon, output = tensor.removeprefix("^").partition(":")
            if name in names:
                node.input[index] = f"{mark}{names[name]}{colon}{output}"


def added(graph_def: Any, scope: str, build: Callable[..., Any], *sources: tuple[str, Any]) -> str:
    """Add what `build` makes of tensors to a graph, and return the node that it ends in.

    `sources` are (tensor, type): `build` is called with a placeholder for each, inside of `scope`, which
    gets a number where the graph has it already. Raises what `build` raises.
    """
    scope = unused(scope, {node.name.partition("/")[0] for node in graph_def.node} | names_of(graph_def))
    with tf.Graph().as_default() as graph:
        entries = [tf.compat.v1.placeholder(dtype, None) for _, dtype in sources]
        with tf.name_scope(f"{scope}/"):
            last = build(*entries)
    told = {entry.op.name: tensor for entry, (tensor, _) in zip(entries, sources, strict=True)}
    for node in graph.as_graph_def().node:
        if node.name not in told:
            read(node, [told.get(node_of(name), name) for name in node.input])
            graph_def.node.append(node)
    return str(last.op.name)


def hollow(node: Any) -> Any:
    """Return a node that holds zeros where it is a large constant of floats; any other as it is."""
    value = node.attr["value"].tensor if node.op == "Const" else None
    if value is None or value.dtype != tf.float32.as_datatype_enum or _bytes(value) < _LARGE:
        return node
    empty = tf.compat.v1.NodeDef(name=node.name, op="Const")
    empty.attr["dtype"].type = value.dtype
    empty.attr["value"].tensor.dtype = value.dtype
    empty.attr["value"].tensor.tensor_shape.CopyFrom(value.tensor_shape)
    empty.attr["value"].tensor.float_val.append(0.0)
    return empty


def _bytes(value: Any) -> int:
    """Return how many bytes a constant of floats takes; to ask protobuf is to encode it."""
    return 4 * math.prod(int(dim.size) for dim in value.tensor_shape.dim)


def names_of(graph_def: Any) -> set[str]:
    """Return the names of all nodes."""
    return {node.name for node in graph_def.node}


def unused(name: str, taken: Collection[str]) -> str:
    """Return `name`, with a number where it is taken."""
    count, free = 0, name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def keeps_fractions(node: Any) -> bool:
    """Return whether a cast is one from real numbers to real numbers."""
    return all(tf.as_dtype(node.attr[key].type).is_floating for key in ("SrcT", "DstT"))


def dtype_of(node: Any) -> int:
    """Return the type, a number of TensorFlow's, that a node computes in."""
    return int(node.attr["T"].type) if "T" in node.attr else int(tf.float32.as_datatype_enum)


def unary(node: Any, op: str, tensor: str) -> Any:
    """Return a node in the place of another that applies `op` to one tensor."""
    made = tf.compat.v1.NodeDef(name=node.name, op=op, input=[tensor])
    made.attr["T"].type = dtype_of(node)
    return made


def constant(name: str, value: NDArray[Any], *, like: Any = None) -> Any:
    """Return a Const node, of the type that the node `like` computes in."""
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    proto = tf.make_tensor_proto(value, dtype=None if like is None else tf.as_dtype(dtype_of(like)))
    node.attr["value"].tensor.CopyFrom(proto)
    node.attr["dtype"].type = proto.dtype
    return node


def with_op(node: Any, op: str) -> Any:
    """Return a copy of a node with another op."""
    copy = tf.compat.v1.NodeDef()
    copy.CopyFrom(node)
    copy.op = op
    return copy
