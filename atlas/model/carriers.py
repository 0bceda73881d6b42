"""Paths through a network: which layers are chosen, their carriers, the layers before and after each.

A carrier is the last tensor on the path to a later layer that keeps a layer's channels one to one.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import replace

from atlas.core.errors import LayerError
from atlas.core.neuron import INPUT, Layer
from atlas.model.graph.branches import ChannelRange, channel_ranges
from atlas.model.graph.ops import AFFINE, CURVED
from atlas.model.graph.pointwise import Pointwise
from atlas.model.graph.view import node_of
from atlas.model.linear.activations import before_activation
from atlas.model.network import Network

log = logging.getLogger(__name__)

# Words that stand for layers in --layers.
ALL, AUTO = "all", "auto"
# Kinds of layers that end a block, and how many layers to choose where all have the same resolution.
_JOINS = ("add", "concat")
_SPREAD = 5

# Ops that keep channels one to one; a carrier may end here.
_CARRIES = frozenset({"MaxPool", "AvgPool", "LRN"})
# These may lie on the path to a carrier, but a carrier does not end in them.
_PADS = frozenset({"Pad", "PadV2", "MirrorPad"})
_RESHAPES = frozenset({"Squeeze", "Reshape"})
_MEANS = frozenset({"Mean", "Max"})


def chosen_layers(network: Network, spec: str) -> tuple[Layer, ...]:
    """Return the layers that `spec` names: "all", "auto", or names in graph order separated by commas.

    "all" means the trunk without the output, "auto" is `natural_layers`. Raises LayerError for an unknown
    name, a layer named twice, layers out of order, or none at all.
    """
    if spec.strip() == ALL:
        return tuple(layer for layer in network.trunk if layer.name != network.output)
    if spec.strip() == AUTO:
        return natural_layers(network)
    names = [name.strip() for name in spec.split(",") if name.strip()]
    if not names:
        raise LayerError("no layers are chosen", found=repr(spec), expected="all, or names like conv1,conv2")
    layers = tuple(network.layer(name) for name in names)
    for name, layer in zip(names, layers, strict=True):
        if name == f"{layer.name}:0":
            log.warning("--layers %s is taken for the layer %s, not for its neuron 0", name, layer.name)
    ordered = tuple(sorted(set(layers), key=network.layers.index))
    if len(ordered) < len(layers):
        twice = next(layer.name for layer in ordered if layers.count(layer) > 1)
        raise LayerError(f"the layer {twice} is chosen twice", remedy="name it once")
    if ordered != layers:
        right = ",".join(layer.name for layer in ordered)
        raise LayerError("the layers are out of order", found=",".join(names), expected=right)
    return layers


def natural_layers(network: Network) -> tuple[Layer, ...]:
    """Return the last layer of each resolution in graph order, on the trunk where it has that resolution.

    Resolutions are counted in halvings of the image; a decoder passes through them again. A sum or a
    concatenation ends a block, so the last of these is preferred to the layers that begin the next block.
    In a network with a single resolution, ends of blocks are chosen from all depths. The output is left out,
    and so are layers without positions, unless there are no others.
    """
    pool = [layer for layer in network.layers if layer.name != network.output] or list(network.layers)
    maps = [layer for layer in pool if layer.shape not in (None, (1, 1))] or pool
    halved = {layer.name: _resolution(network, layer) for layer in maps}
    trunk = [layer for layer in maps if layer.trunk]
    runs = [list(run) for _, run in itertools.groupby(trunk, lambda layer: halved[layer.name])]
    chosen = [*map(_end_of_block, runs[:-1]), *(run[-1] for run in runs[-1:])]
    # Resolutions that only layers off the trunk have, such as the middle of a U-Net.
    off_trunk: dict[tuple[int, ...], list[Layer]] = {}
    resolutions = {halved[layer.name] for layer in chosen}
    for layer in maps:
        if halved[layer.name] not in resolutions:
            off_trunk.setdefault(halved[layer.name], []).append(layer)
    natural = {*chosen, *map(_end_of_block, off_trunk.values())}
    if len(natural) == 1:
        ends = [layer for layer in trunk if layer.kind in _JOINS] or trunk
        natural |= {ends[at * (len(ends) - 1) // (_SPREAD - 1)] for at in range(_SPREAD if ends else 0)}
    return tuple(sorted(natural, key=network.layers.index))


def n_neurons(layers: Sequence[Layer]) -> int:
    """Return how many neurons the layers have in total."""
    return sum(layer.n_channels for layer in layers)


def _end_of_block(layers: Sequence[Layer]) -> Layer:
    return ([layer for layer in layers if layer.kind in _JOINS] or layers)[-1]


def _resolution(network: Network, layer: Layer) -> tuple[int, ...]:
    """Return how often the image is halved on each axis at a layer; () where it has no positions.

    Taken from the lengths of its map where the receptive field is unknown or the whole image.
    """
    lengths = zip(network.input_shape, layer.shape or (), strict=False)
    strides = [float(stride) for stride in layer.receptive_field.stride] if layer.receptive_field else []
    if not strides or min(strides) <= 0:
        strides = [length / own for length, own in lengths]
    return tuple(round(math.log2(stride)) for stride in strides)


def carrier(network: Network, source: str, target: str) -> str:
    """Return the last tensor on the path from source to target that keeps source's channels one to one.

    Pooling, normalization, activations and the mean over all positions keep channels; the carrier ends where
    paths branch. `source` may be "input". Raises LayerError when target does not depend on source.
    """
    start, end = source_tensor(network, source), network.layer(target).tensor
    path = network.view.between(start, end)
    if not path or node_of(start) == node_of(end):
        raise LayerError(f"{target} does not depend on {source}", remedy="choose a layer after it")
    if source == INPUT:
        return start
    return _Walk(network, frozenset(path)).last(start, node_of(end))


def source_tensor(network: Network, source: str) -> str:
    """Return the tensor of a layer, or of the image for "input"."""
    return network.input_tensor if source == INPUT else network.layer(source).tensor


def before_activations(network: Network, layer: Layer, source: str) -> tuple[ChannelRange, ...]:
    """Return the tensors that together hold each of a layer's neurons once, before its activation function.

    `source` is the tensor from which the layer is looked at: what lies before it is not gone back to.
    Several where the layer is a concatenation of branches; the layer's own tensor where no activation
    function ends in it. Those of tokens, [n, token, channel], have the tokens of the layer's map in order.
    """

    def count(tensor: str) -> int | None:
        shape = network.shapes.get(node_of(tensor))
        return shape[-1] if shape else None

    tensor, variable = layer.tensor, network.view.descendants(network.input_tensor)
    if network.view.op(tensor) == "Reshape" and len(network.shapes[node_of(tensor)]) == 4:
        # The map that tokens stand for: before it they have their activation.
        tensor = network.view.inputs(tensor)[0]
    ranges = channel_ranges(network.view, tensor, layer.n_channels, count)
    return tuple(
        replace(part, tensor=before_activation(network.view, part.tensor, variable, source))
        for part in ranges
    )


def upstream_layer(network: Network, layer: Layer, chosen: Sequence[Layer]) -> str:
    """Return the name of the layer whose neurons feed `layer`.

    This is the last chosen layer on which it depends, else the last such trunk layer, else "input".
    """
    before = network.view.ancestors(layer.tensor)
    for pool in (chosen, network.trunk):
        names = [o.name for o in _in_order(network, pool) if o != layer and node_of(o.tensor) in before]
        if names:
            return names[-1]
    return INPUT


def downstream_layer(network: Network, layer: Layer, chosen: Sequence[Layer]) -> str | None:
    """Return the name of the layer that the neurons of `layer` feed.

    This is the first chosen layer that depends on it, else the next such trunk layer, including the
    classes; None at the end of the network.
    """
    after = network.view.descendants(layer.tensor)
    for pool in (chosen, network.trunk):
        names = [o.name for o in _in_order(network, pool) if o != layer and node_of(o.tensor) in after]
        if names:
            return names[0]
    return None


def _in_order(network: Network, layers: Sequence[Layer]) -> list[Layer]:
    names = {layer.name for layer in layers}
    return [layer for layer in network.layers if layer.name in names]


class _Walk:
    """Steps along an unbranched path that keep channels apart."""

    def __init__(self, network: Network, way: frozenset[str]) -> None:
        self._view, self._shapes, self._way = network.view, network.shapes, way
        self._pointwise = Pointwise(network.view, network.input_tensor)

    def last(self, start: str, end: str) -> str:
        """Return the last tensor after `start` and before `end` that still keeps its channels one to one."""
        last, here = start, node_of(start)
        # The sum of a map and a function of that map keeps channels apart, and may be `end` itself.
        while (following := self._step(here)) is not None and following != end:
            here = following
            if self._view.op(here) not in _PADS | _RESHAPES:
                last = f"{here}:0"
        return last

    def _step(self, name: str) -> str | None:
        """Return the only node that follows `name`, None where channels mix or the path branches."""
        readers = [reader for reader in self._pointwise.readers(name) if reader in self._way]
        if len(readers) == 1 and self._keeps_channels(readers[0], name):
            return readers[0]
        active = self._pointwise.activation(name)
        return active if active in self._way else None

    def _keeps_channels(self, node: str, before: str) -> bool:
        op = self._view.op(node)
        if op in AFFINE | CURVED:
            return self._pointwise.moving_inputs(node) == [before]
        if op in _PADS:
            return self._pads_positions(node)
        if op in _RESHAPES:
            return self._without_positions(before) and self._shapes[node][-1] == self._shapes[before][-1]
        return op in _CARRIES or (op in _MEANS and self._averages_positions(node))

    def _pads_positions(self, node: str) -> bool:
        paddings = self._view.constant(self._view.inputs(node)[1])
        return paddings is not None and len(paddings) == 4 and not paddings[[0, 3]].any()

    def _averages_positions(self, node: str) -> bool:
        axes = self._view.constant(self._view.inputs(node)[1])
        return axes is not None and {int(axis) % 4 for axis in axes.ravel()} == {1, 2}

    def _without_positions(self, node: str) -> bool:
        return all(length == 1 for length in self._shapes[node][1:-1])
