"""The stages that tell of whole layers: statistics and look-alikes, the filters on the image."""

from __future__ import annotations

from atlas.compute.work import Work
from atlas.filters import first_layer_of
from atlas.layer_statistics import layer_statistics
from atlas.plan import pairs_of


def statistics(work: Work) -> None:
    """Measure the weights of every neuron, a layer at a time."""
    with work.bar("statistics", "statistics", unit="layers") as step:
        for artefact in work.todo["statistics"]:
            with work.sparing(artefact):
                record = work.records[artefact.layer]
                pair = pairs_of(record)["upstream"]
                result = layer_statistics(
                    work.weights(pair),
                    work.layer(record),
                    source=pair.source,
                    carrier=pair.carrier.partition(":")[0],
                    k=work.config.statistics.lookalikes,
                )
                work.store.put_record(artefact.key, result, inputs=artefact.inputs)
            step(1)


def filters(work: Work) -> None:
    """Draw the filters of the layers that see the image itself."""
    with work.bar("filters", "filters", unit="layers") as step:
        for artefact in work.todo["filters"]:
            with work.sparing(artefact):
                pairs = pairs_of(work.records[artefact.layer])
                after = pairs.get("downstream")
                result = first_layer_of(
                    work.weights(pairs["upstream"]),
                    work.weights(after) if after else None,
                    layer=artefact.layer,
                    downstream=after.target if after else "",
                )
                work.store.put_record(artefact.key, result, inputs=artefact.inputs)
            step(1)
