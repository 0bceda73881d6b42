"""The artefacts that a config asks for, and the named values that each depends on. No TensorFlow."""

from atlas.build.plan.artefact import Artefact, Pair, pairs_of, path_pairs_of, weights_key
from atlas.build.plan.directions import directions_recipe
from atlas.build.plan.factors import pair_of
from atlas.build.plan.featurevis import recipe_of
from atlas.build.plan.stages import STAGES, Stage, atlas_inputs, dependencies, planned, wanted

__all__ = [
    "STAGES",
    "Artefact",
    "Pair",
    "Stage",
    "atlas_inputs",
    "dependencies",
    "directions_recipe",
    "pair_of",
    "pairs_of",
    "path_pairs_of",
    "planned",
    "recipe_of",
    "wanted",
    "weights_key",
]
