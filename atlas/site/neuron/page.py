"""Records -> everything that the page of one neuron shows."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from atlas.core.neuron import Layer
from atlas.site import urls, wording
from atlas.site.neuron.cancellation import SignedPaths, cancelling, signed_paths
from atlas.site.neuron.circuit import CircuitFigure
from atlas.site.neuron.citation import Citation, citation
from atlas.site.neuron.connections import ConnectionList, connection_list, filter_picture
from atlas.site.neuron.directions import PositionGrid, position_grid
from atlas.site.neuron.examples import Examples, examples
from atlas.site.neuron.factors import FactorList, factors
from atlas.site.neuron.key_numbers import KeyNumber, key_numbers
from atlas.site.neuron.latex import chip
from atlas.site.neuron.pictures import Picture, bands, pictures
from atlas.site.neuron.prediction import OnImages, contributions, on_images
from atlas.site.neuron.statistics import Numbers, SimilarNeurons, lookalikes, numbers
from atlas.site.neuron.summary import neuron_summary
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import KINDS, Catalogue, Link


@dataclass(frozen=True, slots=True)
class NeuronFiles:
    """Where a neuron's data is, and its short page."""

    json: str
    """Address of its data file, in a packed site once the zip file is unpacked."""
    npz: str
    """Address of its file of NumPy arrays, likewise."""
    pack: str
    """Address of the zip file that holds both among others, "" where they are files of their own."""
    embed: str
    """Address of the page's short form, which other sites show in an iframe; "" in a packed site."""


@dataclass(frozen=True, slots=True)
class NeuronPage:
    """Everything on a neuron's page."""

    name: str
    """Name of the neuron, "mixed3b:379"."""
    href: str
    """Address of this page."""
    index: int
    """Its index in the layer."""
    layer: Link
    """Its layer."""
    kind: str
    """Kind of that layer, in words."""
    n_channels: int
    """Number of the layer's neurons."""
    branch: str
    """Its branch and its index within, in words; "" where it is in none."""
    label: str
    """The class that it stands for, "" outside of the output layer."""
    receptive_field: str
    """Width and height of its receptive field, "" where it is not known."""
    effective_field: str
    """Width and height of the square with most of its layer's gradient, "" where it is not known."""
    previous: Link | None
    """The neuron before among those that have a page, None for the first."""
    next: Link | None
    """The neuron after among those that have a page, None for the last."""
    aliases: tuple[str, ...]
    """Other names by which the search box finds it."""
    main: Picture | None
    """Its main feature visualization, None where it was not drawn."""
    variants: tuple[Picture, ...]
    """Its other feature visualizations."""
    colour_filter: str
    """Data URI of its weights on an RGB image as one picture, "" where its source is another."""
    examples: Examples | None
    """Its dataset examples, None where they were not made."""
    on_images: OnImages
    """What was measured of it on images."""
    circuit: CircuitFigure | None
    """Its circuit, None where it has no connections or no circuits are wanted."""
    upstream: ConnectionList | None
    """Its connections from the layer before, None where they were not made."""
    positions: PositionGrid | None
    """Pictures of its weights position by position, None where they were not drawn."""
    factors: FactorList | None
    """The factors of its weights, None where they were not made."""
    downstream: ConnectionList | None
    """Its connections to the layer after, None where they were not made."""
    numbers: Numbers | None
    """The statistics of its weights, None where they were not made."""
    lookalikes: SimilarNeurons | None
    """The neurons with the most similar weights, None where there are none."""
    paths: SignedPaths | None
    """Positive and negative paths to it, None where they were not made."""
    files: NeuronFiles
    """Where its data is, and its short page."""
    citation: Citation
    """How to cite this page."""
    description: str
    """Description of the page for search engines, a few sentences."""
    families: tuple[Link, ...] = ()
    """The families that it is a member of."""
    chip: str = ""
    """LaTeX that prints its picture in a line of text."""
    key_numbers: tuple[KeyNumber, ...] = ()
    """The numbers at the top of the page, three at most."""
    bands: Picture | None = None
    """Picture of each band of its feature visualization, None where it has only a plain picture."""
    undrawn: str = ""
    """Why there is no main feature visualization, "" where there is one or none was wanted."""
    failures: tuple[tuple[str, str], ...] = ()
    """Names of other artefacts that could not be made, each with the reason."""


