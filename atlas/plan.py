"""Which artefacts a config asks for, and what each depends on, as named values. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from atlas.config import AtlasConfig
from atlas.errors import ModelError
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.model.source import source_digest
from atlas.neuron import Layer, find_layer
from atlas.records import AtlasRecord, LayerRecord
from atlas.store import paths
from atlas.store.fingerprint import Inputs, sha256

# Raised by one when a stage's code makes other bytes from the same settings.
STAGES = {
    "atlas": "1",
    "weights": "1",
    "connections": "1",
    "nmf": "1",
    "featurevis": "1",
    "examples": "1",
    "strips": "1",
}
DIRECTIONS = ("upstream", "downstream")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two connected layers and the tensor that the source's weights are taken from."""

    source: str
    target: str
    carrier: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the store that a config asks for; `part` is its variant or direction."""

    key: str
    stage: str
    inputs: Inputs
    layer: str
    index: int = -1
    part: str = ""


def atlas_inputs(config: AtlasConfig) -> dict[str, str]:
    """Return what the AtlasRecord depends on: the model and every setting, the folders' names left out."""
    shown = msgspec.to_builtins(config)
    settings = {
        key: value for key, value in shown.items() if key not in ("site", "store", "model", "examples")
    }
    return {
        "model": source_digest(config.model),
        "stage": STAGES["atlas"],
        "examples": "yes" if config.examples else "",
        **dict(_flat(settings)),
        **_labels(config.model_options.labels),
    }


def _labels(path: str) -> dict[str, str]:
    """Return the bytes of the file of labels as an input, not its name."""
    try:
        return {"model_options.labels": sha256(Path(path).read_bytes())} if path else {}
    except OSError as error:
        raise ModelError(f"cannot read the labels {path}: {error.strerror}") from error


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings as dotted names with their values in JSON."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", msgspec.json.encode(value).decode()


def recipe_of(config: AtlasConfig, layer: LayerRecord, variant: str) -> Recipe:
    """Return how the feature visualizations of a layer are drawn."""
    settings = config.featurevis
    return Recipe(
        variant=variant,
        preset=PRESETS[settings.preset],
        size=layer.size,
        seed=config.seed,
        precision=settings.precision,
    )


def pairs_of(layer: LayerRecord) -> dict[str, Pair]:
    """Return the pairs that a layer is part of, by direction."""
    pairs = {}
    if layer.upstream is not None:
        pairs["upstream"] = Pair(layer.upstream, layer.layer, layer.upstream_carrier)
    if layer.downstream is not None:
        pairs["downstream"] = Pair(layer.layer, layer.downstream, layer.downstream_carrier)
    return pairs


def weights_key(atlas: AtlasRecord, pair: Pair) -> str:
    """Return the store's key of a pair's expanded weights."""
    return paths.weights(_slug(atlas, pair.source), _slug(atlas, pair.target))


def wanted(atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> tuple[Artefact, ...]:
    """Return every artefact of an atlas, in the order in which they are made; the record comes last.

    `images` is the digest of the folder of examples (see `freshness.images_digest`).
    """
    plan = _Plan(atlas, config, images)
    found: list[Artefact] = []
    for stage in (plan.weights, plan.connections, plan.factorizations, plan.examples, plan.featurevis):
        for layer in atlas.layers:
            found += stage(layer)
    found.append(Artefact(paths.ATLAS, "atlas", atlas_inputs(config), ""))
    return tuple({artefact.key: artefact for artefact in found}.values())


class _Plan:
    """The artefacts of each stage, layer by layer."""

    def __init__(self, atlas: AtlasRecord, config: AtlasConfig, images: str) -> None:
        self._atlas, self._config, self._images = atlas, config, images
        # The same bytes are another network with another input.
        self._model = {
            "model": atlas.model.sha256,
            "model_options.input": config.model_options.input,
            "model_options.input_shape": str(atlas.model.input_shape),
            "model_options.value_range": str(atlas.model.value_range),
        }

    def weights(self, layer: LayerRecord) -> Iterator[Artefact]:
        for direction, pair in pairs_of(layer).items():
            key = weights_key(self._atlas, pair)
            yield Artefact(key, "weights", self._weights_inputs(pair), layer.layer, part=direction)

    def connections(self, layer: LayerRecord) -> Iterator[Artefact]:
        for direction, pair in pairs_of(layer).items():
            key = paths.connections(self._layer(layer).slug, direction)
            top = {"connections.top": str(self._config.connections.top)}
            inputs = self._over_weights("connections", pair) | top
            yield Artefact(key, "connections", inputs, layer.layer, part=direction)

    def factorizations(self, layer: LayerRecord) -> Iterator[Artefact]:
        pair = pairs_of(layer).get("upstream")
        if pair is None:
            return
        nmf = self._config.nmf
        own = {
            "nmf.factors": str(nmf.factors),
            "nmf.loadings": str(nmf.loadings),
            "seed": str(self._config.seed),
        }
        inputs = self._over_weights("nmf", pair) | own
        for index in layer.neurons:
            key = paths.factorization(self._layer(layer).slug, index)
            yield Artefact(key, "nmf", inputs, layer.layer, index)

    def examples(self, layer: LayerRecord) -> Iterator[Artefact]:
        if not layer.examples:
            return
        slug = self._layer(layer).slug
        count = str(self._config.dataset_examples.count)
        inputs = self._inputs("examples", {"tensor": self._layer(layer).tensor, "examples": self._images})
        inputs |= {"dataset_examples.count": count}
        yield Artefact(paths.examples(slug), "examples", inputs, layer.layer)
        strips = inputs | {"stage": f"{STAGES['examples']}.{STAGES['strips']}"}
        for index in layer.neurons:
            yield Artefact(paths.example_strip(slug, index), "strips", strips, layer.layer, index)

    def featurevis(self, layer: LayerRecord) -> Iterator[Artefact]:
        slug = self._layer(layer).slug
        for variant in layer.featurevis:
            recipe = asdict(recipe_of(self._config, layer, variant))
            # The variant stands in the key, so that all variants of a layer share their inputs.
            own = {f"featurevis.{name}": repr(value) for name, value in recipe.items() if name != "variant"}
            own |= {"featurevis.quality": str(self._config.featurevis.quality)}
            inputs = self._inputs("featurevis", own | {"tensor": self._layer(layer).tensor})
            for index in layer.neurons:
                key = paths.featurevis(variant, slug, index)
                yield Artefact(key, "featurevis", inputs, layer.layer, index, variant)

    def _layer(self, layer: LayerRecord) -> Layer:
        return find_layer(self._atlas.model.layers, layer.layer)

    def _inputs(self, stage: str, own: Mapping[str, str]) -> dict[str, str]:
        return {**self._model, "stage": STAGES[stage], **own}

    def _weights_inputs(self, pair: Pair) -> dict[str, str]:
        own = {
            "carrier": pair.carrier,
            "target": pair.target,
            "weights.width": str(self._config.weights.width),
        }
        return self._inputs("weights", own)

    def _over_weights(self, stage: str, pair: Pair) -> dict[str, str]:
        return self._weights_inputs(pair) | {"stage": f"{STAGES['weights']}.{STAGES[stage]}"}


def _slug(atlas: AtlasRecord, name: str) -> str:
    return "input" if name == "input" else find_layer(atlas.model.layers, name).slug
