"""Figures of networks, layers, and neurons that are similar to a neuron."""

from __future__ import annotations

import numpy as np

from atlas.analysis.statistics import Lookalikes
from atlas.core.notebook_registry import displays
from atlas.core.records import FirstLayer, LayerStatistics
from atlas.model.network import Network
from atlas.notebook import album, markup
from atlas.notebook.weight_figures import excites, neuron_at, place, taken
from atlas.site import wording

# Most rows of a table; longer tables are hard to read.
_ROWS = 10
_ROW_PX, _FILTER_PX = 36, 42


@displays(Network)
def network(shown: Network) -> str:
    """Show the layers that every path from the image to the output passes through."""
    rows = [
        (
            layer.name,
            layer.kind,
            str(layer.n_channels),
            wording.times(layer.shape[1], layer.shape[0]) if layer.shape else "",
            wording.receptive_field(layer) or "the whole image",
        )
        for layer in shown.trunk
    ]
    height, width, n_channels = shown.input_shape
    rule = (
        f"The {len(rows)} of {wording.counted(len(shown.layers), 'layer')} that every way from the image to "
        f"the output passes through. Images of {wording.times(width, height)} px, "
        f"{wording.counted(n_channels, 'channel')}; SHA-256 {shown.sha256[:16]}."
    )
    heads = ("layer", "kind", "neurons", "positions", "receptive field")
    return markup.figure(shown.name, markup.table(heads, rows), rule=rule)


@displays(FirstLayer)
def first_layer(shown: FirstLayer) -> str:
    """Show the filters in their order, with zero as mid-grey."""
    colours = shown.filters.shape[3] in (1, 3)
    filters = shown.filters if colours else shown.filters.mean(3, keepdims=True)
    pixels = (np.broadcast_to(filters, (*filters.shape[:3], 3)) * 255).round().astype(np.uint8)
    body = markup.cells(
        markup.stack(markup.colour_map(pixels[i], f"{shown.layer}:{i}", _FILTER_PX), str(i))
        for i in shown.order
    )
    order = (
        f"in the order of the first principal component of their weights to {shown.downstream} "
        f"({wording.percent(shown.explained)} of the variance)"
        if shown.downstream
        else "in the order of their index"
    )
    source = shown.read if shown.read == "expanded weights" else f"the constant {shown.read}"
    rule = f"All {len(shown.order)} filters, {order}; read from {source}."
    if not colours:
        rule += " Grey is the mean over the image's channels."
    legend = markup.note_legend(
        "zero is mid-grey, positive lighter, negative darker, in each colour by itself"
    )
    return markup.figure(f"{shown.layer} on the image", body, legend=legend, rule=rule)


@displays(LayerStatistics)
def layer_statistics(shown: LayerStatistics) -> str:
    """Show the statistics of the neurons with the largest weights."""
    most = np.argsort(-shown.l2, kind="stable")[:_ROWS]
    alike = {int(i): neuron_at(shown.layer, shown.nearest[i, 0]) for i in most if shown.nearest.shape[1]}
    neurons = {int(i): neuron_at(shown.layer, i) for i in most}
    icons = album.current().icons([*neurons.values(), *alike.values()], _ROW_PX)
    rows = [
        (
            icons[neurons[i]],
            neurons[i].name,
            *(
                wording.number(float(values[i]))
                for values in (shown.l2, shown.l1, shown.crispness, shown.balance, shown.n_inputs)
            ),
            *((icons[alike[i]], alike[i].name, f"{shown.similarity[i, 0]:.2f}") if i in alike else ()),
        )
        for i in neurons
    ]
    heads = [
        "",
        "neuron",
        "L2",
        "L1",
        "L2/L1 ratio",
        "sign balance",
        "participation ratio",
        *(("", "most similar", "cosine") if alike else ()),
    ]
    rule = (
        f"The {len(rows)} of {wording.counted(len(shown.l2), 'neuron')} with the largest L2 norm of all "
        f"weights from {place(shown.source)}{taken(shown.carrier, shown.source)}. Sign balance: "
        f"\N{MINUS SIGN}1 all negative to 1 all positive. Participation ratio: the effective number of "
        f"source neurons. {excites()}"
    )
    return markup.figure(f"Statistics of {shown.layer}", markup.table(heads, rows), rule=rule)


@displays(Lookalikes)
def lookalikes(shown: Lookalikes) -> str:
    """Show the neurons that are most similar to a neuron, with their cosines."""
    icons = album.current().icons([shown.neuron, *shown.neurons])
    pairs = zip(shown.neurons, shown.similarity, strict=True)
    itself = markup.stack(icons[shown.neuron], shown.neuron.name)
    body = markup.cells(
        [
            itself,
            *(
                markup.stack(icons[one], one.name, f"cosine {cosine:.2f}".replace("-", "\N{MINUS SIGN}"))
                for one, cosine in pairs
            ),
        ]
    )
    rule = (
        f"The {len(shown.neurons)} neurons of {shown.neuron.layer} whose weights from {place(shown.source)} "
        "are most similar to its own, by the cosine over all source neurons and positions: 1 is the same "
        f"pattern, 0 is nothing in common. {excites()}"
    )
    return markup.figure(f"Neurons most similar to {shown.neuron.name}", body, rule=rule)
