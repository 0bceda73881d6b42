"""Expanded weights for those who choose neurons by them: the store's where fresh, else computed."""

from __future__ import annotations

from collections.abc import Callable

from atlas.config import AtlasConfig
from atlas.errors import StoreError
from atlas.model.network import Network
from atlas.plan import Pair, weights_key
from atlas.plan.dependencies import Dependencies
from atlas.records import AtlasRecord, Floats
from atlas.store import Store, codec
from atlas.weights import expand


def known_weights(network: Network, config: AtlasConfig, store: Store) -> Callable[[Pair], Floats]:
    """Return a function from a pair of layers to its expanded weights [h, w, source, target]."""
    atlas = AtlasRecord("", network.record(), ())
    on = Dependencies(atlas, config, "")

    def weights(pair: Pair) -> Floats:
        key = weights_key(atlas, pair)
        if store.status(key, on.of_weights(pair)).fresh:
            try:
                return codec.decode_array(store.read(key), key=key)
            except StoreError:  # damaged: the stage that makes weights will make them again
                pass
        return expand(network, pair.carrier, pair.target, width=config.weights.width).weights

    return weights
