"""A Circuit -> a self-contained SVG, with kernels on its lines, for a file or a notebook."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping

import numpy as np

from atlas.core.neuron import Neuron
from atlas.core.records import Circuit, Floats
from atlas.drawing.circuit_layout import THUMB, VERBS, Dot, Line, circuit_drawing
from atlas.drawing.images import png, signed_colours


def picture(kernel: Floats, peak: float) -> str:
    """Return the markup of a kernel's thumb: a picture coloured from -peak to +peak."""
    data = base64.b64encode(png(signed_colours(kernel, peak))).decode()
    start = f'<image class="kernel" href="data:image/png;base64,{data}"'
    return f'{start} width="{THUMB}" height="{THUMB}" preserveAspectRatio="none"/>'


def circuit_svg(circuit: Circuit, *, images: Mapping[str, str] | None = None) -> str:
    """Return a circuit as an SVG file's text: neurons in columns by layer, kernels on the lines.

    `images` maps names of neurons ("mixed3b:379") to addresses of pictures; the others are empty
    squares. Each kernel is coloured from minus to plus the largest weight that leads to its
    target: blue negative, white zero, red positive.
    """
    columns = [list(nodes) for _, nodes in itertools.groupby(circuit.nodes, lambda node: node.layer)]
    places = {node: (c, r) for c, nodes in enumerate(columns) for r, node in enumerate(nodes)}
    at = next((c for c, nodes in enumerate(columns) if nodes == [circuit.ego]), -1)
    addresses = images or {}
    dots = [[Dot(n.name, str(n.index), image=addresses.get(n.name, "")) for n in nodes] for nodes in columns]
    svg = circuit_drawing(
        dots,
        _lines_of(circuit, places),
        [Dot(nodes[0].layer, nodes[0].layer) for nodes in columns],
        at=at,
        name="A circuit of " + ", ".join(nodes[0].layer for nodes in columns),
        description=circuit.rule,
    )
    return standalone(svg)


def _lines_of(circuit: Circuit, places: Mapping[Neuron, tuple[int, int]]) -> list[Line]:
    peaks: dict[Neuron, float] = {}
    for edge in circuit.edges:
        peaks[edge.target] = max(peaks.get(edge.target, 0.0), float(np.abs(edge.kernel).max(initial=0)))
    return [
        Line(
            places[edge.source],
            places[edge.target],
            edge.sign,
            edge.relative,
            f"{edge.source.name} {VERBS[edge.sign]} {edge.target.name}: strength {edge.strength:.3g}, "
            f"{100 * edge.relative:.0f} % of the strongest",
            faint=not edge.chosen,
            # Around an ego, lines farther away are too close together for kernels.
            thumb=picture(edge.kernel, peaks[edge.target])
            if circuit.ego in (None, edge.source, edge.target)
            else "",
        )
        for edge in circuit.edges
    ]


def standalone(svg: str) -> str:
    """Return a drawing with its own colours and fonts, for a file or a notebook."""
    start, _, rest = svg.partition("<desc>")
    return f"{start}<style>{_STYLE}</style><desc>{rest}"


# Each rule is limited to circuits, because in a notebook a style applies to the whole page.
_STYLE = "".join(
    f"svg.circuit {rule}"
    for rule in (
        "text{font:13px sans-serif;fill:currentColor}",
        ".p{color:#ca0020}",
        ".n{color:#0571b0}",
        ".z{color:#888}",
        "path{fill:none;stroke:currentColor;stroke-opacity:.8}",
        ".n path{stroke-dasharray:9 5}",
        ".faint path{stroke-opacity:.3}",
        ".chip{fill:#8884;stroke:#888}",
        ".ego rect{fill:none;stroke:currentColor;stroke-width:2}",
        ".kernel{image-rendering:pixelated}",
        ".red{fill:#d84a3f}",
        ".green{fill:#4c9f57}",
        ".blue{fill:#4476c4}",
    )
)
