"""The HTML parts of figures in a notebook: frame, legends, icons, maps, cells.

All parts are `Markup`, whose `format` escapes its arguments, so a layer may have any name. Figures contain
their pictures and their style. If a viewer strips the style, tables and sizes remain.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from atlas.core.records import Floats
from atlas.drawing.images import factor_hues, jpeg, rgb_uri, shrunk, signed_uri
from atlas.site import wording

# The side of icons and maps, in CSS pixels.
SIDE_PX = 64
# Twice the side, for high-resolution screens; larger pictures would only make the notebook larger.
_MOST_PX = 2 * SIDE_PX
QUALITY = 85
SIGNS = {1: "+", -1: "\N{MINUS SIGN}", 0: ""}

# The notebook may be light or dark: text inherits its colour, lines and secondary text are translucent.
_STYLE = Markup(
    """<style>
.circuit-atlas{margin:.3em 0;line-height:1.35;font-family:system-ui,sans-serif;font-size:13px;color:inherit}
.circuit-atlas p{margin:.25em 0;max-width:62em}
.circuit-atlas .rule{opacity:.75}
.circuit-atlas .legend img{display:inline-block;vertical-align:middle;margin:0 .35em;border:1px solid #8886}
.circuit-atlas table.cells,.circuit-atlas .cells tbody,.circuit-atlas .cells tr{display:flex;flex-wrap:wrap;\
border:0;margin:0;padding:0;width:auto;background:none!important}
.circuit-atlas table.cells{margin:.4em 0 0}
.circuit-atlas .cells td{display:block;border:0;padding:0 6px 6px 0;text-align:left;vertical-align:top;\
background:none;font-size:12px;max-width:9em}
.circuit-atlas .cells img,.circuit-atlas .table img{display:inline-block;vertical-align:top;margin:0 0 2px}
.circuit-atlas .map{image-rendering:pixelated}
.circuit-atlas .named{display:inline-flex;box-sizing:border-box;width:64px;height:64px;padding:3px;\
align-items:center;justify-content:center;text-align:center;border:1px solid #8888;border-radius:4px;\
overflow:hidden;overflow-wrap:anywhere;font-size:11px;line-height:1.15}
.circuit-atlas table.table{border-collapse:collapse;margin:.3em 0;font-size:13px}
.circuit-atlas .table td,.circuit-atlas .table th{padding:2px 12px 2px 0;text-align:left;\
vertical-align:middle;border:0;border-bottom:1px solid #8884;background:none}
.circuit-atlas .table td.number{text-align:right;font-variant-numeric:tabular-nums}
.circuit-atlas svg{max-width:100%;height:auto}
</style>"""
)
_FRAME = Markup(
    '<div class="circuit-atlas">{style}<p><strong>{title}</strong>{legend}</p>{body}'
    '<p class="rule">{rule}</p></div>'
)
_IMAGE = Markup('<img{kind} src="{uri}" width="{width}" height="{height}" alt="{alt}" title="{alt}">')
_SIGNED = Markup(
    ' <span class="legend">\N{MINUS SIGN}{peak}{bar}+{peak} '
    "<small>blue negative, white zero, red positive</small></span>"
)
_LEGEND = Markup(' <span class="legend">{}</span>')
_BR = Markup("<br>")


def figure(title: str, body: str, *, legend: str = "", rule: str) -> str:
    """Return a complete figure; `rule` describes what was selected and what is shown."""
    return str(_FRAME.format(style=_STYLE, title=title, body=body, legend=legend, rule=rule))


def image(uri: str, alt: str, size: tuple[int, int] = (SIDE_PX, SIDE_PX), *, pixels: bool = False) -> Markup:
    """Return a picture of `size` (h, w) in CSS pixels."""
    kind = Markup(' class="map"') if pixels else ""
    return _IMAGE.format(kind=kind, uri=uri, width=size[1], height=size[0], alt=alt)


def signed_map(weights: Floats, peak: float, alt: str, side: int = SIDE_PX) -> Markup:
    """Return the heat map of weights [h, w]: blue for -peak, white for 0, red for +peak."""
    small = shrunk(weights[None], side // 2)[0][0]
    scale = _scale(small.shape, side)
    size = (small.shape[0] * scale, small.shape[1] * scale)
    return image(signed_uri(small, peak, scale=scale), alt, size, pixels=True)


def colour_map(pixels: NDArray[np.uint8], alt: str, side: int = SIDE_PX) -> Markup:
    """Return a picture of colours uint8 [h, w, 3], with a square for each."""
    scale = _scale(pixels.shape, side)
    size = (pixels.shape[0] * scale, pixels.shape[1] * scale)
    return image(rgb_uri(pixels, scale=scale), alt, size, pixels=True)


def photo(
    picture: Floats, alt: str, size: tuple[int, int] = (SIDE_PX, SIDE_PX), *, most: int = _MOST_PX
) -> Markup:
    """Return a picture [h, w, channel] in [0, 1] as a JPEG of at most `most` pixels a side."""
    return image(jpeg_uri(jpeg(picture, quality=QUALITY), most), alt, size)


def jpeg_uri(data: bytes, most: int = _MOST_PX) -> str:
    """Return a JPEG as a data URI, reduced to `most` pixels a side if it is larger."""
    picture = Image.open(io.BytesIO(data))
    if max(picture.size) > most:
        picture.thumbnail((most, most))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=QUALITY, optimize=True)
        data = out.getvalue()
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def signed_legend(peak: float) -> Markup:
    """Return the legend of signed maps."""
    ramp = np.linspace(-1, 1, 96, dtype=np.float32)[None].repeat(9, 0)
    return _SIGNED.format(
        peak=wording.number(peak), bar=image(signed_uri(ramp, 1.0), "colour scale", (9, 96))
    )


def hue_legend(n_factors: int, black: str) -> Markup:
    """Return the legend of a picture of all factors: a hue for each; `black` says what black means."""
    hues = (factor_hues(n_factors) * 255).round().astype(np.uint8)
    dots = (
        image(rgb_uri(np.broadcast_to(hue, (9, 9, 3))), "hue", (9, 9)) + str(i)
        for i, hue in enumerate(hues, 1)
    )
    return note_legend(Markup("factors {} <small>black {}</small>").format(Markup(" ").join(dots), black))


def note_legend(text: str) -> Markup:
    """Return a legend that is a text."""
    return _LEGEND.format(text)


def stack(*parts: str) -> Markup:
    """Return parts below each other, without empty ones."""
    return _BR.join(part for part in parts if part)


def cells(contents: Iterable[str]) -> Markup:
    """Return cells side by side, which wrap onto more lines if there is no room."""
    row = Markup("").join(Markup("<td>{}</td>").format(content) for content in contents)
    return Markup('<table class="cells"><tr>{}</tr></table>').format(row)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table; numbers are aligned to the right."""
    head = Markup("").join(Markup("<th>{}</th>").format(text) for text in heads)
    lines = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell(content) for content in row)) for row in rows
    )
    return Markup('<table class="table"><tr>{}</tr>{}</table>').format(head, lines)


def _cell(content: str) -> Markup:
    numeric = not isinstance(content, Markup) and content.lstrip("\N{MINUS SIGN}+<")[:1].isdecimal()
    return Markup('<td class="number">{}</td>' if numeric else "<td>{}</td>").format(content)


def _scale(shape: tuple[int, ...], side: int) -> int:
    """Return the side of a square in pixels, so that a map [h, w] is about `side` pixels large.

    Pictures are stored at the size at which they are shown, so that squares stay sharp if a viewer strips the
    style.
    """
    return max(1, side // max(shape[:2]))
