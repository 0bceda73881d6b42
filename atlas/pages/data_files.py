"""The machine-readable twins of the site's other pages."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.pages import schemas, urls
from atlas.pages.catalogue import Catalogue
from atlas.pages.checksums import Contents
from atlas.pages.family_artefacts import Address, FamilyArtefacts
from atlas.pages.plain import field_data, plain, shortened
from atlas.records import Family


def atlas_json(catalogue: Catalogue, families: FamilyArtefacts, files: Contents) -> bytes:
    """Return the index of everything: the model, the layers, each neuron's addresses."""
    atlas, model = catalogue.atlas, catalogue.model
    document = {
        **schemas.head("atlas"),
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
            "statistics": urls.layer_csv("{layer}"),
            "neuron": "{layer}_{n}.html",
            "featurevis": "images/{variant}/{layer}_{n}.jpg",
            "examples": "images/examples/{layer}_{n}.jpg",
            "positions": "images/positions/{layer}_{n}.jpg",
            "factor_pictures": "images/factors/{layer}_{n}.jpg",
            "json": "data/{layer}_{n}.json",
            "npz": "data/{layer}_{n}.npz",
            "family": urls.family_page("{family}"),
            "family_json": urls.family_json("{family}"),
        },
        "schemas": {kind: urls.schema(kind) for kind in schemas.KINDS},
        "readme": urls.DATA_README,
        "layers": [_layer_entry(catalogue, record.layer) for record in atlas.layers],
        "families": [_family_entry(families.family(address), address) for address in families.addresses],
        "network": [{**plain(layer), "receptive_field": field_data(layer)} for layer in model.layers],
        "settings": atlas.settings,
        "versions": atlas.versions,
        "notes": atlas.notes,
        "files": files,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def family_json(catalogue: Catalogue, families: FamilyArtefacts, address: Address) -> bytes:
    """Return all that is known of a family: members, turns, and every factor with its maps and loadings."""
    family = families.family(address)
    document = {
        **schemas.head("family"),
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
        "factor_pictures": urls.family_pictures(address.slug) if families.pictures(address) else None,
        "source_name": [icon.name for icon in catalogue.icons(family.source)],
        "strength": shortened(family.strength),
        "loadings": shortened(family.loadings),
        "maps": shortened(family.maps),
    }
    return msgspec.json.encode(document) + b"\n"


def _layer_entry(catalogue: Catalogue, name: str) -> dict[str, Any]:
    layer, record = catalogue.layer(name), catalogue.record(name)
    assert record is not None, "only layers of the atlas are listed"
    return {
        "name": layer.name,
        "slug": layer.slug,
        "page": urls.layer_page(layer.slug),
        "csv": catalogue.statistics(name) or None,
        "upstream": record.upstream,
        "downstream": record.downstream,
        "featurevis": record.featurevis,
        "neurons": record.neurons,
        "positions": record.positions,
        "factor_pictures": record.factor_pictures,
    }


def _family_entry(family: Family, address: Address) -> dict[str, Any]:
    return {
        "name": family.name,
        "slug": address.slug,
        "page": urls.family_page(address.slug),
        "json": urls.family_json(address.slug),
        "layer": family.layer,
        "neurons": family.neurons,
        "proposed": address.number > 0,
        "score": family.score if address.number else None,
    }
