"""The artefacts that are factors: of each neuron, of families that the config names, of proposed families."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.build.plan.artefact import Artefact, Pair
from atlas.build.plan.dependencies import Dependencies
from atlas.core.records import FamilyRecord
from atlas.store import keys


def nmf(on: Dependencies) -> Iterator[Artefact]:
    """Yield the factorization of each neuron."""
    settings = {
        "nmf.factors": str(on.config.nmf.factors),
        "nmf.loadings": str(on.config.nmf.loadings),
        "seed": str(on.config.seed),
    }
    for layer, pair in on.upstream:
        slug, inputs = on.layer(layer).slug, on.over_weights(pair, settings, "nmf")
        for index in layer.neurons:
            yield Artefact(keys.factorization(slug, index), "nmf", inputs, layer.layer, index)


def families(on: Dependencies) -> Iterator[Artefact]:
    """Yield the families that the config names; each depends on its own settings only."""
    for family in on.atlas.families:
        inputs = family_inputs(on, family) | {"family.name": family.name, "family.note": family.note}
        yield Artefact(keys.family(family.slug), "families", inputs, family.layer, part=family.slug)


def family_inputs(on: Dependencies, family: FamilyRecord) -> dict[str, str]:
    """Return the inputs of a family's factors; its name is not one of them."""
    values = {
        "family.neurons": ",".join(map(str, family.neurons)),
        "family.n_factors": str(family.n_factors),
        "seed": str(on.config.seed),
    }
    return on.over_weights(pair_of(family), values, "families")


def pair_of(family: FamilyRecord) -> Pair:
    """Return the pair of layers that a family's weights belong to."""
    return Pair(family.source, family.layer, family.carrier, family.weights_notes)


def proposals(on: Dependencies) -> Iterator[Artefact]:
    """Yield the families proposed for each layer, a record for each number, even if there are fewer.

    Families consist of shown neurons; a large layer of which few neurons are shown has none.
    """
    for layer, pair in on.upstream:
        n_channels = on.layer(layer).n_channels
        if on.layer(layer).shape is None or not layer.may_have_proposals(n_channels):
            continue
        values = {"seed": str(on.config.seed)}
        if len(layer.neurons) < n_channels:
            values["neurons"] = ",".join(map(str, layer.neurons))
        # `families.most` is no input: proposal number 3 is the same however many are kept.
        inputs = on.over_weights(pair, values, "proposals", "families")
        for number in range(1, on.atlas.n_proposals + 1):
            key = keys.proposal(on.layer(layer).slug, number)
            yield Artefact(key, "proposals", inputs, layer.layer, part=str(number))
