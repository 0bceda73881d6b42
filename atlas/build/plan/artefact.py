"""Artefacts and pairs of layers: the entries of a plan, and what they are made from."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from atlas.core.neuron import INPUT, find_layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.store import keys
from atlas.store.fingerprint import Inputs


@dataclass(frozen=True, slots=True)
class Pair:
    """Two connected layers whose expanded weights are computed."""

    source: str
    """The layer nearer to the image, or "input"."""
    target: str
    """The layer nearer to the output."""
    carrier: str
    """The tensor that the source's weights are taken from."""
    notes: tuple[str, ...] = ()
    """The assumptions under which the weights hold."""


class Artefact(msgspec.Struct, frozen=True, gc=False):
    """One file of the store that a config asks for."""

    key: str
    """Its key in the store."""
    stage: str
    """Name of the stage that it belongs to."""
    inputs: Inputs
    """The values that it depends on, by name; it is stale once one of them changes."""
    layer: str
    """Name of its layer, "" for the atlas's record."""
    index: int = -1
    """Index of its neuron, -1 where it is not about one neuron."""
    part: str = ""
    """Its variant, direction, number of hops, slug of a family or number of a proposal."""


def pairs_of(layer: LayerRecord) -> dict[str, Pair]:
    """Return the pairs that a layer is part of, by direction: "upstream", "downstream"."""
    pairs = {}
    if layer.upstream is not None:
        pairs["upstream"] = Pair(layer.upstream, layer.layer, layer.upstream_carrier, layer.upstream_notes)
    if layer.downstream is not None:
        carrier, notes = layer.downstream_carrier, layer.downstream_notes
        pairs["downstream"] = Pair(layer.layer, layer.downstream, carrier, notes)
    return pairs


def path_pairs_of(layer: LayerRecord) -> dict[int, Pair]:
    """Return the pairs that lead to a layer over one hop and over two, by the number of hops."""
    pairs = {}
    if layer.upstream is not None:
        pairs[1] = Pair(layer.upstream, layer.layer, layer.upstream_carrier, layer.upstream_notes)
    if layer.two_before is not None:
        carrier, notes = layer.two_before_carrier, layer.two_before_notes
        pairs[2] = Pair(layer.two_before, layer.layer, carrier, notes)
    return pairs


def weights_key(atlas: AtlasRecord, pair: Pair) -> str:
    """Return the store's key of a pair's expanded weights."""
    return keys.weights(_slug(atlas, pair.source), _slug(atlas, pair.target))


def _slug(atlas: AtlasRecord, name: str) -> str:
    return INPUT if name == INPUT else find_layer(atlas.model.layers, name).slug
