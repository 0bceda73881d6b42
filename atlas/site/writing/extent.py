"""How many files and bytes a site will have, told before it is computed, and limits that it exceeds.

Files are counted as atlas.site.writing.plan lists them. Bytes are sums over what pages hold, with the mean
bytes of each part in the sites of GoogLeNet, of the demo network and of small PyTorch networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.core.config import AtlasConfig
from atlas.core.neuron import INPUT, Layer, find_layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.drawing.images import LARGEST_PX
from atlas.site import urls
from atlas.site.web import MAX_SITE_BYTES, Web

# More may take longer to deploy than the ten minutes that GitHub Pages waits.
MOST_FILES = 12_000
# Bytes of a neuron's page without connections, of each connection with its icon, and of a square of its map.
_PAGE, _CELL, _SQUARE = 30_000, 335, 0.6
# Of an example as JPEG, and as WebP in a page; of the page for an iframe; of data files, for each connection
# and each of its weights, and the share that is left of them in a zip file.
_EXAMPLE, _SHOWN_EXAMPLE = 2_300, 1_600
_EMBED = 5_000
_DATA, _DATA_OF_CELL, _WEIGHT = 13_000, 130, 4
_ZIPPED = 0.4
# What a neuron does on images, for each of the two kinds: in its page and in its data.
_ON_IMAGES, _DATA_ON_IMAGES = 1_700, 1_600
# Of a feature visualization: what each has, and for a pixel.
_PICTURE, _PIXEL = 700, 0.45
# Of a layer's page for each neuron, and of the pages and scripts that every site has.
_LISTED, _SITE = 450, 400_000
# A family's page and data; the share of proposals that hold one, and the neurons of a small layer for each.
_FAMILY, _FOUND, _A_FAMILY = 40_000, 0.7, 15


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a site."""

    n_files: int
    """Number of files, about."""
    n_bytes: int
    """Bytes, about."""

    @property
    def line(self) -> str:
        """The size in words, with the limits of hosts that it exceeds."""
        text = f"the site: about {_rounded(self.n_files):,} files, {_rounded(-(-self.n_bytes // 10**6)):,} MB"
        if self.n_bytes > MAX_SITE_BYTES:
            return f"{text}; GitHub Pages takes 1,000 MB: choose fewer layers, or publish to a bucket"
        if self.n_files > MOST_FILES:
            return f"{text}; GitHub Pages may not deploy so many in its ten minutes: publish to a bucket"
        return text


def extent(
    atlas: AtlasRecord, config: AtlasConfig, web: Web, windows: Mapping[str, tuple[int, int, int]]
) -> Extent:
    """Return the size that the site of an atlas will have, about.

    `windows` has the number of positions of each layer's kernels: upstream, downstream, over two hops.
    """
    packed = web.is_packed(sum(len(record.neurons) for record in atlas.layers))
    n_files, n_bytes = 25.0, float(_SITE)
    for record in atlas.layers:
        layer = find_layer(atlas.model.layers, record.layer)
        files, page = _neuron(atlas, record, config, windows[record.layer], packed=packed)
        n_files += files * len(record.neurons) + 3
        n_bytes += (page + _LISTED) * len(record.neurons)
        if packed:
            n_files += len({urls.pack(layer.slug, n, layer.n_channels) for n in record.neurons})
        if record.upstream and record.may_have_proposals(layer.n_channels):
            n_families = min(_FOUND * atlas.n_proposals, len(record.neurons) / _A_FAMILY)
            n_files += n_families * (1 if packed else 2)
            n_bytes += n_families * _FAMILY
    return Extent(round(n_files), round(n_bytes))


def _neuron(
    atlas: AtlasRecord,
    record: LayerRecord,
    config: AtlasConfig,
    positions: tuple[int, int, int],
    *,
    packed: bool,
) -> tuple[int, float]:
    """Return the number of files of one neuron, and their bytes."""
    top, paths = config.connections.top, config.paths.top
    # Positive paths are maps and arrays, too, of the first connections upstream.
    counts = (
        min(top, _n_neurons(atlas, record.upstream)) + min(paths, _n_neurons(atlas, record.upstream)),
        min(top, _n_neurons(atlas, record.downstream)),
        min(paths, _n_neurons(atlas, record.two_before)) if config.paths.two_hops else 0,
    )
    n_cells = sum(counts)
    n_weights = sum(n * size for n, size in zip(counts, positions, strict=True))
    n_squares = sum(n * min(size, LARGEST_PX**2) for n, size in zip(counts, positions, strict=True))
    n_pictures = len(record.featurevis)
    # Examples of the range are smaller, four levels in the mean of a thousand images.
    n_examples = (config.dataset_examples.count + 5 * record.ranges) if record.examples else 0
    pictures = n_pictures * (_PICTURE + _PIXEL * record.size[0] * record.size[1])
    measured = record.distribution + record.fidelity
    page = _PAGE + _CELL * n_cells + _SQUARE * n_squares + _ON_IMAGES * measured
    data = _DATA + _DATA_OF_CELL * n_cells + _WEIGHT * n_weights + _DATA_ON_IMAGES * measured
    if packed:
        return 1 + n_pictures, page + pictures + _SHOWN_EXAMPLE * n_examples + _ZIPPED * data
    n_files = 4 + n_pictures + record.examples
    return n_files, page + pictures + _EXAMPLE * n_examples + data + _EMBED


def _n_neurons(atlas: AtlasRecord, name: str | None) -> int:
    if name is None:
        return 0
    layer: Layer | None = None if name == INPUT else find_layer(atlas.model.layers, name)
    return layer.n_channels if layer else atlas.model.input_shape[2]


def _rounded(number: int) -> int:
    """Return a number with two digits, three behind a 1, since more would not be true."""
    text = str(number)
    return round(number, min(2 + text.startswith("1") - len(text), 0))
