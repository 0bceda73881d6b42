"""The artefacts that are pictures of directions, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from atlas.plan.artefact import STAGES, Artefact, directions_recipe, pairs_of
from atlas.plan.dependencies import Dependencies
from atlas.records import LayerRecord
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


def _inputs(on: Dependencies, layer: LayerRecord, stage: str) -> dict[str, str]:
    recipe = asdict(directions_recipe(on.config, layer))
    own = {name: repr(value) for name, value in recipe.items() if name not in ("variant", "preset")}
    return on.over_weights(stage, pairs_of(layer)["upstream"]) | {
        **{f"featurevis.{name}": value for name, value in own.items()},
        "featurevis.quality": str(on.config.featurevis.quality),
        "directions.preset": repr(recipe["preset"]),
        "directions.cosine_power": repr(on.config.directions.cosine_power),
        "source": str(layer.upstream),
    }
