"""Records -> everything that the page of one layer shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atlas.core.neuron import INPUT
from atlas.site import urls, wording
from atlas.site.neuron.citation import Citation, citation
from atlas.site.neuron.prediction import LITTLE, explained, measured_at
from atlas.site.overview.field_map import FieldMap, field_map
from atlas.site.overview.sheets import TileSheet, filter_sheet, nmf_sheet
from atlas.site.overview.statistics_table import StatisticsTable, on_images, statistics_table
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import KINDS, Catalogue, Icon, Link

# Statistics to sort by. The L2 norm is a column already; the table shows all statistics.
_MEASURES = {"L2/L1 ratio": "crispness", "sign balance": "balance", "participation ratio": "n_inputs"}


@dataclass(frozen=True, slots=True)
class WallItem:
    """A neuron on a layer's wall."""

    icon: Icon
    """The neuron."""
    values: str
    """Its index and its number in each sort column, separated by spaces; "-" for a missing number."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by which a layer's neurons can be sorted."""

    label: str
    """Name of the column."""
    falling: bool
    """Whether the largest number comes first."""


@dataclass(frozen=True, slots=True)
class LayerPage:
    """Everything on a layer's page."""

    name: str
    """Name of the layer."""
    href: str
    """Address of this page."""
    kind: str
    """Kind of the layer, in words."""
    n_channels: int
    """Number of its neurons."""
    n_shown: int
    """Number of those that have a page."""
    receptive_field: str
    """Width and height of its receptive field, "" where it is not known."""
    field: FieldMap | None
    """The map of its effective field, None where that is not known."""
    resolution: str
    """Width and height of its feature maps in positions, "" for a dense layer."""
    upstream: Link | None
    """The layer that its weights are from, None where they were not made."""
    downstream: Link | None
    """The layer that its neurons lead to, None where those weights were not made."""
    previous: Link | None
    """The layer before in the list of the atlas, None for the first."""
    next: Link | None
    """The layer after in the list of the atlas, None for the last."""
    columns: tuple[Column, ...]
    """The columns, besides the index, by which its neurons can be sorted."""
    items: tuple[WallItem, ...]
    """The neurons that have a page, by index."""
    sheets: tuple[TileSheet, ...]
    """Pictures of the filters and the factors of all neurons, if they were made."""
    fidelity: str
    """How much of the neurons the weights explain on images, in sentences; "" where that is not known."""
    statistics: StatisticsTable | None
    """The table of its neurons' statistics, None where they were not made."""
    description: str
    """Description of the page for search engines, in a sentence."""
    image: str
    """Address of a picture for previews of links, "" where there is none."""
    citation: Citation
    """How to cite this page."""


@dataclass(frozen=True, slots=True)
class _Statistic:
    """A column with its values by neuron."""

    column: Column
    """Name of the column, and the direction in which it sorts."""
    values: dict[int, float]
    """The column's numbers by neuron, empty where they were not made."""


def layer_page(catalogue: Catalogue, artefacts: LayerArtefacts, *, url: str = "") -> LayerPage:
    """Return everything on a layer's page; `url` is that of the site's folder, "" where it is not known."""
    layer, record = artefacts.layer, artefacts.record
    before, after = _neighbours(catalogue, layer.name)
    statistics = [s for s in _statistics(artefacts) if s.values]
    items = _items(catalogue, artefacts, statistics)
    return LayerPage(
        name=layer.name,
        href=urls.layer_page(layer.slug),
        kind=KINDS.get(layer.kind, layer.kind),
        n_channels=layer.n_channels,
        n_shown=len(record.neurons),
        receptive_field=wording.receptive_field(layer),
        field=field_map(artefacts.effective_field),
        resolution=wording.times(layer.shape[1], layer.shape[0]) if layer.shape else "",
        upstream=_link(catalogue, record.upstream),
        downstream=_link(catalogue, record.downstream),
        previous=before,
        next=after,
        columns=tuple(s.column for s in statistics),
        items=items,
        sheets=tuple(
            sheet for make in (filter_sheet, nmf_sheet) if (sheet := make(catalogue, artefacts)) is not None
        ),
        fidelity=_fidelity(catalogue, artefacts),
        statistics=statistics_table(catalogue, artefacts),
        description=f"{layer.name}, a layer of {catalogue.model.name}: "
        f"{wording.counted(len(record.neurons), 'neuron')} shown.",
        image=next((item.icon.image for item in items if item.icon.image), ""),
        citation=citation(catalogue, f"Layer {layer.name}", urls.layer_page(layer.slug), url=url),
    )


