"""The stages that make factors: of each neuron, of families that the config names, of proposed families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np

from atlas.analysis.families import Chain, factorized, nothing_proposed, proposed
from atlas.analysis.nmf import compared, factorize
from atlas.analysis.weights import expand, pair_weights
from atlas.build.engine import Order, Piece, Shard, WorkerContext, attempted
from atlas.build.plan import Artefact, Pair, pair_of, pairs_of
from atlas.build.work import NEURONS_AT_A_TIME, Work, title
from atlas.core.config import NmfConfig
from atlas.core.errors import NumberError, StoreError
from atlas.core.records import Factorization, Family, Floats, LayerRecord
from atlas.model.carriers import carrier
from atlas.store import codec


def nmf(work: Work, todo: list[Artefact]) -> Iterator[Shard]:
    """Yield shards, each of which factorizes some neurons of a layer."""
    size = work.engine.shard_size or NEURONS_AT_A_TIME
    for record, artefacts in work.by_layer(todo):
        pair = pairs_of(record)["upstream"]
        for start in range(0, len(artefacts), size):
            keys = {a.index: a.key for a in artefacts[start : start + size]}
            order = partial(_factors_order, work, pair, keys)
            shard_title = title("factors", record, tuple(keys))
            yield Shard(shard_title, (f"factors of {record.layer}",), order, tuple(keys.values()))


def _factors_order(work: Work, pair: Pair, keys: Mapping[int, str]) -> Order:
    weights = work.weights(pair)
    kernels = {key: np.ascontiguousarray(weights[..., index]) for index, key in keys.items()}
    return partial(make_factors, kernels, source=pair.source, settings=work.config.nmf, seed=work.config.seed)


def make_factors(
    kernels: Mapping[str, Floats], context: WorkerContext, *, source: str, settings: NmfConfig, seed: int
) -> Iterator[Piece]:
    """Yield the factorizations of kernels [h, w, source], by key; any process can carry this out."""
    for key, kernel in kernels.items():
        yield from attempted([key], partial(_factors, key, source, settings, seed, kernel))


def _factors(key: str, source: str, settings: NmfConfig, seed: int, kernel: Floats) -> Iterator[Piece]:
    if not np.isfinite(kernel).all():
        raise NumberError("factors", found="weights that are not finite", expected="numbers")
    result: Factorization = factorize(
        kernel, source=source, n_factors=settings.factors, n_loadings=settings.loadings, seed=seed
    )
    counts = compared(kernel, source=source, seed=seed)
    yield Piece(key, codec.encode(replace(result, counts=counts)))


def families(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Factorize a family that the config names."""
    family = next(family for family in work.atlas.families if family.slug == artefact.part)
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
    yield _family_piece(artefact, record)


def proposals(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Propose families, layer by layer."""
    chain = Chain(work.network, partial(_carried, work))
    for record, artefacts in work.by_layer(todo):
        keys = [artefact.key for artefact in artefacts]
        yield from attempted(keys, partial(_proposals, work, chain, record, artefacts))


def _proposals(work: Work, chain: Chain, record: LayerRecord, artefacts: list[Artefact]) -> Iterator[Piece]:
    pair = pairs_of(record)["upstream"]
    about = {"layer": pair.target, "source": pair.source, "carrier": pair.carrier}
    families = _proposed(work, chain, record, about)
    for artefact in artefacts:
        at = int(artefact.part) - 1
        family = families[at] if at < len(families) else nothing_proposed(name="", **about)
        yield _family_piece(artefact, family)


def _family_piece(artefact: Artefact, family: Family) -> Piece:
    # With this count, the site's plan sees which proposals hold a family without reading them.
    return Piece(artefact.key, codec.encode(family), {"members": len(family.neurons)})


def _proposed(work: Work, chain: Chain, record: LayerRecord, about: dict[str, str]) -> tuple[Family, ...]:
    weights = work.weights(pairs_of(record)["upstream"])
    most, seed = work.atlas.n_proposals, work.config.seed
    return proposed(chain, weights, most=most, seed=seed, neurons=record.neurons, **about)


def _weights(work: Work, pair: Pair) -> Floats:
    """Return the weights of a pair: the store's, or computed here where its layers are not neighbours."""
    record = work.records[pair.target]
    if pairs_of(record).get("upstream") == pair:
        return work.weights(pair)
    return expand(work.network, pair.carrier, pair.target, width=work.config.weights.width).weights


def _carried(work: Work, source: str, target: str) -> Floats:
    """Return two layers' uncropped weights from the graph's carrier: the store's, else computed here."""
    if work.config.weights.width is None:
        wanted = (source, target, carrier(work.network, source, target))
        for pair in (pair for record in work.atlas.layers for pair in pairs_of(record).values()):
            if (pair.source, pair.target, pair.carrier) == wanted:
                with suppress(StoreError):  # not made: computing them again raises the error
                    return work.weights(pair)
    return pair_weights(work.network, source, target).weights
