"""One-hot weights on a target, pulled back through a linear twin to a source, many targets at a time.

A span is the range (first, end) of positions on one axis. A tensor's window, one span for rows and one for
columns, is the part of it that the target's centre position sees. Where a path passes through operations on
whole maps (global pooling, flattening, attention), the window is the map itself, borders included. Tensors
without positions have windows of one position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from atlas.model.graph.view import GraphView, node_of, tensor_of
from atlas.model.linear.linearize import LinearTwin
from atlas.model.linear.places import Linear, Place, Window, atom_sizes
from atlas.model.linear.pullback import pulled_back
from atlas.model.positions import axes as ax
from atlas.model.positions.axes import Axes
from atlas.model.positions.layout import Layouts
from atlas.model.positions.steps import Read

# Largest size in bytes of one window array; targets are taken in chunks that stay below it. oneDNN keeps the
# memory of its largest convolution for ever, five times as much: larger chunks gain nothing.
CHUNK_BYTES = 32 << 20
_SPLITS = frozenset({"Split", "SplitV", "Unpack"})
_POINT: Window = ((0, 1), (0, 1))


class Composition:
    """The product of all linear maps between the two ends of a twin."""

    def __init__(self, twin: LinearTwin, layouts: Layouts, *, absolute: bool = False) -> None:
        """Plan the windows; `layouts` are those of the network from which the twin was made.

        `absolute` takes the absolute weights of every map: paths add up, whatever their sign.
        """
        self._view = GraphView(twin.graph_def)
        self._source, self._target = twin.source, twin.target
        self._between = self._view.between(twin.source, twin.target)
        self._on = Layouts(
            self._view, layouts.shapes, twin.source, nodes=self._between, start=layouts.axes_of(twin.source)
        )
        self._whole = not self._has_windows()
        self._linear = Linear(self._view, self._on, self._whole, absolute)
        self._windows = self.windows()

    def weights(self) -> Floats:
        """Return float32 [height, width, source, target]."""
        return np.concatenate(list(self.chunks()), -1)

    def chunks(self, n_bytes: int = CHUNK_BYTES) -> Iterator[Floats]:
        """Yield float32 [height, width, source, target], a few targets at a time, in order.

        No window array takes more than `n_bytes`, unless a single target's does.
        """
        n_targets = ax.length(self._on.axes_of(self._target)[-1])
        step = max(1, n_bytes // (4 * max(map(self._size, self._between))))
        for first in range(0, n_targets, step):
            with tf.init_scope():
                grads = self._pull_back(np.arange(first, min(first + step, n_targets)), n_targets)
            yield np.ascontiguousarray(np.moveaxis(self._as_map(grads), 0, -1))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The (height, width, source, target) of the weights."""
        axes = self._on.axes_of(self._source)
        h, w = self.window
        n_source = _others(axes, self._window_of(self._source, axes)) // (h * w)
        return h, w, n_source, ax.length(self._on.axes_of(self._target)[-1])

    @property
    def window(self) -> tuple[int, int]:
        """How many positions (h, w) of the source the weights span; (1, 1) where it has none."""
        axes = self._on.axes_of(self._source)
        return _extent(axes, self._window_of(self._source, axes))

    def windows(self, shift: int = 0) -> dict[str, Window]:
        """Return the window in every tensor, by node, of the position `shift` after the centre's."""
        return self._maps() if self._whole else self._spread(shift)

    def lengths(self, name: str) -> tuple[int, int]:
        """Return how many positions (h, w) a node's output has, 1 along axes that it does not have."""
        axes = self._on.axes_of(tensor_of(name))
        (_, h), (_, w) = _whole(axes)
        return h, w

    @property
    def moves(self) -> bool:
        """Whether other positions of the target have the same weights, on windows that lie elsewhere."""
        return not (self._whole or self.phased)

    @property
    def phased(self) -> bool:
        """Whether positions of the target see different windows, as after upsampling."""
        return not self._whole and any(
            taps is not None and taps.per > 1
            for name in self._between[1:]
            for read in self._on[name].reads
            for taps in read.taps
        )

    def _has_windows(self) -> bool:
        """Return whether positions can be followed in both ends and in every node between them."""
        steps = [self._on[name] for name in self._between]
        axes = [step.axes for step in steps] + [self._on.axes_of(self._source)]
        if any(len(ax.letters(each)) < 2 for each in axes):
            return False
        reads = [read for step in steps for read in step.reads]
        return not any(None in read.taps or read.held for read in reads) and not any(
            map(self._is_bound, self._between[1:])
        )

    def _is_bound(self, name: str) -> bool:
        """Return whether a node treats positions differently: by a constant for each, or by joining maps."""
        step = self._on[name]
        if self._view.op(name) == "ConcatV2":
            at = int(np.asarray(self._view.constant(self._view.inputs(name)[-1]))) % len(step.axes)
            return bool(ax.letters((step.axes[at],)))
        if self._view.op(name) not in ("Mul", "RealDiv", "Div", "Einsum"):
            return False
        for tensor in self._view.inputs(name):
            value = self._view.constant(tensor)
            if value is not None and value.ndim > 1 and self._view.op(name) != "Einsum":
                axes = step.axes[-value.ndim :]
                pairs = zip(axes, value.shape[-len(axes) :], strict=True)
                if any(ax.letters((axis,)) and n > 1 for axis, n in pairs):
                    return True
        return False

    def _maps(self) -> dict[str, Window]:
        """Return the windows of whole maps; arrays then have the axes' own lengths."""
        return dict.fromkeys(self._between, _POINT)

    def _spread(self, shift: int = 0) -> dict[str, Window]:
        h, w = (at + shift for at in self.centre)
        windows: dict[str, Window] = {node_of(self._target): ((h, h + 1), (w, w + 1))}
        for name in reversed(self._between[1:]):
            for read in self._reads(name):
                window, node = _seen(read, windows[name]), node_of(read.tensor)
                windows[node] = _hull(windows[node], window) if node in windows else window
        return windows

    @property
    def centre(self) -> tuple[int, int]:
        """The (h, w) of the target's centre, 0 along axes that it does not have."""
        h, w = self.lengths(self._target)
        return h // 2, w // 2

    def _reads(self, name: str) -> list[Read]:
        """Return a node's reads of tensors between source and target, each tensor once."""
        reads = []
        for read in self._on[name].reads:
            source = node_of(read.tensor) == node_of(self._source)
            if not source or read.tensor == self._source:
                reads.append(read)
        return reads

    def _pull_back(self, targets: np.ndarray, n_targets: int) -> Floats:
        end = node_of(self._target)
        grads = {end: self._join(self._target, self._one_hot(targets, n_targets))}
        for name in reversed(self._between[1:]):
            grad = grads.pop(name)
            for read in self._reads(name):
                node = node_of(read.tensor)
                place = self._place(name, read, len(targets))
                pulled = self._join(read.tensor, pulled_back(self._linear, place, grad))
                axes = self._joined_axes(read.tensor)
                grads[node] = self._added(grads.get(node), pulled, axes, place.read, self._windows[node])
        return grads[node_of(self._source)]

    def _place(self, name: str, read: Read, n_targets: int) -> Place:
        before, output_window = self._on.axes_of(read.tensor), self._windows[name]
        input_window = _seen(read, output_window)
        after = self._joined_axes(f"{name}:0")
        place = Place(name, read.tensor, before, after, input_window, output_window, read.taps, n_targets)
        return self._full(place) if self._whole else place

    def _full(self, place: Place) -> Place:
        """Return a place whose windows are the whole maps before and after."""
        return replace(place, read=_whole(place.before), made=_whole(place.after))

    def _one_hot(self, targets: np.ndarray, n_targets: int) -> Floats:
        axes = self._on.axes_of(self._target)
        window = self._window_of(self._target, axes)
        sizes = atom_sizes(axes, window, len(targets))
        grad = np.zeros([n for axis in sizes for n in axis], np.float32)
        index: list[Any] = []
        for axis in axes:
            for letter, _ in axis:
                if letter in ax.POSITIONS:
                    at = ax.POSITIONS.index(letter)
                    index.append(self.centre[at] - window[at][0])
                elif letter == "n":
                    index.append(np.arange(len(targets)))
                else:
                    index.append(targets if axis is axes[-1] else 0)
        grad[tuple(index)] = 1
        return grad.reshape([math.prod(axis) for axis in sizes])

    def _joined_axes(self, tensor: str) -> Axes:
        """Return the axes of a node's weights; for a split, those of the tensor that it splits."""
        name = node_of(tensor)
        if self._view.op(name) in _SPLITS and name != node_of(self._source):
            return self._on.axes_of(self._on[name].reads[0].tensor)
        return self._on.axes_of(tensor)

    def _join(self, tensor: str, pulled: Floats) -> Floats:
        """Pad the weights on one output of a split to weights on all of its outputs."""
        name = node_of(tensor)
        op = self._view.op(name)
        if op not in _SPLITS or name == node_of(self._source):
            return pulled
        output, node = int(tensor.partition(":")[2] or 0), self._view.nodes[name]
        if op == "Unpack":
            n_outputs, at = int(node.attr["num"].i), int(node.attr["axis"].i) % (pulled.ndim + 1)
            pulled, counts = np.expand_dims(pulled, at), [1] * n_outputs
        else:
            axis = self._view.constant(self._view.inputs(name)[0 if op == "Split" else 2])
            at, n_outputs = int(np.asarray(axis)) % pulled.ndim, int(node.attr["num_split"].i)
            counts = [ax.length(self._on.axes_of(f"{name}:{i}")[at]) for i in range(n_outputs)]
        pads = [(0, 0)] * pulled.ndim
        pads[at] = (sum(counts[:output]), sum(counts[output + 1 :]))
        return np.pad(pulled, pads)

    def _added(self, total: Floats | None, pulled: Floats, axes: Axes, seen: Window, hull: Window) -> Floats:
        """Add weights on the window `seen` to those on the hull window of the same tensor."""
        if self._whole or seen == hull:
            return pulled if total is None else total + pulled
        n = pulled.shape[0] if len(axes[0]) == 1 else pulled.size // _others(axes, seen)
        inner = [size for axis in atom_sizes(axes, seen, n) for size in axis]
        outer_axes = atom_sizes(axes, hull, n)
        outer = [size for axis in outer_axes for size in axis]
        joined = np.zeros(outer, np.float32) if total is None else np.array(total).reshape(outer)
        index: list[slice] = []
        for axis in axes:
            for letter, _ in axis:
                if letter in ax.POSITIONS:
                    at = ax.POSITIONS.index(letter)
                    first = seen[at][0] - hull[at][0]
                    index.append(slice(first, first + seen[at][1] - seen[at][0]))
                else:
                    index.append(slice(None))
        joined[tuple(index)] += pulled.reshape(inner)
        return joined.reshape([math.prod(axis) for axis in outer_axes])

    def _as_map(self, grads: Floats) -> Floats:
        """Return weights on the source as [target, h, w, channel], whatever the source's axes are."""
        axes = self._on.axes_of(self._source)
        window = self._window_of(self._source, axes)
        n = grads.size // _others(axes, window)
        flat = [
            (letter, size)
            for axis, sizes in zip(axes, atom_sizes(axes, window, n), strict=True)
            for (letter, _), size in zip(axis, sizes, strict=True)
        ]
        order = sorted(range(len(flat)), key=lambda i: "nhwc".index(flat[i][0]))
        extent = _extent(axes, window)
        reordered = grads.reshape([size for _, size in flat]).transpose(order)
        return reordered.reshape(n, *extent, -1)

    def _window_of(self, tensor: str, axes: Axes) -> Window:
        """Return the window that the weights span on a tensor with these axes."""
        return _whole(axes) if self._whole else self._windows[node_of(tensor)]

    def _size(self, name: str) -> int:
        axes = self._on[name].axes
        return _others(axes, self._window_of(name, axes))


def _others(axes: Axes, window: Window) -> int:
    """Return how many values a tensor's window holds per target."""
    return math.prod(math.prod(sizes) for sizes in atom_sizes(axes, window, 1))


def _extent(axes: Axes, window: Window) -> tuple[int, int]:
    letters = ax.letters(axes)
    h, w = (b - a if letter in letters else 1 for letter, (a, b) in zip(ax.POSITIONS, window, strict=True))
    return h, w


def _whole(axes: Axes) -> Window:
    lengths = dict(atom for axis in axes for atom in axis if atom[0] in ax.POSITIONS)
    return (0, int(lengths.get("h") or 1)), (0, int(lengths.get("w") or 1))


def _seen(read: Read, window: Window) -> Window:
    h, w = (span if taps is None else taps.span(span) for taps, span in zip(read.taps, window, strict=True))
    return h, w


def _hull(one: Window, other: Window) -> Window:
    h, w = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True))
    return h, w
