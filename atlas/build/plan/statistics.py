"""The artefacts that describe whole layers: statistics, similar neurons, filters, effective fields."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.build.plan.artefact import Artefact, pairs_of
from atlas.build.plan.dependencies import Dependencies
from atlas.core.neuron import INPUT
from atlas.store import keys

# Numbers of channels that can be shown as a picture: grey, or red, green and blue.
_PICTURES = (1, 3)


def statistics(on: Dependencies) -> Iterator[Artefact]:
    """Yield the statistics of each layer's neurons."""
    settings = {"statistics.lookalikes": str(on.config.statistics.lookalikes)}
    for layer, pair in on.upstream:
        inputs = on.over_weights(pair, settings, "statistics")
        yield Artefact(keys.statistics(on.layer(layer).slug), "statistics", inputs, layer.layer)


def effective_fields(on: Dependencies) -> Iterator[Artefact]:
    """Yield the effective field of each layer that has positions."""
    # Measured once: another photograph would change a side by a pixel, and all pictures with it.
    images = {"operating_point": "examples" if on.config.examples else "noise"}
    for record in on.atlas.layers:
        layer = on.layer(record)
        if layer.shape is not None and layer.receptive_field is not None:
            inputs = on.inputs({"tensor": layer.tensor, **images}, "effective fields")
            yield Artefact(keys.effective_field(layer.slug), "effective fields", inputs, layer.name)


def filters(on: Dependencies) -> Iterator[Artefact]:
    """Yield the filters of a layer that sees the image itself; their order depends on the layer after."""
    for layer, pair in on.upstream:
        if pair.source == INPUT and on.atlas.model.input_shape[2] in _PICTURES:
            after = pairs_of(layer).get("downstream")
            next_inputs = {"next.target": after.target, "next.carrier": after.carrier} if after else {}
            inputs = on.over_weights(pair, next_inputs, "filters")
            yield Artefact(keys.filters(on.layer(layer).slug), "filters", inputs, layer.layer)
