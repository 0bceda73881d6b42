"""Figures of neurons, kernels and rows of connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup

from atlas.analysis.neighbours import Kernel, NeuronRow, PictureRow
from atlas.core.neuron import INPUT, Neuron
from atlas.core.node_names import shown_name
from atlas.core.notebook_registry import displays
from atlas.core.records import Connections, Floats
from atlas.notebook import album, markup
from atlas.site import wording

# A layer has many connections; a figure shows only those of the first neurons.
_FEW_ROWS, _FEW_COLUMNS = 3, 10


@displays(Neuron)
def neuron(shown: Neuron) -> str:
    """Show what excites a neuron."""
    icon = album.current().icons([shown])[shown]
    return markup.figure(
        shown.name, markup.cells([icon]), rule=f"Neuron {shown.index} of {place(shown.layer)}. {excites()}"
    )


@displays(Kernel)
def kernel(shown: Kernel) -> str:
    """Show the weights between two neurons, between icons of what excites each of them."""
    icons = album.current().icons([shown.source, shown.target])
    weights = markup.signed_map(shown.weights, shown.peak, f"{shown.source.name} to {shown.target.name}")
    body = markup.cells(
        [
            markup.stack(icons[shown.source], shown.source.name),
            markup.stack(weights, signed(shown.strength, shown.sign)),
            markup.stack(icons[shown.target], shown.target.name),
        ]
    )
    h, w = shown.weights.shape
    rule = (
        f"The {wording.times(w, h)} weights between the two{taken(shown.carrier, shown.source.layer)}, L2 "
        f"strength {wording.number(shown.strength)}: {wording.percent(shown.share)} of the squared L2 norm "
        f"of all weights of {shown.target.name} from {place(shown.source.layer)}. The scale ends at the "
        f"largest of them.{means(shown.weights)} {excites()}"
    )
    title = f"{shown.source.name} \N{RIGHTWARDS ARROW} {shown.target.name}"
    return markup.figure(title, body, legend=markup.signed_legend(shown.peak), rule=rule)


@displays(NeuronRow)
def neuron_row(shown: NeuronRow) -> str:
    """Show the strongest connections of a neuron, each below an icon of the neuron at its other end."""
    icons = album.current().icons([shown.neuron, *shown.neurons])
    body = Markup("{}{}").format(
        markup.cells([icons[shown.neuron]]),
        weight_cells(icons, shown.neurons, shown.kernels, shown.strength, shown.sign, shown.peak),
    )
    towards = "from" if shown.direction == "upstream" else "to"
    source = shown.layer if shown.direction == "upstream" else shown.neuron.layer
    coverage = wording.coverage(len(shown.neurons), shown.n_candidates, l2=shown.l2, l1=shown.l1)
    rule = (
        f"Its weights {towards} {place(shown.layer)}{taken(shown.carrier, source)}. {coverage} "
        f"The number is the L2 strength with the sign of the sum.{means(shown.kernels)} {excites()}"
    )
    title = f"{shown.neuron.name} {towards} {place(shown.layer)}"
    return markup.figure(title, body, legend=markup.signed_legend(shown.peak), rule=rule)


@displays(PictureRow)
def picture_row(shown: PictureRow) -> str:
    """Show chosen neurons, each above its map."""
    icons = album.current().icons(shown.neurons)
    coloured = shown.maps.ndim == 4
    pairs = zip(shown.neurons, shown.maps, strict=True)
    body = markup.cells(
        markup.stack(
            icons[neuron],
            markup.colour_map(np.asarray(one, np.uint8), neuron.name)
            if coloured
            else markup.signed_map(np.asarray(one, np.float32), shown.peak, neuron.name),
            neuron.name,
        )
        for neuron, one in pairs
    )
    legend = (
        markup.note_legend("colours as given; black is nothing")
        if coloured
        else markup.signed_legend(shown.peak)
    )
    title = f"{wording.counted(len(shown.neurons), 'neuron')} with their maps"
    return markup.figure(title, body, legend=legend, rule=f"{shown.rule} {excites()}".strip())


@displays(Connections)
def connections(shown: Connections) -> str:
    """Show the first neurons' strongest connections, each row on its own scale."""
    owner, other = (
        (shown.target, shown.source) if shown.direction == "upstream" else (shown.source, shown.target)
    )
    n_rows, k = min(_FEW_ROWS, len(shown.index)), min(_FEW_COLUMNS, shown.index.shape[1])
    rows = [[neuron_at(other, i) for i in shown.index[row, :k]] for row in range(n_rows)]
    icons = album.current().icons([one for row in rows for one in row])
    body = Markup("").join(
        Markup("<p>{}{}</p>{}").format(
            f"{owner}:{row}",
            markup.signed_legend(float(shown.peak[row])),
            weight_cells(
                icons,
                rows[row],
                shown.kernel[row],
                shown.strength[row],
                shown.sign[row],
                float(shown.peak[row]),
            ),
        )
        for row in range(n_rows)
    )
    rule = (
        f"For each of {wording.counted(len(shown.index), 'neuron')} of {place(owner)} its "
        f"{shown.index.shape[1]} strongest connections of {wording.thousands(shown.n_candidates)} with "
        f"{place(other)}, by L2 norm{taken(shown.carrier, shown.source)}; here the first {k} of the first "
        f"{wording.counted(n_rows, 'neuron')}. {excites()}"
    )
    return markup.figure(f"{shown.source} \N{RIGHTWARDS ARROW} {shown.target}", body, rule=rule)


def weight_cells(
    icons: dict[Neuron, Markup],
    neurons: Sequence[Neuron],
    kernels: Floats,
    strength: Iterable[float],
    sign: Iterable[int],
    peak: float,
) -> Markup:
    """Return a cell for each neuron: its icon, its kernel, its name and the signed strength.

    `kernels` is [neuron, h, w]; `peak` is the weight at the ends of the colour scale.
    """
    rows = zip(neurons, kernels, strength, sign, strict=False)
    return markup.cells(
        markup.stack(
            icons[neuron],
            markup.signed_map(weights, peak, neuron.name),
            neuron.name,
            signed(float(size), int(positive)),
        )
        for neuron, weights, size, positive in rows
    )


def signed(strength: float, sign: int) -> str:
    """Return a strength in words, with the sign of the connection."""
    return markup.SIGNS[sign] + wording.number(strength)


def place(layer: str) -> str:
    """Return a layer's name in a sentence, "the image" for the input."""
    return "the image" if layer == INPUT else layer


def taken(carrier: str, source: str) -> str:
    """Return which tensor the weights are taken from; "" if it is the source layer itself."""
    node = carrier.partition(":")[0]
    return f", taken from {shown_name(node)}" if node and node != source and source != INPUT else ""


def means(kernels: Floats) -> str:
    """Return a sentence that squares are means, if kernels are larger than a map; else ""."""
    n = -(-max(kernels.shape[-2:]) // (markup.SIDE_PX // 2))
    return "" if n == 1 else f" Each square is the mean of {wording.times(n, n)} weights."


def excites() -> str:
    """Return a sentence on what icons show."""
    if album.current().network is None:
        return "atlas.illustrate(network) puts what excites a neuron in the place of its name."
    return "Icons show what excites each neuron."


def neuron_at(layer: str, index: int) -> Neuron:
    """Return a neuron of a layer that a result names."""
    in_album = album.current().layer(layer)
    return Neuron(layer, in_album.slug if in_album else layer, int(index))
