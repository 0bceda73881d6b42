"""Artefacts and pairs of layers: what a plan lists, and the addresses of what it depends on."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.config import AtlasConfig
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.neuron import INPUT, find_layer
from atlas.records import AtlasRecord, FamilyRecord, LayerRecord
from atlas.store import paths
from atlas.store.fingerprint import Inputs

# Raised by one when a stage's code makes other bytes from the same settings.
STAGES = {
    "atlas": "3",
    "weights": "1",
    "connections": "1",
    "paths": "1",
    "nmf": "2",
    "statistics": "1",
    "filters": "1",
    "families": "1",
    "proposals": "1",
    "family pictures": "2",
    "featurevis": "3",
    "bands": "1",
    "positions": "2",
    "factors": "2",
    "examples": "1",
    "strips": "1",
}
DIRECTIONS = ("upstream", "downstream")


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


def recipe_of(config: AtlasConfig, layer: LayerRecord, variant: str) -> Recipe:
    """Return how the feature visualizations of a layer are drawn."""
    settings = config.featurevis
    return Recipe(
        variant=variant,
        preset=PRESETS[settings.preset],
        size=layer.size,
        seed=config.seed,
        precision=settings.precision,
        fixed=tuple(sorted((int(band), value) for band, value in settings.fixed.items())),
    )


def chosen_bands(config: AtlasConfig) -> tuple[int, ...]:
    """Return the bands, numbered from 1, that a config wants to be shown as red, green and blue."""
    return config.model_options.bands


def directions_recipe(config: AtlasConfig, record: LayerRecord | FamilyRecord) -> Recipe:
    """Return how the directions of the layer that a layer's or a family's weights come from are drawn."""
    return Recipe(
        preset=PRESETS[config.directions.preset or config.featurevis.preset],
        size=record.source_size,
        seed=config.seed,
        precision=config.featurevis.precision,
        fixed=tuple(sorted((int(band), value) for band, value in config.featurevis.fixed.items())),
    )


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
    return paths.weights(_slug(atlas, pair.source), _slug(atlas, pair.target))


def _slug(atlas: AtlasRecord, name: str) -> str:
    return INPUT if name == INPUT else find_layer(atlas.model.layers, name).slug
