"""The machine-readable twins of the pages: JSON, .npz, and the search records of the browser.

A neuron's .npz holds, for "upstream" and "downstream", the connections that its page shows, strongest
first: `<direction>_index` [k], `_strength` [k], `_sign` [k] and `_kernel` [k, h, w]; `numpy.load` reads it.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from atlas.pages import urls
from atlas.pages.artefacts import Columns, LayerArtefacts
from atlas.pages.catalogue import Catalogue
from atlas.pages.context import Link
from atlas.pages.family_artefacts import Address, FamilyArtefacts
from atlas.records import Connections, ExampleTable, Family, Floats


def atlas_json(catalogue: Catalogue, families: FamilyArtefacts | None = None) -> bytes:
    """Return the index of everything: the model, the layers, each neuron's addresses."""
    atlas, model = catalogue.atlas, catalogue.model
    document = {
        "title": atlas.title,
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "input_shape": model.input_shape,
            "value_range": model.value_range,
            "labels": model.labels,
            "edges": model.edges,
        },
        "addresses": {
            "layer": urls.layer_page("{layer}"),
            "neuron": "{layer}_{n}.html",
            "featurevis": "images/{variant}/{layer}_{n}.jpg",
            "examples": "images/examples/{layer}_{n}.jpg",
            "json": "data/{layer}_{n}.json",
            "npz": "data/{layer}_{n}.npz",
        },
        "layers": [_layer_entry(catalogue, record.layer) for record in atlas.layers],
        "families": [_family_entry(families.family(address), address) for address in families.addresses]
        if families
        else [],
        "network": [_plain(layer) for layer in model.layers],
        "settings": atlas.settings,
        "versions": atlas.versions,
        "notes": atlas.notes,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def neuron_json(
    catalogue: Catalogue, artefacts: LayerArtefacts, index: int, *, families: tuple[Link, ...] = ()
) -> bytes:
    """Return what is known of a neuron, without its kernels."""
    layer = artefacts.layer
    document = {
        "neuron": f"{layer.name}:{index}",
        "layer": layer.name,
        "layer_slug": layer.slug,
        "index": index,
        "label": catalogue.label(layer, index),
        "page": urls.neuron_page(layer.slug, index),
        "npz": urls.neuron_npz(layer.slug, index),
        "model": {"name": catalogue.model.name, "sha256": catalogue.model.sha256},
        "receptive_field": layer.receptive_field,
        "featurevis": _featurevis(artefacts, index),
        "upstream": _connections(artefacts.upstream, index),
        "downstream": _connections(artefacts.downstream, index),
        "factorization": artefacts.factorization(index),
        "examples": _examples(artefacts, index),
        "families": [{"name": link.name, "page": link.href} for link in families],
    }
    return msgspec.json.encode(document) + b"\n"


