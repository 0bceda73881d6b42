"""Nodes of a GraphDef: created, changed in place, or added to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.backend import tf
from atlas.model.graph.view import node_of

# From this many bytes on a constant is a kernel, whose values do not affect shapes.
_LARGE = 4096


def make_constant(node: Any, value: Any) -> None:
    """Turn a node into the constant `value`, keeping its name."""
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
    # The same as TensorFlow's make_tensor_proto, with one copy less.
    tensor.dtype = dtype.as_datatype_enum
    tensor.tensor_shape.SetInParent()
    for length in array.shape:
        tensor.tensor_shape.dim.add(size=length)
    tensor.tensor_content = array.tobytes()


def make_identity(node: Any, tensor: str) -> None:
    """Turn a node into an Identity of `tensor`, keeping its name and its type, the attribute T."""
    dtype = node.attr["T"].type
    node.op = "Identity"
    read(node, [tensor])
    node.attr.clear()
    node.attr["T"].type = dtype


def make_placeholder(node: Any, shape: list[int]) -> None:
    """Turn a node into a float32 placeholder; -1 stands for an unknown length."""
    node.op = "Placeholder"
    del node.input[:]
    node.attr.clear()
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    for length in shape:
        node.attr["shape"].shape.dim.add(size=length)


def read(node: Any, tensors: list[str]) -> None:
    """Replace all inputs of a node by these tensors."""
    del node.input[:]
    node.input.extend(tensors)


def reread(node: Any, old: str, new: str) -> None:
    """Replace the first output of the node `old` by `new` among the inputs of a node."""
    read(node, [new if name in (old, f"{old}:0") else name for name in node.input])


def rename(graph_def: Any, names: Mapping[str, str]) -> None:
    """Rename nodes and all references to them, in place; `names` maps old names to new ones."""
    for node in graph_def.node:
        node.name = names.get(node.name, node.name)
        for index, tensor in enumerate(node.input):
            mark = "^" if tensor.startswith("^") else ""
            name, colon, output = tensor.removeprefix("^").partition(":")
            if name in names:
                node.input[index] = f"{mark}{names[name]}{colon}{output}"


def added(graph_def: Any, scope: str, build: Callable[..., Any], *sources: tuple[str, Any]) -> str:
    """Add the nodes that `build` creates from tensors to a graph, and return the last node's name.

    `sources` are (tensor, type); `build` is called with a placeholder for each. The nodes lie in `scope`,
    which gets a number if the graph has it already. Errors in `build` are raised unchanged.
    """
    scope = unused(scope, {node.name.partition("/")[0] for node in graph_def.node} | names_of(graph_def))
    with tf.Graph().as_default() as graph:
        entries = [tf.compat.v1.placeholder(dtype, None) for _, dtype in sources]
        with tf.name_scope(f"{scope}/"):
            last = build(*entries)
    tensors = {entry.op.name: tensor for entry, (tensor, _) in zip(entries, sources, strict=True)}
    for node in graph.as_graph_def().node:
        if node.name not in tensors:
            read(node, [tensors.get(node_of(name), name) for name in node.input])
            graph_def.node.append(node)
    return str(last.op.name)


def hollow(node: Any) -> Any:
    """Return a node of zeros in place of a large float constant; any other node is returned as it is."""
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
    """Return how many bytes a float constant takes; asking protobuf would encode it."""
    return 4 * math.prod(int(dim.size) for dim in value.tensor_shape.dim)


def names_of(graph_def: Any) -> set[str]:
    """Return the names of all nodes."""
    return {node.name for node in graph_def.node}


def unused(name: str, taken: Collection[str]) -> str:
    """Return `name`, with a number appended if it is taken."""
    count, free = 0, name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def keeps_fractions(node: Any) -> bool:
    """Return whether a cast is from one floating-point type to another."""
    return all(tf.as_dtype(node.attr[key].type).is_floating for key in ("SrcT", "DstT"))


def dtype_of(node: Any) -> int:
    """Return the type in which a node computes, as TensorFlow's enum number."""
    return int(node.attr["T"].type) if "T" in node.attr else int(tf.float32.as_datatype_enum)


def unary(node: Any, op: str, tensor: str) -> Any:
    """Return a node with another's name and type that applies `op` to one tensor."""
    replacement = tf.compat.v1.NodeDef(name=node.name, op=op, input=[tensor])
    replacement.attr["T"].type = dtype_of(node)
    return replacement


def constant(name: str, value: NDArray[Any], *, like: Any = None) -> Any:
    """Return a Const node, with the type in which the node `like` computes."""
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
