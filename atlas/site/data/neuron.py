"""The JSON of a neuron: the content of its page, as Structs of atlas.site.data.neuron_document."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from atlas.core.neuron import Layer
from atlas.core.records import (
    Connections,
    DirectionSheet,
    Factorization,
    Paths,
)
from atlas.site import urls, wording
from atlas.site.data import on_images, schemas
from atlas.site.data.arrays import names_of
from atlas.site.data.documents import Model, effective_field, receptive_field
from atlas.site.data.neuron_document import (
    BandPictures,
    CircuitConnection,
    CircuitGraph,
    Failure,
    FamilyLink,
    NeuronBranch,
    NeuronDocument,
    PictureData,
    PictureGrid,
)
from atlas.site.data.plain import plain, short, short_list
from atlas.site.data.weights_document import (
    ConnectionListData,
    Coverage,
    FactorListData,
    FactorPart,
    OtherCount,
    PathList,
    Percentiles,
    Similar,
    Statistics,
)
from atlas.site.neuron.circuit import CircuitFigure
from atlas.site.reading.artefacts import Columns, LayerArtefacts, Measured
from atlas.site.reading.catalogue import Catalogue, Link


def neuron_json(
    catalogue: Catalogue,
    artefacts: LayerArtefacts,
    index: int,
    *,
    aliases: tuple[str, ...] = (),
    circuit: CircuitFigure | None = None,
    families: tuple[Link, ...] = (),
    packed: bool = False,
) -> bytes:
    """Return the JSON of a neuron: all that its page shows, except the kernels, which are in its .npz.

    In a `packed` site no picture of its own shows the dataset examples.
    """
    layer = artefacts.layer
    document = NeuronDocument(
        **schemas.head("neuron"),
        neuron=f"{layer.name}:{index}",
        layer=layer.name,
        layer_slug=layer.slug,
        layer_kind=layer.kind,
        n_channels=layer.n_channels,
        index=index,
        branch=_branch(layer, index),
        label=catalogue.label(layer, index),
        aliases=aliases,
        page=urls.neuron_page(layer.slug, index),
        npz=urls.neuron_npz(layer.slug, index),
        atlas=urls.ATLAS_JSON,
        model=Model(catalogue.model.name, catalogue.model.sha256),
        receptive_field=receptive_field(layer),
        effective_field=effective_field(artefacts.effective_field),
        featurevis=_pictures(artefacts, index),
        upstream=_connections(catalogue, artefacts.upstream, index),
        downstream=_connections(catalogue, artefacts.downstream, index),
        one_hop=_paths(catalogue, artefacts.one_hop, index),
        two_hops=_paths(catalogue, artefacts.two_hops, index),
        factorization=_factorization(catalogue, artefacts.factorization(index)),
        statistics=_statistics(artefacts.statistics, index),
        lookalikes=_lookalikes(catalogue, artefacts.statistics, index),
        factor_pictures=_grid(artefacts.factor_pictures(index), urls.factor_pictures(layer.slug, index)),
        positions=_grid(artefacts.positions(index), urls.positions(layer.slug, index)),
        examples=on_images.examples(artefacts, index, packed=packed),
        circuit=_circuit(circuit) if circuit else None,
        families=[FamilyLink(link.name, link.href) for link in families],
        bands=_bands(artefacts, index),
        ranges=on_images.ranges(artefacts.ranges, index),
        distribution=on_images.distribution(artefacts.distribution, index),
        fidelity=on_images.fidelity(artefacts.fidelity, artefacts.upstream, index),
        failures=[Failure(*failure) for failure in artefacts.failures(index).items()] or UNSET,
    )
    return msgspec.json.encode(document) + b"\n"


def _branch(layer: Layer, index: int) -> NeuronBranch | None:
    branch = layer.branch_of(index)
    return None if branch is None else NeuronBranch(branch.name, index - branch.first, branch.n_channels)


def _pictures(artefacts: LayerArtefacts, index: int) -> list[PictureData]:
    slug = artefacts.layer.slug
    return [
        PictureData(
            **plain(picture),
            meaning=wording.VARIANTS.get(variant, ""),
            image=urls.featurevis(slug, index, variant=variant),
        )
        for variant in artefacts.record.featurevis
        if (picture := artefacts.featurevis(variant, index))
    ]


def _grid(sheet: DirectionSheet | None, image: str) -> PictureGrid | None:
    return None if sheet is None else PictureGrid(**plain(sheet), image=image)


def _bands(artefacts: LayerArtefacts, index: int) -> BandPictures | UnsetType:
    bands = artefacts.bands(index)
    if bands is None:
        return UNSET
    rgb = [int(band) for band in bands.shown.split(",")]
    return BandPictures(urls.bands(artefacts.layer.slug, index), bands.n_bands, rgb)


def _connections(catalogue: Catalogue, columns: Columns | None, index: int) -> ConnectionListData | None:
    if columns is None:
        return None
    record = columns.record
    other = record.source if record.direction == "upstream" else record.target
    return ConnectionListData(**_strongest(catalogue, record, other, index), notes=columns.notes or UNSET)


def _paths(catalogue: Catalogue, record: Paths | None, index: int) -> PathList | None:
    """Return how much of each connection cancels; over two hops this is the only list of connections."""
    if record is None:
        return None
    return PathList(
        **_strongest(catalogue, record, record.source, index),
        cancels=short_list(record.ratio[index]),
        total_cancels=short(float(record.total_ratio[index])),
    )


def _strongest(catalogue: Catalogue, record: Connections | Paths, other: str, index: int) -> dict[str, Any]:
    """Return the properties that connections and paths share; `other` is the layer at the other end."""
    neurons = record.index[index].tolist()
    return {
        "source": record.source,
        "target": record.target,
        "carrier": record.carrier,
        "n_candidates": record.n_candidates,
        "cropped": short(record.cropped),
        "peak": short(float(record.peak[index])),
        "coverage": Coverage(short(float(record.l2[index])), short(float(record.l1[index]))),
        "kernel_size": record.kernel.shape[2:],
        "index": neurons,
        "name": names_of(catalogue, other, neurons),
        "strength": short_list(record.strength[index]),
        "sign": record.sign[index].tolist(),
    }


def _factorization(catalogue: Catalogue, record: Factorization | None) -> FactorListData | None:
    if record is None:
        return None
    factors = [
        FactorPart(**plain(factor), source_names=names_of(catalogue, record.source, factor.source_neurons))
        for factor in record.factors
    ]
    counts = [OtherCount(**plain(count)) for count in record.counts]
    return FactorListData(record.source, record.n_factors, record.error, factors, record.note, counts)


def _statistics(measured: Measured | None, index: int) -> Statistics | None:
    if measured is None:
        return None
    record = measured.record
    branch = record.branch[index] if record.branch else ""
    return Statistics(
        source=record.source,
        carrier=record.carrier,
        branch=branch or None,
        branch_index=int(record.branch_index[index]) if branch else None,
        **{name: short(values[index]) for name, values in measured.values.items()},
        percentile=Percentiles(*short_list(record.percentile[index])),
    )


def _lookalikes(catalogue: Catalogue, measured: Measured | None, index: int) -> Similar | None:
    if measured is None:
        return None
    nearest = measured.nearest[index]
    names = names_of(catalogue, measured.record.layer, nearest)
    return Similar(nearest, names, short_list(measured.record.similarity[index]))


def _circuit(circuit: CircuitFigure) -> CircuitGraph:
    """Return a circuit's neurons, layer by layer, and its connections."""
    selection = circuit.selection
    edges = [
        CircuitConnection(
            source=edge.source,
            target=edge.target,
            strength=short(edge.strength),
            sign=edge.sign,
            relative=round(edge.relative, 6),
            share=edge.share if edge.share is None else round(edge.share, 6),
            followed=edge.chosen,
        )
        for edge in selection.edges
    ]
    return CircuitGraph(circuit.rule, selection.columns, edges)
