"""Which artefacts a config asks for, what each depends on, and which of them are stale. No TensorFlow.

Planning needs an AtlasRecord: the last one is in the store, so a build that has nothing to do never
opens the model. What an artefact depends on is spelled once, here, as named values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from atlas.config import AtlasConfig
from atlas.errors import ExamplesError, NeuronError
from atlas.examples import image_files
from atlas.featurevis.recipe import NOTEBOOK_SIZES, PRESETS, Recipe
from atlas.model.source import source_digest
from atlas.neuron import Layer, find_layer, find_neuron
from atlas.records import AtlasRecord, LayerRecord
from atlas.store import Status, Store, paths
from atlas.store.fingerprint import MODEL_CHANGED, Inputs

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
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings as dotted names with their values in JSON."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", msgspec.json.encode(value).decode()


def sizes(config: AtlasConfig) -> Mapping[str, int]:
    """Return the sides in pixels that the config fixes, by layer."""
    chosen = config.featurevis.sizes
    if isinstance(chosen, str):
        return NOTEBOOK_SIZES if chosen == "notebook" else {}
    return chosen


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

    `images` is the digest of the folder of examples (see `images_digest`).
    """
    plan = _Plan(atlas, config, images)
    found: list[Artefact] = []
    for stage in (plan.weights, plan.connections, plan.factorizations, plan.examples, plan.featurevis):
        for layer in atlas.layers:
            found += stage(layer)
    found.append(Artefact(paths.ATLAS, "atlas", atlas_inputs(config), ""))
    return tuple({artefact.key: artefact for artefact in found}.values())


def stale(store: Store, artefacts: tuple[Artefact, ...]) -> list[tuple[Artefact, Status]]:
    """Return the artefacts that are not as asked for, each with the reason."""
    found = [(artefact, store.status(artefact.key, artefact.inputs)) for artefact in artefacts]
    return [(artefact, status) for artefact, status in found if not status.fresh]


def images_digest(store: Store, folder: str) -> str:
    """Return the SHA-256 of the names and bytes of a folder's images; "" for no folder.

    Raises ExamplesError when there is no such folder, or no image in it.
    """
    if not folder:
        return ""
    root, total = Path(folder), hashlib.sha256()
    try:
        for file in image_files(root):
            total.update(f"{file.relative_to(root).as_posix()} {store.digest(file)}\n".encode())
    except OSError as error:
        raise ExamplesError(f"cannot read the examples {folder}: {error.strerror}") from error
    return total.hexdigest()


class _Plan:
    """The artefacts of each stage, layer by layer."""

    def __init__(self, atlas: AtlasRecord, config: AtlasConfig, images: str) -> None:
        self._atlas, self._config, self._images = atlas, config, images
        self._model = atlas.model.sha256

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
        return {"model": self._model, "stage": STAGES[stage], **own}

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


def up_to_date(store: Store, config: AtlasConfig) -> int | None:
    """Return the number of artefacts when all are fresh, else None; the model itself stays closed."""
    if not store.status(paths.ATLAS, atlas_inputs(config)).fresh:
        return None
    atlas = store.record(paths.ATLAS, AtlasRecord)
    artefacts = wanted(atlas, config, images=images_digest(store, config.examples))
    return None if stale(store, artefacts) else len(artefacts)


def explained(store: Store, config: AtlasConfig, alias: str) -> list[tuple[Artefact, Status]]:
    """Return what an atlas holds of one neuron and its layer, and the atlas record, with their status.

    Told from the last AtlasRecord in the store; of another model nothing is fresh. Raises NeuronError
    for a neuron that is not in that atlas.
    """
    atlas = store.record(paths.ATLAS, AtlasRecord)
    neuron = find_neuron(atlas.model.layers, alias)
    shown = next((layer.neurons for layer in atlas.layers if layer.layer == neuron.layer), ())
    if neuron.index not in shown:
        names = ", ".join(layer.layer for layer in atlas.layers)
        raise NeuronError(f"{neuron.name} is not in this atlas", expected=f"a neuron shown, of {names}")
    found = [
        (artefact, store.status(artefact.key, artefact.inputs))
        for artefact in wanted(atlas, config, images=images_digest(store, config.examples))
        if (artefact.layer == neuron.layer and artefact.index in (-1, neuron.index)) or not artefact.layer
    ]
    changed = found[-1][1] if found[-1][1].reason == MODEL_CHANGED else None
    return [(artefact, changed or status) for artefact, status in found]
