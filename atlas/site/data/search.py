"""The records that the search box searches: names of layers, families and classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from atlas.core.records import LayerRecord
from atlas.site import urls
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyAddress


def search_script(catalogue: Catalogue, families: Iterable[FamilyAddress] = ()) -> bytes:
    """Return the records as a script, because fetch fails on file://.

    Each layer is [name, slug, short name, neurons with pages as [first, last] spans, their labels,
    branches as [name, first neuron, number of neurons], folder of their pictures]; the folder is "" if any
    neuron has no picture. Each family is [name, address, index of its layer, members that the config names].
    """
    layers = [_layer(catalogue, record) for record in catalogue.atlas.layers]
    entries = [_family(catalogue, address) for address in families]
    # Inside a script element, "</script>" would end it; the escape has the same value.
    data = msgspec.json.encode({"layers": layers, "families": entries}).replace(b"<", b"\\u003c")
    return b"window.ATLAS_SEARCH = " + data + b";\n"


def _layer(catalogue: Catalogue, record: LayerRecord) -> list[Any]:
    layer = catalogue.layer(record.layer)
    labels = [catalogue.label(layer, n) for n in record.neurons]
    drawn = all(catalogue.image(layer, n) for n in record.neurons)
    return [
        layer.name,
        layer.slug,
        catalogue.short_name(layer),
        _spans(record.neurons),
        labels if any(labels) else [],
        [(b.name, b.first, b.n_channels) for b in catalogue.branches(layer.name)],
        catalogue.main_variant(layer.name) if drawn else "",
    ]


def _family(catalogue: Catalogue, address: FamilyAddress) -> list[Any]:
    records = catalogue.atlas.layers
    at = next(at for at, record in enumerate(records) if record.layer == address.layer)
    named = next((family for family in catalogue.atlas.families if family.slug == address.slug), None)
    # A proposal is not read here: its members are in the store, not in the atlas record.
    name = named.name if named else f"Proposal {address.number} of {address.layer}"
    with_pages = frozenset(records[at].neurons)
    members = [n for n in named.neurons if n in with_pages] if named else []
    return [name, urls.family_page(address.slug), at, members]


def _spans(neurons: tuple[int, ...]) -> list[list[int]]:
    spans: list[list[int]] = []
    for n in neurons:
        if spans and spans[-1][1] == n - 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return spans
