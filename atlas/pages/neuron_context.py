"""Records -> what the page of one neuron shows."""

from __future__ import annotations

import bisect

from atlas.neuron import Layer
from atlas.pages import urls, wording
from atlas.pages.artefacts import LayerArtefacts
from atlas.pages.catalogue import KINDS, Catalogue
from atlas.pages.circuit_context import CircuitFigure
from atlas.pages.citation import citation
from atlas.pages.connection_context import connection_list, filter_picture
from atlas.pages.context import ConnectionList, Example, Examples, Link, NeuronPage, Picture
from atlas.pages.direction_context import position_grid
from atlas.pages.factor_context import factors
from atlas.pages.key_numbers import key_numbers
from atlas.pages.latex import chip
from atlas.pages.path_context import cancelling, signed_paths
from atlas.pages.statistics_context import lookalikes, numbers
from atlas.pages.summary import neuron_summary
from atlas.records import ExampleTable

# The strip's tiles are squares of this side, beside each other (atlas.examples).
TILE_PX = 96


def neuron_page(
    catalogue: Catalogue,
    artefacts: LayerArtefacts,
    index: int,
    *,
    circuit: CircuitFigure | None = None,
    families: tuple[Link, ...] = (),
    url: str = "",
) -> NeuronPage:
    """Return what the page of neuron `index` of a layer shows; `families` are those it is a member of.

    `url` is the address of the site on the web, "" where nobody knows it.
    """
    layer, slug = artefacts.layer, artefacts.layer.slug
    icon = catalogue.icons(layer.name)[index]
    before, after = _neighbours(artefacts, index)
    pictures = [p for v in artefacts.record.featurevis if (p := _picture(artefacts, v, index))]
    failures = artefacts.failures(index)
    undrawn = failures.pop(f"feature visualization ({catalogue.main_variant(layer.name)})", "")
    name = f"{layer.name}:{index}"
    return NeuronPage(
        name=name,
        slug=f"{slug}_{index}",
        href=urls.neuron_page(slug, index),
        index=index,
        layer=catalogue.link(layer.name),
        kind=KINDS.get(layer.kind, layer.kind),
        n_channels=layer.n_channels,
        branch=_branch(layer, index),
        label=catalogue.label(layer, index),
        receptive_field=wording.receptive_field(layer),
        previous=before,
        next=after,
        aliases=_aliases(catalogue, artefacts, index),
        main=pictures[0] if icon.image else None,
        variants=tuple(pictures[1:] if icon.image else pictures),
        colour_filter=filter_picture(catalogue, artefacts, index),
        examples=_examples(artefacts, index),
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
        bands=_bands(artefacts, index),
        undrawn=undrawn,
        failures=tuple(failures.items()),
        json=urls.neuron_json(slug, index),
        npz=urls.neuron_npz(slug, index),
        citation=citation(catalogue, f"Neuron {name}", urls.neuron_page(slug, index), url=url),
        description=neuron_summary(catalogue, artefacts, index, families),
        embed=urls.embed_page(slug, index),
        chip=chip(layer, index),
    )


def _upstream(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> ConnectionList | None:
    known = cancelling(artefacts.one_hop, index)
    return connection_list(catalogue, artefacts.upstream, index, direction="upstream", cancelling=known)


def _neighbours(artefacts: LayerArtefacts, index: int) -> tuple[Link | None, Link | None]:
    """Return the shown neurons before and after, which stand in ascending order."""
    neurons, slug = artefacts.record.neurons, artefacts.layer.slug
    at = bisect.bisect_left(neurons, index)
    links = [Link(str(n), urls.neuron_page(slug, n)) for n in neurons[max(0, at - 1) : at + 2]]
    return links[0] if at else None, links[-1] if at + 1 < len(neurons) else None


def _aliases(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> tuple[str, ...]:
    layer = artefacts.layer
    short = catalogue.short_name(layer)
    aliases = [f"{short}:{index}"] if short else []
    branch = layer.branch_of(index)
    if branch in catalogue.branches(layer.name):
        aliases.append(f"{branch.name}:{index - branch.first}")
    return (*aliases, f"{layer.name}/{index}", f"{layer.slug}_{index}")


def _branch(layer: Layer, index: int) -> str:
    """Return "branch 5x5, neuron 59 of 96", "" for a neuron that is in no branch."""
    branch = layer.branch_of(index)
    if branch is None:
        return ""
    name = branch.name.removeprefix(layer.name).lstrip("/_-") or branch.name
    return f"branch {name}, neuron {index - branch.first} of {branch.n_channels}"


def _picture(artefacts: LayerArtefacts, variant: str, index: int) -> Picture | None:
    known = artefacts.featurevis(variant, index)
    if known is None:
        return None
    size = f"{wording.times(known.width_px, known.height_px)} px"
    steps = f"{wording.thousands(known.n_steps)} steps, " if known.n_steps else ""
    return Picture(
        variant=variant,
        meaning=wording.VARIANTS.get(variant, ""),
        src=urls.featurevis(artefacts.layer.slug, index, variant=variant),
        width_px=known.width_px,
        height_px=known.height_px,
        facts=f"{size}, {steps}activation {wording.number(known.activation)}",
    )


def _bands(artefacts: LayerArtefacts, index: int) -> Picture | None:
    known = artefacts.bands(index)
    if known is None:
        return None
    colours = zip(("red", "green", "blue"), known.shown.split(","), strict=True)
    shown = ", ".join(f"band {band} as {colour}" for colour, band in colours if band != "0")
    return Picture(
        variant="bands",
        meaning=f"{known.n_bands} bands, each in grey. The picture above shows {shown}",
        src=urls.bands(artefacts.layer.slug, index),
        width_px=known.width_px,
        height_px=known.height_px,
        facts="",
    )


def _examples(artefacts: LayerArtefacts, index: int) -> Examples | None:
    table = artefacts.examples
    if table is None or not artefacts.has_strip(index):
        return None
    return Examples(
        strip=urls.example_strip(artefacts.layer.slug, index),
        tiles=_tiles(table, index),
        n_images=len(table.images),
        skipped=_skipped(table.skipped),
    )


def _tiles(table: ExampleTable, index: int) -> tuple[Example, ...]:
    pairs = zip(table.image[index].tolist(), table.activation[index].tolist(), strict=True)
    tiles = []
    for at, (image, activation) in enumerate(pairs):
        if image >= 0:
            file = table.images[image]
            label = wording.image_label(file)
            tiles.append(Example(at * TILE_PX, label, file, wording.number(activation)))
    return tuple(tiles)


def _skipped(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{wording.counted(len(files), 'file')} could not be read: {', '.join(files[:3])}{more}."
