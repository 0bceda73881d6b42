"""The arrays of a neuron's page, as a self-describing .npz file.

`numpy.load` reads it. Its member `meta.json` names the neuron, and the axes, unit and meaning of every array.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from atlas.core.records import Connections, Factorization, Paths
from atlas.site.data.documents import Model
from atlas.site.data.zip_bytes import zip_bytes
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue

Array = np.ndarray[Any, Any]
META = "meta.json"


class Note(msgspec.Struct, frozen=True):
    """The description of an array."""

    axes: tuple[str, ...]
    """Name of each axis, in order."""
    unit: str
    """Unit of the values, as in the data folder's README; "text" for names."""
    meaning: str
    """What the values are, in words for docs/data.md."""


_LIST = {
    "index": Note(("connection",), "index", "the neurons at the other end, the strongest connection first"),
    "name": Note(("connection",), "text", "the same neurons by name, or by label where they have one"),
    "strength": Note(("connection",), "weight", "the L2 norm of each kernel"),
    "sign": Note(("connection",), "sign", "the sign of the sum of each kernel"),
}
_KERNEL = Note(
    ("connection", "height", "width"),
    "weight",
    "the expanded weights of each connection: row and column of the source in a window around the target",
)
_CANCELS = Note(("connection",), "share", "what cancels of what flows along positive and negative paths")
_POSITIVE = Note(
    ("connection", "height", "width"),
    "weight",
    "what positive paths add up to, for the first upstream connections; negative is this less the kernel",
)
_FACTORS = {
    "sign": Note(("factor",), "sign", "1 where the factor excites, -1 where it inhibits"),
    "strength": Note(("factor",), "weight", "the L2 norm of map times loadings, the strongest factor first"),
    "map": Note(("factor", "height", "width"), "weight", "where the factor stands, never negative"),
    "index": Note(("factor", "rank"), "index", "the source neurons of the largest loadings; -1 is none"),
    "name": Note(("factor", "rank"), "text", "the same neurons by name"),
    "loading": Note(
        ("factor", "rank"), "1", "their loadings; those of all source neurons have the L2 norm 1"
    ),
}
# The arrays that a file may hold, in order; a file leaves out those that its neuron does not have.
NOTES: Mapping[str, Note] = {
    **{f"upstream_{name}": note for name, note in {**_LIST, "kernel": _KERNEL}.items()},
    **{f"downstream_{name}": note for name, note in {**_LIST, "kernel": _KERNEL}.items()},
    "one_hop_ratio": _CANCELS,
    "one_hop_positive": _POSITIVE,
    **{f"two_hops_{name}": note for name, note in {**_LIST, "ratio": _CANCELS, "kernel": _KERNEL}.items()},
    **{f"factor_{name}": note for name, note in _FACTORS.items()},
}


def neuron_npz(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> bytes:
    """Return the .npz file of a neuron. Equal arrays give equal bytes."""
    arrays = dict(_arrays(catalogue, artefacts, index))
    about = {
        "neuron": f"{artefacts.layer.name}:{index}",
        "model": Model(catalogue.model.name, catalogue.model.sha256),
        "arrays": msgspec.Raw(_description(tuple(arrays))),
    }
    members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    # Compress texts only: arrays of numbers hardly get smaller.
    texts = {META, *(name for name in members if name.endswith("_name.npy"))}
    return zip_bytes({META: msgspec.json.encode(about), **members}, compressed=texts)


def names_of(catalogue: Catalogue, layer: str, indices: Sequence[int]) -> list[str]:
    """Return the names of neurons of a layer, or channels of the image, as the pages show them."""
    icons = catalogue.icons(layer)
    return [icons[index].name for index in indices]


def _arrays(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Iterator[tuple[str, Array]]:
    for direction, columns in (("upstream", artefacts.upstream), ("downstream", artefacts.downstream)):
        if columns is not None:
            record = columns.record
            other = record.source if direction == "upstream" else record.target
            yield from _list(catalogue, direction, record, other, index)
            yield f"{direction}_kernel", record.kernel[index]
    one_hop, two_hops = artefacts.one_hop, artefacts.two_hops
    if one_hop is not None:
        yield "one_hop_ratio", one_hop.ratio[index]
        yield "one_hop_positive", one_hop.positive[index]
    if two_hops is not None:
        yield from _list(catalogue, "two_hops", two_hops, two_hops.source, index)
        yield "two_hops_ratio", two_hops.ratio[index]
        yield "two_hops_kernel", two_hops.kernel[index]
    factors = artefacts.factorization(index)
    if factors is not None and factors.factors:
        yield from _factors(catalogue, factors)


def _list(
    catalogue: Catalogue, prefix: str, record: Connections | Paths, other: str, index: int
) -> Iterator[tuple[str, Array]]:
    yield f"{prefix}_index", record.index[index]
    yield f"{prefix}_name", np.array(names_of(catalogue, other, record.index[index].tolist()), str)
    yield f"{prefix}_strength", record.strength[index]
    yield f"{prefix}_sign", record.sign[index]


def _factors(catalogue: Catalogue, record: Factorization) -> Iterator[tuple[str, Array]]:
    factors = record.factors
    yield "factor_sign", np.array([factor.sign for factor in factors], np.int32)
    yield "factor_strength", np.array([factor.strength for factor in factors], np.float32)
    yield "factor_map", np.array([factor.map for factor in factors], np.float32)
    most = max(len(factor.source_neurons) for factor in factors)
    index = np.full((len(factors), most), -1, np.int32)
    loading = np.zeros((len(factors), most), np.float32)
    names = []
    for at, factor in enumerate(factors):
        n = len(factor.source_neurons)
        index[at, :n], loading[at, :n] = factor.source_neurons, factor.loadings
        names.append(names_of(catalogue, record.source, factor.source_neurons) + [""] * (most - n))
    yield "factor_index", index
    yield "factor_name", np.array(names, str)
    yield "factor_loading", loading


@functools.cache
def _description(names: tuple[str, ...]) -> bytes:
    """Return the description of these arrays as JSON. Cached, because most neurons have the same arrays."""
    return msgspec.json.encode({name: NOTES[name] for name in names})


def _npy(array: Array) -> bytes:
    return _npy_header(array.dtype.str, array.shape) + array.tobytes()


@functools.cache
def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of an .npy file. Cached: it is slow to make, and the same for a layer's neurons."""
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()
