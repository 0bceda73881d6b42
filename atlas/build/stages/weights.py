"""The stages that make expanded weights, and tables of them: connections, positive and negative paths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np

from atlas.analysis import connections as selection
from atlas.analysis.cancellation import Flow, cropped_share, flows, kernels, ratios
from atlas.analysis.weights import expand
from atlas.build.engine import Piece
from atlas.build.plan import Artefact, Pair, dependencies, pairs_of, path_pairs_of, weights_key
from atlas.build.work import Work
from atlas.core.config import AtlasConfig
from atlas.core.errors import StoreError
from atlas.core.records import AtlasRecord, Connections, Floats, Paths
from atlas.model.network import Network
from atlas.store import Store, codec

log = logging.getLogger(__name__)

# Arrays of Connections that Paths has too, a row for each target neuron.
_OF_CONNECTIONS = ("index", "strength", "sign", "peak", "l2", "l1")


def weights(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Make the expanded weights of a pair of layers."""
    pair = pairs_of(work.records[artefact.layer])[artefact.part]
    result = expand(work.network, pair.carrier, pair.target, width=work.config.weights.width)
    if result.cropped:
        log.warning("%s to %s: the window crops %.1f %%", pair.source, pair.target, 100 * result.cropped)
    yield Piece(artefact.key, codec.encode_array(result.weights), {"cropped": round(result.cropped, 6)})


def known_weights(network: Network, config: AtlasConfig, store: Store) -> Callable[[Pair], Floats]:
    """Return a function from a pair of layers to its expanded weights [h, w, source, target].

    They are read from the store where they are fresh, else computed: neurons are chosen by them before any
    stage has run.
    """
    atlas = AtlasRecord("", network.record(), ())
    on = dependencies(atlas, config)

    def weights(pair: Pair) -> Floats:
        key = weights_key(atlas, pair)
        if store.status(key, on.of_weights(pair)).fresh:
            try:
                return codec.decode_array(store.read(key), key=key)
            except StoreError:  # damaged: the stage of weights will make them again
                pass
        return expand(network, pair.carrier, pair.target, width=config.weights.width).weights

    return weights


def connections(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Make the connections of a whole layer in one direction."""
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
    yield Piece(artefact.key, codec.encode(record))


def paths(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Make the table of a layer's positive and negative paths over one hop or two."""
    hops = int(artefact.part)
    pair = path_pairs_of(work.records[artefact.layer])[hops]
    yield Piece(artefact.key, codec.encode(_table(work, pair, hops)))


def _table(work: Work, pair: Pair, hops: int) -> Paths:
    """Return the paths, chunk by chunk of targets: all weights over two hops would fill the memory."""
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
