"""The part of every map that one position of a layer needs, computed from the layer back to the image.

The windows are those of `atlas.model.positions.layout`, clipped at the borders of the maps. An op that cannot
compute a part of its output from parts of its inputs is kept whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from atlas.model.graph.ops import OPS
from atlas.model.graph.view import GraphView, node_of, tensor_of
from atlas.model.positions import axes as ax
from atlas.model.positions.layout import Layouts
from atlas.model.positions.steps import Read
from atlas.model.positions.windows import Span

Window = tuple[Span, Span]
Shapes = Mapping[str, tuple[int, ...]]

_PADS = frozenset({"Pad", "PadV2"})


@dataclass(frozen=True)
class Demand:
    """Computes the windows that a window of a tensor needs of the tensors before it."""

    view: GraphView
    """The network's graph."""
    data: frozenset[str]
    """Names of the nodes that depend on the image."""
    shapes: Shapes
    """Static shape of every tensor by name, for one image."""
    source: str
    """Tensor that holds the image."""

    @cached_property
    def layouts(self) -> Layouts:
        """How positions are read in a graph of these shapes."""
        by_node = {node_of(t): (None, *s[1:]) for t, s in self.shapes.items() if t.endswith(":0") and s}
        return Layouts(self.view, by_node, self.source)

    def needed(self, target: str, wanted: Window) -> dict[str, Window]:
        """Return the needed window of each map that the window `wanted` of `target` depends on."""
        needed = {tensor_of(target): wanted}
        ancestors = self.view.ancestors(target) & self.data
        for name in reversed([n for n in self.view.order if n in ancestors]):
            window = self._made(name, needed)
            for tensor in self.data_inputs(name):
                part = self._seen(name, tensor, window)
                if part is not None:
                    needed[tensor] = _union(needed[tensor], part) if tensor in needed else part
        return needed

    def _made(self, name: str, needed: dict[str, Window]) -> Window | None:
        """Return the window that a node will compute, and add it to `needed` for all of its outputs."""
        outputs = [tensor for tensor in needed if node_of(tensor) == name]
        if not outputs:
            return None
        window = needed[outputs[0]]
        for tensor in outputs[1:]:
            window = _union(window, needed[tensor])
        if name != node_of(self.source) and not self.croppable(name, window):
            window = clip(ALL, self.shapes[outputs[0]])
        needed.update(dict.fromkeys(outputs, window))
        return window

    def data_inputs(self, name: str) -> tuple[str, ...]:
        """Return the inputs of a node that depend on the image."""
        return tuple(t for t in self.view.inputs(name) if node_of(t) in self.data)

    def read(self, name: str, tensor: str) -> Read | None:
        """Return how a node reads a map position by position; None if it reads it in another way."""
        step = self.layouts.get(name)
        reads = [read for read in step.reads if read.tensor == tensor] if step else []
        return reads[0] if reads and not reads[0].held and None not in reads[0].taps else None

    def croppable(self, name: str, window: Window) -> bool:
        """Return whether a node can compute a window of its output from windows of its inputs."""
        step, row = self.layouts.get(name), OPS.get(self.view.op(name))
        if step is None or row is None or not ax.is_map(step.axes):
            return False
        data = self.data_inputs(name)
        if any(self.read(name, t) is None or not ax.is_map(self.layouts.axes_of(t)) for t in data):
            return False
        if row.window == "slide":
            # An average-pool takes the mean of only those positions that lie in the map.
            return self.view.op(name) != "AvgPool" or self._inside(name, window)
        if row.window == "shift":
            return self._pads_positions(name) or (
                self.view.op(name) == "MirrorPad" and self._inside(name, window)
            )
        if self.view.op(name) in ("ConcatV2", "ReverseV2", "Split", "SplitV", "GatherV2"):
            return self._is_plain(name)
        if row.window == "reduce":
            return self._is_plain(name)
        return row.window == "point" and self._same_positions(name)

    def inputs(self, name: str, window: Window) -> Window:
        """Return the window of its inputs that a croppable node needs; it may reach into the padding."""
        read = self.read(name, self.data_inputs(name)[0])
        assert read is not None
        h, w = (taps.span(span) for taps, span in zip(read.taps, window, strict=True) if taps is not None)
        return h, w

    def _inside(self, name: str, window: Window) -> bool:
        read = self.inputs(name, window)
        return clip(read, self.shapes[self.data_inputs(name)[0]]) == read

    def _pads_positions(self, name: str) -> bool:
        pads = self.layouts.constant(name, 1)
        return self.view.op(name) in _PADS and pads is not None and not pads[[0, 3]].any()

    def _is_plain(self, name: str) -> bool:
        """Return whether a node leaves positions where they are."""
        reads = [self.read(name, t) for t in self.data_inputs(name)]
        return all(
            read is not None and all(t is not None and t.is_plain for t in read.taps) for read in reads
        )

    def _same_positions(self, name: str) -> bool:
        here = self.shapes[tensor_of(name)]
        data = self.data_inputs(name)
        fixed = [t for t in self.view.inputs(name) if t not in data]
        return all(self.shapes[t][1:3] == here[1:3] for t in data) and all(
            len(self.shapes[t]) < 2 or self.shapes[t][:-1] == (1,) * (len(self.shapes[t]) - 1) for t in fixed
        )

    def _seen(self, name: str, tensor: str, window: Window | None) -> Window | None:
        shape = self.shapes.get(tensor, ())
        if len(shape) != 4:
            return None
        if window is None or not self.croppable(name, window):
            return (0, shape[1]), (0, shape[2])
        return clip(self.inputs(name, window), shape)


ALL: Window = ((0, 2**31), (0, 2**31))


def clip(window: Window, shape: tuple[int, ...]) -> Window:
    """Return the part of a window that lies inside a tensor [n, h, w, channel]."""
    h, w = ((max(a, 0), min(b, n)) for (a, b), n in zip(window, shape[1:3], strict=True))
    return h, w


def _union(one: Window, other: Window) -> Window:
    h, w = ((min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return h, w
