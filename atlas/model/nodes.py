"""Nodes of a GraphDef, made from others."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from atlas.model.backend import tf


def keeps_fractions(node: Any) -> bool:
    """Tell whether a cast is one from real numbers to real numbers."""
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
