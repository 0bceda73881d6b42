"""Layers found in a graph: convolutions, concatenations, residual additions and dense ends.

A layer's tensor is the one after its bias, batch norm and activation, but before a softmax: for the classes
it holds the logits, though the softmax may give the layer its name. A dense layer applied at every position
is a 1 x 1 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from posixpath import dirname

from atlas.core.neuron import Branch, Layer, ReceptiveField
from atlas.core.slugs import layer_slugs
from atlas.model.graph.branches import channel_ranges
from atlas.model.graph.ops import AFFINE, CURVED
from atlas.model.graph.pointwise import Pointwise
from atlas.model.graph.view import GraphView, node_of
from atlas.model.layers.names import readable_names
from atlas.model.linear.activations import scales_in_hard_sigmoid
from atlas.model.positions.axes import Shape

# Convolutions, and the index of the input that is convolved.
_CONVOLUTIONS = {"Conv2D": 0, "DepthwiseConv2dNative": 0, "Conv2DBackpropInput": 2}
_DENSE = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum"})
_ADDITIONS = frozenset({"Add", "AddV2", "AddN", "Sub"})
# Ops, besides elementwise ones, in a normalization by a map's statistics.
_STATISTICS = frozenset("Mean Sum SquaredDifference Reshape Squeeze ExpandDims Tile BroadcastTo".split())
_MAPS = frozenset(
    """MaxPool AvgPool Pad PadV2 MirrorPad BatchToSpaceND DepthToSpace SpaceToDepth ResizeNearestNeighbor
    ResizeBilinear ResizeBicubic""".split()
)
_BOUNDS = frozenset({"Minimum", "Maximum", "ClipByValue"})
_SCALINGS = frozenset({"Mul", "RealDiv"})
# A dense layer over positions is written as a product of rows, then reshaped back into a map.
_RESHAPES = frozenset({"Reshape", "BatchToSpaceND"})


@dataclass(frozen=True, slots=True)
class LayerPart:
    """A layer without a name yet."""

    nodes: tuple[str, ...]
    """From the linear op on, in order; the last is the softmax where one follows."""
    kind: str
    """"conv", "concat", "add" or "dense"."""
    tensor: str
    """The layer's output, before the softmax."""
    n_channels: int
    """The length of its last axis."""
    shape: tuple[int, int] | None
    """(h, w) at the network's native size; None for a dense layer."""

    @property
    def node(self) -> str:
        """The node that computes the layer's tensor."""
        return node_of(self.tensor)


def find_parts(view: GraphView, input_tensor: str, shapes: Mapping[str, Shape]) -> tuple[LayerPart, ...]:
    """Return the layers of a graph in topological order; `shapes` maps node names to (n, h, w, c)."""
    search = _Search(view, Pointwise(view, input_tensor), shapes, sizes_of_maps(view, input_tensor, shapes))
    parts: list[LayerPart] = []
    inner_nodes: set[str] = set()
    for name in view.order:
        kind = None if name in inner_nodes else search.kind(name, {part.node for part in parts})
        part = search.part(name, kind) if kind else None
        if part is not None:
            inner_nodes |= search.pointwise.until(name, part.nodes[-1])
            parts.append(part)
    return tuple(parts)


def ends_of_tokens(view: GraphView, input_tensor: str, shapes: Mapping[str, Shape]) -> list[str]:
    """Return the nodes in which layers over tokens [n, token, channel] end, in order."""
    search = _Search(view, Pointwise(view, input_tensor), shapes, frozenset())
    ends: dict[str, None] = {}
    for name in view.order:
        kind = search.kind(name, ends.keys(), rank=3)
        end = search.reach(name, kind)[-1] if kind else ""
        if len(shapes.get(end, ())) == 3:
            ends[end] = None
    return list(ends)


def sizes_of_maps(view: GraphView, input_tensor: str, shapes: Mapping[str, Shape]) -> frozenset[Shape]:
    """Return the (h, w) of the image and of every convolved, pooled, padded or resized map."""
    ops = _MAPS | _CONVOLUTIONS.keys()
    maps = (name for name in shapes if view.op(name) in ops or name == node_of(input_tensor))
    return frozenset(shapes[name][1:3] for name in maps if len(shapes[name]) == 4)


def output_part(view: GraphView, parts: Sequence[LayerPart], n_labels: int = 0) -> LayerPart | None:
    """Return the part that holds the class logits, or None where the network has no classes.

    Of several heads it is the one with a channel per label, else the one with most channels, else the last.
    """
    ends = [p for p in terminal_parts(view, parts) if p.kind == "dense" or p.shape == (1, 1)]
    if not ends:
        return None
    rank = {name: index for index, name in enumerate(view.order)}
    return max(ends, key=lambda p: (p.n_channels == n_labels, p.kind == "dense", p.n_channels, rank[p.node]))


