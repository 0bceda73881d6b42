"""GraphDef -> its linear twin between two tensors: what the network would be without nonlinearities.

On the ways from source to target: activations, dropout, biases and local response normalization
become the identity; max-pools become average-pools of the same window; batch norm its inference
scale; a product of two activations keeps one and takes the other, the gate, at an operating point (a
mid-grey image), which is reported. Everything else must be linear already, or LinearizeError says
where it is not. Source: Voss et al., "Visualizing Weights", Distill 2021, appendix.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import LinearizeError
from atlas.model.activations import SIMPLE, composite_roots, composite_slope
from atlas.model.backend import tf
from atlas.model.graph import PASSES, GraphView, node_of, tensor_of

Evaluate = Callable[[str], NDArray[Any]]

# One tensor in, the same tensor out, whatever the other inputs are.
PASSED = SIMPLE | PASSES | {"BiasAdd", "LRN", "Softmax", "LogSoftmax", "Dropout"}
LINEAR = frozenset(
    "Conv2D DepthwiseConv2dNative AvgPool ConcatV2 Pad PadV2 MirrorPad MatMul Mean Sum Reshape Squeeze "
    "ExpandDims Split SplitV AddN Neg ReverseV2".split()
)
# Linear in their first input alone, and only when the second is constant.
WEIGHTED = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
SUMS = frozenset({"Add", "AddV2", "Sub"})
PRODUCTS = frozenset({"Mul", "RealDiv"})
EXTREMA = frozenset({"Maximum", "Minimum"})
NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


@dataclass(frozen=True, slots=True)
class LinearTwin:
    """A graph that is linear from `source` to `target`; `notes` tell what was taken at an operating point."""

    graph_def: Any
    source: str
    target: str
    notes: tuple[str, ...]


def linearize(
    view: GraphView,
    source: str,
    target: str,
    *,
    root: str,
    shapes: Mapping[str, tuple[int | None, ...]],
    evaluate: Evaluate,
    whole: bool = True,
) -> LinearTwin:
    """Return the linear twin between two tensors of a graph.

    `root` is the network's input: what does not depend on it is constant. `shapes` maps node names to
    static shapes at the network's own input size; `evaluate` gives a tensor's value for a mid-grey image.
    A twin that is not `whole` lacks what comes before the source: nobody can run it, but of a chain of
    thousands of layers it looks at two. Raises LinearizeError that names the op.
    """
    rewriter = _Rewriter(view, source, target, root=root, shapes=shapes, evaluate=evaluate)
    nodes = rewriter.nodes(down_to=0 if whole else view.rank[node_of(source)])
    graph_def = tf.compat.v1.GraphDef(node=nodes)
    graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
    return LinearTwin(graph_def, tensor_of(source), tensor_of(target), tuple(rewriter.notes))


class _Rewriter:
    """Rewrites the nodes between source and target; the others stay as they are."""

    def __init__(
        self,
        view: GraphView,
        source: str,
        target: str,
        *,
        root: str,
        shapes: Mapping[str, tuple[int | None, ...]],
        evaluate: Evaluate,
    ) -> None:
        self.view, self.shapes, self.evaluate = view, shapes, evaluate
        self.target = target
        self.between = frozenset(view.between(source, target)) - {node_of(source)}
        self.variable = view.descendants(root)
        self.roots = composite_roots(view, self.between, self.variable)
        self.notes: list[str] = []

    def nodes(self, *, down_to: int) -> list[Any]:
        """Return the nodes of the twin from a rank on, in topological order.

        From the target back, so that what a rewritten node no longer reads is never asked for a twin.
        """
        needed, groups = {node_of(self.target)}, []
        waiting = [-self.view.rank[name] for name in needed]
        while waiting:
            name = self.view.order[-heapq.heappop(waiting)]
            node = self.view.nodes[name]
            groups.append(self._rewrite(name, node) if name in self.between else [node])
            fresh = {node_of(tensor) for made in groups[-1] for tensor in made.input} - needed
            needed |= fresh
            for name in fresh:
                if self.view.rank.get(name, -1) >= down_to:
                    heapq.heappush(waiting, -self.view.rank[name])
        return [node for group in reversed(groups) for node in group]

    def _rewrite(self, name: str, node: Any) -> list[Any]:
        if node.op in PASSED:
            return [_identity(name, self.view.inputs(name)[0])]
        if node.op == "MaxPool":
            return [_renamed(node, "AvgPool")]
        if node.op in NORMS:
            return self._batch_norm(name)
        if node.op in SUMS | PRODUCTS | EXTREMA:
            return self._binary(name, node)
        if node.op in WEIGHTED and node_of(self.view.inputs(name)[1]) in self.variable:
            raise self._no_twin(name, "its weights depend on the image")
        if node.op in LINEAR:
            return self._with_constants(node)
        raise self._no_twin(name, f"the op {node.op} is not linear")

    def _binary(self, name: str, node: Any) -> list[Any]:
        left, right = self.view.inputs(name)
        left_varies, right_varies = (node_of(t) in self.variable for t in (left, right))
        if left_varies and right_varies:
            root = self.roots.get(name)
            if root is not None:
                return self._activation(name, root)
            if node.op in SUMS:
                return [node]
            if node.op == "Mul":
                return self._gate(name, left, right)
        elif node.op in EXTREMA:
            return [_identity(name, left if left_varies else right)]
        elif left_varies and node.op in SUMS:
            return [_identity(name, left)]
        elif node.op in SUMS:
            return [_identity(name, right)] if node.op != "Sub" else [_unary(name, "Neg", right)]
        elif node.op == "Mul" or (node.op == "RealDiv" and left_varies):
            return self._with_constants(node)
        raise self._no_twin(name, f"the op {node.op} is not linear in what it reads")

    def _activation(self, name: str, root: str) -> list[Any]:
        slope = composite_slope(self.view, name, root, int(self.shapes[node_of(root)][-1] or 1))
        return (
            [_identity(name, root)] if np.allclose(slope, 1, atol=1e-3) else self._scaled(name, root, slope)
        )

    def _gate(self, name: str, left: str, right: str) -> list[Any]:
        gates = [t for t in (left, right) if node_of(t) not in self.between or self._pointlike(t)]
        if not gates:
            raise self._no_twin(name, "it multiplies two tensors that both have positions")
        gate = gates[-1]
        kept = left if gate == right else right
        value = self.evaluate(gate).astype(np.float32)
        if value.ndim == 4 and value.shape[1:3] != (1, 1):
            raise self._no_twin(name, "its gate differs from position to position")
        self.notes.append(
            f"{name}: gate {node_of(gate)} taken at a mid-grey image, mean {float(value.mean()):.4g}"
        )
        return self._scaled(name, kept, value)

    def _pointlike(self, tensor: str) -> bool:
        shape = self.shapes.get(node_of(tensor), ())
        return len(shape) < 4 or shape[1:3] == (1, 1)

    def _batch_norm(self, name: str) -> list[Any]:
        tensor, scale, _, _, variance = self.view.inputs(name)[:5]
        if node_of(variance) in self.variable or self.view.nodes[name].attr["is_training"].b:
            raise self._no_twin(name, "its statistics are taken from the batch (training mode)")
        epsilon = self.view.nodes[name].attr["epsilon"].f
        factor = self._value(scale) / np.sqrt(self._value(variance) + epsilon)
        return self._scaled(name, tensor, factor.astype(np.float32))

    def _scaled(self, name: str, tensor: str, factor: NDArray[np.float32]) -> list[Any]:
        constant = _constant(f"{name}/linear_factor", factor)
        product = tf.compat.v1.NodeDef(name=name, op="Mul", input=[tensor, constant.name])
        product.attr["T"].type = tf.float32.as_datatype_enum
        return [constant, product]

    def _with_constants(self, node: Any) -> list[Any]:
        """Return the node with every constant input that the graph computes put in as a Const."""
        made: list[Any] = []
        copy = tf.compat.v1.NodeDef()
        copy.CopyFrom(node)
        for i, tensor in enumerate(self.view.inputs(node.name)):
            if node_of(tensor) not in self.variable and self.view.constant(tensor) is None:
                made.append(_constant(f"{node.name}/constant_{i}", self.evaluate(tensor)))
                copy.input[i] = made[-1].name
        return [*made, copy]

    def _value(self, tensor: str) -> NDArray[Any]:
        known = self.view.constant(tensor)
        return self.evaluate(tensor) if known is None else known

    def _no_twin(self, name: str, why: str) -> LinearizeError:
        return LinearizeError(
            f"{name} ({self.view.op(name)}), on the way to {node_of(self.target)}, has no linear twin: {why}",
            remedy="choose a pair of layers on one side of it",
        )


def _identity(name: str, tensor: str) -> Any:
    return _unary(name, "Identity", tensor)


def _unary(name: str, op: str, tensor: str) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op=op, input=[tensor])
    node.attr["T"].type = tf.float32.as_datatype_enum
    return node


def _constant(name: str, value: NDArray[Any]) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    proto = tf.make_tensor_proto(value)
    node.attr["value"].tensor.CopyFrom(proto)
    node.attr["dtype"].type = proto.dtype
    return node


def _renamed(node: Any, op: str) -> Any:
    copy = tf.compat.v1.NodeDef()
    copy.CopyFrom(node)
    copy.op = op
    return copy
