"""Activations that a graph spells out in several ops: SiLU, GELU, hard-swish, PReLU, a ReLU with a threshold.

Such a composite joins elementwise functions of one tensor, its root; `composite_roots` finds it. The linear
twin of a composite is its slope at large positive inputs, as for ReLU: 1 for all of the above, and 6 for the
part of hard-swish before the division by 6, which is a separate op. A composite that is bounded there becomes
the identity, as ReLU6 and the sigmoid do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from atlas.core.errors import LinearizeError
from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from atlas.model.graph.ops import ACTIVATION_OPS, AFFINE, CURVED, PASSES
from atlas.model.graph.view import GraphView, node_of, tensor_of

_SUMS = frozenset({"Add", "AddV2", "Sub"})
_PRODUCTS = frozenset({"Mul", "RealDiv", "Div"})
_CLIPS = frozenset({"ClipByValue", "Relu6", "Minimum", "Maximum"})
# The input at which slopes are measured; GELU's tanh form cubes it.
_FAR = 1e4
# Most steps from a composite's end to its root; GELU's tanh form takes nine.
_LONGEST = 24


def composite_slope(view: GraphView, name: str, root: str, n_channels: int) -> Floats:
    """Return a composite's slope at large positive inputs, float32 [n_channels]; 1 where it is bounded.

    The composite is a function of the tensor `root`. Raises LinearizeError when its growth is not linear.
    """
    slope = _slope(_between(view, root, name).SerializeToString(deterministic=True), n_channels)
    if slope is None:
        raise LinearizeError(f"{name} ({view.op(name)}) is no activation: it does not grow linearly")
    return slope.copy()


def _between(view: GraphView, root: str, name: str) -> Any:
    """Return the graph that computes `name` from the tensor `root`, called "x"; its last node is `name`.

    Nodes are named by numbers, so that the same activation gives the same graph everywhere in a network.
    """
    numbers: dict[str, str] = {}
    open_ = [name]
    while open_:  # a node's inputs are numbered before the node
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
    """Return the slope of the last node as a function of "x", None where it does not grow linearly."""
    graph_def = tf.compat.v1.GraphDef.FromString(graph)
    last = graph_def.node[-1].name
    dtype = _entry_dtype(graph_def)
    entry = graph_def.node.add(name="x", op="Placeholder")
    entry.attr["dtype"].type = dtype.as_datatype_enum
    with tf.Graph().as_default() as scene:
        far = [tf.cast(tf.fill([1, 1, 1, n_channels], np.float32(at)), dtype) for at in (_FAR / 2, _FAR)]
        values = [
            tf.graph_util.import_graph_def(graph_def, {"x:0": x}, [tensor_of(last)], name=f"at_{i}")[0]
            for i, x in enumerate(far)
        ]
    with tf.compat.v1.Session(graph=scene) as session:
        near, end = (np.asarray(value, np.float64).reshape(-1) for value in session.run(values))
    if not np.all(np.isfinite(end)):
        return None
    if np.allclose(near, end, rtol=1e-2, atol=1e-3):
        return np.ones(n_channels, np.float32)
    slope = end / _FAR
    if not np.allclose(near / (_FAR / 2), slope, rtol=1e-2, atol=1e-6):
        return None
    # One slope per channel; where positions have separate slopes, they must agree.
    slopes = slope.reshape(-1, n_channels) if slope.size % n_channels == 0 else slope[None]
    return slopes[0].astype(np.float32) if np.allclose(slopes, slopes[0], atol=1e-6) else None


def _entry_dtype(graph_def: Any) -> Any:
    """Return the dtype of "x", taken from the first node that reads it."""
    reader = next(node for node in graph_def.node if "x" in node.input)
    key = "SrcT" if reader.op == "Cast" else "T"
    return tf.as_dtype(reader.attr[key].type) if key in reader.attr else tf.float32


def scales_in_hard_sigmoid(view: GraphView, name: str) -> bool:
    """Return whether a product is the scaling inside a hard sigmoid, whose linear twin is the identity.

    A hard sigmoid is clip(scale * x + 1/2) to [0, 1], or relu6(x + 3) / 6; the scale is a single number.
    """
    left, right = view.inputs(name)
    factor = view.constant(right) if view.constant(right) is not None else view.constant(left)
    if view.op(name) not in _PRODUCTS or factor is None or factor.size != 1:
        return False
    data = left if view.constant(right) is not None else right
    scale = float(factor.reshape(())) if view.op(name) == "Mul" else 1 / float(factor.reshape(()) or np.inf)
    if view.op(data) == "Relu6" and np.isclose(scale, 1 / 6):
        return True
    readers = view.consumers(name)
    if scale <= 0 or len(readers) != 1 or view.op(readers[0]) not in _SUMS - {"Sub"}:
        return False
    shift = [view.constant(t) for t in view.inputs(readers[0])]
    half = any(value is not None and value.size == 1 and np.isclose(value, 0.5) for value in shift)
    after = view.consumers(readers[0])
    return half and len(after) == 1 and view.op(after[0]) in _CLIPS


def before_activation(view: GraphView, tensor: str, variable: frozenset[str], source: str) -> str:
    """Return what an activation, of one op or several, that ends in a tensor is applied to, else the tensor.

    `variable` holds the nodes that depend on the network's input; what does not depend on the tensor `source`
    is no part of the way from it. The linear twin of what lies between is the identity, or the activation's
    slope; for a hard sigmoid, also of the scaling inside.
    """
    reached = view.descendants(source)
    while True:
        name = node_of(tensor)
        before = _stepped(view, tensor, _varying(view, name, variable), variable)
        if before is None or node_of(before) not in reached:
            return tensor
        tensor = before


def _stepped(view: GraphView, tensor: str, varying: Sequence[str], variable: frozenset[str]) -> str | None:
    """Return the tensor before the last step of an activation, None where the tensor is no such step."""
    name = node_of(tensor)
    op = view.op(name)
    if len(varying) > 1:
        return _root_of(view, tensor, variable)
    if not varying:
        return None
    (before,) = varying
    if op in PASSES or op in ACTIVATION_OPS & CURVED:
        return before
    if op in _PRODUCTS and (scales_in_hard_sigmoid(view, name) or _root_of(view, before, variable)):
        return before  # the scaling of a hard sigmoid; the last one of a hard-swish
    is_shift = op in _SUMS and view.op(before) in _PRODUCTS
    return before if is_shift and scales_in_hard_sigmoid(view, node_of(before)) else None


def _root_of(view: GraphView, tensor: str, variable: frozenset[str]) -> str | None:
    """Return the root of the composite that ends in a tensor, None where none does."""
    end = node_of(tensor)
    if len(_varying(view, end, variable)) < 2 or view.op(end) not in AFFINE | CURVED:
        return None
    near, open_ = {end}, [end]
    while open_ and len(near) < 4 * _LONGEST:
        for before in map(node_of, _varying(view, open_.pop(0), variable)):
            if before not in near and view.op(before) in AFFINE | CURVED:
                near.add(before)
                open_.append(before)
    return composite_roots(view, frozenset(near), variable).get(end)


def composite_roots(view: GraphView, names: frozenset[str], variable: frozenset[str]) -> dict[str, str]:
    """Return the composites among `names`, each a node with several inputs, mapped to their root tensors.

    `variable` holds the nodes that depend on the network's input.
    """
    roots: dict[str, str] = {}
    # In graph order, so that composites nested in another are found before it.
    for name in sorted(names, key=view.rank.__getitem__):
        varying = _varying(view, name, variable)
        if len(varying) > 1 and view.op(name) in AFFINE | CURVED:
            root = _root(view, name, varying, variable, roots)
            if root is not None:
                roots[name] = root
    return roots


def _root(
    view: GraphView, name: str, varying: Sequence[str], variable: frozenset[str], roots: Mapping[str, str]
) -> str | None:
    chains = [tuple(islice(_chain(view, t, variable, roots), _LONGEST)) for t in varying]
    for tensor in chains[0]:
        if all(tensor in chain for chain in chains[1:]):
            inner = [t for chain in chains for t in chain[: chain.index(tensor)]]
            bends = view.op(name) not in _SUMS or any(view.op(t) in CURVED for t in inner)
            return tensor if bends else None
    return None


def _chain(view: GraphView, tensor: str, variable: frozenset[str], roots: Mapping[str, str]) -> Iterator[str]:
    """Yield a tensor, then the tensors of which it is an elementwise function, nearest first."""
    while True:
        yield tensor
        name = node_of(tensor)
        if view.op(name) not in AFFINE | CURVED:
            return
        varying = _varying(view, name, variable)
        if len(varying) > 1 and name in roots:
            tensor = roots[name]
        elif len(varying) == 1:
            tensor = varying[0]
        else:
            return


def _varying(view: GraphView, name: str, variable: frozenset[str]) -> list[str]:
    return [tensor for tensor in view.inputs(name) if node_of(tensor) in variable]
