"""The artefacts of families: those that the config names, and those that the program proposes."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.plan.artefact import STAGES, Artefact, Pair, pairs_of
from atlas.plan.dependencies import Dependencies
from atlas.records import FamilyRecord, LayerRecord
from atlas.store import paths


def pair_of(family: FamilyRecord) -> Pair:
    """Return the pair of layers that a family's weights belong to."""
    return Pair(family.source, family.layer, family.carrier, family.weights_notes)


def families(on: Dependencies) -> Iterator[Artefact]:
    """Yield the families that the config names; each depends on its own settings."""
    for family in on.atlas.families:
        inputs = family_inputs(on, family) | {"family.name": family.name, "family.note": family.note}
        yield Artefact(paths.family(family.slug), "families", inputs, family.layer, part=family.slug)


def family_inputs(on: Dependencies, family: FamilyRecord) -> dict[str, str]:
    """Return what the factors of a family depend on, whatever it is called."""
    own = {
        "family.neurons": ",".join(map(str, family.neurons)),
        "family.n_factors": str(family.n_factors),
        "seed": str(on.config.seed),
    }
    return on.over_weights("families", pair_of(family)) | own


def proposals(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the families proposed for a layer, a record a number, also where there are fewer.

    They are of the shown neurons; of a few of a large layer none are proposed.
    """
    pair, n_channels = pairs_of(layer).get("upstream"), on.layer(layer).n_channels
    if pair is None or on.layer(layer).shape is None or not layer.may_have_proposals(n_channels):
        return
    own = {"seed": str(on.config.seed)}
    if len(layer.neurons) < n_channels:
        own |= {"neurons": ",".join(map(str, layer.neurons))}
    # The third best is number 3, however many `families.most` keeps.
    inputs = on.over_weights("proposals", pair) | own | {"stage": _version()}
    for number in range(1, on.atlas.n_proposals + 1):
        key = paths.proposal(on.layer(layer).slug, number)
        yield Artefact(key, "proposals", inputs, layer.layer, part=str(number))


def _version() -> str:
    return f"{STAGES['weights']}.{STAGES['proposals']}.{STAGES['families']}"
