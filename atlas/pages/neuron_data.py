"""The machine-readable twin of a neuron's page: JSON of what it shows, by `schema/neuron.schema.json`."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.neuron import Layer
from atlas.pages import schemas, urls, wording
from atlas.pages.artefacts import Columns, LayerArtefacts, Measured
from atlas.pages.catalogue import Catalogue
from atlas.pages.circuit_context import CircuitFigure
from atlas.pages.context import Link
from atlas.pages.neuron_arrays import names_of
from atlas.pages.plain import field_data, plain, short
from atlas.records import Connections, DirectionSheet, ExampleTable, Factorization, Paths


def neuron_json(
    catalogue: Catalogue,
    artefacts: LayerArtefacts,
    index: int,
    *,
    aliases: tuple[str, ...] = (),
    circuit: CircuitFigure | None = None,
    families: tuple[Link, ...] = (),
) -> bytes:
    """Return what is known of a neuron, without its kernels."""
    layer = artefacts.layer
    document = {
        **schemas.head("neuron"),
        "neuron": f"{layer.name}:{index}",
        "layer": layer.name,
        "layer_slug": layer.slug,
        "layer_kind": layer.kind,
        "n_channels": layer.n_channels,
        "index": index,
        "branch": _branch(layer, index),
        "label": catalogue.label(layer, index),
        "aliases": aliases,
        "page": urls.neuron_page(layer.slug, index),
        "npz": urls.neuron_npz(layer.slug, index),
        "atlas": urls.ATLAS_JSON,
        "model": {"name": catalogue.model.name, "sha256": catalogue.model.sha256},
        "receptive_field": field_data(layer),
        "featurevis": _featurevis(artefacts, index),
        "upstream": _connections(catalogue, artefacts.upstream, index),
        "downstream": _connections(catalogue, artefacts.downstream, index),
        "one_hop": _paths(catalogue, artefacts.one_hop, index),
        "two_hops": _paths(catalogue, artefacts.two_hops, index),
        "factorization": _factorization(catalogue, artefacts.factorization(index)),
        "statistics": _statistics(artefacts.statistics, index),
        "lookalikes": _lookalikes(catalogue, artefacts.statistics, index),
        "factor_pictures": _sheet(artefacts.factor_pictures(index), urls.factor_pictures(layer.slug, index)),
        "positions": _sheet(artefacts.positions(index), urls.positions(layer.slug, index)),
        "examples": _examples(artefacts, index),
        "circuit": _circuit(circuit) if circuit else None,
        "families": [{"name": link.name, "page": link.href} for link in families],
    }
    failures = artefacts.failures(index)
    if failures:
        document["failures"] = [{"what": what, "reason": why} for what, why in failures.items()]
    return msgspec.json.encode(document) + b"\n"


def _featurevis(artefacts: LayerArtefacts, index: int) -> list[dict[str, Any]]:
    slug = artefacts.layer.slug
    return [
        {
            **plain(known),
            "meaning": wording.VARIANTS.get(variant, ""),
            "image": urls.featurevis(slug, index, variant=variant),
        }
        for variant in artefacts.record.featurevis
        if (known := artefacts.featurevis(variant, index))
    ]


def _factorization(catalogue: Catalogue, known: Factorization | None) -> dict[str, Any] | None:
    if known is None:
        return None
    document: dict[str, Any] = plain(known)
    for factor in document["factors"]:
        factor["source_names"] = names_of(catalogue, known.source, factor["source_neurons"])
    return document


def _sheet(known: DirectionSheet | None, image: str) -> dict[str, Any] | None:
    return None if known is None else {**plain(known), "image": image}


def _connections(catalogue: Catalogue, columns: Columns | None, index: int) -> dict[str, Any] | None:
    if columns is None:
        return None
    record: Connections = columns.record
    other = record.source if record.direction == "upstream" else record.target
    return {
        "source": record.source,
        "target": record.target,
        "carrier": record.carrier,
        "n_candidates": record.n_candidates,
        "cropped": short(record.cropped),
        "peak": short(float(record.peak[index])),
        "coverage": {"l2": short(float(record.l2[index])), "l1": short(float(record.l1[index]))},
        "kernel_size": record.kernel.shape[2:],
        "index": columns.index[index],
        "name": names_of(catalogue, other, columns.index[index]),
        "strength": [short(value) for value in columns.strength[index]],
        "sign": columns.sign[index],
    }


def _statistics(measured: Measured | None, index: int) -> dict[str, Any] | None:
    if measured is None:
        return None
    record, names = measured.record, list(measured.values)
    values = {name: short(measured.values[name][index]) for name in names}
    ranks = zip(names, map(short, measured.percentile[index]), strict=True)
    branch = record.branch[index] if record.branch else ""
    return {
        "source": record.source,
        "carrier": record.carrier,
        "branch": branch or None,
        "branch_index": int(record.branch_index[index]) if branch else None,
        **values,
        "percentile": dict(ranks),
    }


def _lookalikes(catalogue: Catalogue, measured: Measured | None, index: int) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {
        "index": measured.nearest[index],
        "name": names_of(catalogue, measured.record.layer, measured.nearest[index]),
        "similarity": [short(value) for value in measured.similarity[index]],
    }


def _paths(catalogue: Catalogue, record: Paths | None, index: int) -> dict[str, Any] | None:
    """Return how much of a neuron's connections cancels; over two hops nothing else tells of them."""
    if record is None:
        return None
    sources = record.index[index].tolist()
    return {
        "source": record.source,
        "target": record.target,
        "carrier": record.carrier,
        "n_candidates": record.n_candidates,
        "cropped": short(record.cropped),
        "peak": short(float(record.peak[index])),
        "coverage": {"l2": short(float(record.l2[index])), "l1": short(float(record.l1[index]))},
        "kernel_size": record.kernel.shape[2:],
        "index": sources,
        "name": names_of(catalogue, record.source, sources),
        "strength": [short(value) for value in record.strength[index].tolist()],
        "sign": record.sign[index].tolist(),
        "cancels": [short(value) for value in record.ratio[index].tolist()],
        "total_cancels": short(float(record.total_ratio[index])),
    }


def _examples(artefacts: LayerArtefacts, index: int) -> dict[str, Any] | None:
    table: ExampleTable | None = artefacts.examples
    if table is None:
        return None
    shown = table.image[index] >= 0
    files = [table.images[i] for i in table.image[index][shown].tolist()]
    return {
        "strip": urls.example_strip(artefacts.layer.slug, index) if artefacts.has_strip(index) else None,
        "n_images": len(table.images),
        "skipped": table.skipped,
        "image": files,
        "label": [wording.image_label(file) for file in files],
        "activation": [short(value) for value in table.activation[index][shown].tolist()],
        "position": table.position[index][shown].tolist(),
        "box": table.box[index][shown].tolist(),
    }


def _branch(layer: Layer, index: int) -> dict[str, Any] | None:
    branch = layer.branch_of(index)
    if branch is None:
        return None
    return {"name": branch.name, "index": index - branch.first, "n_channels": branch.n_channels}


def _circuit(circuit: CircuitFigure) -> dict[str, Any]:
    """Return a circuit's neurons as [layer, index], layer by layer, and its connections."""
    found = circuit.selection
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "strength": short(edge.strength),
            "sign": edge.sign,
            "relative": round(edge.relative, 6),
            "share": edge.share if edge.share is None else round(edge.share, 6),
            "followed": edge.chosen,
        }
        for edge in found.edges
    ]
    return {"rule": circuit.rule, "columns": found.columns, "edges": edges}
