"""Kernels -> PNG data URIs that pages show pixel by pixel.

All kernels of one list are in one picture, the sheet: one below the other, with a white row between them.
So a page contains a few pictures instead of a hundred. The style sheet shows the sheet in each cell, moved
so that the cell's kernel is visible. Colours are those of atlas.drawing.images.signed_colours: blue is
negative, white zero, red positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Floats
from atlas.drawing.images import SHADES, factor_colours, rgb_uri, shrunk, signed_uri

# (number of squares, shades of each sign's colour up to that number). 100 kernels of 15 x 15 take 18 kB of
# a page's 100 kB in 63 colours, and 24 kB in 127. The more squares there are, the fewer shades the eye can
# distinguish, so fewer are kept. Scripts read values off the picture; where kernels are few and small, twice
# as many shades cost only 1 kB.
_SHADES = ((4_100, 127), (9_000, SHADES), (25_000, 31), (36_000, 15))
_FEWEST_SHADES = 7
# Limits on the length of a sheet's data URI, for weights and for means of weights: a page has 100 kB and
# four sheets. GoogLeNet's take 3,000 characters. Noise takes more, and loses nothing if it is drawn in fewer
# shades, and then in larger squares.
_MOST_IN_ALL_SHADES, _SHADES_OF_NOISE = 4_000, 15
_MOST_OF_WEIGHTS, _MOST_OF_MEANS = 7_000, 5_000
# Most squares per side in a picture of all factors, which a page shows 128 pixels wide.
_TILE_SQUARES = 48
# Side of a cell in CSS pixels. A kernel fills as much of it as a whole number of pixels per square allows.
CELL_PX = 64


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of k kernels, and how a page cuts it; sizes are in CSS pixels."""

    uri: str
    """Data URI of the picture."""
    width_px: int
    """Width of one kernel."""
    height_px: int
    """Height of one kernel."""
    pitch_px: int
    """Distance from the top of one kernel to that of the next."""
    sheet_height_px: int
    """Height of the whole picture."""
    mean_of: int
    """Number of weights per side that one square is the mean of."""
    rows: int
    """Number of a kernel's rows of squares."""
    columns: int
    """Number of a kernel's columns of squares."""
    n_shades: int
    """Number of shades of each sign's colour."""


def kernel_sheet(kernels: Floats, peak: float) -> Sheet:
    """Return the sheet of kernels float [k, h, w], coloured from -peak to +peak.

    If the picture would be too large, it gets fewer shades, and then larger squares.
    """
    sheet = _sheet(*shrunk(kernels), peak)
    while len(sheet.uri) > _MOST_IN_ALL_SHADES and sheet.n_shades > _SHADES_OF_NOISE:
        sheet = _sheet(*shrunk(kernels), peak, sheet.n_shades // 2)
    if len(sheet.uri) > _MOST_OF_WEIGHTS and sheet.n_shades > _FEWEST_SHADES:
        sheet = _sheet(*shrunk(kernels), peak, _FEWEST_SHADES)
    while (side := max(sheet.rows, sheet.columns)) > 1:
        if len(sheet.uri) <= (_MOST_OF_WEIGHTS if sheet.mean_of == 1 else _MOST_OF_MEANS):
            break
        sheet = _sheet(*shrunk(kernels, side - 1), peak)
    return sheet


def _sheet(kernels: Floats, mean_of: int, peak: float, n_shades: int | None = None) -> Sheet:
    k, h, w = kernels.shape
    scale = max(1, CELL_PX // max(h, w))
    n_shades = n_shades or next((n for limit, n in _SHADES if kernels.size <= limit), _FEWEST_SHADES)
    cells = np.zeros((k, h + 1, w), np.float32)
    cells[:, :h] = kernels
    uri = signed_uri(cells.reshape(k * (h + 1), w), peak, n_shades)
    return Sheet(uri, w * scale, h * scale, (h + 1) * scale, k * (h + 1) * scale, mean_of, h, w, n_shades)


def kernel_picture(kernel: Floats, peak: float) -> str:
    """Return the data URI of one kernel float [h, w], coloured from -peak to +peak."""
    return signed_uri(shrunk(kernel[None])[0][0], peak)


def factor_tile(maps: Floats) -> str:
    """Return the data URI of all factors' maps together, float [h, w, factor] >= 0, on black."""
    squares, _ = shrunk(np.moveaxis(maps, -1, 0), _TILE_SQUARES)
    return rgb_uri(factor_colours(np.moveaxis(squares, 0, -1)))


def colour_picture(pixels: NDArray[np.uint8]) -> str:
    """Return the data URI of RGB pixels uint8 [h, w, 3], unchanged."""
    return rgb_uri(pixels)


def colour_filter(kernels: Floats) -> str:
    """Return the data URI of a filter on an RGB image, float [3, h, w]; zero is grey, as in Distill."""
    peak = float(np.abs(kernels).max(initial=0.0)) or 1.0
    pixels = (0.5 + 0.5 * np.moveaxis(kernels, 0, -1) / peak) * 255
    return rgb_uri(pixels.round().astype(np.uint8))
