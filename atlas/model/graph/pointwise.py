"""Elementwise parts of a graph: biases, batch norms and activations, simple or composite (SiLU, GELU, …)."""

from __future__ import annotations

import heapq

from atlas.model.graph.ops import AFFINE, CURVED
from atlas.model.graph.view import GraphView, node_of

# Readers that contribute nothing to the network's computation.
ONLOOKERS = frozenset(
    """Shape ShapeN Size Rank Assert Print PrintV2 ArgMax TopKV2 InTopKV2 HistogramSummary ScalarSummary
    ImageSummary TensorSummary""".split()
)


class Pointwise:
    """Follows a tensor through elementwise ops."""

    def __init__(self, view: GraphView, input_tensor: str) -> None:
        """Take everything in `view` that does not depend on `input_tensor` as constant."""
        self._view = view
        self.moving = view.descendants(input_tensor)

    def readers(self, name: str) -> list[str]:
        """Return the nodes that compute something from a node's output, each once."""
        consumers = dict.fromkeys(self._view.consumers(name))
        return [c for c in consumers if c in self.moving and self._view.op(c) not in ONLOOKERS]

    def moving_inputs(self, name: str) -> list[str]:
        """Return the inputs of `name` that depend on the image, each once."""
        feeders = dict.fromkeys(map(node_of, self._view.inputs(name)))
        return [feeder for feeder in feeders if feeder in self.moving]

    def affine(self, name: str) -> str | None:
        """Return the only reader of `name` where it is a bias, a batch norm or a constant factor."""
        readers = self.readers(name)
        if len(readers) != 1 or self._view.op(readers[0]) not in AFFINE:
            return None
        return readers[0] if self.moving_inputs(readers[0]) == [name] else None

    def activation(self, name: str) -> str | None:
        """Return the node that ends the activation applied to `name`, or None where there is none.

        All paths from `name` meet again in that node, and consist of elementwise ops on `name` alone:
        relu(x), x * sigmoid(x), 0.5 * x * (1 + erf(x / sqrt 2)), …
        """
        region = {name}
        waiting = [self._view.rank[reader] for reader in self.readers(name)]
        heapq.heapify(waiting)
        farthest = max(waiting, default=-1)
        # Nearest first, so that nodes after the activation are not visited.
        while waiting:
            rank = heapq.heappop(waiting)
            node = self._view.order[rank]
            if node in region:
                continue
            if not self._belongs(node, region):  # a path leaves the region, so it never closes
                return None
            if farthest <= rank:
                return node
            region.add(node)
            for reader in self.readers(node):
                heapq.heappush(waiting, self._view.rank[reader])
                farthest = max(farthest, self._view.rank[reader])
        return None

    def until(self, start: str, end: str) -> set[str]:
        """Return the nodes that depend on `start` and come before `end`, both included."""
        nodes, open_ = {start, end}, [start]
        while open_:
            for reader in self.readers(open_.pop()):
                if reader not in nodes and self._view.rank[reader] < self._view.rank[end]:
                    nodes.add(reader)
                    open_.append(reader)
        return nodes

    def _belongs(self, node: str, region: set[str]) -> bool:
        return self._view.op(node) in AFFINE | CURVED and set(self.moving_inputs(node)) <= region
