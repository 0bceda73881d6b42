"""GraphDef -> its linear twin between two tensors: the network as it would be without nonlinearities.

On all paths from source to target, ops are replaced as the table of ops says: activations, dropout, biases
and local response normalization become the identity; max-pools become average-pools of the same window;
batch norm becomes its inference scale. A product of two tensors that both depend on the image keeps one and
fixes the other at an operating point: a gate, the deviation in a layer norm, attention weights. So does a sum
with a tensor that has lost its positions, like the mean of an instance norm. Notes list these. All else must
be linear, or LinearizeError names the op. Source: Voss et al., "Visualizing Weights", Distill 2021, appendix.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import LinearizeError
from atlas.core.records.operating_point import held_note
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import constant, dtype_of, hollow, keeps_fractions, unary, with_op
from atlas.model.graph.ops import OPS
from atlas.model.graph.view import node_of, tensor_of
from atlas.model.linear.activations import composite_roots, composite_slope, scales_in_hard_sigmoid
from atlas.model.linear.gates import Evaluate, Gates
from atlas.model.positions import axes as ax
from atlas.model.positions.layout import Layouts


@dataclass(frozen=True, slots=True)
class LinearTwin:
    """A graph that is linear from `source` to `target`."""

    graph_def: Any
    """A GraphDef; it has a placeholder for the source unless the twin is whole."""
    source: str
    """The tensor that it is linear in."""
    target: str
    """The tensor that it computes."""
    notes: tuple[str, ...]
    """One sentence for each tensor that is fixed at an operating point."""


def linearize(
    layouts: Layouts,
    source: str,
    target: str,
    *,
    root: str,
    evaluate: Evaluate,
    operating_point: str,
    whole: bool = True,
    outline: bool = False,
) -> LinearTwin:
    """Return the linear twin between two tensors of a graph.

    `layouts` holds the graph, its shapes and how positions are read, starting from its input `root`; tensors
    that do not depend on `root` are constant. `evaluate` gives a tensor's value at the operating point,
    [1, …]; `operating_point` is its name in the notes. A twin that is not `whole` has a placeholder in place
    of the source: it cannot be run, but in a chain of thousands of layers it reads only two. An `outline`
    also has zeros for kernels, which is enough for windows and notes. Raises LinearizeError naming the op.
    """
    rewriter = _Rewriter(layouts, source, target, root=root, evaluate=evaluate, whole=whole)
    nodes = rewriter.nodes(down_to=None if whole else node_of(source))
    graph_def = tf.compat.v1.GraphDef(node=map(hollow, nodes) if outline else nodes)
    graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
    notes = tuple(f"{note} {operating_point}" for note in rewriter.notes)
    return LinearTwin(graph_def, tensor_of(source), tensor_of(target), notes)


# Which input of an op gives the size of its result.
_SIZES = dict.fromkeys(
    "Reshape Tile BroadcastTo ResizeNearestNeighbor ResizeBilinear ResizeBicubic".split(), 1
) | {"Conv2DBackpropInput": 0}


class _Rewriter:
    """Rewrites the nodes between source and target; the others stay as they are."""

    def __init__(
        self, layouts: Layouts, source: str, target: str, *, root: str, evaluate: Evaluate, whole: bool
    ) -> None:
        self.view, self.shapes, self.layouts = layouts.view, layouts.shapes, layouts
        self.evaluate, self.target, self.whole = evaluate, target, whole
        self.between = frozenset(self.view.between(source, target)) - {node_of(source)}
        self.reached = self.between | {node_of(source)}
        self.variable = self.view.descendants(root)
        roots = composite_roots(self.view, self.between, self.variable)
        # The source does not pass through an activation whose root lies before it.
        self.roots = {name: root for name, root in roots.items() if node_of(root) in self.reached}
        self.gates = Gates(layouts, reached=self.reached, variable=self.variable, evaluate=evaluate)
        self.notes: list[str] = []

    def nodes(self, *, down_to: str | None) -> list[Any]:
        """Return the nodes of the twin in topological order, with a placeholder in place of `down_to`.

        Works back from the target, so that nodes which a rewritten node no longer reads need no twin.
        """
        needed, groups = {node_of(self.target)}, []
        waiting = [-self.view.rank[name] for name in needed]
        while waiting:
            name = self.view.order[-heapq.heappop(waiting)]
            node = self.view.nodes[name]
            groups.append(self._rewrite(name, node) if name in self.between else [node])
            if name == down_to:
                groups[-1] = [tf.compat.v1.NodeDef(name=name, op="Placeholder")]
            fresh = {node_of(tensor) for made in groups[-1] for tensor in made.input} - needed
            needed |= fresh
            for name in fresh & self.view.rank.keys():
                heapq.heappush(waiting, -self.view.rank[name])
        return [node for group in reversed(groups) for node in group]

    def _rewrite(self, name: str, node: Any) -> list[Any]:
        row = OPS.get(node.op)
        rule = _RULES.get(row.twin) if row else None
        if rule is None:
            why = "is not linear" if row else "is not in the table of ops"
            raise self._no_twin(name, f"the op {node.op} {why}")
        return rule(self, name, node)

    def _linear(self, name: str, node: Any) -> list[Any]:
        if node.op == "Cast" and not keeps_fractions(node):
            raise self._no_twin(name, "it rounds to whole numbers")
        if node.op == "GatherV2" and self._varies(self.view.inputs(name)[1]):
            raise self._no_twin(name, "what it picks depends on the image")
        return self._with_constants(node)

    def _identity(self, name: str, node: Any) -> list[Any]:
        step = self.layouts.get(name)
        if node.op in ("Softmax", "LogSoftmax") and step and ax.letters(step.axes[-1:]):
            raise self._no_twin(name, "it weighs positions against each other")
        return [unary(node, "Identity", self.view.inputs(name)[0])]

    def _average(self, name: str, node: Any) -> list[Any]:
        if node.op == "MaxPool":
            return [with_op(node, "AvgPool")]
        step = self.layouts.get(name)
        loses_positions = step is not None and ax.letters(step.axes) < ax.letters(
            self.layouts.axes_of(step.reads[0].tensor)
        )
        if not loses_positions:
            raise self._no_twin(name, "it takes the largest of several channels")
        return self._with_constants(with_op(node, "Mean"))

    def _curve(self, name: str, node: Any) -> list[Any]:
        root = self.roots.get(name)
        if root is None:
            raise self._no_twin(name, f"the op {node.op} is not linear")
        return self._activation(name, root)

    def _sum(self, name: str, node: Any) -> list[Any]:
        varying = [t for t in self.view.inputs(name) if self._varies(t)]
        if name in self.roots:
            return self._activation(name, self.roots[name])
        if len(varying) == 2:
            summand = self.gates.without_positions(name)
            if summand is None:
                return [node]
            self._note(name, summand, "a summand of")
            varying = [t for t in self.view.inputs(name) if t != summand]
        elif node.op == "AddN":
            return [node]
        negative = node.op == "Sub" and varying[0] == self.view.inputs(name)[1]
        return [unary(node, "Neg" if negative else "Identity", varying[0])]

    def _extremum(self, name: str, node: Any) -> list[Any]:
        varying = [t for t in self.view.inputs(name) if self._varies(t)]
        if name in self.roots:
            return self._activation(name, self.roots[name])
        if len(varying) == 2:
            raise self._no_twin(name, f"the op {node.op} takes one of two tensors, position by position")
        return [unary(node, "Identity", varying[0])]

    def _product(self, name: str, node: Any) -> list[Any]:
        left, right = self.view.inputs(name)
        if name in self.roots:
            return self._activation(name, self.roots[name])
        if self._varies(left) and self._varies(right):
            return self._gate(name, left, right)
        if node.op != "Mul" and self._varies(right):
            raise self._no_twin(name, "it divides by what depends on the image")
        if scales_in_hard_sigmoid(self.view, name):
            return [unary(node, "Identity", left if self._varies(left) else right)]
        return self._with_constants(node)

    def _activation(self, name: str, root: str) -> list[Any]:
        node = self.view.nodes[name]
        slope = composite_slope(self.view, name, root, int(self.shapes[node_of(root)][-1] or 1))
        return (
            [unary(node, "Identity", root)]
            if np.allclose(slope, 1, atol=1e-3)
            else self._scaled(name, root, slope)
        )

    def _gate(self, name: str, left: str, right: str) -> list[Any]:
        gate = self.gates.factor(name, left, right)
        if gate is None:
            raise self._no_twin(name, "it multiplies two tensors, neither of which is a gate")
        gated = left if gate == right else right
        if self.view.op(name) != "Mul" and gate == left:
            raise self._no_twin(name, "it divides by what depends on the image")
        value = self._held(name, gate, self.gates.value(gate))
        self._note(name, gate, "a factor of")
        return self._scaled(name, gated, value if self.view.op(name) == "Mul" else np.float32(1) / value)

    def _batch_norm(self, name: str, node: Any) -> list[Any]:
        tensor, scale, _, _, variance = self.view.inputs(name)[:5]
        if self._varies(variance) or ("is_training" not in node.attr or node.attr["is_training"].b):
            raise self._no_twin(name, "its statistics are taken from the batch (training mode)")
        epsilon = node.attr["epsilon"].f if "epsilon" in node.attr else 1e-4
        factor = self._value(scale) / np.sqrt(self._value(variance) + epsilon)
        return self._scaled(name, tensor, factor.astype(np.float32))

    def _weighted(self, name: str, node: Any) -> list[Any]:
        data = [t for t in self.view.inputs(name) if self._varies(t)]
        if len(data) == 1:
            if node.op in ("Conv2D", "DepthwiseConv2dNative") and data[0] != self.view.inputs(name)[0]:
                raise self._no_twin(name, "its weights depend on the image")
            return self._with_constants(node)
        on_path = [t for t in data if node_of(t) in self.reached]
        weights = [t for t in data if t not in on_path] or [t for t in data if self.gates.is_squashed(t)]
        if len(data) != 2 or len(weights) != 1 or node.op.startswith(("Conv", "Depth")):
            raise self._no_twin(name, "its weights depend on the image")
        value = self._held(name, weights[0], self.evaluate(weights[0]))
        self._note(name, weights[0], "the weights of")
        return self._frozen_operand(node, weights[0], value)

    def _held(self, name: str, tensor: str, value: NDArray[Any]) -> NDArray[Any]:
        """Return a value at the operating point; raises LinearizeError where an image has several of them."""
        if self.gates.has_several(tensor, value):
            raise self._no_twin(name, "positions are part of its batch, and what is held differs among them")
        return value

    def _frozen_operand(self, node: Any, tensor: str, value: NDArray[Any]) -> list[Any]:
        """Return a matrix product or an einsum with one operand fixed at the operating point."""
        copy = with_op(node, "BatchMatMulV2" if node.op == "BatchMatMul" else node.op)
        at = self.view.inputs(node.name).index(tensor)
        if node.op == "Einsum":
            sides, _, out = node.attr["equation"].s.decode().replace(" ", "").partition("->")
            terms = sides.split(",")
            if terms[at][0] != out[:1] or "." in sides:
                raise self._no_twin(node.name, "its first axis is not the batch")
            value, terms[at] = value[0], terms[at][1:]
            copy.attr["equation"].s = f"{','.join(terms)}->{out}".encode()
        operand = constant(f"{node.name}/operating_point", value, like=node)
        copy.input[at] = operand.name
        return [operand, copy]

    def _scaled(self, name: str, tensor: str, factor: NDArray[Any]) -> list[Any]:
        node = self.view.nodes[name]
        scale = constant(f"{name}/linear_factor", factor, like=node)
        product = tf.compat.v1.NodeDef(name=name, op="Mul", input=[tensor, scale.name])
        product.attr["T"].type = dtype_of(node)
        return [scale, product]

    def _with_constants(self, node: Any) -> list[Any]:
        """Return the node with a Const in place of every constant input that the graph computes."""
        constants: list[Any] = []
        copy = tf.compat.v1.NodeDef()
        copy.CopyFrom(node)
        for i, tensor in enumerate(self.view.inputs(node.name)):
            if not self._varies(tensor) and not self.view.is_constant(tensor):
                # A twin that is not run needs no result sizes; the layouts hold them.
                skipped = not self.whole and _SIZES.get(node.op) == i
                value = np.zeros(1, np.int32) if skipped else self.evaluate(tensor)
                constants.append(constant(f"{node.name}/constant_{i}", value))
                copy.input[i] = constants[-1].name
        return [*constants, copy]

    def _varies(self, tensor: str) -> bool:
        return node_of(tensor) in self.variable

    def _value(self, tensor: str) -> NDArray[Any]:
        value = self.view.constant(tensor)
        return self.evaluate(tensor) if value is None else value

    def _note(self, name: str, tensor: str, how: str) -> None:
        self.notes += [note for note in [held_note(node_of(tensor), how, name)] if note not in self.notes]

    def _no_twin(self, name: str, why: str) -> LinearizeError:
        return LinearizeError(
            f"{name} ({self.view.op(name)}), on the way to {node_of(self.target)}, has no linear twin: {why}",
            remedy="choose two layers that are both before it or both after it",
        )


_RULES: dict[str, Callable[[_Rewriter, str, Any], list[Any]]] = {
    "linear": _Rewriter._linear,
    "weighted": _Rewriter._weighted,
    "identity": _Rewriter._identity,
    "average": _Rewriter._average,
    "norm": _Rewriter._batch_norm,
    "sum": _Rewriter._sum,
    "product": _Rewriter._product,
    "extremum": _Rewriter._extremum,
    "curve": _Rewriter._curve,
}
