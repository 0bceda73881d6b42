"""Artefacts and pairs of layers: what a plan lists, and the addresses of what it depends on."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.neuron import INPUT, find_layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.store import keys
from atlas.store.fingerprint import Inputs


@dataclass(frozen=True, slots=True)
class Pair:
    """Two connected layers, the tensor that the source's weights are taken from, and notes on the weights."""

    source: str
    target: str
    carrier: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the store that a config asks for; `part` is its variant, direction, family or number."""

    key: str
    stage: str
    inputs: Inputs
    layer: str
    index: int = -1
    part: str = ""


def pairs_of(layer: LayerRecord) -> dict[str, Pair]:
    """Return the pairs that a layer is part of, by direction."""
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
