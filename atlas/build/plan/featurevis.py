"""The artefacts that are feature visualizations: of each neuron by variant, and each band of the main one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from atlas.build.plan.artefact import Artefact
from atlas.build.plan.dependencies import Dependencies
from atlas.core.config import AtlasConfig
from atlas.core.records import LayerRecord
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.store import keys


def featurevis(on: Dependencies) -> Iterator[Artefact]:
    """Yield the feature visualizations of each neuron, variant by variant."""
    for layer in on.atlas.layers:
        slug = on.layer(layer).slug
        for variant in layer.featurevis:
            inputs = _inputs(on, layer, variant, "featurevis")
            for index in layer.neurons:
                key = keys.featurevis(variant, slug, index)
                yield Artefact(key, "featurevis", inputs, layer.layer, index, variant)


def bands(on: Dependencies) -> Iterator[Artefact]:
    """Yield the strip of bands of each neuron's main picture, where the picture does not show all."""
    for layer in on.atlas.layers if on.bands else ():
        for variant in layer.featurevis[:1]:
            slug, inputs = on.layer(layer).slug, _inputs(on, layer, variant, "featurevis", "bands")
            for index in layer.neurons:
                yield Artefact(keys.bands(slug, index), "bands", inputs, layer.layer, index, variant)


def recipe_of(config: AtlasConfig, layer: LayerRecord, variant: str) -> Recipe:
    """Return the recipe for the feature visualizations of a layer."""
    settings = config.featurevis
    return Recipe(
        variant=variant,
        preset=PRESETS[settings.preset],
        size=layer.size,
        margin=layer.margin,
        seed=config.seed,
        precision=settings.precision,
        fixed=fixed_bands(config),
    )


def fixed_bands(config: AtlasConfig) -> tuple[tuple[int, float], ...]:
    """Return the bands of an image that are not drawn, numbered from 1, each with its value."""
    return tuple(sorted((int(band), value) for band, value in config.featurevis.fixed.items()))


def _inputs(on: Dependencies, layer: LayerRecord, variant: str, *stages: str) -> dict[str, str]:
    recipe = asdict(recipe_of(on.config, layer, variant))
    # The variant stands in the key, so all variants of a layer share their inputs.
    values = on.shown(
        {f"featurevis.{name}": repr(value) for name, value in recipe.items() if name != "variant"}
    )
    values |= {"featurevis.quality": str(on.config.featurevis.quality), "tensor": on.layer(layer).tensor}
    return on.inputs(values, *stages)
