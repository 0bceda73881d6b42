"""Kernels -> PNG data URIs that pages show pixel by pixel.

All kernels of one list stand in one picture, one below the other with a white row between them, so
that a page carries two of them and not a hundred; the style sheet moves it behind each cell. Colours
are those of atlas.drawing.images.signed_colours: blue negative, white zero, red positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Floats
from atlas.drawing.images import SHADES, factor_colours, rgb_uri, shrunk, signed_uri

# 100 kernels of 15 x 15 take 18 kB of a page's 100 kB in 63 colours, 24 kB in 127. The more squares
# there are the fewer shades the eye can distinguish, and the fewer are kept. Pages read values back off
# few and small kernels, which cost 1 kB more in twice as many.
_SHADES = ((4_100, 127), (9_000, SHADES), (25_000, 31), (36_000, 15))
_FEWEST_SHADES = 7
# Characters that a sheet may take, of weights and of means of weights: a page has 100 kB and four of them.
# GoogLeNet's take 3,000; noise takes more, and loses nothing in fewer shades, then in larger squares.
_MOST_IN_ALL_SHADES, _SHADES_OF_NOISE = 4_000, 15
_MOST_OF_WEIGHTS, _MOST_OF_MEANS = 12_000, 5_000
# Squares a side of a picture of all factors, which a page shows in 128 pixels.
_TILE_SQUARES = 48
# The cell, in CSS pixels, that a kernel fills with whole pixels as nearly as it can.
CELL_PX = 64


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of k kernels and how a page cuts it; sizes are in CSS pixels."""

    uri: str
    """Data URI of the picture."""
    width_px: int
    """Width of one kernel."""
    height_px: int
    """Height of one kernel."""
    pitch_px: int
    """Distance from one kernel to the next."""
    sheet_height_px: int
    """Height of the whole picture."""
    mean_of: int
    """Number of weights a side that one square is the mean of."""
    rows: int
    """Number of a kernel's rows of squares."""
    columns: int
    """Number of a kernel's columns of squares."""
    n_shades: int
    """Number of shades of each sign's colour."""


def kernel_sheet(kernels: Floats, peak: float) -> Sheet:
    """Return the sheet of kernels float [k, h, w], coloured from -peak to +peak."""
    sheet = _sheet(*shrunk(kernels), peak)
    while len(sheet.uri) > _MOST_IN_ALL_SHADES and sheet.n_shades > _SHADES_OF_NOISE:
        sheet = _sheet(*shrunk(kernels), peak, sheet.n_shades // 2)
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
    """Return the data URI of one kernel float [h, w]."""
    return signed_uri(shrunk(kernel[None])[0][0], peak)


def factor_tile(maps: Floats) -> str:
    """Return the data URI of all factors' maps together, float [h, w, factor] >= 0, on black."""
    squares, _ = shrunk(np.moveaxis(maps, -1, 0), _TILE_SQUARES)
    return rgb_uri(factor_colours(np.moveaxis(squares, 0, -1)))


def colour_picture(pixels: NDArray[np.uint8]) -> str:
    """Return the data URI of colours uint8 [h, w, 3] as they are."""
    return rgb_uri(pixels)


def colour_filter(kernels: Floats) -> str:
    """Return the data URI of a filter on an RGB image, float [3, h, w], around grey as in Distill."""
    peak = float(np.abs(kernels).max(initial=0.0)) or 1.0
    pixels = (0.5 + 0.5 * np.moveaxis(kernels, 0, -1) / peak) * 255
    return rgb_uri(pixels.round().astype(np.uint8))
