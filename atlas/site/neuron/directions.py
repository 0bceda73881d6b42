"""Pictures of directions -> the grid of positions and the icons of factors on a neuron's page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.records import DirectionSheet
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link

# Longest side of a grid in CSS pixels, the width of the text. Smaller grids are enlarged, at most twofold.
SHEET_PX = 640
# Size in CSS pixels of a factor's picture, the icon of its row.
ICON_PX = 84


@dataclass(frozen=True, slots=True)
class PositionGrid:
    """The grid of a neuron's weights, with a picture for each position; sizes are in CSS pixels."""

    source: Link
    """The layer whose neurons the weights are from."""
    src: str
    """Address of the picture of the whole grid."""
    width_px: int
    """Width of the grid."""
    height_px: int
    """Height of the grid."""
    map: str
    """Data URI of a map with the L2 norm of the weights at each position."""
    map_width_px: int
    """Width of the map."""
    map_height_px: int
    """Height of the map."""
    peak: str
    """L2 norm of the strongest position's weights."""
    size: str
    """Columns and rows of the grid."""
    rule: str
    """The positions that one picture stands for, in words."""
    facts: str
    """Size, optimization steps and cosine power of the pictures, in words."""


@dataclass(frozen=True, slots=True)
class FactorStrip:
    """The pictures of factors in one file, which the page cuts up; sizes are in CSS pixels."""

    src: str
    """Address of the file."""
    cuts: tuple[str, ...]
    """Styles that cut one picture each out of the file, in the order of the factors."""
    width_px: int
    """Width of one picture."""
    height_px: int
    """Height of one picture."""
    facts: str
    """Size, optimization steps and cosine power of the pictures, in words."""


def position_grid(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> PositionGrid | None:
    """Return the grid of a neuron's positions, None where it was not drawn."""
    sheet = artefacts.positions(index)
    if sheet is None:
        return None
    strengths = np.asarray(sheet.magnitudes, np.float32).reshape(sheet.n_rows, sheet.n_columns)
    peak = float(strengths.max(initial=0.0))
    h, w = _pixels(sheet)
    zoom = min(2.0, SHEET_PX / max(h, w))
    cell = max(1, heatmaps.CELL_PX * 2 // max(strengths.shape))
    return PositionGrid(
        source=catalogue.link(sheet.source),
        src=urls.positions(artefacts.layer.slug, index),
        width_px=round(w * zoom),
        height_px=round(h * zoom),
        map=heatmaps.kernel_picture(strengths, peak),
        map_width_px=sheet.n_columns * cell,
        map_height_px=sheet.n_rows * cell,
        peak=wording.number(peak),
        size=wording.times(sheet.n_columns, sheet.n_rows),
        rule=_rule(sheet) + ("" if strengths.all() else " Plain grey: no weights at that position."),
        facts=facts(sheet),
    )


def factor_strip(artefacts: LayerArtefacts, index: int) -> FactorStrip | None:
    """Return the strip of a neuron's factors, None where it was not drawn or there are none."""
    sheet = artefacts.factor_pictures(index)
    return strip_of(sheet, urls.factor_pictures(artefacts.layer.slug, index))


def strip_of(sheet: DirectionSheet | None, src: str) -> FactorStrip | None:
    """Return the strip of a sheet whose file is at `src`, None where it was not drawn or is empty."""
    if sheet is None or not sheet.n_columns:
        return None
    zoom = ICON_PX / max(sheet.width_px, sheet.height_px)
    h, w = _pixels(sheet)
    size = f"width:{w * zoom:.2f}px;height:{h * zoom:.2f}px"
    starts = [at * (sheet.width_px + 1) * zoom for at in range(sheet.n_columns)]
    return FactorStrip(
        src=src,
        cuts=tuple(f"{size};margin-left:{0 - start:.2f}px" for start in starts),
        width_px=round(sheet.width_px * zoom),
        height_px=round(sheet.height_px * zoom),
        facts=facts(sheet),
    )


def facts(sheet: DirectionSheet) -> str:
    """Return size, optimization steps and cosine power of a sheet's pictures, in words."""
    size = wording.times(sheet.width_px, sheet.height_px)
    return f"{size} px each, {wording.thousands(sheet.n_steps)} steps, cosine power {sheet.cosine_power:g}"


def _rule(sheet: DirectionSheet) -> str:
    h, w = sheet.block
    if (h, w) == (1, 1):
        return "One picture for each position of the window."
    return (
        f"The window is larger than a page can show: each picture stands for {wording.times(w, h)} "
        "positions, whose weights are added up."
    )


def _pixels(sheet: DirectionSheet) -> tuple[int, int]:
    """Return the (h, w) of a sheet in pixels; its pictures are 1 px apart."""
    h = sheet.n_rows * (sheet.height_px + 1) - 1
    return h, sheet.n_columns * (sheet.width_px + 1) - 1
