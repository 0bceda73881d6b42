"""One-hot weights on a target, pulled back through a linear twin to a source, many targets at a time.

A span is the (first, end) positions of one axis, counted from the target's position; the spans of a
tensor are the window that the target's position sees of it. Where the way leads over whole maps
(global pooling, flattening), spans are the map itself. Tensors without positions have no spans.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from atlas.model.backend import tf
from atlas.model.graph import GraphView, node_of
from atlas.model.linearize import LinearTwin
from atlas.model.pullback import Pullback, Shape, channels_of
from atlas.model.receptive_field import ENDS, window_of
from atlas.records import Floats

# Bytes of one window array on the way; targets are taken in chunks that stay below.
CHUNK_BYTES = 256 << 20
Span = tuple[int, int]
Spans = tuple[Span, Span] | None


class Composition:
    """The product of all linear maps between the two ends of a twin."""

    def __init__(self, twin: LinearTwin, shapes: dict[str, Shape], *, absolute: bool = False) -> None:
        """Plan the windows; `shapes` are static shapes (n, h, w, c) at the network's own input size.

        `absolute` takes every map with its absolute weights: paths add up, whatever their sign.
        """
        self._view, self._shapes = GraphView(twin.graph_def), shapes
        self._source, self._target = node_of(twin.source), node_of(twin.target)
        self._target_tensor = twin.target
        self._between = self._view.between(twin.source, twin.target)
        self._inside = frozenset(self._between)
        inner = self._between[1:]
        self._whole = any(self._view.op(name) in ENDS for name in inner) or len(shapes[self._target]) < 4
        self._pull = Pullback(self._view, shapes, whole=self._whole, absolute=absolute)
        self._spans = self._maps() if self._whole else self._windows()

    def weights(self) -> Floats:
        """Return float32 [height, width, source, target]."""
        return np.concatenate(list(self.chunks()), -1)

    def chunks(self, n_bytes: int = CHUNK_BYTES) -> Iterator[Floats]:
        """Yield float32 [height, width, source, target], a few targets at a time, in their order.

        No window array on the way takes more than `n_bytes`, but for that of a single target.
        """
        n_targets = channels_of(self._view, self._shapes, self._target_tensor)
        step = max(1, n_bytes // (4 * max(map(self._size, self._between))))
        for first in range(0, n_targets, step):
            with tf.init_scope():
                grads = self._pull_back(np.arange(first, min(first + step, n_targets)), n_targets)
            if grads.ndim == 2:
                grads = grads[:, None, None, :]
            yield np.ascontiguousarray(np.moveaxis(grads, 0, -1))

    @property
    def window(self) -> tuple[int, int]:
        """How many positions (h, w) of the source the weights reach over; (1, 1) where it has none."""
        return _extent(self._spans[self._source]) or (1, 1)

    def _maps(self) -> dict[str, Spans]:
        def spans(name: str) -> Spans:
            shape = self._shapes[name]
            return ((0, int(shape[1] or 0)), (0, int(shape[2] or 0))) if len(shape) == 4 else None

        return {name: spans(name) for name in self._between}

    def _windows(self) -> dict[str, Spans]:
        windows: dict[str, Spans] = {self._target: ((0, 1), (0, 1))}
        for name in reversed(self._between[1:]):
            for tensor in self._feeders(name):
                seen = self._seen_through(name, windows[name])
                windows[node_of(tensor)] = _hull(windows.get(node_of(tensor)), seen)
        return windows

    def _feeders(self, name: str) -> tuple[str, ...]:
        """Return the tensors a node reads that lie on the way, each once."""
        return tuple(t for t in dict.fromkeys(self._view.inputs(name)) if node_of(t) in self._inside)

    def _seen_through(self, name: str, spans: Spans) -> Spans:
        """Return the spans that a node needs of its input to make `spans` of its output."""
        feeder = node_of(self._view.inputs(name)[0])
        window = window_of(self._view, name, self._shapes.get(feeder, ()))
        if spans is None or window is None:
            return spans
        rules = zip(spans, window.size, window.stride, window.before, strict=True)
        first, second = ((a * s - before, (b - 1) * s - before + k) for (a, b), k, s, before in rules)
        return first, second

    def _pull_back(self, targets: np.ndarray, n_targets: int) -> Floats:
        grads = {self._target: self._one_hot(targets, n_targets)}
        for name in reversed(self._between[1:]):
            grad = grads.pop(name)
            for tensor in self._feeders(name):
                node = node_of(tensor)
                seen = self._spans[node] if self._whole else self._seen_through(name, self._spans[name])
                pulled = self._join(tensor, self._pull(name, grad, tensor, _extent(seen)))
                grads[node] = _added(grads.get(node), pulled, seen, self._spans[node])
        return grads[self._source]

    def _one_hot(self, targets: np.ndarray, n_targets: int) -> Floats:
        hot = np.zeros((len(targets), n_targets), np.float32)
        hot[np.arange(len(targets)), targets] = 1
        extent = _extent(self._spans[self._target])
        if extent is None:
            return hot
        grad = np.zeros((len(targets), *extent, n_targets), np.float32)
        grad[:, extent[0] // 2, extent[1] // 2] = hot
        return grad

    def _join(self, tensor: str, pulled: Floats) -> Floats:
        """Put the weights on one output of a split among those on all of its outputs."""
        name = node_of(tensor)
        if self._view.op(name) not in {"Split", "SplitV"} or name == self._source:
            return pulled
        output = int(tensor.partition(":")[2] or 0)
        n_outputs = int(self._view.nodes[name].attr["num_split"].i)
        counts = [channels_of(self._view, self._shapes, f"{name}:{i}") for i in range(n_outputs)]
        before, after = sum(counts[:output]), sum(counts[output + 1 :])
        return np.pad(pulled, [(0, 0)] * (pulled.ndim - 1) + [(before, after)])

    def _size(self, name: str) -> int:
        extent = _extent(self._spans[name]) or (1, 1)
        return extent[0] * extent[1] * int(self._shapes[name][-1] or 1)


def _extent(spans: Spans) -> tuple[int, int] | None:
    return None if spans is None else (spans[0][1] - spans[0][0], spans[1][1] - spans[1][0])


def _hull(one: Spans, other: Spans) -> Spans:
    if one is None or other is None:
        return one or other
    first, second = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True))
    return first, second


def _added(total: Floats | None, pulled: Floats, seen: Spans, hull: Spans) -> Floats:
    """Add weights on the window `seen` to those on the hull window of the same tensor."""
    if seen == hull or seen is None or hull is None:
        return pulled if total is None else total + pulled
    if total is None:
        extent = _extent(hull) or (1, 1)
        total = np.zeros((len(pulled), *extent, pulled.shape[-1]), np.float32)
    elif not total.flags.writeable:  # TensorFlow's own memory
        total = total.copy()
    top, left = (s[0] - h[0] for s, h in zip(seen, hull, strict=True))
    total[:, top : top + pulled.shape[1], left : left + pulled.shape[2]] += pulled
    return total
