"""Records -> the pages of families: their list, and a page for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.records import Family
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.citation import Citation, citation
from atlas.site.neuron.directions import FactorStrip, strip_of
from atlas.site.neuron.factors import Term
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.overview.family_grids import FamilyGrid, grids
from atlas.site.overview.family_turns import Turns, turns
from atlas.site.reading.catalogue import Catalogue, Icon, Link
from atlas.site.reading.family_artefacts import FamilyAddress, FamilyArtefacts

# More terms would not fit on one line; the data file holds every loading.
MAX_TERMS = 8
N_CARD_ICONS = 16


@dataclass(frozen=True, slots=True)
class Card:
    """A family in the list of families."""

    name: str
    """Name of the family."""
    href: str
    """Address of its page."""
    note: str
    """The note on it in the config, "" for none."""
    share: str
    """Number and share of the layer's neurons that it holds."""
    score: str
    """Score of a proposal, "" for a family that the config names."""
    icons: tuple[Icon, ...]
    """Its first members."""
    n_more: int
    """Number of its other members."""


@dataclass(frozen=True, slots=True)
class LayerFamilies:
    """The families of one layer."""

    layer: Link
    """The layer."""
    cards: tuple[Card, ...]
    """Its families."""
    others: str
    """Number of its neurons that are in none of them, in words."""


@dataclass(frozen=True, slots=True)
class FamiliesPage:
    """Everything on the page that lists families."""

    description: str
    """Description of the page for search engines, in a sentence."""
    href: str
    """Address of this page."""
    named: tuple[LayerFamilies, ...]
    """The families that the config names, layer by layer."""
    proposed: tuple[LayerFamilies, ...]
    """The families that the program proposes, layer by layer."""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One factor of a family."""

    number: int
    """Number of the factor, from 1."""
    strength: str
    """L2 norm of map times loadings."""
    peak: str
    """The weight at the ends of the colour scale."""
    sheet: Sheet
    """The members' signed maps in one picture."""
    cells: tuple[Icon, ...]
    """The members, in the order of the sheet."""
    terms: tuple[Term, ...]
    """Its strongest source neurons, strongest first."""
    has_more: bool
    """Whether the factor has more source neurons than these."""
    cut: str = ""
    """Style that cuts its picture out of the family's strip, "" where there is none."""


@dataclass(frozen=True, slots=True)
class FamilyPage:
    """Everything on a family's page."""

    name: str
    """Name of the family."""
    href: str
    """Address of this page."""
    json: str
    """Address of the family's data file, in a packed site of the zip file that holds it."""
    layer: Link
    """The layer that its members are neurons of."""
    source: Link
    """The layer that their weights are from."""
    note: str
    """The note on it in the config, "" for none."""
    score: str
    """Score of a proposal, "" for a family that the config names."""
    description: str
    """Description of the page for search engines, in a sentence."""
    members: tuple[Icon, ...]
    """Its neurons."""
    share: str
    """Number and share of the layer's neurons that it holds."""
    others: str
    """Number of the layer's other neurons, in words."""
    error: str
    """Relative L2 error of the factorization, as a percentage."""
    remark: str
    """A sentence where the factorization is degenerate, else ""."""
    factors: tuple[MapRow, ...]
    """The factors, strongest first."""
    strip: FactorStrip | None
    """The pictures of the factors, None where they were not drawn."""
    turns: Turns | None
    """The members of a proposal by angle, None for a family that the config names."""
    grids: tuple[FamilyGrid, ...]
    """Weights between this family and others, upstream first."""
    unconnected: str
    """A sentence where there are no such weights, else ""."""
    previous: Link | None
    """The family before in the list, None for the first."""
    next: Link | None
    """The family after in the list, None for the last."""
    citation: Citation
    """How to cite this page."""


def families_page(catalogue: Catalogue, families: FamilyArtefacts) -> FamiliesPage:
    """Return everything on the page that lists families."""
    named = [address for address in families.addresses if not address.number]
    proposed = [address for address in families.addresses if address.number]
    return FamiliesPage(
        description=f"Families of neurons of {catalogue.model.name}: {len(named)} named, "
        f"{len(proposed)} proposed by the program.",
        href=urls.FAMILIES,
        named=_by_layer(catalogue, families, named),
        proposed=_by_layer(catalogue, families, proposed),
    )


