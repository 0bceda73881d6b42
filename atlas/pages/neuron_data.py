"""The machine-readable twins of a neuron's page: JSON of what it shows, .npz of its arrays.

The .npz holds, for "upstream" and "downstream", the connections that the page shows, strongest first:
`<direction>_index` [k], `_strength` [k], `_sign` [k] and `_kernel` [k, h, w]; `numpy.load` reads it.
`one_hop_positive` [m, h, w] is what positive paths add up to for the first m upstream ones; negative is
that less the kernel. `one_hop_ratio` and `two_hops_ratio` are the shares that cancel; connections over
two hops are `two_hops_index` and `two_hops_kernel`, what else is known of them stands in the JSON.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import msgspec
import numpy as np

from atlas.neuron import Layer
from atlas.pages import urls
from atlas.pages.artefacts import Columns, LayerArtefacts, Measured
from atlas.pages.catalogue import Catalogue
from atlas.pages.circuit_context import CircuitFigure
from atlas.pages.context import Link
from atlas.pages.plain import plain, short
from atlas.pages.stored_zip import stored_zip
from atlas.records import Connections, DirectionSheet, ExampleTable, Paths


def neuron_json(
    catalogue: Catalogue,
    artefacts: LayerArtefacts,
    index: int,
    *,
    circuit: CircuitFigure | None = None,
    families: tuple[Link, ...] = (),
) -> bytes:
    """Return what is known of a neuron, without its kernels."""
    layer = artefacts.layer
    document = {
        "neuron": f"{layer.name}:{index}",
        "layer": layer.name,
        "layer_slug": layer.slug,
        "index": index,
        "branch": _branch(layer, index),
        "label": catalogue.label(layer, index),
        "page": urls.neuron_page(layer.slug, index),
        "npz": urls.neuron_npz(layer.slug, index),
        "model": {"name": catalogue.model.name, "sha256": catalogue.model.sha256},
        "receptive_field": layer.receptive_field,
        "featurevis": _featurevis(artefacts, index),
        "upstream": _connections(artefacts.upstream, index),
        "downstream": _connections(artefacts.downstream, index),
        "one_hop": _paths(artefacts.one_hop, index),
        "two_hops": _paths(artefacts.two_hops, index),
        "factorization": artefacts.factorization(index),
        "statistics": _statistics(artefacts.statistics, index),
        "lookalikes": _lookalikes(artefacts.statistics, index),
        "factor_pictures": _sheet(artefacts.factor_pictures(index), urls.factor_pictures(layer.slug, index)),
        "positions": _sheet(artefacts.positions(index), urls.positions(layer.slug, index)),
        "examples": _examples(artefacts, index),
        "circuit": _circuit(circuit) if circuit else None,
        "families": [{"name": link.name, "page": link.href} for link in families],
    }
    return msgspec.json.encode(document) + b"\n"


def neuron_npz(artefacts: LayerArtefacts, index: int) -> bytes:
    """Return the .npz with the kernels of a neuron's shown connections; equal arrays, equal bytes."""
    members: dict[str, bytes] = {}
    for direction, columns in (("upstream", artefacts.upstream), ("downstream", artefacts.downstream)):
        if columns is not None:
            record = columns.record
            for name in ("index", "strength", "sign", "kernel"):
                members[f"{direction}_{name}.npy"] = _npy(getattr(record, name)[index])
    for prefix, known, names in (
        ("one_hop", artefacts.one_hop, ("ratio", "positive")),
        ("two_hops", artefacts.two_hops, ("index", "ratio", "kernel")),
    ):
        for name in names if known is not None else ():
            members[f"{prefix}_{name}.npy"] = _npy(getattr(known, name)[index])
    return stored_zip(members)


def _featurevis(artefacts: LayerArtefacts, index: int) -> list[dict[str, Any]]:
    slug = artefacts.layer.slug
    return [
        {**plain(known), "image": urls.featurevis(slug, index, variant=variant)}
        for variant in artefacts.record.featurevis
        if (known := artefacts.featurevis(variant, index))
    ]


def _sheet(known: DirectionSheet | None, image: str) -> dict[str, Any] | None:
    return None if known is None else {**plain(known), "image": image}


def _connections(columns: Columns | None, index: int) -> dict[str, Any] | None:
    if columns is None:
        return None
    record: Connections = columns.record
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


def _lookalikes(measured: Measured | None, index: int) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {
        "index": measured.nearest[index],
        "similarity": [short(value) for value in measured.similarity[index]],
    }


def _paths(record: Paths | None, index: int) -> dict[str, Any] | None:
    """Return how much of a neuron's connections cancels; over two hops nothing else tells of them."""
    if record is None:
        return None
    return {
        "source": record.source,
        "target": record.target,
        "carrier": record.carrier,
        "n_candidates": record.n_candidates,
        "cropped": short(record.cropped),
        "coverage": {"l2": short(float(record.l2[index])), "l1": short(float(record.l1[index]))},
        "kernel_size": record.kernel.shape[2:],
        "index": record.index[index].tolist(),
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
    return {
        "strip": urls.example_strip(artefacts.layer.slug, index) if artefacts.has_strip(index) else None,
        "image": [table.images[i] for i in table.image[index][shown].tolist()],
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


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    return _npy_header(array.dtype.str, array.shape) + array.tobytes()


@functools.cache
def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the start of an .npy file; the same for all neurons of a layer, and slow to make."""
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()
