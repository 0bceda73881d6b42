"""Facts on the whole atlas that every page needs: layers by name, and each neuron's name, link and icon."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from atlas.core.errors import LayerError
from atlas.core.neuron import INPUT, Branch, Layer, find_layer, whole_of
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.site import urls
from atlas.store import keys

KINDS = {
    "conv": "convolution",
    "concat": "concatenation of branches",
    "add": "residual sum",
    "dense": "dense layer",
    "input": "the image",
}
_SWATCHES = {1: ("grey",), 3: ("red", "green", "blue")}
# "3b" of mixed3b, the usual short form of a layer's name: digits and letters at its end.
_SHORT_NAME = re.compile(r"\d+[a-z]+$")


@dataclass(frozen=True, slots=True)
class Link:
    """A name with the address of its page."""

    name: str
    """The text of the link."""
    href: str
    """Address of the page, "" where there is none."""


class Icon(NamedTuple):
    """A neuron, a class or a colour of the image as other pages show it; a page has a hundred of them.

    It is a NamedTuple, because making one takes a third of the time of a dataclass.
    """

    name: str
    """Full name: "mixed3b:379", a class, or a colour."""
    group: str
    """Name of the layer, "" for a colour of the image."""
    short: str
    """Name within the layer: the index, or the class."""
    href: str
    """Address of the neuron's page, "" where it has none."""
    image: str
    """Address of its feature visualization, "" where there is none."""
    swatch: str = ""
    """A colour's name for a channel of the image, else ""."""


class Catalogue:
    """Layers, names, links and icons of an atlas, looked up by name and index."""

    # Layers whose icons are kept: the one being written, and those that its circuits and families show.
    KEPT = 16

    def __init__(self, atlas: AtlasRecord, has: Callable[[str], bool]) -> None:
        """Index an atlas; `has` returns whether the store holds an artefact with a key."""
        self.atlas = atlas
        self.model = atlas.model
        self._has = has
        self._layers = {layer.name: layer for layer in atlas.model.layers}
        self._records = {record.layer: record for record in atlas.layers}
        # The cache belongs to the instance; functools.cache on a method would keep every catalogue alive.
        self.icons = functools.lru_cache(maxsize=self.KEPT)(self._icons)
        self.branches = functools.cache(self._branches)

    def layer(self, name: str) -> Layer:
        """Return a layer of the network; raise LayerError for a name that the network does not have."""
        return self._layers.get(name) or find_layer(self.model.layers, name)

    def record(self, name: str) -> LayerRecord | None:
        """Return a layer's record in the atlas, None where the layer has no page."""
        return self._records.get(name)

    def link(self, name: str) -> Link:
        """Return a layer's name with the address of its page; the address is "" where it has no page."""
        href = urls.layer_page(self.layer(name).slug) if name in self._records else ""
        return Link("the image" if name == INPUT else name, href)

    def label(self, layer: Layer, index: int) -> str:
        """Return the class that a neuron of the output layer stands for, "" for other neurons."""
        labels = self.model.labels
        is_output = layer.kind == "dense" and len(labels) == layer.n_channels
        return labels[index] if is_output else ""

    def short_name(self, layer: Layer) -> str:
        """Return a layer's short name, "3b" for mixed3b; "" where the short name would not be unique."""
        match = _SHORT_NAME.search(layer.name)
        if match is None or match[0] == layer.name:
            return ""
        try:
            return match[0] if find_layer(self.model.layers, match[0]) is layer else ""
        except LayerError:
            return ""

    def _branches(self, name: str) -> tuple[Branch, ...]:
        """Return the branches of a layer whose names are other names of its neurons in this atlas."""
        layer, layers = self.layer(name), self.model.layers
        return tuple(
            branch
            for branch in layer.branches
            if branch.name in self._layers
            and whole_of(layers, self._layers[branch.name], self._records) == (layer, branch.first)
        )

    def main_variant(self, name: str) -> str:
        """Return the variant of feature visualization that icons of a layer show, "" where there is none."""
        record = self._records.get(name)
        return record.featurevis[0] if record and record.featurevis else ""

    def image(self, layer: Layer, index: int) -> str:
        """Return the address of a neuron's main feature visualization, "" where the store holds none."""
        variant = self.main_variant(layer.name)
        if not variant or not self._has(keys.featurevis(variant, layer.slug, index)):
            return ""
        return urls.featurevis(layer.slug, index, variant=variant)

    def statistics(self, name: str) -> str:
        """Return the address of the CSV table of a layer's statistics, "" where the store holds none."""
        record, slug = self._records.get(name), self.layer(name).slug
        available = record is not None and record.upstream is not None and self._has(keys.statistics(slug))
        return urls.layer_csv(slug) if available else ""

    def _icons(self, name: str) -> tuple[Icon, ...]:
        """Return the icons of all neurons of a layer, or of the image's channels where `name` is "input"."""
        if name == INPUT:
            return _input_icons(self.model.input_shape[2])
        layer, record = self.layer(name), self._records.get(name)
        neurons = frozenset(record.neurons if record else ())
        return tuple(self._icon(layer, index, index in neurons) for index in range(layer.n_channels))

    def _icon(self, layer: Layer, index: int, has_page: bool) -> Icon:
        label = self.label(layer, index)
        return Icon(
            name=label or f"{layer.name}:{index}",
            group=layer.name,
            short=label or str(index),
            href=urls.neuron_page(layer.slug, index) if has_page else "",
            image=self.image(layer, index) if has_page else "",
        )


def _input_icons(n_channels: int) -> tuple[Icon, ...]:
    names = _SWATCHES.get(n_channels)
    if names is None:
        return tuple(Icon(f"channel {i}", "", f"channel {i}", "", "", "grey") for i in range(n_channels))
    return tuple(Icon(name, "", name, "", "", name) for name in names)
