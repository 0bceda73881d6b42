"""Pictures with a tile for each neuron of a layer: the maps of its factors, or its filter on the image.

Tiles are in rows with a black or grey line between them. A page shows each tile as an element of its own,
with the picture moved behind it. So the tiles fit a page of any width, and need only one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Factorization, Floats, Ints
from atlas.drawing.images import factor_colours, factor_hues, png, shrunk
from atlas.site import urls, wording
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link

Bytes = NDArray[np.uint8]

# Tiles in a row of the picture, and the largest side of a tile in CSS pixels.
_ROW = 32
_SIDE_PX = 49


@dataclass(frozen=True, slots=True)
class Tile:
    """One neuron's tile."""

    index: int
    """Its index in the layer."""
    href: str
    """Address of its page."""
    style: str
    """Two CSS variables, --x and --y: its column and row in the picture."""


@dataclass(frozen=True, slots=True)
class TileSheet:
    """All tiles of a layer, and how a page cuts their picture; sizes are in CSS pixels."""

    id: str
    """Id of the section."""
    title: str
    """Heading of the section."""
    picture: str
    """Address of the picture of all tiles."""
    width_px: int
    """Width of a tile."""
    height_px: int
    """Height of a tile."""
    pitch_x: int
    """Distance from one tile to the next in a row, from left edge to left edge."""
    pitch_y: int
    """Distance from one row to the next, from top to top."""
    sheet_width_px: int
    """Width of the whole picture."""
    sheet_height_px: int
    """Height of the whole picture."""
    hues: tuple[str, ...]
    """Colours of the factors, "#rrggbb"; none for filters."""
    other: Link | None
    """The layer that the sentence names between `lead` and `rule`, None for none."""
    lead: str
    """Beginning of the sentence below the heading, which explains a tile."""
    rule: str
    """End of that sentence, which explains scale and order."""
    tiles: tuple[Tile, ...]
    """The tiles in the order of the picture, row by row."""


def nmf_sheet(catalogue: Catalogue, artefacts: LayerArtefacts) -> TileSheet | None:
    """Return the sheet of the shown neurons' factors, similar neurons side by side; None where not made."""
    factored = _factored(artefacts)
    if artefacts.statistics is None or not factored:
        return None
    source = artefacts.statistics.record.source
    n_factors = max(len(maps) for maps in factored.values())
    return _sheet(
        artefacts,
        tuple(factored),
        _size(factored.values()),
        id="sheet",
        title="NMF factors of all neurons",
        picture=urls.nmf_sheet(artefacts.layer.slug),
        hues=tuple("#" + bytes(h).hex() for h in (factor_hues(n_factors) * 255).round().astype(np.uint8)),
        other=catalogue.link(source),
        lead="Each tile is a neuron: the maps of the NMF factors of its weights from",
        rule="as on its page. Each factor has its hue, bright where its weights are large; hues cannot be "
        "compared between tiles. Neurons with similar weights are next to each other: average linkage on "
        "the cosine of all weights, leaves in the optimal order.",
    )


def filter_sheet(catalogue: Catalogue, artefacts: LayerArtefacts) -> TileSheet | None:
    """Return the sheet of the shown neurons' filters on the image, None where they were not made."""
    order = _filtered(artefacts)
    record = artefacts.filters
    if record is None or not order:
        return None
    sorting = "in the order of their index, because no layer of this atlas uses them"
    if record.downstream:
        share = wording.percent(record.explained)
        sorting = (
            f"sorted by the first principal component ({share} of the variance) of the expanded weights to "
            f"{record.downstream}: absolute values, summed over positions"
        )
    return _sheet(
        artefacts,
        order,
        shrunk(_channels_first(artefacts, order)[0])[0].shape[1:],
        id="filters",
        title="Filters",
        picture=urls.filter_sheet(artefacts.layer.slug),
        hues=(),
        other=None,
        lead="The weights on the image, as images: grey is zero, brighter is positive, darker is negative",
        rule="with the value 0.5 + 0.05 · W / (largest of the filter) + 0.45 · W / (largest of the layer) in "
        f"each colour; {sorting}.",
    )