def family_json(catalogue: Catalogue, families: FamilyArtefacts, address: Address) -> bytes:
    """Return all that is known of a family: members, turns, and every factor with its maps and loadings."""
    family = families.family(address)
    document = {
        **_family_entry(family, address),
        "model": {"name": catalogue.model.name, "sha256": catalogue.model.sha256},
        "source": family.source,
        "carrier": family.carrier,
        "note": family.note,
        "turns": [
            {"neuron": n, "angle": angle, "flipped": flipped, "agreement": agreement, "matched": matched}
            for n, angle, flipped, agreement, matched in zip(
                family.neurons,
                family.angles,
                family.flipped,
                family.agreement,
                family.matched.tolist(),
                strict=True,
            )
        ]
        if family.angles
        else [],
        "error": family.error,
        "remark": family.remark,
        "strength": _shortened(family.strength),
        "loadings": _shortened(family.loadings),
        "maps": _shortened(family.maps),
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
    return _stored_zip(members)


def search_script(catalogue: Catalogue) -> bytes:
    """Return the records that the search box looks through, as a script: fetch fails on file://.

    Each layer is [name, slug, short name, shown neurons as [first, last] spans, their labels];
    each family that the config names is [name, address, layer].
    """
    layers = []
    for record in catalogue.atlas.layers:
        layer = catalogue.layer(record.layer)
        labels = [catalogue.label(layer, n) for n in record.neurons]
        texts = labels if any(labels) else []
        short = catalogue.short_name(layer)
        layers.append([layer.name, layer.slug, short, _spans(record.neurons), texts])
    families = [[f.name, urls.family_page(f.slug), f.layer] for f in catalogue.atlas.families]
    # Inside a script, "<" could end it; as an escape it reads the same.
    data = msgspec.json.encode({"layers": layers, "families": families}).replace(b"<", b"\\u003c")
    return b"window.ATLAS_SEARCH = " + data + b";\n"


def _layer_entry(catalogue: Catalogue, name: str) -> dict[str, Any]:
    layer, record = catalogue.layer(name), catalogue.record(name)
    assert record is not None, "only layers of the atlas are listed"
    return {
        "name": layer.name,
        "slug": layer.slug,
        "page": urls.layer_page(layer.slug),
        "upstream": record.upstream,
        "downstream": record.downstream,
        "featurevis": record.featurevis,
        "neurons": record.neurons,
    }


def _family_entry(family: Family, address: Address) -> dict[str, Any]:
    return {
        "name": family.name,
        "slug": address.slug,
        "page": urls.family_page(address.slug),
        "layer": family.layer,
        "neurons": family.neurons,
        "proposed": address.number > 0,
        "score": family.score if address.number else None,
    }


def _shortened(array: Floats) -> Any:
    """Return an array as lists of numbers of five digits."""
    return [_shortened(row) for row in array] if array.ndim > 1 else [float(f"{x:.5g}") for x in array]


def _featurevis(artefacts: LayerArtefacts, index: int) -> list[dict[str, Any]]:
    slug = artefacts.layer.slug
    return [
        {**_plain(known), "image": urls.featurevis(slug, index, variant=variant)}
        for variant in artefacts.record.featurevis
        if (known := artefacts.featurevis(variant, index))
    ]


def _connections(columns: Columns | None, index: int) -> dict[str, Any] | None:
    if columns is None:
        return None
    record: Connections = columns.record
    return {
        "source": record.source,
        "target": record.target,
        "carrier": record.carrier,
        "n_candidates": record.n_candidates,
        "cropped": _short(record.cropped),
        "peak": _short(float(record.peak[index])),
        "coverage": {"l2": _short(float(record.l2[index])), "l1": _short(float(record.l1[index]))},
        "kernel_size": record.kernel.shape[2:],
        "index": columns.index[index],
        "strength": [_short(value) for value in columns.strength[index]],
        "sign": columns.sign[index],
    }


def _examples(artefacts: LayerArtefacts, index: int) -> dict[str, Any] | None:
    table: ExampleTable | None = artefacts.examples
    if table is None:
        return None
    shown = table.image[index] >= 0
    return {
        "strip": urls.example_strip(artefacts.layer.slug, index) if artefacts.has_strip(index) else None,
        "image": [table.images[i] for i in table.image[index][shown].tolist()],
        "activation": [_short(value) for value in table.activation[index][shown].tolist()],
        "position": table.position[index][shown].tolist(),
        "box": table.box[index][shown].tolist(),
    }


def _short(value: float) -> float:
    """Return a float32's value with the digits it has: 0.1 and not 0.10000000149."""
    return float(f"{value:.7g}")


def _plain(record: Any) -> Any:
    return msgspec.to_builtins(record)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    return _npy_header(array.dtype.str, array.shape) + array.tobytes()


def _stored_zip(members: Mapping[str, bytes]) -> bytes:
    """Return a zip file of members as they are: weights do not shrink. No clock, no platform."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            # ZipInfo's own date is 1980-01-01; its system is that of the machine unless set.
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            archive.writestr(info, data)
    return out.getvalue()


@functools.cache
def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the start of an .npy file; the same for all neurons of a layer, and slow to make."""
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()


def _spans(neurons: tuple[int, ...]) -> list[list[int]]:
    spans: list[list[int]] = []
    for n in neurons:
        if spans and spans[-1][1] == n - 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return spans
