"""The artefacts that tell of whole layers: statistics and look-alikes, the filters on the image."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.neuron import INPUT
from atlas.plan.artefact import Artefact, pairs_of
from atlas.plan.dependencies import Dependencies
from atlas.records import LayerRecord
from atlas.store import paths

# What a picture has: a grey channel, or red, green and blue.
_PICTURES = (1, 3)


def statistics(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the statistics of a layer's neurons."""
    pair = pairs_of(layer).get("upstream")
    if pair is None:
        return
    own = {"statistics.lookalikes": str(on.config.statistics.lookalikes)}
    inputs = on.over_weights("statistics", pair) | own
    yield Artefact(paths.statistics(on.layer(layer).slug), "statistics", inputs, layer.layer)


def filters(on: Dependencies, layer: LayerRecord) -> Iterator[Artefact]:
    """Yield the filters of a layer that sees the image itself; their order depends on the layer after."""
    pairs = pairs_of(layer)
    before, after = pairs.get("upstream"), pairs.get("downstream")
    if before is None or before.source != INPUT or on.atlas.model.input_shape[2] not in _PICTURES:
        return
    own = {"next.target": after.target, "next.carrier": after.carrier} if after else {}
    inputs = on.over_weights("filters", before) | own
    yield Artefact(paths.filters(on.layer(layer).slug), "filters", inputs, layer.layer)
