"""The uncropped network, for an input size that the graph accepts: any, multiples of a stride, or one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.core.errors import LayerError
from atlas.featurevis.demand import Shapes, Window
from atlas.featurevis.transforms import GREY
from atlas.model.cleaning.importing import measured_shapes
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.view import node_of
from atlas.model.network import Network
from atlas.model.positions.axes import letters
from atlas.model.positions.layout import Layouts
from atlas.model.positions.map_steps import slices

tf = tensorflow.compat.v1

# Largest stride whose multiples are tried as sizes, in pixels: the largest total stride of usual networks.
_LARGEST_STRIDE = 64


@dataclass(frozen=True, slots=True)
class Crop:
    """A GraphDef that computes `tensor` from `window` of the network's input of size `net`."""

    graph_def: Any
    """Nodes from the window to `tensor`; the network's input is left out."""
    tensor: str
    """Name of the tensor that holds the result."""
    net: tuple[int, int]
    """(h, w) of the network's whole input in pixels."""
    window: Window
    """(start, stop) of the rows and of the columns of the input that the graph reads."""

    @property
    def origin(self) -> tuple[int, int]:
        """The (h, w) of the window's first pixel."""
        return self.window[0][0], self.window[1][0]

    @property
    def view(self) -> tuple[int, int]:
        """The (h, w) of the window in pixels."""
        (a, b), (c, d) = self.window
        return b - a, d - c

    def same_work(self, other: Crop) -> bool:
        """Return whether two crops have the same graph and the same size of window, at any place."""
        return (self.tensor, self.view, self.graph_def) == (other.tensor, other.view, other.graph_def)

    def cut(self, images: Any) -> Any:
        """Return the window of images [n, h, w, channel], which are centred on grey where `net` is larger."""
        lack = [n - int(size) for n, size in zip(self.net, images.shape[1:3], strict=True)]
        if any(lack):
            pads = [[max(n, 0) // 2, max(n, 0) - max(n, 0) // 2] for n in lack]
            top, left = (max(-n, 0) // 2 for n in lack)
            images = images[:, top : top + self.net[0], left : left + self.net[1]]
            images = tf.pad(images - GREY, [[0, 0], *pads, [0, 0]]) + GREY
        (a, b), (c, d) = self.window
        return images[:, a:b, c:d]


def whole(network: Network, tensor: str, net: tuple[int, int]) -> Crop:
    """Return the uncropped graph of a tensor, for an input of `net` (h, w) or the first size that fits."""
    crop, _ = fitting(network, tensor, net)
    return crop


def fitting(network: Network, tensor: str, net: tuple[int, int]) -> tuple[Crop, Shapes]:
    """Return a tensor's uncropped graph and its shapes, for the first size that the graph accepts.

    If a skip connection joins a path that was downsampled and upsampled again, only multiples of a stride
    fit. A graph made for one size accepts only that. Raises LayerError if no size fits.
    """
    full = network.input_shape[:2]
    sizes = [full] if is_bound(network, tensor) else [net, *(_multiple(net, s) for s in _strides()), full]
    for size in dict.fromkeys(sizes):
        crop = _uncut(network, tensor, size)
        shapes = _shapes(crop, network)
        if shapes is not None:
            return crop, shapes
    raise LayerError(f"{node_of(tensor)} cannot be computed from images of {full[0]} x {full[1]} px")


def is_bound(network: Network, tensor: str) -> bool:
    """Return whether a tensor needs one size of image: an op before it fixes a number of positions."""
    between = network.view.ancestors(tensor) & network.layouts.keys()
    return any(_counts_positions(network.layouts, name) for name in between)


def _counts_positions(layouts: Layouts, name: str) -> bool:
    op, axes = layouts.view.op(name), layouts[name].axes
    if op.startswith("Resize"):
        return layouts.constant(name, 1) is not None
    if op in ("Reshape", "BroadcastTo"):
        size = layouts.constant(name, 1)
        if size is None or len(size) != len(axes):
            return False
        pairs = zip(axes[1:], size[1:].tolist(), strict=True)
        return any(bool(letters((axis,))) and n > 1 for axis, n in pairs)
    if op in ("Slice", "StridedSlice"):
        data = layouts[name].reads[0].tensor
        index = slices(layouts, name, len(layouts.axes_of(data))) or []
        pairs = zip(layouts.axes_of(data), (part for part in index if part is not None), strict=False)
        return any(letters((axis,)) and _ends_at_number(part) for axis, part in pairs)
    return False


def _ends_at_number(part: slice | int) -> bool:
    return isinstance(part, int) or (part.stop is not None and part.stop >= 0)


def _strides() -> list[int]:
    return [2**i for i in range(1, _LARGEST_STRIDE.bit_length())]


def _multiple(net: tuple[int, int], stride: int) -> tuple[int, int]:
    h, w = (-(-n // stride) * stride for n in net)
    return h, w


def _uncut(network: Network, tensor: str, net: tuple[int, int]) -> Crop:
    view, source = network.view, node_of(network.input_tensor)
    needed = view.ancestors(tensor)
    names = [name for name in view.order if name in needed and name != source]
    graph_def = tf.GraphDef(versions=network.graph_def.versions)
    graph_def.node.extend(view.nodes[name] for name in names)
    return Crop(graph_def, tensor, net, ((0, net[0]), (0, net[1])))


def _shapes(crop: Crop, network: Network) -> Shapes | None:
    """Return the static shape of every tensor, for one image; None if the graph does not accept the size.

    Shapes that TensorFlow does not infer are measured by running the graph on a grey image.
    """
    entry = network.input_tensor
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [1, *crop.net, network.input_shape[2]])
        try:
            tf.import_graph_def(crop.graph_def, input_map={entry: images}, name="")
        except ValueError:
            return None
        outputs = [out for op in graph.get_operations() for out in op.outputs]
        shapes = {out.name: tuple(out.shape.as_list()) for out in outputs if out.shape.is_fully_defined()}
        unknown = {out.name: out for out in outputs if out.name not in shapes}
        measured = measured_shapes(graph, unknown, {images: np.full(images.shape, GREY, np.float32)})
    if measured is None:
        return None
    return {**shapes, **measured, entry: (1, *crop.net, network.input_shape[2])}
