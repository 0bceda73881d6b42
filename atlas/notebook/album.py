"""Small pictures of what excites neurons: read from a store, or drawn when a figure needs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from markupsafe import Markup

from atlas.core.errors import ConfigError, StoreError
from atlas.core.neuron import INPUT, Layer, Neuron, neuron_of
from atlas.core.records import AtlasRecord, Floats
from atlas.drawing.images import in_colour, jpeg, shown_bands
from atlas.featurevis.recipe import PRESETS, Recipe, picture_size
from atlas.featurevis.render import Renderer
from atlas.model.network import Network
from atlas.notebook.markup import QUALITY, SIDE_PX, colour_map, image, jpeg_uri
from atlas.store import Store, keys

# Network, layer, indices of neurons, preset -> (index, picture [h, w, channel] in [0, 1]) of each.
Draw = Callable[[Network, Layer, list[int], str], Iterable[tuple[int, Floats]]]

log = logging.getLogger(__name__)

# All batches have the same size, so that a picture does not depend on the others in its batch.
_BATCH = 8
_SWATCHES = {1: ((139, 138, 133),), 3: ((216, 74, 63), (76, 159, 87), (68, 118, 196))}
_COLOURS = {1: ("grey",), 3: ("red", "green", "blue")}


class Album:
    """Feature visualizations of a network's neurons as data URIs, each made once and kept in memory.

    A neuron's picture is read from the store if it holds one, else drawn at `preset`. Neurons of dense layers
    are not drawn but shown by name, and so are all neurons if there is no network.
    """

    def __init__(
        self,
        network: Network | None,
        store: str | Path | None = None,
        preset: str = "draft",
        *,
        draw: Draw | None = None,
    ) -> None:
        """Open the store and read its atlas record. Raises ConfigError or StoreError."""
        if preset not in PRESETS:
            raise ConfigError(f"no preset {preset!r}", expected=", ".join(PRESETS))
        self.network, self.preset, self._drawn = network, preset, draw or drawn
        self._store, self._variants = _opened(network, store)
        self._layers = {layer.name: layer for layer in network.layers} if network else {}
        self._uris: dict[Neuron, str] = {}

    def __repr__(self) -> str:
        """Describe where the pictures come from."""
        if self.network is None:
            return "Album of names alone"
        origin = f"from {self._store.folder}, else " if self._store else ""
        return f"Album of {self.network.name}: pictures {origin}drawn at preset {self.preset} when needed"

    def icons(self, neurons: Iterable[Neuron], side: int = SIDE_PX) -> dict[Neuron, Markup]:
        """Return each neuron's icon, `side` pixels large; missing pictures are drawn, layer by layer."""
        wanted = dict.fromkeys(neurons)
        missing: dict[str, list[int]] = {}
        for neuron in wanted:
            if neuron not in self._uris and not self._from_store(neuron):
                missing.setdefault(neuron.layer, []).append(neuron.index)
        for name, indices in missing.items():
            self._draw(name, indices)
        return {neuron: self._icon(neuron, side) for neuron in wanted}

    def layer(self, name: str) -> Layer | None:
        """Return the network's layer of this name, or None if it has none."""
        return self._layers.get(name)

    def uri(self, neuron: Neuron) -> str:
        """Return the data URI of a neuron's picture, "" if it has none."""
        self.icons([neuron])
        return self._uris.get(neuron, "")

    def _icon(self, neuron: Neuron, side: int) -> Markup:
        uri = self._uris.get(neuron)
        if uri:
            return image(uri, neuron.name, (side, side))
        colours = _SWATCHES.get(self.network.input_shape[2], ()) if self.network else ()
        if neuron.layer == INPUT and neuron.index < len(colours):
            return _swatch(colours[neuron.index], _COLOURS[len(colours)][neuron.index], side)
        # A small icon has no room for the name, which stands next to it in a table.
        return (
            Markup('<span class="named">{}</span>').format(self._label(neuron))
            if side >= SIDE_PX
            else Markup()
        )

    def _label(self, neuron: Neuron) -> str:
        """Return the label of an output neuron's class, else the neuron's name."""
        labels = self.network.labels if self.network else ()
        layer = self._layers.get(neuron.layer)
        is_output = layer is not None and layer.kind == "dense" and len(labels) == layer.n_channels
        return labels[neuron.index] if is_output and neuron.index < len(labels) else neuron.name

    def _from_store(self, neuron: Neuron) -> bool:
        """Read a neuron's picture from the store, and return whether it is there."""
        variant, layer = self._variants.get(neuron.layer), self._layers.get(neuron.layer)
        if self._store is None or variant is None or layer is None:
            return False
        key = keys.featurevis(variant, layer.slug, neuron.index)
        if not self._store.has(key):
            return False
        self._uris[neuron] = jpeg_uri(self._store.read(key))
        return True

    def _draw(self, name: str, indices: list[int]) -> None:
        layer = self._layers.get(name)
        existing = [i for i in indices if layer and i < layer.n_channels]
        if self.network is None or layer is None or layer.kind == "dense" or not existing:
            return
        bands = shown_bands(self.network.input_shape[2])
        log.info("drawing %d neurons of %s at preset %s", len(existing), name, self.preset)
        for index, picture in self._drawn(self.network, layer, existing, self.preset):
            data = jpeg(in_colour(picture, bands), quality=QUALITY)
            self._uris[neuron_of(layer, index)] = jpeg_uri(data)


def drawn(network: Network, layer: Layer, indices: list[int], preset: str) -> list[tuple[int, Floats]]:
    """Return (index, picture [h, w, channel] in [0, 1]) of neurons of a layer, from one renderer."""
    size, margin = picture_size(layer, network.input_shape, network.effective_field(layer.name))
    recipe = Recipe(preset=PRESETS[preset], size=size, margin=margin)
    with Renderer(network, layer, recipe, batch=_BATCH) as renderer:
        return [(index, picture) for index, picture, _ in renderer.render(indices)]


def illustrate(network: Network | None, store: str | Path | None = None, preset: str = "draft") -> Album:
    """Choose where figures take the pictures of neurons from, and return that album.

    Pictures come from the `store` of an atlas of this network if it holds them. Others are drawn at `preset`
    ("draft", "standard", "full") when a figure first needs them, and kept in memory. If `network` is None,
    figures show names in place of pictures, as before the first call. Raises ConfigError or StoreError.
    """
    global _shown
    _shown = Album(network, store, preset)
    return _shown


def current() -> Album:
    """Return the album that figures use now."""
    return _shown


def _opened(network: Network | None, folder: str | Path | None) -> tuple[Store | None, dict[str, str]]:
    """Return an open store and the main variant of each layer; (None, {}) without a store.

    Raises StoreError if the store is of another network.
    """
    if network is None or folder is None:
        return None, {}
    store = Store.open(Path(folder))
    record = store.record(keys.ATLAS, AtlasRecord)
    if record.model.sha256 != network.sha256:
        raise StoreError(
            f"the store {folder} is of another network",
            found=record.model.sha256[:16],
            expected=network.sha256[:16],
            remedy="build it from this model",
        )
    return store, {layer.layer: layer.featurevis[0] for layer in record.layers if layer.featurevis}


def _swatch(colour: tuple[int, ...], name: str, side: int) -> Markup:
    return colour_map(np.full((1, 1, 3), colour, np.uint8), name, side)


# A global, because a notebook asks an object for its figure without arguments.
_shown = Album(None)
