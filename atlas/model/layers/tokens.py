"""Tokens, a map's positions as a single axis [n, h * w, channel], turned back into that map.

Networks with attention reshape a map into tokens and work on these for many layers. Behind each tensor of
tokens that ends a layer, a reshape into the map and one back are inserted: values do not change, and the
layer has rows and columns like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from atlas.model.graph.backend import tf
from atlas.model.graph.view import GraphView, node_of, tensor_of
from atlas.model.layers.listing import ends_of_tokens
from atlas.model.positions.axes import Shape

_RESHAPE = "Reshape"


def as_maps(graph_def: Any, input_tensor: str, shapes: Mapping[str, Shape]) -> Any:
    """Return a graph whose layers over tokens end in maps; the graph itself where it has none.

    `shapes` maps node names to shapes at the network's native size. Layers with tokens besides those of the
    map, such as a class token, have no rows and columns and are left as they are.
    """
    view = GraphView(graph_def)
    sizes = _sizes(view, input_tensor, shapes)
    ends = {
        name: sizes[shapes[name][1]]
        for name in (ends_of_tokens(view, input_tensor, shapes) if sizes else ())
        if shapes[name][1] in sizes and name in view.descendants(sizes[shapes[name][1]][0])
    }
    if not ends:
        return graph_def
    changed = tf.compat.v1.GraphDef()
    changed.CopyFrom(graph_def)
    for node in changed.node:
        inputs = [f"{_fresh(view, node_of(t))}/tokens" if _first(t) in ends else t for t in node.input]
        node.input[:] = inputs
    for name, (_, size) in ends.items():
        scope, length = _fresh(view, name), shapes[name][-1]
        dtype = view.nodes[name].attr["T"].type
        changed.node.extend(_reshaped(f"{scope}/map", name, [-1, *size, length], dtype))
        changed.node.extend(
            _reshaped(f"{scope}/tokens", f"{scope}/map", [-1, shapes[name][1], length], dtype)
        )
    return changed


def _sizes(
    view: GraphView, input_tensor: str, shapes: Mapping[str, Shape]
) -> dict[int | None, tuple[str, tuple[int, int]]]:
    """Return, by number of tokens, the last node that makes that many from a map, and the map's (h, w)."""
    sizes: dict[int | None, tuple[str, tuple[int, int]]] = {}
    for name in view.order:
        before = shapes.get(node_of(view.inputs(name)[0]), ()) if view.op(name) == _RESHAPE else ()
        after = shapes.get(name, ())
        if len(before) == 4 and len(after) == 3 and before[-1] == after[-1]:
            h, w = before[1] or 0, before[2] or 0
            if h * w == after[1]:
                sizes[after[1]] = name, (h, w)
    return sizes


def _first(tensor: str) -> str:
    """Return the node whose first output a tensor is, "" for another output or a control edge."""
    return node_of(tensor) if not tensor.startswith("^") and tensor_of(tensor).endswith(":0") else ""


def _fresh(view: GraphView, name: str) -> str:
    """Return a scope below a node's name that the graph does not have."""
    scope = f"{name}/as"
    while any(f"{scope}/{end}" in view.nodes for end in ("map", "tokens")):
        scope += "_"
    return scope


def _reshaped(name: str, tensor: str, shape: list[int | None], dtype: int) -> list[Any]:
    """Return the nodes that reshape a tensor: the new shape as a constant, and the reshape."""
    value = tf.make_tensor_proto(np.asarray(shape, np.int32))
    size = tf.compat.v1.NodeDef(name=f"{name}/shape", op="Const")
    size.attr["dtype"].type = value.dtype
    size.attr["value"].tensor.CopyFrom(value)
    node = tf.compat.v1.NodeDef(name=name, op=_RESHAPE, input=[tensor, size.name])
    node.attr["T"].type, node.attr["Tshape"].type = dtype, value.dtype
    return [size, node]
