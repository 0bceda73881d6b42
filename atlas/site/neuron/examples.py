"""ExampleTable -> the dataset examples on a neuron's page."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.records import ExampleTable
from atlas.site import urls, wording
from atlas.site.reading.artefacts import LayerArtefacts

# Side in pixels of the strip's square tiles, which are next to each other (atlas.analysis.examples).
TILE_PX = 96


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


@dataclass(frozen=True, slots=True)
class Examples:
    """The dataset examples of a neuron."""

    strip: str
    """Address of the picture that holds all tiles side by side."""
    tiles: tuple[Example, ...]
    """The tiles, largest activation first."""
    n_images: int
    """Number of images that the examples were chosen from."""
    skipped: str
    """A sentence on the files that could not be read, "" where all could."""


def examples(artefacts: LayerArtefacts, index: int) -> Examples | None:
    """Return the dataset examples of a neuron, None where they were not made."""
    table = artefacts.examples
    if table is None or not artefacts.has_strip(index):
        return None
    return Examples(
        strip=urls.example_strip(artefacts.layer.slug, index),
        tiles=_tiles(table, index),
        n_images=len(table.images),
        skipped=_skipped(table.skipped),
    )


def _tiles(table: ExampleTable, index: int) -> tuple[Example, ...]:
    pairs = zip(table.image[index].tolist(), table.activation[index].tolist(), strict=True)
    tiles = []
    for at, (image, activation) in enumerate(pairs):
        if image >= 0:
            file = table.images[image]
            label = wording.image_label(file)
            tiles.append(Example(at * TILE_PX, label, file, wording.number(activation)))
    return tuple(tiles)


def _skipped(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{wording.counted(len(files), 'file')} could not be read: {', '.join(files[:3])}{more}."
