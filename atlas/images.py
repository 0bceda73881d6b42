"""Arrays -> PNG and JPEG bytes; the signed-weight colour map; factors -> RGB."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Not taken from records: the two stand on one floor.
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# The notebook's stops, blue (negative) over white (zero) to red (positive).
SIGNED_STOPS = ("0571b0", "92c5de", "f7f7f7", "f4a582", "ca0020")
_SIGNED = np.array([[int(s[i : i + 2], 16) for i in (0, 2, 4)] for s in SIGNED_STOPS], np.float32)

# The notebook's grey, which weak positions fade to.
FADED_GREY = np.float32(0.9)


def signed_colours(weights: Floats, peak: float) -> Bytes:
    """Return uint8 [..., 3]: blue for -peak, white for 0, red for +peak, clipped beyond."""
    if peak <= 0:
        return np.broadcast_to(_SIGNED[2].astype(np.uint8), (*weights.shape, 3)).copy()
    at = (np.clip(weights / peak, -1, 1) + 1) * 2
    stops = np.arange(5)
    channels = [np.interp(at, stops, _SIGNED[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def factor_hues(n_factors: int) -> Floats:
    """Return float32 [n_factors, 3]: evenly spread RGB hues, red, green, blue for three."""
    at = np.arange(max(n_factors, 1), dtype=np.float32)[:, None] * 6 / max(n_factors, 1)
    # 120 degrees apart for three, spread evenly for more (Lucid: collapse_channels).
    rgb: Floats = np.abs((at + np.array([0, 4, 2], np.float32)) % 6 - 3) - 1
    return np.clip(rgb, 0, 1).astype(np.float32)[:n_factors]


def factor_colours(maps: Floats) -> Bytes:
    """Return uint8 [h, w, 3]: maps float [h, w, factor] >= 0, each in its own hue, on black."""
    peak = float(maps.max(initial=0.0))
    if peak <= 0:
        return np.zeros((*maps.shape[:2], 3), np.uint8)
    mixed = (maps / peak) @ factor_hues(maps.shape[-1])
    return (np.clip(mixed, 0, 1) * 255).round().astype(np.uint8)


def block_sums(values: Floats, most: int) -> tuple[Floats, tuple[int, int]]:
    """Return values [h, w, …] summed over blocks, and a block's (h, w): at most `most` blocks an axis.

    Blocks are laid around the middle, so those at the edges may hold fewer positions.
    """
    h, w = values.shape[:2]
    block = -(-h // most), -(-w // most)
    missing = [-n % b for n, b in zip((h, w), block, strict=True)]
    pads = [(n // 2, n - n // 2) for n in missing] + [(0, 0)] * (values.ndim - 2)
    full = np.pad(values, pads)
    rows, columns = full.shape[0] // block[0], full.shape[1] // block[1]
    split = full.reshape(rows, block[0], columns, block[1], *values.shape[2:])
    return split.sum((1, 3)).astype(np.float32), block


def faded(pictures: Floats, shares: Floats) -> Floats:
    """Return pictures [h, w, height_px, width_px, channel] in [0, 1], faded towards light grey.

    `shares` [h, w] in [0, 1]: 1 leaves a picture as it is, 0 leaves grey alone.
    """
    share = shares[..., None, None, None].astype(np.float32)
    return (pictures * share + FADED_GREY * (1 - share)).astype(np.float32)


def tiled(pictures: Floats) -> Floats:
    """Return pictures [h, w, height_px, width_px, channel] as one, with white lines of 1 px between them."""
    h, w, height, width, n_channels = pictures.shape
    lined = np.ones((h, height + 1, w, width + 1, n_channels), np.float32)
    lined[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3, 4)
    return lined.reshape(h * (height + 1), w * (width + 1), n_channels)[:-1, :-1]


def png(pixels: Bytes) -> bytes:
    """Return PNG bytes of uint8 [h, w, 3] or [h, w]; the same pixels give the same bytes."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=9)
    return out.getvalue()


def jpeg(image: Floats | Bytes, *, quality: int = 90) -> bytes:
    """Return JPEG bytes of uint8, or of floats in [0, 1]: [h, w, 3], [h, w, 1] or [h, w]."""
    pixels = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    if pixels.shape[2:] == (1,):
        pixels = pixels[..., 0]
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
