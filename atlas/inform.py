"""What `info` tells of a model: its layers, and the ways between them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from atlas.errors import LinearizeError
from atlas.model.network import Network
from atlas.model.ways import carrier
from atlas.neuron import Layer
from atlas.weights import check_pair


def model_lines(network: Network) -> Iterator[str]:
    """Yield the lines of a report: the model, a line a layer, and the carriers between trunk layers."""
    h, w, c = network.input_shape
    low, high = network.value_range
    yield f"{network.name}: input {h}x{w}x{c}, values {low:g} to {high:g}, SHA-256 {network.sha256}"
    yield f"{len(network.labels) or 'no'} labels, output {network.output or 'none'}"
    yield ""
    yield f"{'layer':<32} {'kind':<7} {'channels':>8} {'positions':>10} {'receptive field':>16}  trunk"
    for layer in network.layers:
        yield _layer_line(layer)
    yield ""
    yield "ways between trunk layers (weights are taken from the carrier)"
    trunk = network.trunk
    for source, target in pairwise(trunk):
        yield _way_line(network, source, target)


def _layer_line(layer: Layer) -> str:
    shape = "x".join(map(str, layer.shape)) if layer.shape else "-"
    field = layer.receptive_field
    size = f"{field.size[0]}x{field.size[1]} /{field.stride[0]}" if field else "-"
    mark = "yes" if layer.trunk else ""
    return f"{layer.name:<32} {layer.kind:<7} {layer.n_channels:>8} {shape:>10} {size:>16}  {mark}".rstrip()


def _way_line(network: Network, source: Layer, target: Layer) -> str:
    try:
        tensor = carrier(network, source.name, target.name)
        notes = check_pair(network, tensor, target.name)
    except LinearizeError as error:
        return f"{source.name} -> {target.name}: cannot be linearized: {error}"
    return f"{source.name} -> {target.name}: carrier {tensor.partition(':')[0]}" + "".join(
        f"; {note}" for note in notes
    )
