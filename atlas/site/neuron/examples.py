"""ExampleTable -> the dataset examples on a neuron's page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atlas.core.neuron import Layer
from atlas.core.records import EffectiveField, ExampleTable, RangeTable
from atlas.site import urls, wording
from atlas.site.reading.artefacts import LayerArtefacts

# Sides in pixels of the strip's square tiles, which are next to each other, and of those of the range below
# (atlas.analysis.examples).
TILE_PX, SMALL_PX = 96, 64


@dataclass(frozen=True, slots=True)
class Example:
    """One tile of the strip of dataset examples."""

    offset_px: int
    """Distance of the tile from the left edge of the strip, in CSS pixels."""
    label: str
    """Label of the image, made from its file's name."""
    file: str
    """Name of the image's file in its folder."""
    activation: str
    """The neuron's largest activation in the image."""
    frame: str
    """Style of the frame around the effective field, "" where that fills the tile or is not known."""


@dataclass(frozen=True, slots=True)
class Level:
    """Some images of one level of a neuron's range."""

    name: str
    """Share of the images with an activation that lie below, in words."""
    tiles: tuple[Example, ...]
    """The tiles, largest activation first."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The dataset examples of a neuron."""

    strip: str
    """Address of the picture that holds all tiles side by side; in a packed site a data URI."""
    inline: bool
    """Whether it is a data URI."""
    tiles: tuple[Example, ...]
    """The tiles, largest activation first."""
    n_images: str
    """Number of images that the examples were chosen from, with commas."""
    levels: tuple[Level, ...]
    """Images from the rest of its range, the highest level first; empty where none were drawn."""
    n_positive: str
    """Number of images with an activation above zero, with commas; "" where there are no levels."""
    skipped: str
    """A sentence on the files that could not be read, "" where all could."""


def examples(artefacts: LayerArtefacts, index: int, *, inline: bool = False) -> Examples | None:
    """Return the dataset examples of a neuron, with their picture if `inline`; None if they were not made."""
    table = artefacts.examples
    if table is None or not artefacts.has_strip(index):
        return None
    return Examples(
        strip=artefacts.strip_uri(index) if inline else urls.example_strip(artefacts.layer.slug, index),
        inline=inline,
        tiles=_tiles(table, index, frames(artefacts.layer, artefacts.effective_field, table, index)),
        n_images=wording.thousands(len(table.images)),
        levels=tuple(_levels(artefacts.ranges, index)),
        n_positive=wording.thousands(int(artefacts.ranges.n_positive[index])) if artefacts.ranges else "",
        skipped=_skipped(table.skipped),
    )


def _tiles(table: ExampleTable, index: int, frames: list[str]) -> tuple[Example, ...]:
    pairs = zip(table.image[index].tolist(), table.activation[index].tolist(), strict=True)
    tiles = []
    for at, (image, activation) in enumerate(pairs):
        if image >= 0:
            file = table.images[image]
            label = wording.image_label(file)
            tiles.append(Example(at * TILE_PX, label, file, wording.number(activation), frames[at]))
    return tuple(tiles)


def _levels(table: RangeTable | None, index: int) -> Iterator[Level]:
    """Yield the levels that have images."""
    if table is None:
        return
    n_drawn = table.image.shape[2]
    for row, level in enumerate(table.levels):
        drawn = zip(table.image[index, row].tolist(), table.activation[index, row].tolist(), strict=True)
        tiles = tuple(
            Example(
                (row * n_drawn + at) * SMALL_PX,
                wording.image_label(table.images[image]),
                table.images[image],
                wording.number(activation),
                "",
            )
            for at, (image, activation) in enumerate(drawn)
            if image >= 0
        )
        if tiles:
            yield Level(f"{100 * level:g}\N{NO-BREAK SPACE}%", tiles)


def frames(layer: Layer, known: EffectiveField | None, table: ExampleTable, index: int) -> list[str]:
    """Return the style of the frame around the effective field in each tile of a neuron's strip.

    A tile shows a box of the image at its place in the centred window of the layer, the largest of all boxes.
    """
    boxes, field = table.box[index].astype(np.float64), layer.receptive_field
    if field is None or known is None or not known.is_known or known.inner == known.window:
        return [""] * len(boxes)
    window = (table.box[..., 2:] - table.box[..., :2]).reshape(-1, 2).max(0, initial=1)
    scale = TILE_PX / window.max()
    starts, ends = boxes[:, :2], boxes[:, 2:]
    tile = (TILE_PX - window * scale) / 2
    # A box cut off at the top or left is at the other end of the window.
    origins = tile + np.where(starts > 0, 0.0, window - (ends - starts)) * scale
    middles = field.offset + table.position[index] * np.array(field.stride) + (np.array(field.size) - 1) / 2
    first = origins + (middles - (np.array(known.inner) - 1) / 2 - starts) * scale
    first, last = (
        np.clip(edge, 0, TILE_PX).round() for edge in (first, first + np.array(known.inner) * scale)
    )
    return [_frame(*edges) for edges in np.concatenate([first, last], 1).tolist()]


def _frame(top: float, left: float, bottom: float, right: float) -> str:
    if bottom - top >= TILE_PX and right - left >= TILE_PX:
        return ""
    return f"left:{left:g}px;top:{top:g}px;width:{right - left:g}px;height:{bottom - top:g}px"


def _skipped(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{wording.counted(len(files), 'file')} could not be read: {', '.join(files[:3])}{more}."