def _fidelity(catalogue: Catalogue, artefacts: LayerArtefacts) -> str:
    record = artefacts.fidelity
    if record is None:
        return ""
    neurons = list(artefacts.record.neurons)
    shares = [[explained(value) for value in row] for row in record.correlation[neurons].tolist()]
    known = np.array([row for row in shares if None not in row], np.float64)
    if not len(known):
        return ""
    low, middle, high = np.quantile(known[:, -1], [0.1, 0.5, 0.9])
    least = float((known[:, -1] < LITTLE).mean())
    text = (
        f"The weights from {catalogue.link(record.source).name} explain {wording.percent(middle)} of the "
        "variance of a neuron before its activation function in the median"
    )
    ends = wording.percent(low), wording.percent(high)
    if ends[0] != ends[1]:
        text += f", {ends[0]} to {ends[1]} of eight neurons in ten"
    if len(record.kept) > 1:
        few = record.kept[-2]
        text += f"; the {few} strongest inputs alone, {wording.percent(float(np.median(known[:, -2])))}"
    little = f" For {wording.percent(least)} of the neurons it is less than a third." if least else ""
    return f"{text}.{little} {measured_at(record)}"


def _link(catalogue: Catalogue, name: str | None) -> Link | None:
    if name is None:
        return None
    return Link("the image", "") if name == INPUT else catalogue.link(name)


def _neighbours(catalogue: Catalogue, name: str) -> tuple[Link | None, Link | None]:
    names = [record.layer for record in catalogue.atlas.layers]
    links: list[Link | None] = [None, *(catalogue.link(n) for n in names), None]
    at = names.index(name) + 1
    return links[at - 1], links[at + 1]


def _statistics(artefacts: LayerArtefacts) -> list[_Statistic]:
    """Return the sort columns; the caller leaves out those without values."""
    neurons, record = artefacts.record.neurons, artefacts.record
    variant = record.featurevis[0] if record.featurevis else ""
    pictures = {i: artefacts.featurevis(variant, i) for i in neurons} if variant else {}
    factored = {i: artefacts.factorization(i) for i in neurons}
    up, down = artefacts.upstream, artefacts.downstream
    return [
        _Statistic(Column("activation", True), {i: f.activation for i, f in pictures.items() if f}),
        _Statistic(Column("input weights", True), {i: up.total[i] for i in neurons} if up else {}),
        _Statistic(Column("output weights", True), {i: down.total[i] for i in neurons} if down else {}),
        _Statistic(Column("factor error", False), {i: f.error for i, f in factored.items() if f}),
        *_measures(artefacts),
    ]


def _measures(artefacts: LayerArtefacts) -> Iterator[_Statistic]:
    """Yield the statistics of the weights, the order by similarity, and what the neurons do on images."""
    measured, neurons = artefacts.statistics, artefacts.record.neurons
    if measured is None:
        return
    for name, field in _MEASURES.items():
        yield _Statistic(Column(name, True), {i: measured.values[field][i] for i in neurons})
    place = {index: float(at) for at, index in enumerate(measured.record.order.tolist())}
    yield _Statistic(Column("similarity", False), {i: place[i] for i in neurons})
    for column, shares in on_images(artefacts):
        known = {i: share for i in neurons if (share := shares[i]) is not None}
        yield _Statistic(Column(column.name, True), known)


def _items(
    catalogue: Catalogue, artefacts: LayerArtefacts, statistics: list[_Statistic]
) -> tuple[WallItem, ...]:
    icons = catalogue.icons(artefacts.layer.name)
    items = []
    for index in artefacts.record.neurons:
        values = [s.values.get(index) for s in statistics]
        texts = ["-" if v is None else f"{v:.4g}" for v in values]
        items.append(WallItem(icons[index], " ".join([str(index), *texts])))
    return tuple(items)
