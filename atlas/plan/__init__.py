"""Which artefacts a config asks for, and what each depends on, as named values. No TensorFlow."""

from __future__ import annotations

from atlas.config import AtlasConfig
from atlas.plan import direction_stages, family_stages, stages, statistics_stages
from atlas.plan.artefact import (
    DIRECTIONS,
    STAGES,
    Artefact,
    Pair,
    chosen_bands,
    directions_recipe,
    pairs_of,
    path_pairs_of,
    recipe_of,
    weights_key,
)
from atlas.plan.dependencies import Dependencies
from atlas.plan.settings import atlas_inputs
from atlas.records import AtlasRecord
from atlas.store import paths

__all__ = [
    "DIRECTIONS",
    "STAGES",
    "Artefact",
    "Pair",
    "atlas_inputs",
    "chosen_bands",
    "directions_recipe",
    "pairs_of",
    "path_pairs_of",
    "recipe_of",
    "wanted",
    "weights_key",
]

# In the order in which they are made: each stage stands on those before it.
_BY_LAYER = (
    stages.weights,
    stages.connections,
    stages.signed_paths,
    stages.factorizations,
    statistics_stages.statistics,
    statistics_stages.filters,
    family_stages.proposals,
    stages.examples,
    stages.featurevis,
    direction_stages.positions,
    direction_stages.factor_pictures,
)


def wanted(atlas: AtlasRecord, config: AtlasConfig, *, images: str = "") -> tuple[Artefact, ...]:
    """Return every artefact of an atlas, in the order in which they are made; the record comes last.

    `images` is the digest of the folder of examples (see `freshness.images_digest`).
    """
    on = Dependencies(atlas, config, images)
    found = [artefact for stage in _BY_LAYER for layer in atlas.layers for artefact in stage(on, layer)]
    found += [*family_stages.families(on), *direction_stages.family_pictures(on)]
    found.append(Artefact(paths.ATLAS, "atlas", atlas_inputs(config), ""))
    return tuple({artefact.key: artefact for artefact in found}.values())
