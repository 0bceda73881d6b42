"""The stage that tells positive from negative paths, over one hop and over two."""

from __future__ import annotations

import numpy as np

from atlas import connections as selection
from atlas.compute.work import Work
from atlas.plan import Pair, path_pairs_of
from atlas.records import Connections, Paths
from atlas.signed_paths import Flow, cropped_share, flows, kernels, ratios

# What each chunk of targets holds a row of for each of its neurons.
_OF_CONNECTIONS = ("index", "strength", "sign", "peak", "l2", "l1")


def signed_paths(work: Work) -> None:
    """Make the tables of positive and negative paths, one layer and number of hops at a time."""
    with work.bar("paths", "positive and negative paths", unit="tables") as step:
        for artefact in work.todo["paths"]:
            with work.sparing(artefact):
                hops = int(artefact.part)
                pair = path_pairs_of(work.records[artefact.layer])[hops]
                work.store.put_record(artefact.key, _table(work, pair, hops), inputs=artefact.inputs)
            step(1)


def _table(work: Work, pair: Pair, hops: int) -> Paths:
    """Go through the targets chunk by chunk: over two hops the whole weights would fill the memory."""
    n_maps = work.config.paths.top
    k = work.config.connections.top if hops == 1 else n_maps
    cuts, rows = [], []
    for flow in flows(work.network, pair.carrier, pair.target, width=work.config.weights.width):
        top = selection.upstream(
            flow.net, source=pair.source, target=pair.target, carrier=pair.carrier.partition(":")[0], k=k
        )
        rows.append(_rows(flow, top, n_maps))
        cuts.append(flow.cut)
    return Paths(
        source=pair.source,
        target=pair.target,
        carrier=top.carrier,
        hops=hops,
        n_candidates=top.n_candidates,
        cropped=cropped_share(cuts),
        **{name: np.concatenate([row[name] for row in rows]) for name in rows[0]},
    )


def _rows(flow: Flow, top: Connections, n_maps: int) -> dict[str, np.ndarray]:
    """Return the arrays of Paths for some targets, a row for each."""
    ratio, total_ratio = ratios(flow.net, flow.absolute)
    targets = np.arange(len(top.index))[:, None]
    return {
        **{name: getattr(top, name) for name in _OF_CONNECTIONS},
        "ratio": ratio[top.index, targets],
        "total_ratio": total_ratio,
        "kernel": top.kernel[:, :n_maps],
        "positive": kernels(flow.positive, top.index[:, :n_maps]),
    }
