"""What every page needs of the whole atlas: layers by name, and each neuron's name, link and icon."""

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
# "3b" of mixed3b: how people shorten a layer's name, where it starts with a digit and ends in letters.
_SHORT_NAME = re.compile(r"\d+[a-z]+$")


@dataclass(frozen=True, slots=True)
class Link:
    """A name with the address of its page."""

    name: str
    """The text of the link."""
    href: str
    """Address of the page, "" where there is none."""


class Icon(NamedTuple):
    """A neuron, a class or a colour of the image as seen from elsewhere; a page has a hundred of them.

    A NamedTuple, as those are made in a third of the time that a dataclass takes.
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
    """The atlas record, indexed. `has` returns whether the store holds a key."""

    # Layers whose icons are held: that which is written, and those that its circuits and families show.
    KEPT = 16

    def __init__(self, atlas: AtlasRecord, has: Callable[[str], bool]) -> None:
        """Index an atlas."""
        self.atlas = atlas
        self.model = atlas.model
        self._has = has
        self._layers = {layer.name: layer for layer in atlas.model.layers}
        self._records = {record.layer: record for record in atlas.layers}
        # A cache on the instance: a method's functools.cache would keep every catalogue alive.
        self.icons = functools.lru_cache(maxsize=self.KEPT)(self._icons)
        self.branches = functools.cache(self._branches)

    def layer(self, name: str) -> Layer:
        """Return a layer of the network; LayerError when an artefact names one that it has not."""
        return self._layers.get(name) or find_layer(self.model.layers, name)

    def record(self, name: str) -> LayerRecord | None:
        """Return what the atlas shows of a layer, None when it has no page."""
        return self._records.get(name)

    def link(self, name: str) -> Link:
        """Return a layer's name with the address of its page, or without."""
        href = urls.layer_page(self.layer(name).slug) if name in self._records else ""
        return Link("the image" if name == INPUT else name, href)

    def label(self, layer: Layer, index: int) -> str:
        """Return the class that a neuron of the output layer stands for, else ""."""
        labels = self.model.labels
        is_output = layer.kind == "dense" and len(labels) == layer.n_channels
        return labels[index] if is_output else ""

    def short_name(self, layer: Layer) -> str:
        """Return "3b" for mixed3b when that names it alone, else ""."""
        match = _SHORT_NAME.search(layer.name)
        if match is None or match[0] == layer.name:
            return ""
        try:
            return match[0] if find_layer(self.model.layers, match[0]) is layer else ""
        except LayerError:
            return ""

    def _branches(self, name: str) -> tuple[Branch, ...]:
        """Return the branches of a layer by whose names its neurons are called in this atlas."""
        layer, layers = self.layer(name), self.model.layers
        return tuple(
            branch
            for branch in layer.branches
            if branch.name in self._layers
            and whole_of(layers, self._layers[branch.name], self._records) == (layer, branch.first)
        )

    def main_variant(self, name: str) -> str:
        """Return the variant of feature visualization that stands for the layer's neurons, or ""."""
        record = self._records.get(name)
        return record.featurevis[0] if record and record.featurevis else ""

    def image(self, layer: Layer, index: int) -> str:
        """Return the address of a neuron's main feature visualization, "" when the store holds none."""
        variant = self.main_variant(layer.name)
        if not variant or not self._has(keys.featurevis(variant, layer.slug, index)):
            return ""
        return urls.featurevis(layer.slug, index, variant=variant)

    def statistics(self, name: str) -> str:
        """Return the address of the table of a layer's statistics, "" when the store holds none."""
        record, slug = self._records.get(name), self.layer(name).slug
        shown = record is not None and record.upstream is not None and self._has(keys.statistics(slug))
        return urls.layer_csv(slug) if shown else ""

    def _icons(self, name: str) -> tuple[Icon, ...]:
        """Return the icons of all channels of a layer, or of the image when `name` is "input"."""
        if name == INPUT:
            return _input_icons(self.model.input_shape[2])
        layer, record = self.layer(name), self._records.get(name)
        shown = frozenset(record.neurons if record else ())
        return tuple(self._icon(layer, index, index in shown) for index in range(layer.n_channels))

    def _icon(self, layer: Layer, index: int, shown: bool) -> Icon:
        label = self.label(layer, index)
        return Icon(
            name=label or f"{layer.name}:{index}",
            group=layer.name,
            short=label or str(index),
            href=urls.neuron_page(layer.slug, index) if shown else "",
            image=self.image(layer, index) if shown else "",
        )


def _input_icons(n_channels: int) -> tuple[Icon, ...]:
    names = _SWATCHES.get(n_channels)
    if names is None:
        return tuple(Icon(f"channel {i}", "", f"channel {i}", "", "", "grey") for i in range(n_channels))
    return tuple(Icon(name, "", name, "", "", name) for name in names)
