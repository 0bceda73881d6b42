"""Activations that a graph spells out in several ops: SiLU, GELU, hard-swish, PReLU, leaky maximum.

Such a composite joins two elementwise functions of one tensor; `composite_roots` finds that tensor. Its
linear twin is its slope far on the positive side, as ReLU's is: 1 for all of those above, and 6 for the
part of hard-swish before its division by 6, which stands as an op of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from atlas.errors import LinearizeError
from atlas.model.backend import tf
from atlas.model.graph import GraphView, node_of, tensor_of
from atlas.model.pointwise import AFFINE, CURVED
from atlas.records import Floats

# Activations that are an op of their own.
SIMPLE = frozenset("Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softplus Softsign ClipByValue".split())
_SUMS = frozenset({"Add", "AddV2", "Sub"})
# Where slopes are taken; GELU's tanh form takes the third power of it.
_FAR = 1e4
# Steps from a composite's end to its root; GELU's tanh form takes nine.
_LONGEST = 24


def composite_slope(view: GraphView, name: str, root: str, n_channels: int) -> Floats:
    """Return the slope of a composite far on the positive side, float32 [n_channels].

    `root` is the tensor it is a function of. Raises LinearizeError when it does not grow linearly there.
    """
    slope = _slope(_between(view, root, name).SerializeToString(deterministic=True), n_channels)
    if slope is None:
        raise LinearizeError(f"{name} ({view.op(name)}) is no activation: it does not grow linearly")
    return slope.copy()


def _between(view: GraphView, root: str, name: str) -> Any:
    """Return the nodes that make `name` of the tensor `root`, which is "x"; the last is `name` itself.

    They bear numbers, so that the same activation is the same graph wherever it stands.
    """
    numbers: dict[str, str] = {}
    open_ = [name]
    while open_:  # what a node reads gets its number first
        node = open_[-1]
        waiting = [node_of(t) for t in view.inputs(node) if tensor_of(t) != tensor_of(root)]
        waiting = [before for before in waiting if before not in numbers]
        open_ += waiting
        if not waiting:
            numbers.setdefault(open_.pop(), f"n{len(numbers)}")
    graph_def = tf.compat.v1.GraphDef()
    for node, number in numbers.items():
        copy = graph_def.node.add()
        copy.CopyFrom(view.nodes[node])
        copy.name = number
        inputs = view.inputs(node)
        copy.input[:] = [
            "x" if tensor_of(t) == tensor_of(root) else f"{numbers[node_of(t)]}:{t.partition(':')[2] or 0}"
            for t in inputs
        ]
    return graph_def


@lru_cache(maxsize=64)
def _slope(graph: bytes, n_channels: int) -> Floats | None:
    """Return the slope of what the last node makes of "x", None where it does not grow linearly."""
    graph_def = tf.compat.v1.GraphDef.FromString(graph)
    last = graph_def.node[-1].name
    entry = graph_def.node.add(name="x", op="Placeholder")
    entry.attr["dtype"].type = tf.float32.as_datatype_enum
    with tf.Graph().as_default() as scene:
        far = [tf.fill([1, 1, 1, n_channels], np.float32(at)) for at in (_FAR / 2, _FAR)]
        values = [
            tf.graph_util.import_graph_def(graph_def, {"x:0": x}, [tensor_of(last)], name=f"at_{i}")[0]
            for i, x in enumerate(far)
        ]
    with tf.compat.v1.Session(graph=scene) as session:
        near, end = (np.asarray(value, np.float64).reshape(-1) for value in session.run(values))
    slope = end / _FAR
    return slope.astype(np.float32) if np.allclose(near / (_FAR / 2), slope, rtol=1e-3) else None


def composite_roots(view: GraphView, names: frozenset[str], variable: frozenset[str]) -> dict[str, str]:
    """Return the composites among `names`: a two-input node -> the tensor it is a nonlinear function of.

    `variable` holds the nodes that depend on the network's input.
    """
    roots: dict[str, str] = {}
    # In the order of the graph, so that what a composite is made of is known before it.
    for name in sorted(names, key=view.rank.__getitem__):
        if len(_varying(view, name, variable)) == len(view.inputs(name)) == 2:
            root = _root(view, name, variable, roots)
            if root is not None:
                roots[name] = root
    return roots


def _root(view: GraphView, name: str, variable: frozenset[str], roots: Mapping[str, str]) -> str | None:
    left, right = (tuple(islice(_chain(view, t, variable, roots), _LONGEST)) for t in view.inputs(name))
    for depth, tensor in enumerate(left):
        if tensor in right:
            inner = (*left[:depth], *right[: right.index(tensor)])
            bends = view.op(name) not in _SUMS or any(view.op(t) in CURVED for t in inner)
            return tensor if bends else None
    return None


def _chain(view: GraphView, tensor: str, variable: frozenset[str], roots: Mapping[str, str]) -> Iterator[str]:
    """Yield a tensor and those it is an elementwise function of, nearest first."""
    while True:
        yield tensor
        name = node_of(tensor)
        if view.op(name) not in AFFINE | CURVED:
            return
        varying = _varying(view, name, variable)
        if len(varying) == 2 and name in roots:
            tensor = roots[name]
        elif len(varying) == 1:
            tensor = varying[0]
        else:
            return


def _varying(view: GraphView, name: str, variable: frozenset[str]) -> list[str]:
    return [tensor for tensor in view.inputs(name) if node_of(tensor) in variable]
