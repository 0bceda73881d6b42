"""Figures of directions at positions, of positive and negative contributions, and of circuits."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from atlas.analysis.cancellation import Cancellation
from atlas.core.notebook_registry import displays
from atlas.core.records import Circuit
from atlas.drawing.circuit_svg import circuit_svg
from atlas.featurevis.directions import Positions
from atlas.notebook import album, markup
from atlas.notebook.weight_figures import excites, neuron_at, place
from atlas.site import wording

# Pairs of neurons that a figure of positive and negative contributions shows.
_PAIRS = 6
_SHEET_PX = 480


@displays(Positions)
def positions(shown: Positions) -> str:
    """Show a picture of the direction that a neuron's weights form at each position of its window."""
    sheet = shown.sheet
    size = tuple(round(n * _SHEET_PX / max(sheet.shape[:2])) for n in sheet.shape[:2])
    body = Markup("<p>{}</p>").format(
        markup.photo(sheet, f"{shown.neuron} by position", size, most=_SHEET_PX)
    )
    h, w = shown.magnitudes.shape
    block = (
        "" if shown.block == (1, 1) else f" Each stands for {wording.times(*shown.block[::-1])} positions."
    )
    quiet = (
        f" Other neurons are kept quiet (cosine to the power {shown.cosine_power:g})."
        if shown.cosine_power
        else ""
    )
    rule = (
        f"At each of {wording.times(w, h)} positions the weights are a direction over the neurons of "
        f"{place(shown.source)}; each picture is optimized to move the layer along it.{block}{quiet}"
    )
    legend = markup.note_legend("the paler, the smaller the weights' L2 norm over the largest")
    return markup.figure(f"{shown.neuron} by position", body, legend=legend, rule=rule)


@displays(Cancellation)
def cancellation(shown: Cancellation) -> str:
    """Show the pairs of neurons with the largest contributions: positive, negative and net."""
    flow = (shown.positive + shown.negative).sum((0, 1), dtype=np.float64)
    best = np.argsort(-flow, axis=None, kind="stable")[:_PAIRS]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(best, flow.shape), strict=True)]
    named = [(neuron_at(shown.source, i), neuron_at(shown.target, j)) for i, j in pairs]
    icons = album.current().icons([neuron for pair in named for neuron in pair])
    parts = [(shown.positive[..., i, j], -shown.negative[..., i, j], shown.net[..., i, j]) for i, j in pairs]
    peak = float(max((np.abs(part).max(initial=0) for three in parts for part in three), default=0.0))
    body = markup.cells(
        markup.stack(
            icons[source],
            icons[target],
            *(
                markup.signed_map(part, peak, name)
                for part, name in zip(three, ("positive", "negative", "net"), strict=True)
            ),
            source.name,
            f"\N{RIGHTWARDS ARROW} {target.name}",
            f"{wording.percent(float(shown.ratio[pair]))} cancels",
        )
        for (source, target), three, pair in zip(named, parts, pairs, strict=True)
    )
    total = shown.total_ratio
    rule = (
        f"The {len(pairs)} pairs of neurons of {wording.thousands(flow.size)} with the largest "
        "contributions, each with its positive contributions, its negative ones, and their net, the expanded "
        "weights, from top to bottom on one scale. Of all contributions to a neuron of "
        f"{place(shown.target)}, "
        f"{wording.percent(float(total.min(initial=1)))} to {wording.percent(float(total.max(initial=0)))} "
        f"cancel. {excites()}"
    )
    title = f"{place(shown.source)} \N{RIGHTWARDS ARROW} {shown.target}: positive, negative and net"
    return markup.figure(title, body, legend=markup.signed_legend(peak), rule=rule)


@displays(Circuit)
def circuit(shown: Circuit) -> str:
    """Show neurons in columns by layer, and the connections between them."""
    book = album.current()
    book.icons(shown.nodes)
    svg = circuit_svg(shown, images={node.name: book.uri(node) for node in shown.nodes})
    title = f"The circuit of {shown.ego.name}" if shown.ego else "A circuit"
    legend = markup.note_legend(
        "red excites, blue and dashed inhibits, the wider the stronger; kernels blue negative, white zero, "
        "red positive"
    )
    return markup.figure(title, Markup(svg), legend=legend, rule=f"{shown.rule} {excites()}")
