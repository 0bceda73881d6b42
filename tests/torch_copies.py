"""Gradients in copies of a PyTorch program, made of its own operations and never of a graph of the atlas.

In the linear copy they are expanded weights. In the copy with positive weights they vanish nowhere by chance:
where they are not zero is the receptive field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_runs import CURVED, NORMS, Linear, Positive, Run, name_of, shape_of
from torch_twin import tensors_of, torch

Array = NDArray[Any]
# The dimensions of channels, of rows and of columns of a map.
Dims = tuple[int, int, int]
# The (first, last) rows and columns that a position (y, x) sees.
Boxes = dict[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]


class Untwinned(Exception):  # noqa: N818
    """A way leads over an operation that has no linear form."""


class TorchCopy:
    """The copies of a program that was exported for three images (n, c, h, w)."""

    def __init__(self, program: Any) -> None:
        """Compute what depends on no image."""
        known = tensors_of(program)
        holders = [node for node in program.graph.nodes if node.op == "placeholder"]
        self.nodes = [node for node in program.graph.nodes if node.op == "call_function"]
        self.entry = next(node for node in holders if node.name not in known)
        self.by_name = {node.name: node for node in [self.entry, *self.nodes]}
        self.moving = self.after(self.entry)
        self.tensors = {node: known[node.name] for node in holders if node.name in known}
        with torch.no_grad():
            still = [node for node in self.nodes if node not in self.moving]
            self.tensors = Run({}, self.moving, self.tensors).through(still)

    def slopes(
        self, source: str, target: str, channels: Sequence[int], dims: tuple[Dims, Dims], images: Any
    ) -> Array:
        """Return the gradient of a node's middle position by another node, [h, w, source, channel].

        `dims` are those of the source and of the target; factors are held over `images`, (n, c, h, w).
        Raises Untwinned.
        """
        start, end = self.by_name[source], self.by_name[target]
        between = self.between(start, end)
        run = Linear(self.tensors, self.moving, start, self._real(_held(between, start, self.moving), images))
        value, leaf = run.through(between)[end], run.leaf
        if value is CURVED:
            raise Untwinned(f"{source} to {target}")
        found, n = [], len(leaf)
        for first in range(0, len(channels), n):
            few = channels[first : first + n]
            unit = sum(_position(value[i], dims[1], channel=channel) for i, channel in enumerate(few))
            (slope,) = torch.autograd.grad(unit, leaf, retain_graph=True)
            found += [
                each.permute([dim - 1 for dim in (*dims[0][1:], dims[0][0])]) for each in slope[: len(few)]
            ]
        return np.asarray(torch.stack(found, -1))

    def boxes(self, targets: Mapping[str, Dims]) -> dict[str, Boxes]:
        """Return for three positions about the middle of maps the rows and columns of the image they see."""
        leaf = torch.ones(shape_of(self.entry), dtype=torch.float64, requires_grad=True)
        last = max(self.nodes.index(self.by_name[name]) for name in targets)
        needed = [node for node in self.nodes[: last + 1] if node in self.moving]
        values = Positive(self.tensors, self.moving, {self.entry: leaf}).through(needed)
        found: dict[str, Boxes] = {}
        for name, dims in targets.items():
            value = values[self.by_name[name]]
            h, w = (value.shape[dim] for dim in dims[1:])
            near = range(-min(1, (min(h, w) - 1) // 2), min(1, (min(h, w) - 1) // 2) + 1)
            unit = sum(_position(value[i], dims, step=step) for i, step in enumerate(near))
            (slope,) = torch.autograd.grad(unit, leaf, retain_graph=True)
            seen = np.asarray(slope.abs().amax(1))
            found[name] = {
                (h // 2 + step, w // 2 + step): (_ends(seen[i].max(1)), _ends(seen[i].max(0)))
                for i, step in enumerate(near)
            }
        return found

    def after(self, node: Any) -> set[Any]:
        """Return a node and those that depend on it."""
        found = {node}
        for each in self.nodes:
            if any(before in found for before in each.all_input_nodes):
                found.add(each)
        return found

    def between(self, start: Any, end: Any) -> list[Any]:
        """Return the nodes behind `start` that `end` depends on, in order."""
        after, before = self.after(start), _before(end)
        return [node for node in self.nodes if node in after and node in before and node is not start]

    def _real(self, wanted: set[Any], images: Any) -> dict[Any, Any]:
        """Return what the network itself computes for nodes, on images (n, c, h, w)."""
        needed = {before for node in wanted for before in _before(node)} & self.moving
        nodes, n = [node for node in self.nodes if node in needed], shape_of(self.entry)[0]
        found: dict[Any, list[Any]] = {node: [] for node in wanted}
        padded = torch.cat([images, images[-1:].expand(-len(images) % n, -1, -1, -1)])
        with torch.no_grad():
            for few in padded.split(n) if wanted else ():
                values = Run(self.tensors, self.moving, {self.entry: few}).through(nodes, keep=wanted)
                for node, values_of_node in found.items():
                    values_of_node.append(values[node])
        return {node: torch.cat(parts)[: len(images)].double() for node, parts in found.items()}


def _before(node: Any) -> set[Any]:
    found, open_ = {node}, [node]
    while open_:
        fresh = [before for before in open_.pop().all_input_nodes if before not in found]
        found.update(fresh)
        open_ += fresh
    return found


def _held(between: Sequence[Any], start: Any, moving: set[Any]) -> set[Any]:
    """Return the nodes whose real values a linear copy needs: factors, and what comes from elsewhere."""
    inside, found = {start, *between}, set()
    for node in between:
        is_held = name_of(node) in NORMS or name_of(node) in ("mul", "div")
        operands = [before for before in node.all_input_nodes if before in moving]
        several = len(operands) > 1 or name_of(node) in NORMS
        found |= {before for before in operands if before not in inside or (is_held and several)}
    return found


def _position(value: Any, dims: Dims, *, step: int = 0, channel: int | None = None) -> Any:
    """Return the sum of all channels of a map without a batch, `step` from its middle, or one channel."""
    moved = value.permute([dim - 1 for dim in dims])
    at = moved[:, moved.shape[1] // 2 + step, moved.shape[2] // 2 + step]
    return at.sum() if channel is None else at[channel]


def _ends(seen: Array) -> tuple[int, int]:
    """Return the (first, last) of what is not zero."""
    places = np.flatnonzero(seen)
    return (int(places[0]), int(places[-1])) if places.size else (0, -1)