def family_page(
    catalogue: Catalogue,
    families: FamilyArtefacts,
    address: FamilyAddress,
    *,
    url: str = "",
    packed: bool = False,
) -> FamilyPage:
    """Return everything on a family's page.

    `url` is that of the site's folder, "" where it is not known; `packed` is whether a zip file holds the
    data of all families.
    """
    family = families.family(address)
    icons = catalogue.icons(family.layer)
    layer = catalogue.layer(family.layer)
    family_grids, unconnected = grids(catalogue, families, address)
    before, after = _neighbours(families, address)
    strip = strip_of(families.pictures(address), urls.family_pictures(address.slug))
    href = urls.family_page(address.slug)
    return FamilyPage(
        name=family.name,
        href=href,
        json=urls.FAMILIES_PACK if packed else urls.family_json(address.slug),
        layer=catalogue.link(family.layer),
        source=catalogue.link(family.source),
        note=family.note,
        score=_score(family),
        description=f"{family.name}: a family of {wording.counted(len(family.neurons), 'neuron')} of "
        f"{family.layer} in {catalogue.model.name}.",
        members=tuple(icons[index] for index in family.neurons),
        share=_share(len(family.neurons), layer.n_channels),
        others=wording.counted(layer.n_channels - len(family.neurons), "neuron"),
        error=wording.percent(family.error),
        remark=family.remark,
        factors=_factors(catalogue, family, strip),
        strip=strip,
        turns=turns(catalogue, families, family) if family.angles else None,
        grids=family_grids,
        unconnected=unconnected,
        previous=before,
        next=after,
        citation=citation(catalogue, f"Family {family.name}, neurons of {family.layer}", href, url=url),
    )


def _by_layer(
    catalogue: Catalogue, families: FamilyArtefacts, chosen: list[FamilyAddress]
) -> tuple[LayerFamilies, ...]:
    layers = []
    for record in catalogue.atlas.layers:
        here = [address for address in chosen if address.layer == record.layer]
        members = {neuron for address in here for neuron in families.family(address).neurons}
        if here:
            others = wording.counted(len(set(record.neurons) - members), "other neuron")
            cards = tuple(_card(catalogue, families.family(address), address) for address in here)
            layers.append(LayerFamilies(catalogue.link(record.layer), cards, others))
    return tuple(layers)


def _card(catalogue: Catalogue, family: Family, address: FamilyAddress) -> Card:
    icons = catalogue.icons(family.layer)
    return Card(
        name=family.name,
        href=urls.family_page(address.slug),
        note=family.note,
        share=_share(len(family.neurons), len(icons)),
        score=_score(family),
        icons=tuple(icons[index] for index in family.neurons[:N_CARD_ICONS]),
        n_more=max(0, len(family.neurons) - N_CARD_ICONS),
    )


def _neighbours(families: FamilyArtefacts, address: FamilyAddress) -> tuple[Link | None, Link | None]:
    at = families.addresses.index(address)
    around = [
        Link(families.family(other).name, urls.family_page(other.slug))
        for other in families.addresses[max(0, at - 1) : at + 2]
    ]
    return around[0] if at else None, around[-1] if at + 1 < len(families.addresses) else None


def _share(n_members: int, n_channels: int) -> str:
    counted = f"{n_members:,} of {wording.counted(n_channels, 'neuron')}"
    return f"{counted} ({wording.percent(n_members / n_channels)})"


def _score(family: Family) -> str:
    return f"{family.score:.2f}" if family.angles else ""


def _factors(catalogue: Catalogue, family: Family, strip: FactorStrip | None) -> tuple[MapRow, ...]:
    members, sources = catalogue.icons(family.layer), catalogue.icons(family.source)
    cells = tuple(members[index] for index in family.neurons)
    rows = []
    for at in range(len(family.strength)):
        maps = family.maps[..., at]
        peak = float(np.abs(maps).max(initial=0.0))
        loadings = family.loadings[at]
        best = [i for i in np.argsort(-loadings, kind="stable")[:MAX_TERMS].tolist() if loadings[i] > 0]
        rows.append(
            MapRow(
                number=at + 1,
                strength=wording.number(float(family.strength[at])),
                peak=wording.number(peak),
                sheet=heatmaps.kernel_sheet(maps, peak),
                cells=cells,
                terms=tuple(Term(sources[i], f"{loadings[i]:.2f}") for i in best),
                has_more=int(np.count_nonzero(loadings)) > len(best),
                cut=strip.cuts[at] if strip else "",
            )
        )
    return tuple(rows)
