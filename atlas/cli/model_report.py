"""The report of `info` on a model: its layers, and the paths between them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from atlas.analysis.accuracy import accuracy
from atlas.analysis.weights import outline
from atlas.core.errors import LinearizeError, legible
from atlas.core.neuron import Layer
from atlas.core.node_names import shown_name
from atlas.drawing.image_files import image_files
from atlas.model.carriers import AUTO, carrier, chosen_layers, n_neurons
from atlas.model.network import Network
from atlas.system.progress import bar

# More files that could not be read are only counted.
_LISTED = 5


def model_lines(network: Network, words: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a report: the model, its layers, the carriers between them, and what to run next.

    `words` are the options that name the model and say how to read it.
    """
    yield from _head_lines(network)
    yield ""
    yield f"{'layer':<32} {'kind':<7} {'channels':>8} {'positions':>10} {'receptive field':>16}  trunk"
    for layer in network.layers:
        yield _layer_line(layer)
    if any(layer.receptive_field and layer.receptive_field.gated for layer in network.layers):
        yield "+: a factor or a mean taken from the whole image acts on the layer too"
    for op, (first, layers) in network.unknown_ops.items():
        behind = ", ".join(layers)
        yield f"the op {op} ({first}) is not known: no weights lead over it, and these see all: {behind}"
    yield ""
    yield "paths between trunk layers (weights are taken from the carrier)"
    trunk = network.trunk
    for source, target in pairwise(trunk):
        yield _way_line(network, source, target)
    yield from _next_lines(network, words or ("--model", network.name))


def accuracy_lines(network: Network, folder: Path) -> Iterator[str]:
    """Yield lines on how many of a folder's labelled images a network names, with a hint where more."""
    with bar("labelled images", len(image_files(folder)), unit="images") as step:
        found = accuracy(network, folder, progress=step)
    yield ""
    top5 = f", top-5 {found.top5:.1%}" if found.top5 is not None else ""
    counts = f"{found.n_images:,} images of {found.n_seen:,} classes, found {found.how}"
    yield f"top-1 {found.top1:.1%}{top5}: {counts}"
    if found.skipped:
        names = ", ".join(found.skipped[:_LISTED]) + (", …" if len(found.skipped) > _LISTED else "")
        of = found.n_images + len(found.skipped)
        yield legible(f"{len(found.skipped)} of {of:,} files could not be read and are left out: {names}")
    if found.hint:
        yield f"hint: {found.hint}"


def _head_lines(network: Network) -> Iterator[str]:
    h, w, c = network.input_shape
    low, high = network.value_range
    yield f"{network.name}: input {h}x{w}x{c}, values {low:g} to {high:g}, SHA-256 {network.sha256}"
    # An assumed range is among the notes.
    if network.range_source and not network.range_source.startswith("assumed"):
        yield f"the values are {network.range_source}"
    yield f"photographs are {network.preprocessing.resizing.words((h, w))}"
    yield f"images have {network.preprocessing.words()}"
    yield from (f"note: {note}" for note in network.notes)
    yield f"{len(network.labels) or 'no'} labels, output {network.output or 'none'}"


def _next_lines(network: Network, words: Sequence[str]) -> Iterator[str]:
    """Yield commands to run next: for an atlas of the layers of --layers auto, and for one of ten neurons."""
    layers = chosen_layers(network, AUTO)
    names = ",".join(layer.name for layer in layers)
    few = layers[len(layers) // 2]
    span = f"{few.name}:0-{min(few.n_channels, 10) - 1}"
    yield ""
    yield f"next, the ends of resolutions and blocks ({n_neurons(layers):,} neurons):"
    yield _command(*words, "--layers", names, "--site", "atlas")
    yield f"or, to see how it looks, the first neurons of {few.name}:"
    yield _command(*words, "--layers", few.name, "--neurons", span, "--preset", "draft", "--site", "draft")


def _command(*words: str) -> str:
    return "  " + shlex.join(("circuit-atlas", "build", *words))


def _layer_line(layer: Layer) -> str:
    shape = "x".join(map(str, layer.shape)) if layer.shape else "-"
    field = layer.receptive_field
    size = f"{field.size[0]}x{field.size[1]} /{field.stride[0]:g}" if field else "-"
    size = "whole image" if layer.shape and not field else size + ("+" if field and field.gated else "")
    mark = "yes" if layer.trunk else ""
    return f"{layer.name:<32} {layer.kind:<7} {layer.n_channels:>8} {shape:>10} {size:>16}  {mark}".rstrip()


def _way_line(network: Network, source: Layer, target: Layer) -> str:
    try:
        tensor = carrier(network, source.name, target.name)
        _, notes = outline(network, tensor, target.name)
    except LinearizeError as error:
        return f"{source.name} -> {target.name}: cannot be linearized: {error}"
    return f"{source.name} -> {target.name}: carrier {shown_name(tensor.partition(':')[0])}" + "".join(
        f"; {note}" for note in notes
    )