def nmf_sheet_png(artefacts: LayerArtefacts) -> bytes:
    """Return the PNG of the tiles that `nmf_sheet` describes."""
    factored = _factored(artefacts)
    tiles = np.zeros((len(factored), *_size(factored.values()), 3), np.uint8)
    for tile, maps in zip(tiles, factored.values(), strict=True):
        if len(maps):
            tile[:] = factor_colours(np.moveaxis(maps, 0, -1))
    return png(_laid_out(tiles, 0))


def filter_sheet_png(artefacts: LayerArtefacts) -> bytes:
    """Return the PNG of the tiles that `filter_sheet` describes."""
    tiles = [np.moveaxis(shrunk(f)[0], 0, -1) for f in _channels_first(artefacts, _filtered(artefacts))]
    pixels = (np.clip(np.stack(tiles), 0, 1) * 255).round().astype(np.uint8)
    return png(_laid_out(np.broadcast_to(pixels, (*pixels.shape[:3], 3)), 128))


def _sheet(
    artefacts: LayerArtefacts,
    order: Sequence[int],
    size: Sequence[int],
    *,
    id: str,  # noqa: A002 - what HTML calls it
    title: str,
    picture: str,
    hues: tuple[str, ...],
    other: Link | None,
    lead: str,
    rule: str,
) -> TileSheet:
    h, w = size
    scale = max(1, _SIDE_PX // max(h, w))
    n_columns, n_rows = min(len(order), _ROW), -(-len(order) // _ROW)
    slug = artefacts.layer.slug
    return TileSheet(
        id=id,
        title=title,
        picture=picture,
        width_px=w * scale,
        height_px=h * scale,
        pitch_x=(w + 1) * scale,
        pitch_y=(h + 1) * scale,
        sheet_width_px=n_columns * (w + 1) * scale,
        sheet_height_px=n_rows * (h + 1) * scale,
        hues=hues,
        other=other,
        lead=lead,
        rule=rule,
        tiles=tuple(
            Tile(n, urls.neuron_page(slug, n), f"--x:{at % _ROW};--y:{at // _ROW}")
            for at, n in enumerate(order)
        ),
    )


def _factored(artefacts: LayerArtefacts) -> dict[int, Floats]:
    """Return the factors' maps [factor, h, w] of the shown neurons, in the order of similarity."""
    if artefacts.statistics is None:
        return {}
    order = _shown(artefacts, artefacts.statistics.record.order)
    records = {index: record for index in order if (record := artefacts.factorization(index))}
    return {index: _maps(record) for index, record in records.items()}


def _filtered(artefacts: LayerArtefacts) -> list[int]:
    """Return the shown neurons in the order of the filters."""
    return _shown(artefacts, artefacts.filters.order) if artefacts.filters else []


def _shown(artefacts: LayerArtefacts, order: Ints) -> list[int]:
    neurons = frozenset(artefacts.record.neurons)
    return [index for index in order.tolist() if index in neurons]


def _maps(record: Factorization) -> Floats:
    if not record.factors:
        return np.zeros((0, 1, 1), np.float32)
    return shrunk(np.array([factor.map for factor in record.factors], np.float32))[0]


def _size(maps: Iterable[Floats]) -> tuple[int, int]:
    """Return the height and width of the neurons' maps. Neurons without factors have maps of 1 x 1."""
    return max((one.shape[1], one.shape[2]) for one in maps)


def _channels_first(artefacts: LayerArtefacts, order: Sequence[int]) -> Floats:
    """Return the filters of some neurons in the order given, [n, channel, h, w]."""
    assert artefacts.filters is not None, "only layers with filters are asked"
    return np.moveaxis(artefacts.filters.filters[list(order)], 3, 1)


def _laid_out(tiles: Bytes, ground: int) -> Bytes:
    """Return tiles [n, h, w, 3] in rows, with a line of the grey value `ground` below and right of each."""
    n, h, w = tiles.shape[:3]
    n_columns, n_rows = min(n, _ROW), -(-n // _ROW)
    cells = np.full((n_rows * n_columns, h + 1, w + 1, 3), ground, np.uint8)
    cells[:n, :h, :w] = tiles
    grid = cells.reshape(n_rows, n_columns, h + 1, w + 1, 3)
    return grid.swapaxes(1, 2).reshape(n_rows * (h + 1), n_columns * (w + 1), 3)
