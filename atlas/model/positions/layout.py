"""Every tensor's axes, and the taps by which each op reads the positions of its inputs.

They are found in one pass in graph order. Where positions cannot be followed (attention, matrix products over
positions, ops missing from the table), each position is taken to read the whole input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from atlas.model.graph.ops import OPS
from atlas.model.graph.view import GraphView, node_of
from atlas.model.positions import axes as ax
from atlas.model.positions import axis_steps, map_steps
from atlas.model.positions.axes import Axes, Shape
from atlas.model.positions.steps import WHOLE, Read, Step, Walk


class Layouts(Walk):
    """The step of each node that depends on a source, by name."""

    def __init__(
        self,
        view: GraphView,
        shapes: Mapping[str, Shape],
        source: str,
        *,
        nodes: tuple[str, ...] | None = None,
        start: Axes | None = None,
    ) -> None:
        """Walk `nodes`, by default all that depend on `source`; `start` holds its axes, by default a map's.

        `shapes` maps node names to static shapes (n, h, w, c).
        """
        super().__init__(view, shapes)
        origin = node_of(source)
        reached = view.descendants(source) if nodes is None else frozenset(nodes)
        self[origin] = Step(start or ax.map_axes(shapes[origin]), ())
        for name in view.order if nodes is None else nodes:
            if name in reached and name != origin and shapes.get(name) is not None:
                step = self._step(name)
                if step is not None:
                    self[name] = step

    def _step(self, name: str) -> Step | None:
        row = OPS.get(self.view.op(name))
        if row is not None and row.window == "size":
            return None
        data = [t for t in self.view.inputs(name) if node_of(t) in self]
        if not data:
            return None
        rule = _RULES.get(row.window if row else "whole", _whole)
        return rule(self, name, list(dict.fromkeys(data))) or _whole(self, name, data)


def _whole(on: Walk, name: str, data: list[str]) -> Step:
    """Return the step of a node where each position may read all positions of the inputs."""
    shape = on.shapes[name]
    operands = [on.axes_of(t) for t in data]
    if not any(map(ax.letters, operands)):
        return Step(ax.plain_axes(shape), tuple(Read(t) for t in data))
    return Step(ax.whole_axes(shape, operands), tuple(Read(t, WHOLE) for t in data))


def _point(on: Walk, name: str, data: list[str]) -> Step | None:
    shape = on.shapes[name]
    operands = {t: on.axes_of(t) for t in data}
    counts = {t: _spread(axes, shape) for t, axes in operands.items()}
    most = max(counts.values())
    main = [t for t in data if counts[t] == most]
    made = ax.broadcast(operands[main[0]], shape) if len(operands[main[0]]) <= len(shape) else None
    layouts = {ax.where(ax.broadcast(operands[t], shape)) for t in main if len(operands[t]) <= len(shape)}
    if made is None or len(layouts) > 1 or any(_is_lost(operands[t], made) for t in data):
        return None
    return Step(made, tuple(Read(t, held=counts[t] < most) for t in data))


def _is_lost(axes: Axes, made: Axes) -> bool:
    """Return whether a tensor has a value for each position of `made`, but its positions were not followed.

    Behind attention within windows they are not; a gate that is broadcast has one value for all of them.
    """
    places = made[max(len(made) - len(axes), 0) :]
    return any(
        bool(ax.letters((place,))) and not ax.letters((axis,)) and axis[0][0] == "c" and ax.length(axis) > 1
        for axis, place in zip(axes, places, strict=False)
    )


def _spread(axes: Axes, shape: Shape) -> int:
    """Return how many axes with positions a tensor has whose length agrees with `shape`."""
    tail = shape[max(len(shape) - len(axes), 0) :]
    return sum(
        bool(ax.letters((axis,))) and n in (None, ax.length(axis))
        for axis, n in zip(axes, tail, strict=False)
    )


_RULES: dict[str, Callable[[Walk, str, list[str]], Step | None]] = {
    "point": _point,
    **map_steps.RULES,
    **axis_steps.RULES,
}
