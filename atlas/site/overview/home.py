"""The atlas record -> the home page: diagram, counts, wall of neurons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atlas.core.neuron import Layer
from atlas.core.records import LayerRecord
from atlas.site import wording
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# Most neurons on the wall, and in a row of it.
MAX_WALL = 200
MAX_COLUMNS = 20
# A block of the diagram is two icons wide and up to this many high.
MAX_ROWS = 6


@dataclass(frozen=True, slots=True)
class LayerBlock:
    """One layer in the diagram of the network."""

    name: str
    """Name of the layer."""
    href: str
    """Address of its page, "" where it has none."""
    channels: str
    """Number of its neurons, in words."""
    detail: str
    """Width and height of its receptive field, "" where it is not known."""
    n_rows: int
    """Height of the block in icons, which grows with the square root of the number of neurons."""
    images: tuple[str, ...]
    """Addresses of feature visualizations that fill the block."""


@dataclass(frozen=True, slots=True)
class WallRow:
    """A sample of a layer's neurons on the home page's wall."""

    layer: Link
    """The layer."""
    n_neurons: int
    """Number of its neurons that have a page."""
    icons: tuple[Icon, ...]
    """The sample, by index."""


@dataclass(frozen=True, slots=True)
class HomePage:
    """Everything on the home page."""

    description: str
    """Description of the site for search engines, in a sentence."""
    n_layers: int
    """Number of layers in the atlas."""
    layers_noun: str
    """The noun after `n_layers`: "layer" or "layers"."""
    neurons: str
    """Number of neurons in the atlas."""
    complete: bool
    """Whether every neuron of these layers has a page."""
    input_shape: str
    """Width, height and channels of the images that the network takes."""
    blocks: tuple[LayerBlock, ...]
    """The layers of the diagram, from the image to the output."""
    undrawn: str
    """A sentence on layers inside branches that are not in the diagram, "" where there are none."""
    outputs: str
    """Number of classes, "" where their names are not known."""
    wall: tuple[WallRow, ...]
    """The wall of neurons, layer by layer."""
    n_wall: int
    """Number of neurons on the wall."""
    wall_columns: int
    """Number of the wall's columns."""
    notes: tuple[str, ...]
    """Sentences on how the model was read."""
    resizing: str
    """How photographs get the size of the input, in words."""
    values: str
    """The values of its images, mean, std and order of channels, in words."""
    image: str
    """Address of a picture for previews of links, "" where there is none."""
    tables: tuple[Link, ...]
    """The CSV files of statistics, by the names of their layers."""
    href: str = ""
    """Address of this page: that of the site's folder."""


def home_page(catalogue: Catalogue) -> HomePage:
    """Return everything on the home page."""
    atlas, model = catalogue.atlas, catalogue.model
    n_neurons = sum(len(record.neurons) for record in atlas.layers)
    wall = _wall(catalogue)
    blocks = _blocks(catalogue)
    h, w, c = model.input_shape
    return HomePage(
        description=f"Every neuron of {model.name} on a page of its own: "
        f"{wording.counted(n_neurons, 'neuron')} in {wording.counted(len(atlas.layers), 'layer')}.",
        n_layers=len(atlas.layers),
        layers_noun="layer" if len(atlas.layers) == 1 else "layers",
        neurons=wording.thousands(n_neurons),
        complete=all(len(r.neurons) == catalogue.layer(r.layer).n_channels for r in atlas.layers),
        input_shape=wording.times(w, h, c),
        blocks=blocks,
        undrawn=_undrawn(sum(not (layer.trunk or catalogue.record(layer.name)) for layer in model.layers)),
        outputs=wording.thousands(len(model.labels)) if model.labels else "",
        wall=wall,
        wall_columns=min(MAX_COLUMNS, max((len(row.icons) for row in wall), default=1)),
        n_wall=sum(len(row.icons) for row in wall),
        notes=atlas.notes,
        resizing=wording.resizing(model),
        values=wording.values(model),
        image=next((icon.image for row in wall for icon in row.icons if icon.image), ""),
        tables=tuple(Link(r.layer, csv) for r in atlas.layers if (csv := catalogue.statistics(r.layer))),
    )


def sample(neurons: Sequence[int], n: int) -> list[int]:
    """Return n neurons spread evenly over a list, from the first on; all neurons where there are fewer."""
    n = min(n, len(neurons))
    return [neurons[i * len(neurons) // n] for i in range(n)]


def _undrawn(n: int) -> str:
    return (
        f"{wording.counted(n, 'layer')} inside branches {'is' if n == 1 else 'are'} not drawn." if n else ""
    )


def _blocks(catalogue: Catalogue) -> tuple[LayerBlock, ...]:
    """Return the layers of the trunk, and the other layers that have a page.

    A last layer of labelled classes without a page is left out: the diagram shows its classes instead.
    """
    model = catalogue.model
    chosen = [
        layer
        for layer in model.layers
        if layer.kind != "input" and (layer.trunk or catalogue.record(layer.name))
    ]
    if model.labels and chosen and chosen[-1].kind == "dense" and not catalogue.record(chosen[-1].name):
        del chosen[-1]
    most = max((layer.n_channels for layer in chosen), default=1)
    return tuple(_block(catalogue, layer, most) for layer in chosen)


def _block(catalogue: Catalogue, layer: Layer, most: int) -> LayerBlock:
    record = catalogue.record(layer.name)
    n_rows = max(1, round(MAX_ROWS * math.sqrt(layer.n_channels / most)))
    return LayerBlock(
        name=layer.name,
        href=catalogue.link(layer.name).href,
        channels=wording.counted(layer.n_channels, "neuron"),
        detail=wording.receptive_field(layer),
        n_rows=n_rows,
        images=_block_images(catalogue, layer, record, 2 * n_rows),
    )


def _block_images(catalogue: Catalogue, layer: Layer, record: LayerRecord | None, n: int) -> tuple[str, ...]:
    images = [catalogue.image(layer, index) for index in sample(record.neurons if record else (), n)]
    return tuple(filter(None, images))


def _wall(catalogue: Catalogue) -> tuple[WallRow, ...]:
    layers = catalogue.atlas.layers
    each = max(1, MAX_WALL // max(1, len(layers)))
    each -= each % MAX_COLUMNS if each > MAX_COLUMNS else 0
    rows = []
    for record in layers:
        icons = catalogue.icons(record.layer)
        chosen = tuple(icons[index] for index in sample(record.neurons, each))
        rows.append(WallRow(catalogue.link(record.layer), len(record.neurons), chosen))
    return tuple(rows)
