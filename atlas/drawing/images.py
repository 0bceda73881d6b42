"""Arrays -> PNG and JPEG bytes and data URIs; the signed-weight colour map; factors -> RGB."""

from __future__ import annotations

import base64
import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# The notebook's colour stops, from blue (negative) through white (zero) to red (positive).
SIGNED_STOPS = ("0571b0", "92c5de", "f7f7f7", "f4a582", "ca0020")
# Shades of each sign in a small picture: more than the eye can distinguish.
SHADES = 63
# In a larger kernel, a weight would be smaller than a pixel of the cell that shows it.
LARGEST_PX = 32
_SIGNED = np.array([[int(s[i : i + 2], 16) for i in (0, 2, 4)] for s in SIGNED_STOPS], np.float32)

# A strip of bands: the width of a phone's screen, and the height of the number above each band.
STRIP_PX, _NUMBER_PX = 320, 12

# The notebook's grey, to which weak positions fade.
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
    """Return values [h, w, …] summed over blocks, at most `most` an axis, and a block's (h, w).

    The grid of blocks is centred, so blocks at the edges may hold fewer positions.
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

    `shares` [h, w] in [0, 1]: 1 leaves a picture as it is, 0 makes it grey.
    """
    share = shares[..., None, None, None].astype(np.float32)
    return (pictures * share + FADED_GREY * (1 - share)).astype(np.float32)


def tiled(pictures: Floats) -> Floats:
    """Return pictures [h, w, height_px, width_px, channel] as one, with white lines of 1 px between them."""
    h, w, height, width, n_channels = pictures.shape
    lined = np.ones((h, height + 1, w, width + 1, n_channels), np.float32)
    lined[:, :height, :, :width] = pictures.transpose(0, 2, 1, 3, 4)
    return lined.reshape(h * (height + 1), w * (width + 1), n_channels)[:-1, :-1]


def shown_bands(n_channels: int, chosen: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return the bands, numbered from 1, that are shown as red, green and blue; 0 is black.

    Returns () if the image can be shown as it is: grey, or red, green and blue.
    """
    if chosen or n_channels in (1, 3):
        return chosen if n_channels > 1 else ()
    return (1, 2, 3) if n_channels > 3 else (1, 2, 0)


def in_colour(images: NDArray[Any], bands: tuple[int, ...]) -> NDArray[Any]:
    """Return images [..., channel] as red, green and blue [..., 3]; `bands` are those of `shown_bands`."""
    if not bands:
        return images
    black = np.zeros_like(images[..., :1])
    return np.concatenate([images[..., b - 1 : b] if b else black for b in bands], -1)


def band_strip(image: Floats) -> Bytes:
    """Return uint8 [height_px, width_px]: the bands of an image [h, w, channel] in [0, 1], numbered.

    A row holds as many bands as fit a phone's screen, at least four.
    """
    h, w, n = image.shape
    columns = min(n, max(4, STRIP_PX // (w + 1)))
    rows = -(-n // columns)
    sheet = Image.new("L", (columns * (w + 1) - 1, rows * (h + _NUMBER_PX)), 255)
    draw = ImageDraw.Draw(sheet)
    for band in range(n):
        top, left = band // columns * (h + _NUMBER_PX), band % columns * (w + 1)
        draw.text((left + 1, top), str(band + 1), fill=0)
        pixels = (np.clip(image[..., band], 0, 1) * 255).round().astype(np.uint8)
        sheet.paste(Image.fromarray(pixels), (left, top + _NUMBER_PX))
    return np.asarray(sheet)


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


def webp(jpeg: bytes) -> bytes:
    """Return a JPEG file as a WebP file of about half the size, for thumbnails."""
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(out, "WEBP", quality=50, method=2)
    return out.getvalue()


def shrunk(kernels: Floats, largest: int = LARGEST_PX) -> tuple[Floats, int]:
    """Return kernels [k, h, w] shrunk to at most `largest` a side, as means of n x n squares, and n."""
    k, h, w = kernels.shape
    n = -(-max(h, w) // largest)
    if n == 1:
        return kernels, 1
    padded = np.zeros((k, -(-h // n) * n, -(-w // n) * n), np.float32)
    padded[:, :h, :w] = kernels
    blocks = padded.reshape(k, padded.shape[1] // n, n, padded.shape[2] // n, n)
    return blocks.mean((2, 4)).astype(np.float32), n


def signed_uri(weights: Floats, peak: float, n_shades: int = SHADES, *, scale: int = 1) -> str:
    """Return a PNG of weights [h, w] in the colours of `signed_colours`, as a data URI.

    Each weight is a square of `scale` pixels a side.
    """
    scaled = weights * (n_shades / peak if peak > 0 else 0.0)
    at = (np.clip(np.rint(scaled), -n_shades, n_shades) + n_shades).astype(np.uint8)
    # A small picture uses less than half of the colours; the others would take half a kilobyte.
    used = np.flatnonzero(np.bincount(at.ravel(), minlength=2 * n_shades + 1))
    place = np.zeros(2 * n_shades + 1, np.uint8)
    place[used] = np.arange(used.size)
    return _png_uri(place[at], palette=_palette(n_shades)[used].tobytes(), scale=scale)


def rgb_uri(pixels: Bytes, *, scale: int = 1) -> str:
    """Return a PNG of colours uint8 [h, w, 3] as a data URI, each a square of `scale` pixels a side."""
    return _png_uri(pixels, scale=scale)


@functools.cache
def _palette(n_shades: int) -> Bytes:
    return signed_colours(np.linspace(-1, 1, 2 * n_shades + 1, dtype=np.float32), 1.0)


def _png_uri(pixels: Bytes, *, palette: bytes = b"", scale: int = 1) -> str:
    """Return a PNG of palette indices [h, w], or of colours [h, w, 3], as a data URI.

    Does not use Pillow, which takes 5 times as long for pictures this small, mostly to find its encoder.
    """
    pixels = pixels.repeat(scale, 0).repeat(scale, 1) if scale > 1 else pixels
    h, w = pixels.shape[:2]
    rows = np.zeros((h, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(h, -1)
    header = struct.pack(">IIBBBBB", w, h, 8, 3 if palette else 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    chunks += [_chunk(b"PLTE", palette)] if palette else []
    chunks += [_chunk(b"IDAT", _deflate(rows.tobytes(), repeats=scale > 1)), _chunk(b"IEND", b"")]
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def _deflate(data: bytes, *, repeats: bool) -> bytes:
    # Weights hardly repeat except in runs, so Z_RLE compresses as well in an eighth of the time.
    strategy = zlib.Z_DEFAULT_STRATEGY if repeats else zlib.Z_RLE
    squeezer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, strategy)
    return squeezer.compress(data) + squeezer.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
