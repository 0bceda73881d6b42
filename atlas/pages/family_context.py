"""Records -> what the pages of families show: their list, and a page for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.pages import heatmaps, urls, wording
from atlas.pages.catalogue import Catalogue
from atlas.pages.citation import Citation, citation
from atlas.pages.context import Icon, Link, Term
from atlas.pages.direction_context import FactorStrip, strip_of
from atlas.pages.family_artefacts import Address, FamilyArtefacts
from atlas.pages.family_grids import Grid, grids
from atlas.pages.heatmaps import Sheet
from atlas.records import Family

# An equation of more terms fills more than a line; the data file holds every loading.
MAX_TERMS = 8
# Source neurons shown with each member of a proposal.
MAX_MATCHED = 6
N_CARD_ICONS = 16


@dataclass(frozen=True, slots=True)
class Card:
    """A family in the list of families; `score` "" where a person named it."""

    name: str
    href: str
    note: str
    share: str
    score: str
    icons: tuple[Icon, ...]
    n_more: int


@dataclass(frozen=True, slots=True)
class LayerFamilies:
    """The families of one layer, and how many of its neurons are in none of them."""

    layer: Link
    cards: tuple[Card, ...]
    others: str


@dataclass(frozen=True, slots=True)
class FamiliesPage:
    """Everything on the page that lists families: of the config, and proposed, layer by layer."""

    description: str
    href: str
    named: tuple[LayerFamilies, ...]
    proposed: tuple[LayerFamilies, ...]


@dataclass(frozen=True, slots=True)
class MapRow:
    """One factor of a family: the members' signed maps, one below the other in `sheet`.

    `cut` is the style that cuts its picture, a feature visualization of its direction over source
    neurons, out of the family's strip; "" where there is none.
    """

    number: int
    strength: str
    peak: str
    sheet: Sheet
    cells: tuple[Icon, ...]
    terms: tuple[Term, ...]
    has_more: bool
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Turned:
    """A member of a proposal as it stands to the first: `first_row` of its kernels in the sheet."""

    icon: Icon
    turn: str
    agreement: str
    first_row: int
    sources: tuple[Icon, ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """The equivariance sheet: members by angle, a row for each side."""

    sheet: Sheet | None
    peak: str
    rows: tuple[tuple[str, tuple[Turned, ...]], ...]


@dataclass(frozen=True, slots=True)
class FamilyPage:
    """Everything on a family's page."""

    name: str
    href: str
    json: str
    layer: Link
    source: Link
    note: str
    score: str
    description: str
    members: tuple[Icon, ...]
    share: str
    others: str
    error: str
    remark: str
    factors: tuple[MapRow, ...]
    strip: FactorStrip | None
    turns: Turns | None
    grids: tuple[Grid, ...]
    unconnected: str
    previous: Link | None
    next: Link | None
    citation: Citation


def families_page(catalogue: Catalogue, families: FamilyArtefacts) -> FamiliesPage:
    """Return what the list of families shows."""
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
    catalogue: Catalogue, families: FamilyArtefacts, address: Address, *, url: str = ""
) -> FamilyPage:
    """Return what a family's page shows; `url` is that of the site's folder, "" where nobody knows it."""
    family = families.family(address)
    icons = catalogue.icons(family.layer)
    layer = catalogue.layer(family.layer)
    found, unconnected = grids(catalogue, families, address)
    before, after = _neighbours(families, address)
    strip = strip_of(families.pictures(address), urls.family_pictures(address.slug))
    href = urls.family_page(address.slug)
    return FamilyPage(
        name=family.name,
        href=href,
        json=urls.family_json(address.slug),
        layer=catalogue.link(family.layer),
        source=catalogue.link(family.source),
        note=family.note,
        score=_score(family),
        description=f"{family.name}: {wording.counted(len(family.neurons), 'neuron')} of {family.layer} "
        f"in {catalogue.model.name}, taken together.",
        members=tuple(icons[index] for index in family.neurons),
        share=_share(len(family.neurons), layer.n_channels),
        others=wording.counted(layer.n_channels - len(family.neurons), "neuron"),
        error=wording.percent(family.error),
        remark=family.remark,
        factors=_factors(catalogue, family, strip),
        strip=strip,
        turns=_turns(catalogue, families, family) if family.angles else None,
        grids=found,
        unconnected=unconnected,
        previous=before,
        next=after,
        citation=citation(catalogue, f"Family {family.name}, neurons of {family.layer}", href, url=url),
    )


def _by_layer(
    catalogue: Catalogue, families: FamilyArtefacts, chosen: list[Address]
) -> tuple[LayerFamilies, ...]:
    found = []
    for record in catalogue.atlas.layers:
        here = [address for address in chosen if address.layer == record.layer]
        members = {neuron for address in here for neuron in families.family(address).neurons}
        if here:
            others = wording.counted(len(set(record.neurons) - members), "other neuron")
            cards = tuple(_card(catalogue, families.family(address), address) for address in here)
            found.append(LayerFamilies(catalogue.link(record.layer), cards, others))
    return tuple(found)


def _card(catalogue: Catalogue, family: Family, address: Address) -> Card:
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


def _neighbours(families: FamilyArtefacts, address: Address) -> tuple[Link | None, Link | None]:
    at = families.addresses.index(address)
    around = [
        Link(families.family(other).name, urls.family_page(other.slug))
        for other in families.addresses[max(0, at - 1) : at + 2]
    ]
    return around[0] if at else None, around[-1] if at + 1 < len(families.addresses) else None


def _share(n_members: int, n_channels: int) -> str:
    counted = f"{wording.counted(n_members, 'neuron')} of {wording.thousands(n_channels)}"
    return f"{counted}, {wording.percent(n_members / n_channels)}"


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


def _turns(catalogue: Catalogue, families: FamilyArtefacts, family: Family) -> Turns:
    """Lay a proposal's members out by angle, each with the kernels of its matched source neurons."""
    kernels = families.kernels(family.source, family.layer)
    matched = family.matched[:, :MAX_MATCHED].tolist()
    members, sources = catalogue.icons(family.layer), catalogue.icons(family.source)
    n = len(matched[0])
    cells = [
        Turned(
            icon=members[neuron],
            turn=f"{family.angles[at]}\N{DEGREE SIGN}",
            agreement=f"{family.agreement[at]:.2f}",
            first_row=at * n,
            sources=tuple(sources[i] for i in matched[at]),
        )
        for at, neuron in enumerate(family.neurons)
    ]
    order = sorted(range(len(cells)), key=lambda at: (family.angles[at], at))
    sides = (("turned", False), ("reflected left to right, then turned", True))
    rows = [(words, tuple(cells[at] for at in order if family.flipped[at] == side)) for words, side in sides]
    if kernels is None:
        return Turns(None, "", tuple(row for row in rows if row[1]))
    pairs = zip(family.neurons, matched, strict=True)
    shown = np.stack([kernels[:, :, i, neuron] for neuron, row in pairs for i in row])
    peak = float(np.abs(shown).max(initial=0.0))
    sheet = heatmaps.kernel_sheet(shown, peak)
    return Turns(sheet, wording.number(peak), tuple(row for row in rows if row[1]))
