"""The stages that describe whole layers: statistics and similar neurons, the filters on the image."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.analysis.filters import first_layer_of
from atlas.analysis.statistics import layer_statistics
from atlas.build.engine import Piece
from atlas.build.plan import Artefact, pairs_of
from atlas.build.work import Work
from atlas.store import codec


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
