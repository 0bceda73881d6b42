"""The stages that make arrays and records of weights: expanded weights, connections, factors."""

from __future__ import annotations

import logging
from dataclasses import replace

from atlas import connections as selection
from atlas import nmf
from atlas.compute.work import Work
from atlas.model.ways import INPUT
from atlas.plan import pairs_of
from atlas.store import codec
from atlas.weights import expand

log = logging.getLogger(__name__)


def weights(work: Work) -> None:
    """Make expanded weights, a pair of layers at a time."""
    with work.bar("weights", "expanded weights", unit="pairs") as step:
        for artefact in work.todo["weights"]:
            pair = pairs_of(work.records[artefact.layer])[artefact.part]
            source = INPUT if pair.source == INPUT else pair.carrier
            result = expand(work.network, source, pair.target, width=work.config.weights.width)
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
        for record, artefacts in work.by_layer("nmf"):
            pair = pairs_of(record)["upstream"]
            weights = work.weights(pair)
            for artefact in artefacts:
                kernel, seed = weights[..., artefact.index], work.config.seed
                result = nmf.factorize(
                    kernel,
                    source=pair.source,
                    n_factors=work.config.nmf.factors,
                    n_loadings=work.config.nmf.loadings,
                    seed=seed,
                )
                result = replace(result, counts=nmf.compared(kernel, source=pair.source, seed=seed))
                work.store.put_record(artefact.key, result, inputs=artefact.inputs)
                step(1)