def neuron_page(
    catalogue: Catalogue,
    artefacts: LayerArtefacts,
    index: int,
    *,
    circuit: CircuitFigure | None = None,
    families: tuple[Link, ...] = (),
    url: str = "",
    packed: bool = False,
) -> NeuronPage:
    """Return everything on a neuron's page.

    `url` is the address of the site on the web, "" for unknown; `packed` is whether the site has as few
    files as it can (atlas.core.config.WebConfig).
    """
    layer, slug, name = artefacts.layer, artefacts.layer.slug, f"{artefacts.layer.name}:{index}"
    (before, after), (main, variants) = _neighbours(artefacts, index), _pictures(catalogue, artefacts, index)
    undrawn, failures = _not_made(catalogue, artefacts, index)
    return NeuronPage(
        name=name,
        href=urls.neuron_page(slug, index),
        index=index,
        layer=catalogue.link(layer.name),
        kind=KINDS.get(layer.kind, layer.kind),
        n_channels=layer.n_channels,
        branch=_branch(layer, index),
        label=catalogue.label(layer, index),
        receptive_field=wording.receptive_field(layer),
        effective_field=wording.effective_field(artefacts.effective_field),
        previous=before,
        next=after,
        aliases=aliases(catalogue, artefacts, index),
        main=main,
        variants=variants,
        colour_filter=filter_picture(catalogue, artefacts, index),
        examples=examples(artefacts, index, inline=packed),
        on_images=on_images(catalogue, artefacts, index),
        circuit=circuit,
        upstream=_upstream(catalogue, artefacts, index),
        positions=position_grid(catalogue, artefacts, index),
        factors=factors(catalogue, artefacts, index),
        downstream=connection_list(catalogue, artefacts.downstream, index, direction="downstream"),
        numbers=numbers(catalogue, artefacts, index),
        lookalikes=lookalikes(catalogue, artefacts, index),
        paths=signed_paths(catalogue, artefacts, index),
        families=families,
        key_numbers=key_numbers(artefacts, index),
        bands=bands(artefacts, index),
        undrawn=undrawn,
        failures=failures,
        files=_files(layer, index, packed=packed),
        citation=citation(catalogue, f"Neuron {name}", urls.neuron_page(slug, index), url=url),
        description=neuron_summary(catalogue, artefacts, index, families),
        chip=chip(layer, index),
    )


def _files(layer: Layer, index: int, *, packed: bool) -> NeuronFiles:
    pack = urls.pack(layer.slug, index, layer.n_channels) if packed else ""
    embed = "" if packed else urls.embed_page(layer.slug, index)
    return NeuronFiles(urls.neuron_json(layer.slug, index), urls.neuron_npz(layer.slug, index), pack, embed)


def _not_made(
    catalogue: Catalogue, artefacts: LayerArtefacts, index: int
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return why there is no main feature visualization, "" for none wanted, and what else failed."""
    failures = artefacts.failures(index)
    undrawn = failures.pop(f"feature visualization ({catalogue.main_variant(artefacts.layer.name)})", "")
    return undrawn, tuple(failures.items())


def _pictures(
    catalogue: Catalogue, artefacts: LayerArtefacts, index: int
) -> tuple[Picture | None, tuple[Picture, ...]]:
    """Return the main feature visualization, None where it was not drawn, and the others."""
    drawn = tuple(pictures(artefacts, index))
    has_main = bool(catalogue.icons(artefacts.layer.name)[index].image)
    return (drawn[0], drawn[1:]) if has_main else (None, drawn)


def _upstream(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> ConnectionList | None:
    shares = cancelling(artefacts.one_hop, index)
    return connection_list(
        catalogue,
        artefacts.upstream,
        index,
        direction="upstream",
        cancelling=shares,
        on_images=contributions(artefacts, index),
    )


def _neighbours(artefacts: LayerArtefacts, index: int) -> tuple[Link | None, Link | None]:
    """Return links to the shown neurons with the next smaller and the next larger index."""
    neurons, slug = artefacts.record.neurons, artefacts.layer.slug
    at = bisect.bisect_left(neurons, index)
    links = [Link(str(n), urls.neuron_page(slug, n)) for n in neurons[max(0, at - 1) : at + 2]]
    return links[0] if at else None, links[-1] if at + 1 < len(neurons) else None


def aliases(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> tuple[str, ...]:
    """Return the other names of a neuron that the search box takes."""
    layer = artefacts.layer
    short = catalogue.short_name(layer)
    names = [f"{short}:{index}"] if short else []
    branch = layer.branch_of(index)
    if branch in catalogue.branches(layer.name):
        names.append(f"{branch.name}:{index - branch.first}")
    return (*names, f"{layer.name}/{index}", f"{layer.slug}_{index}")


def _branch(layer: Layer, index: int) -> str:
    """Return "branch 5x5, neuron 59 of 96", "" for a neuron that is in no branch."""
    branch = layer.branch_of(index)
    if branch is None:
        return ""
    name = branch.name.removeprefix(layer.name).lstrip("/_-") or branch.name
    return f"branch {name}, neuron {index - branch.first} of {branch.n_channels}"
