"""The stages that describe whole layers: statistics, similar neurons, filters, effective fields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from atlas.analysis.filters import first_layer_of
from atlas.analysis.statistics import layer_statistics
from atlas.build.engine import Piece
from atlas.build.plan import STAGES, Artefact, dependencies, pairs_of
from atlas.build.work import Work
from atlas.core.config import AtlasConfig
from atlas.core.errors import StoreError
from atlas.core.records import AtlasRecord, EffectiveField, LayerRecord
from atlas.model.network import Network
from atlas.store import Store, codec


def statistics(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Measure the weights of every neuron of a layer."""
    record = work.records[artefact.layer]
    pair = pairs_of(record)["upstream"]
    result = layer_statistics(
        work.weights(pair),
        work.layer(record),
        source=pair.source,
        carrier=pair.carrier.partition(":")[0],
        k=work.config.statistics.lookalikes,
    )
    yield Piece(artefact.key, codec.encode(result))


def effective_fields(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Keep what a layer reacts to, which was measured for the sizes of its pictures."""
    field = work.network.effective_field(artefact.layer)
    assert field is not None, "only layers with positions have this artefact"
    yield Piece(artefact.key, codec.encode(field))


def known_fields(
    network: Network, config: AtlasConfig, store: Store
) -> Callable[[str], EffectiveField | None]:
    """Return a function from a layer's name to its effective field, from the store where it is fresh."""
    layers = tuple(LayerRecord(layer.name, (), None, None) for layer in network.layers)
    on = dependencies(AtlasRecord("", network.record(), layers), config)
    known = {artefact.layer: artefact for artefact in STAGES["effective fields"].artefacts(on)}

    def field(name: str) -> EffectiveField | None:
        artefact = known.get(name)
        if artefact is not None and store.status(artefact.key, artefact.inputs).fresh:
            with contextlib.suppress(StoreError):  # damaged: it is measured again
                return store.record(artefact.key, EffectiveField)
        return network.effective_field(name)

    return field


def filters(work: Work, artefact: Artefact) -> Iterator[Piece]:
    """Draw the filters of a layer that sees the image itself."""
    pairs = pairs_of(work.records[artefact.layer])
    after = pairs.get("downstream")
    result = first_layer_of(
        work.weights(pairs["upstream"]),
        work.weights(after) if after else None,
        layer=artefact.layer,
        downstream=after.target if after else "",
    )
    yield Piece(artefact.key, codec.encode(result))
