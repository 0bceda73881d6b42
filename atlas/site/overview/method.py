"""The atlas record -> the facts on this atlas for the method page; its template explains the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.core.neuron import INPUT, Layer
from atlas.core.node_names import shown_name
from atlas.core.records import AtlasRecord, EffectiveField, ExampleTable, LayerRecord
from atlas.site import urls, wording
from atlas.site.neuron.citation import Citation, citation
from atlas.site.reading.catalogue import Catalogue, Link


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """How one layer of the atlas was made, in words."""

    layer: Link
    """The layer."""
    neurons: str
    """Number of neurons that have a page, "40 of 256" where others have none."""
    source: str
    """The layer that its weights are from, "" where they were not made."""
    carrier: str
    """The tensor that these weights are taken from, "" for the image."""
    window: str
    """Width and height of its receptive field, "" where it is not known."""
    effective: str
    """Width and height of its effective field, "" where it is not known."""
    stride: str
    """Distance from one position to the next in the image, "" where it is not known."""
    picture: str
    """Width and height of its feature visualizations, "" where there are none."""


@dataclass(frozen=True, slots=True)
class MethodPage:
    """Everything on the method page that depends on the atlas."""

    description: str
    """Description of the page for search engines, in a sentence."""
    href: str
    """Address of this page."""
    neurons: str
    """Number of neurons in the atlas, in words."""
    complete: bool
    """Whether every neuron of these layers has a page."""
    input_shape: str
    """Width, height and channels of the images that the network takes."""
    resizing: str
    """How photographs get the size of the input, in words."""
    values: str
    """The values of its images, mean, std and order of channels, in words."""
    layers: tuple[LayerFacts, ...]
    """The layers of the atlas, from the image to the output."""
    settings: Mapping[str, str]
    """The settings of the build by name."""
    variants: tuple[str, ...]
    """Effects of the variants of feature visualization on a neuron, in words."""
    images: str
    """Number of images that dataset examples were chosen from, in words; "" without examples."""
    measured: str
    """The images that effective fields were measured on, in words; "" where there are none."""
    named: int
    """Number of families that the config names."""
    proposed: int
    """Number of families that the program proposes."""
    circuit: str
    """How far circuits reach and which connections they show, in words; "" where there are none."""
    notes: tuple[str, ...]
    """Sentences on how the model was read."""
    citation: Citation
    """How to cite the atlas."""


def method_page(
    catalogue: Catalogue,
    examples: ExampleTable | None,
    fields: Mapping[str, EffectiveField | None],
    *,
    named: int,
    proposed: int,
    url: str = "",
) -> MethodPage:
    """Return everything on the method page.

    `fields` are effective fields by layer, `named` and `proposed` count families, `url` is the site's.
    """
    atlas, model = catalogue.atlas, catalogue.model
    h, w, c = model.input_shape
    variants = dict.fromkeys(variant for record in atlas.layers for variant in record.featurevis)
    return MethodPage(
        description=f"How the atlas of {model.name} was made, what its terms mean, and where they mislead.",
        href=urls.METHOD,
        neurons=wording.counted(sum(len(record.neurons) for record in atlas.layers), "neuron"),
        complete=all(len(r.neurons) == catalogue.layer(r.layer).n_channels for r in atlas.layers),
        input_shape=wording.times(w, h, c),
        resizing=wording.resizing(model),
        values=wording.values(model),
        layers=tuple(_facts(catalogue, record, fields.get(record.layer)) for record in atlas.layers),
        settings=atlas.settings,
        variants=tuple(wording.VARIANTS[variant] for variant in variants if variant in wording.VARIANTS),
        images=_images(examples),
        measured=next((field.what for field in fields.values() if field), ""),
        named=named,
        proposed=proposed,
        circuit=_circuit(atlas),
        notes=atlas.notes,
        citation=citation(catalogue, "Circuit atlas", urls.HOME, url=url),
    )


def _facts(catalogue: Catalogue, record: LayerRecord, effective: EffectiveField | None) -> LayerFacts:
    layer = catalogue.layer(record.layer)
    field = layer.receptive_field
    h, w = record.size
    drawn = record.featurevis and h and w
    return LayerFacts(
        layer=catalogue.link(record.layer),
        neurons=_share(layer, record),
        source="" if record.upstream is None else catalogue.link(record.upstream).name,
        carrier="" if record.upstream == INPUT else shown_name(record.upstream_carrier.partition(":")[0]),
        window=wording.receptive_field(layer),
        effective=wording.effective_field(effective),
        stride=f"{wording.times(field.stride[1], field.stride[0])} px" if field else "",
        picture=f"{wording.times(w, h)} px" if drawn else "",
    )


def _share(layer: Layer, record: LayerRecord) -> str:
    n, of = len(record.neurons), layer.n_channels
    return wording.thousands(n) if n == of else f"{wording.thousands(n)} of {wording.thousands(of)}"


def _images(examples: ExampleTable | None) -> str:
    """Return the number of images that the network was run on, in words; "" where there were none."""
    if examples is None:
        return ""
    read = wording.counted(len(examples.images), "image")
    return f"{read}; {len(examples.skipped)} more could not be read" if examples.skipped else read


def _circuit(atlas: AtlasRecord) -> str:
    """Return how far circuits reach and which connections they show, "" where there are none."""
    shape = atlas.circuit
    if shape is None:
        return ""
    branchings = [", then ".join(map(str, shape.fan[:hops])) for hops in (shape.up, shape.down)]
    directions = [
        f"{wording.counted(hops, 'hop')} {side}, following the {numbers} strongest connections of each neuron"
        for hops, side, numbers in zip(
            (shape.up, shape.down), ("upstream", "downstream"), branchings, strict=True
        )
        if hops
    ]
    return (
        f"{'; '.join(directions)}; other connections from {wording.percent(shape.between)} of the strongest"
    )
