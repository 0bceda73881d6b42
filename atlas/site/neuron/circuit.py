"""Connections of several layers -> the circuit on a neuron's page: a drawing and its description in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from atlas.core.neuron import INPUT
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.drawing.circuit_layout import THUMB, VERBS, Dot, Line, circuit_drawing
from atlas.drawing.circuit_selection import Edge, Selection, Spot, ego_selection, selection_rule
from atlas.site import urls, wording
from atlas.site.reading.artefacts import AtlasArtefacts
from atlas.site.reading.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class CircuitFigure:
    """The circuit of a neuron."""

    svg: Markup
    """The drawing, an <svg> element."""
    rule: str
    """Which neurons and connections were selected, and what the width of a line means."""
    selection: Selection
    """The neurons and connections that were selected, for the page's data file."""


class Circuits:
    """The circuits of an atlas's neurons. They share the dots of whole layers, which are made only once."""

    def __init__(self, catalogue: Catalogue, artefacts: AtlasArtefacts) -> None:
        """Keep both; nothing is read yet."""
        self._catalogue, self._artefacts = catalogue, artefacts
        self._dots = functools.lru_cache(maxsize=catalogue.KEPT)(self._dots_of)

    def figure(self, layer: str, index: int, *, drawn: bool = True) -> CircuitFigure | None:
        """Return a neuron's circuit, None where it has no connections or none are wanted.

        Where it is not `drawn`, its svg is empty.
        """
        shape = self._catalogue.atlas.circuit
        if shape is None:
            return None
        selection = ego_selection(self._artefacts.table, (layer, index), shape)
        if not selection.edges:
            return None
        name = f"{layer}:{index}"
        svg = self._drawing(selection, name) if drawn else ""
        # The drawing has escaped all of its texts.
        return CircuitFigure(Markup(svg), _rule(selection, shape.between, name), selection)

    def _drawing(self, selection: Selection, name: str) -> str:
        return circuit_drawing(
            [[self._dots(layer)[index] for layer, index in column] for column in selection.columns],
            [*self._lines(selection)],
            [self._head(column[0][0]) for column in selection.columns],
            at=selection.at,
            name=f"The circuit of {name}",
            description=_description(selection),
        )

    def _dots_of(self, layer: str) -> tuple[Dot, ...]:
        icons = self._catalogue.icons(layer)
        return tuple(Dot(icon.name, icon.short, icon.href, icon.image, icon.swatch) for icon in icons)

    def _head(self, layer: str) -> Dot:
        if layer == INPUT:
            return Dot("the image", "the image")
        link = self._catalogue.link(layer)
        return Dot(link.name, link.name, link.href)

    def _lines(self, selection: Selection) -> Iterator[Line]:
        (ego,) = selection.columns[selection.at]
        places = {
            spot: (column, row)
            for column, spots in enumerate(selection.columns)
            for row, spot in enumerate(spots)
        }
        for edge in selection.edges:
            source = self._dots(edge.source[0])[edge.source[1]]
            target = self._dots(edge.target[0])[edge.target[1]]
            title = (
                f"{source.name} {VERBS[edge.sign]} {target.name}: strength {wording.number(edge.strength)}, "
                f"{wording.percent(edge.relative)} of the strongest"
            )
            yield Line(
                places[edge.source],
                places[edge.target],
                edge.sign,
                edge.relative,
                title,
                self._href(edge, source, target),
                not edge.chosen,
                self._thumb(edge, ego),
            )

    def _href(self, edge: Edge, source: Dot, target: Dot) -> str:
        """Return the address of the cell that shows a connection, "" where no page shows it."""
        if target.href and edge.listed == "upstream":
            return urls.connection(target.href, "upstream", edge.source[1])
        if source.href and self._row_below(edge) is not None:
            return urls.connection(source.href, "downstream", edge.target[1])
        return ""

    def _thumb(self, edge: Edge, ego: Spot) -> str:
        """Return the SVG of a kernel, cut from the sheet on the page; "" if the ego is at neither end."""
        if edge.target == ego:
            return _cut("upstream", edge.row)
        row = self._row_below(edge) if edge.source == ego else None
        return "" if row is None else _cut("downstream", row)

    def _row_below(self, edge: Edge) -> int | None:
        """Return a connection's row in its source's list of targets, None where it is not in that list."""
        if edge.listed == "downstream":
            return edge.row
        table = self._artefacts.table(edge.source[0], "downstream")
        if table is None or table.target != edge.target[0]:
            return None
        return table.ranks[edge.source[1]].get(edge.target[1])


def neighbouring_layers(atlas: AtlasRecord, record: LayerRecord) -> Iterator[str]:
    """Yield the other layers whose connections appear in the circuits of a layer's neurons."""
    if atlas.circuit is None:
        return
    records = {layer.layer: layer for layer in atlas.layers}
    for hops, side in ((atlas.circuit.up, "upstream"), (atlas.circuit.down, "downstream")):
        here: LayerRecord | None = record
        for _ in range(hops):
            here = records.get(getattr(here, side) or "") if here else None
            if here is not None:
                yield here.layer


def _cut(direction: str, row: int) -> str:
    return (
        f'<foreignObject width="{THUMB}" height="{THUMB}">'
        f'<i class="k {direction}" style="--r:{row}"></i></foreignObject>'
    )


def _rule(selection: Selection, between: float, name: str) -> str:
    """Say which neurons and connections were selected, and what the width of a line means."""
    unlisted = {edge.target[0]: None for edge in selection.edges if edge.share is None}
    width = "The width of a line is its strength relative to the strongest in its target's list"
    if unlisted:
        width += (
            f" (in its source's list for lines to {', '.join(unlisted)}, which has no list in this atlas)"
        )
    return f"{selection_rule(selection, between, name)} {width}."


def _description(selection: Selection) -> str:
    n = sum(map(len, selection.columns))
    layers = ", ".join("the image" if c[0][0] == INPUT else c[0][0] for c in selection.columns)
    return (
        f"{wording.counted(n, 'neuron')} and {wording.counted(len(selection.edges), 'connection')}: {layers}."
    )
