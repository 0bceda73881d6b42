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
