"""The stages that make families: factors of those the config names, and the program's proposals."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from atlas.compute.work import Work
from atlas.errors import StoreError
from atlas.families import Chain, factorized, nothing_proposed, proposed
from atlas.model.ways import carrier
from atlas.plan import Artefact, Pair, pairs_of
from atlas.plan.family_stages import pair_of
from atlas.records import Family, Floats, LayerRecord
from atlas.weights import expand, pair_weights


def families(work: Work) -> None:
    """Factorize the families that the config names, one by one."""
    known = {family.slug: family for family in work.atlas.families}
    with work.bar("families", "families", unit="families") as step:
        for artefact in work.todo["families"]:
            with work.sparing(artefact):
                family = known[artefact.part]
                record = factorized(
                    _weights(work, pair_of(family)),
                    family.neurons,
                    n_factors=family.n_factors,
                    seed=work.config.seed,
                    name=family.name,
                    layer=family.layer,
                    source=family.source,
                    carrier=family.carrier,
                    note=family.note,
                )
                _put(work, artefact, record)
            step(1)


def proposals(work: Work) -> None:
    """Propose the families of a layer at a time."""
    chain = Chain(work.network, partial(_carried, work))
    with work.bar("proposals", "proposed families", unit="families") as step:
        for record, artefacts in work.by_layer("proposals"):
            pair = pairs_of(record)["upstream"]
            about = {"layer": pair.target, "source": pair.source, "carrier": pair.carrier}
            with work.sparing(*artefacts):
                found = _proposed(work, chain, record, about)
                for artefact in artefacts:
                    at = int(artefact.part) - 1
                    family = found[at] if at < len(found) else nothing_proposed(name="", **about)
                    _put(work, artefact, family)
            step(len(artefacts))


def _put(work: Work, artefact: Artefact, family: Family) -> None:
    # Tells a site's plan which numbers hold a family, without reading them.
    meta = {"members": len(family.neurons)}
    work.store.put_record(artefact.key, family, inputs=artefact.inputs, meta=meta)


def _proposed(work: Work, chain: Chain, record: LayerRecord, about: dict[str, str]) -> tuple[Family, ...]:
    weights = work.weights(pairs_of(record)["upstream"])
    most, seed = work.atlas.n_proposals, work.config.seed
    return proposed(chain, weights, most=most, seed=seed, neurons=record.neurons, **about)


def _weights(work: Work, pair: Pair) -> Floats:
    """Return the weights of a pair: those of the atlas, or made here where its layers are not neighbours."""
    record = work.records[pair.target]
    if pairs_of(record).get("upstream") == pair:
        return work.weights(pair)
    return expand(work.network, pair.carrier, pair.target, width=work.config.weights.width).weights


def _carried(work: Work, source: str, target: str) -> Floats:
    """Return the weights of two layers, whole and from the graph's carrier: the store's, else made here."""
    if work.config.weights.width is None:
        wanted = (source, target, carrier(work.network, source, target))
        for pair in (pair for record in work.atlas.layers for pair in pairs_of(record).values()):
            if (pair.source, pair.target, pair.carrier) == wanted:
                with suppress(StoreError):  # not made: making them raises the error that says why
                    return work.weights(pair)
    return pair_weights(work.network, source, target).weights
