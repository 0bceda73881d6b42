"""The stages that make arrays and records of weights: expanded weights, connections, factors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import numpy as np

from atlas import connections as selection
from atlas.compute.orders import FactorsOrder
from atlas.compute.work import NEURONS_AT_A_TIME, Work, title
from atlas.engine import Shard
from atlas.plan import Pair, pairs_of
from atlas.store import codec
from atlas.weights import expand

log = logging.getLogger(__name__)


def weights(work: Work) -> None:
    """Make expanded weights, a pair of layers at a time."""
    with work.bar("weights", "expanded weights", unit="pairs") as step:
        for artefact in work.todo["weights"]:
            with work.sparing(artefact):
                pair = pairs_of(work.records[artefact.layer])[artefact.part]
                result = expand(work.network, pair.carrier, pair.target, width=work.config.weights.width)
                if result.cropped:
                    log.warning(
                        "%s to %s: the window crops %.1f %%", pair.source, pair.target, 100 * result.cropped
                    )
                data = codec.encode_array(result.weights)
                work.store.put(
                    artefact.key, data, inputs=artefact.inputs, meta={"cropped": round(result.cropped, 6)}
                )
            step(1)


def connections(work: Work) -> None:
    """Make the connections of whole layers, one direction at a time."""
    with work.bar("connections", "connections", unit="tables") as step:
        for artefact in work.todo["connections"]:
            with work.sparing(artefact):
                pair = pairs_of(work.records[artefact.layer])[artefact.part]
                select = selection.upstream if artefact.part == "upstream" else selection.downstream
                record = select(
                    work.weights(pair),
                    source=pair.source,
                    target=pair.target,
                    carrier=pair.carrier.partition(":")[0],
                    cropped=work.cropped(pair),
                    k=work.config.connections.top,
                )
                work.store.put_record(artefact.key, record, inputs=artefact.inputs)
            step(1)


def factorizations(work: Work) -> None:
    """Factorize neuron by neuron."""
    with work.bar("nmf", "factors") as step:
        work.make("nmf", _factor_shards(work), step)


def _factor_shards(work: Work) -> Iterator[Shard]:
    size = work.engine.shard_size or NEURONS_AT_A_TIME
    for record, artefacts in work.by_layer("nmf"):
        pair = pairs_of(record)["upstream"]
        for start in range(0, len(artefacts), size):
            keys = {a.index: a.key for a in artefacts[start : start + size]}
            order = partial(_factors_order, work, pair, keys)
            told = title("factors", record, tuple(keys))
            yield Shard(told, (f"factors of {record.layer}",), order, tuple(keys.values()))


def _factors_order(work: Work, pair: Pair, keys: dict[int, str]) -> FactorsOrder:
    weights = work.weights(pair)
    return FactorsOrder(
        pair.source,
        work.config.nmf.factors,
        work.config.nmf.loadings,
        work.config.seed,
        {key: np.ascontiguousarray(weights[..., index]) for index, key in keys.items()},
    )
