"""The artefacts that are pictures of directions: positions, factors of neurons and of families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from atlas.build.plan.artefact import Artefact
from atlas.build.plan.dependencies import Dependencies
from atlas.build.plan.factors import family_inputs
from atlas.build.plan.featurevis import fixed_bands
from atlas.core.config import AtlasConfig
from atlas.core.records import FamilyRecord, LayerRecord
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.store import keys


def positions(on: Dependencies) -> Iterator[Artefact]:
    """Yield the sheet of pictures, one a position, of each neuron that was chosen for it."""
    for layer, pair in on.upstream:
        if layer.positions:
            slug = on.layer(layer).slug
            inputs = on.over_weights(pair, _drawing(on, layer, pair.source), "positions")
            for index in layer.positions:
                yield Artefact(keys.positions(slug, index), "positions", inputs, layer.layer, index)


def factors(on: Dependencies) -> Iterator[Artefact]:
    """Yield the strip of pictures, one a factor, of each neuron that was chosen for it."""
    # Pictures use all loadings, computed anew, so `nmf.loadings`, the number shown, does not matter.
    nmf = {"nmf.factors": str(on.config.nmf.factors), "stage.nmf": on.version("nmf")}
    for layer, pair in on.upstream:
        if layer.factor_pictures:
            slug = on.layer(layer).slug
            inputs = on.over_weights(pair, nmf | _drawing(on, layer, pair.source), "factors")
            for index in layer.factor_pictures:
                yield Artefact(keys.factor_pictures(slug, index), "factors", inputs, layer.layer, index)


def family_pictures(on: Dependencies) -> Iterator[Artefact]:
    """Yield the strip of pictures, one a factor, of each family that the config names."""
    for family in on.atlas.families:
        if min(family.source_size) > 0:
            factor_inputs = family_inputs(on, family)
            versions = {"stage.families": factor_inputs["stage"], "stage": on.version("family pictures")}
            inputs = factor_inputs | _drawing(on, family, family.source) | versions
            key = keys.family_pictures(family.slug)
            yield Artefact(key, "family pictures", inputs, family.layer, part=family.slug)


def directions_recipe(config: AtlasConfig, record: LayerRecord | FamilyRecord) -> Recipe:
    """Return the recipe for pictures of directions of the source layer of a layer or a family."""
    return Recipe(
        preset=PRESETS[config.directions.preset or config.featurevis.preset],
        size=record.source_size,
        margin=record.source_margin,
        seed=config.seed,
        precision=config.featurevis.precision,
        fixed=fixed_bands(config),
    )


def _drawing(on: Dependencies, record: LayerRecord | FamilyRecord, source: str) -> dict[str, str]:
    """Return the inputs of pictures of a source layer's directions."""
    recipe = asdict(directions_recipe(on.config, record))
    values = {name: repr(value) for name, value in recipe.items() if name not in ("variant", "preset")}
    return {
        **on.shown({f"featurevis.{name}": value for name, value in values.items()}),
        "featurevis.quality": str(on.config.featurevis.quality),
        "directions.preset": repr(recipe["preset"]),
        "directions.cosine_power": repr(on.config.directions.cosine_power),
        "source": source,
    }