def terminal_parts(view: GraphView, parts: Sequence[LayerPart]) -> list[LayerPart]:
    """Return the parts that no other part depends on."""
    starts = {part.nodes[0] for part in parts}
    used: set[str] = set()
    for name in reversed(view.order):
        if name in starts or name in used:
            used.update(map(node_of, view.inputs(name)))
    return [part for part in parts if part.node not in used]


def layers_of(
    view: GraphView,
    parts: Sequence[LayerPart],
    trunk: frozenset[str],
    fields: Mapping[str, ReceptiveField],
    shapes: Mapping[str, Shape],
) -> tuple[Layer, ...]:
    """Return the named layers; `trunk` holds the nodes on every path to the output."""
    names = readable_names([part.nodes for part in parts], [part.node for part in parts])
    slugs = layer_slugs(names)
    ends = {part.node: name for name, part in zip(names, parts, strict=True)}
    return tuple(
        Layer(
            name=name,
            slug=slugs[name],
            kind=part.kind,
            tensor=part.tensor,
            n_channels=part.n_channels,
            shape=part.shape,
            receptive_field=fields.get(part.node) if part.shape else None,
            trunk=part.node in trunk,
            branches=_branches(view, part, ends, shapes) if part.kind == "concat" else (),
        )
        for name, part in zip(names, parts, strict=True)
    )


