"""Records of what a layer does on images -> parts of a neuron's JSON (atlas.site.data.images_document)."""

from __future__ import annotations

from typing import Any

from atlas.core.records import Distribution, ExampleTable, Fidelity, Floats, RangeTable
from atlas.site import urls, wording
from atlas.site.data.images_document import DistributionData, ExamplesData, FidelityData, RangeData
from atlas.site.data.plain import short, short_list
from atlas.site.reading.artefacts import Columns, LayerArtefacts


def examples(artefacts: LayerArtefacts, index: int, *, packed: bool) -> ExamplesData | None:
    """Return the images that excite a neuron most; in a `packed` site no picture of its own shows them."""
    table = artefacts.examples
    if table is None:
        return None
    has_strip = artefacts.has_strip(index) and not packed
    return ExamplesData(
        **_chosen(table, (index,)),
        strip=urls.example_strip(artefacts.layer.slug, index) if has_strip else None,
        n_images=len(table.images),
        skipped=table.skipped,
    )


def ranges(table: RangeTable | None, index: int) -> list[RangeData] | None:
    """Return images of each level of a neuron's range that has any."""
    if table is None:
        return None
    rows = ((level, (index, row)) for row, level in enumerate(table.levels))
    return [
        RangeData(**_chosen(table, at), level=level) for level, at in rows if (table.image[at] >= 0).any()
    ]


def _chosen(table: ExampleTable | RangeTable, at: tuple[int, ...]) -> dict[str, Any]:
    """Return the properties of a row of images; -1 fills it up where there are fewer."""
    filled = table.image[at] >= 0
    files = [table.images[image] for image in table.image[at][filled].tolist()]
    return {
        "image": files,
        "label": [wording.image_label(file) for file in files],
        "activation": short_list(table.activation[at][filled]),
        "position": table.position[at][filled].tolist(),
        "box": table.box[at][filled].tolist(),
    }


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
        share=short_list(record.shares(index)[listed]),
    )


def _known(values: Floats) -> list[float | None]:
    """Return numbers, None for each that is not defined."""
    return [None if value != value else value for value in short_list(values)]
