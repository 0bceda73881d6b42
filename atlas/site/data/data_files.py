"""The JSON of the whole atlas and of each family, from the Structs of atlas.site.data.atlas_document."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.core.neuron import Layer
from atlas.core.records import Family, ModelRecord
from atlas.site import urls
from atlas.site.data import schemas
from atlas.site.data.atlas_document import (
    AtlasDocument,
    AtlasFamily,
    AtlasLayer,
    Contents,
    FamilyDocument,
    ImagePreprocessing,
    LayerBranch,
    NetworkLayer,
    NetworkModel,
    Turn,
)
from atlas.site.data.documents import Model, receptive_field
from atlas.site.data.plain import plain, shortened
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyAddress, FamilyArtefacts


def atlas_json(
    catalogue: Catalogue,
    families: FamilyArtefacts,
    files: Contents,
    *,
    packed: bool = False,
    images: str = "",
) -> bytes:
    """Return data/atlas.json: the model, the layers, the families, and how addresses are made.

    `images` is the address of the folder that holds images/, "" for the site's own.
    """
    atlas, model = catalogue.atlas, catalogue.model
    data = "data/{layer}_{first}-{last}.zip" if packed else "data"
    document = AtlasDocument(
        **schemas.head("atlas"),
        title=atlas.title,
        model=_model(model),
        addresses={
            "layer": urls.layer_page("{layer}"),
            "statistics": urls.layer_csv("{layer}"),
            "neuron": "{layer}_{n}.html",
            "featurevis": "images/{variant}/{layer}_{n}.jpg",
            **({} if packed else {"examples": "images/examples/{layer}_{n}.jpg"}),
            "positions": "images/positions/{layer}_{n}.jpg",
            "factor_pictures": "images/factors/{layer}_{n}.jpg",
            "json": f"{data}/{{layer}}_{{n}}.json",
            "npz": f"{data}/{{layer}}_{{n}}.npz",
            "family": urls.family_page("{family}"),
            "family_json": f"{urls.FAMILIES_PACK}/family_{{family}}.json"
            if packed
            else urls.family_json("{family}"),
        },
        images=images,
        schemas={kind: urls.schema(kind) for kind in schemas.KINDS},
        readme=urls.DATA_README,
        layers=[_layer(catalogue, record.layer) for record in atlas.layers],
        families=[
            AtlasFamily(**_family(families.family(address), address)) for address in families.addresses
        ],
        network=[_network_layer(layer) for layer in model.layers],
        settings=atlas.settings,
        versions=atlas.versions,
        notes=atlas.notes,
        files=files,
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _model(model: ModelRecord) -> NetworkModel:
    images = model.preprocessing
    values = {name: value for name, value in plain(images or {}).items() if name != "resizing"}
    return NetworkModel(
        model.name,
        model.sha256,
        model.input_shape,
        model.value_range,
        model.labels,
        model.edges,
        ImagePreprocessing(**plain(images.resizing), **values) if images else None,
    )


def family_json(catalogue: Catalogue, families: FamilyArtefacts, address: FamilyAddress) -> bytes:
    """Return the JSON of a family: members, turns, and every factor with its maps and loadings."""
    family = families.family(address)
    document = FamilyDocument(
        **schemas.head("family"),
        **_family(family, address),
        model=Model(catalogue.model.name, catalogue.model.sha256),
        source=family.source,
        carrier=family.carrier,
        note=family.note,
        turns=_turns(family),
        error=family.error,
        remark=family.remark,
        factor_pictures=urls.family_pictures(address.slug) if families.pictures(address) else None,
        source_name=[icon.name for icon in catalogue.icons(family.source)],
        strength=shortened(family.strength),
        loadings=shortened(family.loadings),
        maps=shortened(family.maps),
    )
    return msgspec.json.encode(document) + b"\n"


def _layer(catalogue: Catalogue, name: str) -> AtlasLayer:
    layer, record = catalogue.layer(name), catalogue.record(name)
    assert record is not None, "only layers of the atlas are listed"
    return AtlasLayer(
        name=layer.name,
        slug=layer.slug,
        page=urls.layer_page(layer.slug),
        csv=catalogue.statistics(name) or None,
        upstream=record.upstream,
        downstream=record.downstream,
        featurevis=record.featurevis,
        neurons=record.neurons,
        positions=record.positions,
        factor_pictures=record.factor_pictures,
    )


def _network_layer(layer: Layer) -> NetworkLayer:
    branches = [LayerBranch(branch.name, branch.first, branch.n_channels) for branch in layer.branches]
    properties = {**plain(layer), "receptive_field": receptive_field(layer), "branches": branches}
    return NetworkLayer(**properties)


def _family(family: Family, address: FamilyAddress) -> dict[str, Any]:
    """Return the properties of a family that stand both in atlas.json and in its own file."""
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


def _turns(family: Family) -> list[Turn]:
    """Return how each member of a proposal is turned against the first; [] for a family from the config."""
    if not family.angles:
        return []
    matched = family.matched.tolist()
    columns = (family.neurons, family.angles, family.flipped, family.agreement, matched)
    return [Turn(*turn) for turn in zip(*columns, strict=True)]