def _branches(
    view: GraphView, part: LayerPart, ends: Mapping[str, str], shapes: Mapping[str, Shape]
) -> tuple[Branch, ...]:
    """Return the branches of a concatenation; `ends` maps each layer's last node to the layer's name."""

    def count(tensor: str) -> int | None:
        return (shapes.get(node_of(tensor)) or (None,))[-1]

    ranges = channel_ranges(view, part.nodes[0], part.n_channels, count)
    return tuple(
        Branch(ends[end], channels.first, channels.n_channels)
        for channels in ranges
        if (end := view.origin(node_of(channels.tensor))) in ends and end != part.node
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """The rules for which nodes start a layer and where the layer ends."""

    view: GraphView
    """The graph that is searched."""
    pointwise: Pointwise
    """Follows tensors that depend on the image through elementwise ops."""
    shapes: Mapping[str, Shape]
    """Node name -> shape of its first output, at the network's native size."""
    maps: frozenset[Shape]
    """The (h, w) of all maps, see `sizes_of_maps`; empty where tokens are searched."""

    def kind(self, name: str, ends: Set[str] = frozenset(), rank: int = 4) -> str | None:
        """Return the kind of layer that starts at a node, or None; `ends` are the ends of earlier layers.

        Additions count as layers where their tensors have `rank` axes.
        """
        op, moving = self.view.op(name), self.pointwise.moving_inputs(name)
        if op in _CONVOLUTIONS and moving == [node_of(self.view.inputs(name)[_CONVOLUTIONS[op]])]:
            return "conv"
        if op in _DENSE and len(moving) == 1:
            return "dense"
        if op == "ConcatV2" and self._joins_channels(name):
            return "concat"
        if (
            op in _ADDITIONS
            and len(moving) > 1
            and self._adds_maps(name, rank)
            and not self._is_of_one(name, ends)
            and not self._is_partial(name)
        ):
            return "add"
        return None

    def part(self, name: str, kind: str) -> LayerPart | None:
        """Return the layer that starts at `name`; None where it is neither a map nor a vector."""
        nodes = self.reach(name, kind)
        tail = [r for r in self.pointwise.readers(nodes[-1]) if self.view.op(r) == "Softmax"]
        shape = self.shapes.get(nodes[-1], ())
        named = (*nodes, *tail[:1])
        if len(shape) == 2 and kind == "dense" and shape[1]:
            return LayerPart(named, "dense", f"{nodes[-1]}:0", shape[1], None)
        if len(shape) == 4 and shape[1] and shape[2] and shape[3]:
            # Attention heads have four axes too, but no rows and columns.
            if kind == "dense" and shape[1:3] not in self.maps | self._before(name):
                return None
            kind = "conv" if kind == "dense" else kind
            return LayerPart(named, kind, f"{nodes[-1]}:0", shape[3], (shape[1], shape[2]))
        return None

    def reach(self, name: str, kind: str) -> tuple[str, ...]:
        """Return the nodes from `name`, past bias and batch norm, to the end of the activation."""
        nodes = [name]
        while (following := self._reshape(nodes[-1], kind) or self.pointwise.affine(nodes[-1])) is not None:
            nodes.append(following)
        active = self.pointwise.activation(nodes[-1])
        if active is not None and not self._ends_in_sigmoid(active, kind):
            nodes.append(active)
            composed = len(self.pointwise.moving_inputs(active)) > 1
            while (clipped := self._clipped(nodes[-1])) is not None:
                nodes.append(clipped)
            while (scaled := self._scaled(nodes[-1])) is not None:
                # relu6(x + 3) / 6 is a hard sigmoid; elsewhere a scale after a ReLU6 is not part of it.
                if not composed and not scales_in_hard_sigmoid(self.view, scaled):
                    break
                nodes.append(scaled)
            shaped = self._reshape(nodes[-1], kind)
            nodes += [shaped] if shaped else []
        return tuple(nodes)

    def _clipped(self, name: str) -> str | None:
        """Return the reader of `name` that bounds it by a constant, as in min(relu(x), 2)."""
        readers = self.pointwise.readers(name)
        if len(readers) != 1 or self.view.op(readers[0]) not in _BOUNDS:
            return None
        return readers[0] if self.pointwise.moving_inputs(readers[0]) == [name] else None

    def _scaled(self, name: str) -> str | None:
        """Return the reader of `name` that scales it by one number, as in x * relu6(x + 3) / 6."""
        reader = self.pointwise.affine(name)
        if reader is None or self.view.op(reader) not in _SCALINGS:
            return None
        values = [self.view.constant(tensor) for tensor in self.view.inputs(reader)]
        return reader if any(value is not None and value.size == 1 for value in values) else None

    def _reshape(self, name: str, kind: str) -> str | None:
        """Return the only reader of `name` if it reshapes rows or tokens back into positions."""
        readers = self.pointwise.readers(name)
        if kind == "concat" or len(readers) != 1 or self.view.op(readers[0]) not in _RESHAPES:
            return None
        before, after = self.shapes.get(name, ()), self.shapes.get(readers[0], ())
        # Rows to tokens or maps, tokens to maps, a batch of dilated windows to a map.
        if (len(before), len(after)) not in ((2, 3), (2, 4), (3, 4), (4, 4)) or before[-1] != after[-1]:
            return None
        differs = len(before) == 3 and before[1] != (after[1] or 0) * (after[2] or 0)
        return None if differs else readers[0]

    def _before(self, name: str) -> set[Shape]:
        """Return the (h, w) of the map that a dense layer reads as rows, as a set; empty where unknown."""
        moving = self.pointwise.moving_inputs(name)[0]
        while self.view.op(moving) in ("Reshape", "Transpose"):
            order = self.view.constant(self.view.inputs(moving)[1])
            if self.view.op(moving) == "Transpose" and (order is None or order[-1] != max(order)):
                return set()  # what is multiplied are no channels
            moving = node_of(self.view.inputs(moving)[0])
        return {self.shapes[moving][1:3]} if len(self.shapes.get(moving, ())) == 4 else set()

    def _ends_in_sigmoid(self, name: str, kind: str) -> bool:
        """Return whether a node turns the last dense layer into a separate probability for each class."""
        return kind == "dense" and self.view.op(name) == "Sigmoid" and not self.pointwise.readers(name)

    def _is_partial(self, name: str) -> bool:
        """Return whether another sum in the same scope continues this one, as when adding three tensors."""
        readers = self.pointwise.readers(name)
        continues = len(readers) == 1 and self.view.op(readers[0]) in _ADDITIONS
        return continues and dirname(name) != "" and dirname(readers[0]) == dirname(name)

    def _joins_channels(self, name: str) -> bool:
        *tensors, axis = self.view.inputs(name)
        value = self.view.constant(axis)
        rank = len(self.shapes.get(name, ()))
        moving = [tensor for tensor in tensors if node_of(tensor) in self.pointwise.moving]
        return rank == 4 and value is not None and int(value) in (-1, 3) and len(moving) > 1

    def _adds_maps(self, name: str, rank: int) -> bool:
        shapes = [self.shapes.get(node_of(tensor), ()) for tensor in self.view.inputs(name)]
        same = all(shape == shapes[0] for shape in shapes)
        return same and (len(shapes[0]) == rank or self._reshape(name, "add") is not None)

    def _is_of_one(self, name: str, ends: Set[str]) -> bool:
        """Return whether a sum is part of a function of a single tensor, as in layer norm, PReLU and GELU."""
        operands = self.pointwise.moving_inputs(name)
        open_ = set(operands)
        while len(open_) > 1:
            node = max(open_, key=self.view.rank.__getitem__)
            if node in ends or self.view.op(node) not in AFFINE | CURVED | _STATISTICS:
                return False
            open_ = open_ - {node} | set(self.pointwise.moving_inputs(node))
        root = open_.pop()
        end = self.pointwise.activation(root) or name
        return root not in operands or (end != name and name in self.pointwise.until(root, end))
