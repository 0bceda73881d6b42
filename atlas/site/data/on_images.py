"""Records of what a layer does on images -> parts of a neuron's JSON (atlas.site.data.images_document)."""

from __future__ import annotations

import numpy as np

from atlas.core.records import Distribution, Fidelity, Floats, RangeTable
from atlas.site.data.images_document import DistributionData, FidelityData, RangeData
from atlas.site.data.plain import short, short_list
from atlas.site.reading.artefacts import Columns


def ranges(table: RangeTable | None, index: int) -> list[RangeData] | None:
    """Return images of each level of a neuron's range that has any."""
    if table is None:
        return None
    found = []
    for row, level in enumerate(table.levels):
        filled = table.image[index, row] >= 0
        if filled.any():
            part = (index, row, filled)
            files = [table.images[image] for image in table.image[part].tolist()]
            activation = short_list(table.activation[part])
            position, box = table.position[part].tolist(), table.box[part].tolist()
            found.append(RangeData(level, files, activation, position, box))
    return found


def distribution(record: Distribution | None, index: int) -> DistributionData | None:
    """Return how a neuron's activations are distributed."""
    if record is None:
        return None
    numbers = ("zero", "positive", "firing", "mean", "deviation", "largest")
    return DistributionData(
        n_images=record.n_images,
        n_values=record.n_values,
        **{name: short(float(getattr(record, name)[index])) for name in numbers},
        levels=record.levels,
        quantile=short_list(record.quantile[index]),
        image_quantile=short_list(record.image_quantile[index]),
        edges=short_list(record.edges),
        counts=record.counts[index].tolist(),
        image_counts=record.image_counts[index].tolist(),
    )


def fidelity(record: Fidelity | None, upstream: Columns | None, index: int) -> FidelityData | None:
    """Return how well its weights predict a neuron; `upstream` lists the inputs of its contributions."""
    if record is None:
        return None
    listed = upstream.index[index] if upstream else []
    share = np.copysign(record.shares(index), record.contribution[:, index])
    return FidelityData(
        source=record.source,
        carrier=record.carrier,
        what=record.what,
        n_images=record.n_images,
        n_samples=record.n_samples,
        kept=record.kept,
        r2=_known(record.r2[index]),
        correlation=_known(record.correlation[index]),
        r2_after=_known(record.r2_after[index]),
        correlation_after=_known(record.correlation_after[index]),
        n_firing=int(record.n_firing[index]),
        contribution=short_list(record.contribution[listed, index]),
        share=short_list(share[listed]),
    )


def _known(values: Floats) -> list[float | None]:
    """Return numbers, None for each that is not defined."""
    return [None if value != value else value for value in short_list(values)]
