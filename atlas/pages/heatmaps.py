"""Kernels -> PNG data URIs that pages show pixel by pixel.

All kernels of one list stand in one picture, one below the other with a white row between them, so
that a page carries two of them and not a hundred; the style sheet moves it behind each cell. Colours
are those of atlas.images.signed_colours: blue negative, white zero, red positive.
"""

from __future__ import annotations

import base64
import functools
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.images import factor_colours, signed_colours
from atlas.records import Floats

# 100 kernels of 15 x 15 take 24 kB of a page's 100 kB in 127 colours. The more squares there are the
# fewer shades the eye tells apart, and the fewer are kept.
_SHADES = ((11_500, 63), (25_000, 31), (36_000, 15))
_FEWEST_SHADES = 7
# A square of a larger kernel would be smaller than a pixel of the cell that shows it.
LARGEST_PX = 32
# The cell, in CSS pixels, that a kernel fills with whole pixels as nearly as it can.
CELL_PX = 64

Indices = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of k kernels and how a page cuts it: sizes in CSS pixels.

    `pitch_px` is the distance from one kernel to the next; `mean_of` how many weights a side one
    square is the mean of.
    """

    uri: str
    width_px: int
    height_px: int
    pitch_px: int
    sheet_height_px: int
    mean_of: int


def kernel_sheet(kernels: Floats, peak: float) -> Sheet:
    """Return the sheet of kernels float [k, h, w], coloured from -peak to +peak."""
    kernels, mean_of = shrunk(kernels)
    k, h, w = kernels.shape
    scale = max(1, CELL_PX // max(h, w))
    n_shades = next((n for limit, n in _SHADES if kernels.size <= limit), _FEWEST_SHADES)
    cells = np.zeros((k, h + 1, w), np.float32)
    cells[:, :h] = kernels
    uri = _signed_png(cells.reshape(k * (h + 1), w), peak, n_shades)
    return Sheet(uri, w * scale, h * scale, (h + 1) * scale, k * (h + 1) * scale, mean_of)


def kernel_picture(kernel: Floats, peak: float) -> str:
    """Return the data URI of one kernel float [h, w]."""
    return _signed_png(shrunk(kernel[None])[0][0], peak, 63)


def factor_tile(maps: Floats) -> str:
    """Return the data URI of all factors' maps together, float [h, w, factor] >= 0, on black."""
    return _rgb_png(factor_colours(maps))


def colour_picture(pixels: NDArray[np.uint8]) -> str:
    """Return the data URI of colours uint8 [h, w, 3] as they are."""
    return _rgb_png(pixels)


def colour_filter(kernels: Floats) -> str:
    """Return the data URI of a filter on an RGB image, float [3, h, w], around grey as in Distill."""
    peak = float(np.abs(kernels).max(initial=0.0)) or 1.0
    pixels = (0.5 + 0.5 * np.moveaxis(kernels, 0, -1) / peak) * 255
    return _rgb_png(pixels.round().astype(np.uint8))


def shrunk(kernels: Floats) -> tuple[Floats, int]:
    """Return kernels of at most LARGEST_PX a side: means of n x n squares where they were larger."""
    k, h, w = kernels.shape
    n = -(-max(h, w) // LARGEST_PX)
    if n == 1:
        return kernels, 1
    padded = np.zeros((k, -(-h // n) * n, -(-w // n) * n), np.float32)
    padded[:, :h, :w] = kernels
    blocks = padded.reshape(k, padded.shape[1] // n, n, padded.shape[2] // n, n)
    return blocks.mean((2, 4)).astype(np.float32), n


def _signed_png(weights: Floats, peak: float, n_shades: int) -> str:
    scaled = weights * (n_shades / peak if peak > 0 else 0.0)
    at = np.clip(np.rint(scaled), -n_shades, n_shades) + n_shades
    return _data_uri(at.astype(np.uint8), palette=_palette(n_shades))


@functools.cache
def _palette(n_shades: int) -> bytes:
    return signed_colours(np.linspace(-1, 1, 2 * n_shades + 1, dtype=np.float32), 1.0).tobytes()


def _rgb_png(pixels: NDArray[np.uint8]) -> str:
    return _data_uri(pixels)


def _data_uri(pixels: NDArray[np.uint8], *, palette: bytes = b"") -> str:
    """Return a PNG of palette indices [h, w], or of colours [h, w, 3], as a data URI.

    Pillow takes 5 times as long for pictures this small, most of it to find its encoder.
    """
    h, w = pixels.shape[:2]
    rows = np.zeros((h, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(h, -1)
    header = struct.pack(">IIBBBBB", w, h, 8, 3 if palette else 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    chunks += [_chunk(b"PLTE", palette)] if palette else []
    chunks += [_chunk(b"IDAT", _deflate(rows.tobytes())), _chunk(b"IEND", b"")]
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def _deflate(data: bytes) -> bytes:
    # Weights hardly repeat but for runs: as small as level 6, in an eighth of its time.
    squeezer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return squeezer.compress(data) + squeezer.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
