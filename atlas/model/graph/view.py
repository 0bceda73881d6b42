"""A read-only view of a GraphDef: the edges between nodes, constant values, the nodes between two others.

Tensors are named as in TensorFlow, "node:0"; a bare "node" means its first output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.ops import MEASURES, PASSES


def node_of(tensor: str) -> str:
    """Return the node's name in a tensor's name, "a:0" or "^a" -> "a"."""
    return tensor.lstrip("^").partition(":")[0]


def tensor_of(name: str) -> str:
    """Return the full name of a tensor, "a" -> "a:0"."""
    return name if ":" in name else f"{name}:0"


class GraphView:
    """The nodes of a GraphDef with both directions of its edges, in topological order."""

    def __init__(self, graph_def: Any) -> None:
        """Read `graph_def`; raises ModelError when an input is missing or the graph has a cycle."""
        self.nodes: dict[str, Any] = {node.name: node for node in graph_def.node}
        self._inputs = {name: tuple(_data_inputs(node)) for name, node in self.nodes.items()}
        self._consumers: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, tensors in self._inputs.items():
            for feeder in dict.fromkeys(map(node_of, tensors)):
                if feeder not in self.nodes:
                    raise ModelError(f"the graph's node {name} reads {feeder}, which it does not hold")
                self._consumers[feeder].append(name)
        self.order = self._topological()
        self.rank = {name: rank for rank, name in enumerate(self.order)}
        self._origins: dict[str, str] = {}
        # Needed for the network's input at every pair of layers; for all layers it would not fit in memory.
        self._reached = lru_cache(maxsize=4)(lambda node: self._reach(node, self._dependents))

    def inputs(self, name: str) -> tuple[str, ...]:
        """Return the tensors that a node reads, without control edges."""
        return self._inputs[node_of(name)]

    def consumers(self, name: str) -> tuple[str, ...]:
        """Return the nodes that read any output of a node."""
        return tuple(self._consumers[node_of(name)])

    def op(self, name: str) -> str:
        """Return the op of a node, or of the node that computes a tensor."""
        return str(self.nodes[node_of(name)].op)

    def is_constant(self, tensor: str) -> bool:
        """Return whether a tensor is a constant, without reading its value."""
        return self.op(self.origin(node_of(tensor))) == "Const"

    def constant(self, tensor: str) -> NDArray[Any] | None:
        """Return the value of a tensor if it is a Const node's, directly or through identities, else None."""
        name = self.origin(node_of(tensor))
        if self.op(name) != "Const":
            return None
        return np.asarray(tf.make_ndarray(self.nodes[name].attr["value"].tensor))

    def constant_shape(self, tensor: str) -> tuple[int, ...] | None:
        """Return the shape of a constant tensor without reading its values, or None."""
        name = self.origin(node_of(tensor))
        if self.op(name) != "Const":
            return None
        return tuple(int(dim.size) for dim in self.nodes[name].attr["value"].tensor.tensor_shape.dim)

    def ancestors(self, tensor: str) -> frozenset[str]:
        """Return all nodes on which a tensor depends, including its node."""
        return self._reach(tensor, self._feeders)

    def descendants(self, tensor: str) -> frozenset[str]:
        """Return all nodes whose values depend on a tensor, including its node."""
        return self._reached(node_of(tensor))

    def between(self, source: str, target: str) -> tuple[str, ...]:
        """Return the nodes on any path from source to target, both included, in order; empty if none."""
        # No path leaves the ranks between the two. In a chain of thousands of layers, searching all nodes
        # for each pair of neighbours would take minutes.
        ranks = range(self.rank[node_of(source)], self.rank[node_of(target)] + 1)
        both = self._reach(source, self._dependents, ranks) & self._reach(target, self._feeders, ranks)
        return tuple(sorted(both, key=self.rank.__getitem__))

    def trunk(self, source: str, target: str) -> tuple[str, ...]:
        """Return the nodes that lie on every path from source to target, in order."""
        nodes = self.between(source, target)
        members = set(nodes)
        trunk, farthest = [], -1
        # A node lies on every path when no edge from an earlier node skips it.
        for name in nodes:
            rank = self.rank[name]
            if farthest <= rank:
                trunk.append(name)
            ranks = [self.rank[c] for c in self._consumers[name] if c in members]
            farthest = max([farthest, *ranks])
        return tuple(trunk)

    def origin(self, name: str) -> str:
        """Return the node whose value a node passes on through identities, or the node itself."""
        passed = []
        while name not in self._origins and self.op(name) in PASSES and self._inputs[name]:
            passed.append(name)
            name = node_of(self._inputs[name][0])
        origin = self._origins.get(name, name)
        self._origins |= dict.fromkeys(passed, origin)
        return origin

    def _feeders(self, name: str) -> Iterable[str]:
        return map(node_of, self._inputs[name])

    def _dependents(self, name: str) -> Iterable[str]:
        return (c for c in self._consumers[name] if self.op(c) not in MEASURES)

    def _reach(
        self, tensor: str, step: Callable[[str], Iterable[str]], ranks: range | None = None
    ) -> frozenset[str]:
        """Return all nodes reached by repeated steps, within `ranks` where given."""
        start = node_of(tensor)
        visited, open_ = {start}, [start]
        while open_:
            near = (name for name in step(open_.pop()) if ranks is None or self.rank[name] in ranks)
            fresh = [name for name in near if name not in visited]
            visited.update(fresh)
            open_.extend(fresh)
        return frozenset(visited)

    def _topological(self) -> tuple[str, ...]:
        waits = {name: len(set(map(node_of, tensors))) for name, tensors in self._inputs.items()}
        ready = [name for name, count in waits.items() if count == 0]
        order: list[str] = []
        for name in ready:
            order.append(name)
            for consumer in self._consumers[name]:
                waits[consumer] -= 1
                if waits[consumer] == 0:
                    ready.append(consumer)
        if len(order) < len(self.nodes):
            stuck = next(name for name, count in waits.items() if count)
            raise ModelError(f"the graph has a cycle through {stuck}; only feed-forward networks can be read")
        return tuple(order)


def _data_inputs(node: Any) -> Iterable[str]:
    return (tensor_of(name) for name in node.input if not name.startswith("^"))
