"""The artefacts that are pictures of directions, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from atlas.plan.artefact import STAGES, Artefact, directions_recipe, pairs_of
from atlas.plan.dependencies import Dependencies
from atlas.plan.family_stages import family_inputs
from atlas.records import FamilyRecord, LayerRecord
from atlas.store import paths


def positions(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the sheet of pictures, one a position, of each neuron that was chosen for it."""
    if not layer.positions:
        return
    inputs = _inputs(on, layer, "positions")
    for index in layer.positions:
        yield Artefact(paths.positions(on.layer(layer).slug, index), "positions", inputs, layer.layer, index)


def factor_pictures(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the strip of pictures, one a factor, of each neuron that was chosen for it."""
    if not layer.factor_pictures:
        return
    # All loadings are found anew from the weights, so the shown ones do not matter.
    own = {"nmf.factors": str(on.config.nmf.factors), "stage.nmf": STAGES["nmf"]}
    inputs = _inputs(on, layer, "factors") | own
    for index in layer.factor_pictures:
        key = paths.factor_pictures(on.layer(layer).slug, index)
        yield Artefact(key, "factors", inputs, layer.layer, index)


def family_pictures(on: Dependencies) -> Iterator[Artefact]:
    """Yield the strip of pictures, one a factor, of each family that the config names."""
    for family in on.atlas.families:
        if min(family.source_size) > 0:
            own = family_inputs(on, family)
            inputs = _drawing(on, family, family.source) | own | {"stage.families": own["stage"]}
            inputs |= {"stage": STAGES["family pictures"]}
            key = paths.family_pictures(family.slug)
            yield Artefact(key, "family pictures", inputs, family.layer, part=family.slug)


def _inputs(on: Dependencies, layer: LayerRecord, stage: str) -> dict[str, str]:
    return on.over_weights(stage, pairs_of(layer)["upstream"]) | _drawing(on, layer, str(layer.upstream))


def _drawing(on: Dependencies, record: LayerRecord | FamilyRecord, source: str) -> dict[str, str]:
    recipe = asdict(directions_recipe(on.config, record))
    own = {name: repr(value) for name, value in recipe.items() if name not in ("variant", "preset")}
    return {
        **on.shown({f"featurevis.{name}": value for name, value in own.items()}),
        "featurevis.quality": str(on.config.featurevis.quality),
        "directions.preset": repr(recipe["preset"]),
        "directions.cosine_power": repr(on.config.directions.cosine_power),
        "source": source,
    }
