"""The artefacts that are expanded weights, and tables of them: connections, positive and negative paths."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.build.plan.artefact import Artefact, pairs_of, path_pairs_of, weights_key
from atlas.build.plan.dependencies import Dependencies
from atlas.store import keys


def weights(on: Dependencies) -> Iterator[Artefact]:
    """Yield the expanded weights of the pairs that each layer is part of, each pair once."""
    pairs = {}
    for layer in on.atlas.layers:
        for direction, pair in pairs_of(layer).items():
            key = weights_key(on.atlas, pair)
            pairs[key] = Artefact(key, "weights", on.of_weights(pair), layer.layer, part=direction)
    yield from pairs.values()


def connections(on: Dependencies) -> Iterator[Artefact]:
    """Yield the tables of each layer's connections."""
    top = {"connections.top": str(on.config.connections.top)}
    for layer in on.atlas.layers:
        for direction, pair in pairs_of(layer).items():
            key = keys.connections(on.layer(layer).slug, direction)
            inputs = on.over_weights(pair, top, "connections")
            yield Artefact(key, "connections", inputs, layer.layer, part=direction)


def paths(on: Dependencies) -> Iterator[Artefact]:
    """Yield the tables of each layer's positive and negative paths, over one hop and over two."""
    for layer in on.atlas.layers:
        for hops, pair in path_pairs_of(layer).items():
            settings = {"paths.top": str(on.config.paths.top)}
            if hops == 1:
                settings["connections.top"] = str(on.config.connections.top)
            # The code of connections selects the strongest, so its version counts too.
            inputs = on.over_weights(pair, settings, "connections", "paths")
            key = keys.signed_paths(on.layer(layer).slug, hops)
            yield Artefact(key, "paths", inputs, layer.layer, part=str(hops))
