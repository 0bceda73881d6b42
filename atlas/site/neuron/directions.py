"""Pictures of directions -> the grid of positions and the icons of factors on a neuron's page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.records import DirectionSheet
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link

# Small sheets are shown twice as large, as far as a text is wide.
SHEET_PX = 640
# A factor's picture is the icon of its row.
ICON_PX = 84


@dataclass(frozen=True, slots=True)
class PositionGrid:
    """The grid of a neuron's weights, a picture for each position; sizes are in CSS pixels."""

    source: Link
    """The layer whose neurons the weights are from."""
    src: str
    """Address of the picture of the whole grid."""
    width_px: int
    """Width of the grid."""
    height_px: int
    """Height of the grid."""
    map: str
    """Data URI of a map of how strong each position is."""
    map_width_px: int
    """Width of the map."""
    map_height_px: int
    """Height of the map."""
    peak: str
    """L2 norm of the strongest position's weights."""
    size: str
    """Columns and rows of the grid."""
    rule: str
    """What one picture stands for."""
    facts: str
    """How the pictures were made."""


@dataclass(frozen=True, slots=True)
class FactorStrip:
    """The pictures of factors in one file, which the page cuts; sizes are in CSS pixels."""

    src: str
    """Address of the file."""
    cuts: tuple[str, ...]
    """Styles that cut one picture each out of the file, in the order of the factors."""
    width_px: int
    """Width of one picture."""
    height_px: int
    """Height of one picture."""
    facts: str
    """How the pictures were made."""


def position_grid(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> PositionGrid | None:
    """Return the grid of a neuron's positions, None where it was not drawn."""
    known = artefacts.positions(index)
    if known is None:
        return None
    strengths = np.asarray(known.magnitudes, np.float32).reshape(known.n_rows, known.n_columns)
    peak = float(strengths.max(initial=0.0))
    h, w = _pixels(known)
    zoom = min(2.0, SHEET_PX / max(h, w))
    cell = max(1, heatmaps.CELL_PX * 2 // max(strengths.shape))
    return PositionGrid(
        source=catalogue.link(known.source),
        src=urls.positions(artefacts.layer.slug, index),
        width_px=round(w * zoom),
        height_px=round(h * zoom),
        map=heatmaps.kernel_picture(strengths, peak),
        map_width_px=known.n_columns * cell,
        map_height_px=known.n_rows * cell,
        peak=wording.number(peak),
        size=wording.times(known.n_columns, known.n_rows),
        rule=_rule(known) + ("" if strengths.all() else " Plain grey: no weights at that position."),
        facts=facts(known),
    )


def factor_strip(artefacts: LayerArtefacts, index: int) -> FactorStrip | None:
    """Return the strip of a neuron's factors, None where it was not drawn or there are none."""
    known = artefacts.factor_pictures(index)
    return strip_of(known, urls.factor_pictures(artefacts.layer.slug, index))


def strip_of(known: DirectionSheet | None, src: str) -> FactorStrip | None:
    """Return how a page cuts a strip of pictures, None where it was not drawn or is empty."""
    if known is None or not known.n_columns:
        return None
    zoom = ICON_PX / max(known.width_px, known.height_px)
    h, w = _pixels(known)
    size = f"width:{w * zoom:.2f}px;height:{h * zoom:.2f}px"
    starts = [at * (known.width_px + 1) * zoom for at in range(known.n_columns)]
    return FactorStrip(
        src=src,
        cuts=tuple(f"{size};margin-left:{0 - start:.2f}px" for start in starts),
        width_px=round(known.width_px * zoom),
        height_px=round(known.height_px * zoom),
        facts=facts(known),
    )


def facts(known: DirectionSheet) -> str:
    """Return how the pictures of a sheet were made."""
    size = wording.times(known.width_px, known.height_px)
    return f"{size} px each, {wording.thousands(known.n_steps)} steps, cosine power {known.cosine_power:g}"


def _rule(known: DirectionSheet) -> str:
    h, w = known.block
    if (h, w) == (1, 1):
        return "One picture for each position of the window."
    return (
        f"The window is larger than a page can show: each picture stands for {wording.times(w, h)} "
        "positions, whose weights are added up."
    )


def _pixels(known: DirectionSheet) -> tuple[int, int]:
    """Return the (h, w) of a sheet, whose pictures stand 1 px apart."""
    h = known.n_rows * (known.height_px + 1) - 1
    return h, known.n_columns * (known.width_px + 1) - 1
