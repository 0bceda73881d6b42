"""The artefacts of each stage, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from atlas.plan.artefact import STAGES, Artefact, pairs_of, path_pairs_of, recipe_of, weights_key
from atlas.plan.dependencies import Dependencies
from atlas.records import LayerRecord
from atlas.store import paths


def weights(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the expanded weights of the pairs that a layer is part of."""
    for direction, pair in pairs_of(layer).items():
        key = weights_key(on.atlas, pair)
        yield Artefact(key, "weights", on.of_weights(pair), layer.layer, part=direction)


def connections(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the tables of a layer's connections."""
    for direction, pair in pairs_of(layer).items():
        key = paths.connections(on.layer(layer).slug, direction)
        top = {"connections.top": str(on.config.connections.top)}
        inputs = on.over_weights("connections", pair) | top
        yield Artefact(key, "connections", inputs, layer.layer, part=direction)


def signed_paths(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the tables of a layer's positive and negative paths, over one hop and over two."""
    top = {"paths.top": str(on.config.paths.top)}
    for hops, pair in path_pairs_of(layer).items():
        shown = {"connections.top": str(on.config.connections.top)} if hops == 1 else {}
        # Which connections are the strongest is told by the code of the connections.
        stage = ".".join(STAGES[name] for name in ("weights", "connections", "paths"))
        inputs = on.of_weights(pair) | top | shown | {"stage": stage}
        key = paths.signed_paths(on.layer(layer).slug, hops)
        yield Artefact(key, "paths", inputs, layer.layer, part=str(hops))


def factorizations(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the factorization of each neuron."""
    pair = pairs_of(layer).get("upstream")
    if pair is None:
        return
    nmf = on.config.nmf
    own = {
        "nmf.factors": str(nmf.factors),
        "nmf.loadings": str(nmf.loadings),
        "seed": str(on.config.seed),
    }
    inputs = on.over_weights("nmf", pair) | own
    for index in layer.neurons:
        key = paths.factorization(on.layer(layer).slug, index)
        yield Artefact(key, "nmf", inputs, layer.layer, index)


def examples(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the table of dataset examples and each neuron's strip."""
    if not layer.examples:
        return
    slug = on.layer(layer).slug
    count = str(on.config.dataset_examples.count)
    inputs = on.inputs("examples", {"tensor": on.layer(layer).tensor, "examples": on.images})
    inputs |= {"dataset_examples.count": count}
    yield Artefact(paths.examples(slug), "examples", inputs, layer.layer)
    strips = inputs | {"stage": f"{STAGES['examples']}.{STAGES['strips']}"}
    for index in layer.neurons:
        yield Artefact(paths.example_strip(slug, index), "strips", strips, layer.layer, index)


def featurevis(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the feature visualizations of each neuron, variant by variant."""
    slug = on.layer(layer).slug
    for variant in layer.featurevis:
        recipe = asdict(recipe_of(on.config, layer, variant))
        # The variant stands in the key, so that all variants of a layer share their inputs.
        own = {f"featurevis.{name}": repr(value) for name, value in recipe.items() if name != "variant"}
        own = on.shown(own)
        own |= {"featurevis.quality": str(on.config.featurevis.quality)}
        inputs = on.inputs("featurevis", own | {"tensor": on.layer(layer).tensor})
        for index in layer.neurons:
            key = paths.featurevis(variant, slug, index)
            yield Artefact(key, "featurevis", inputs, layer.layer, index, variant)
        if variant == layer.featurevis[0] and on.bands:
            strips = inputs | {"stage": f"{STAGES['featurevis']}.{STAGES['bands']}"}
            for index in layer.neurons:
                yield Artefact(paths.bands(slug, index), "bands", strips, layer.layer, index, variant)
