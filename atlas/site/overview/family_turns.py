"""A proposed family -> its members in the order of the angles that rotate the first member into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.records import Family
from atlas.site import wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.reading.catalogue import Catalogue, Icon
from atlas.site.reading.family_artefacts import FamilyArtefacts

# Most source neurons that are shown with each member of a proposal.
MAX_MATCHED = 6


@dataclass(frozen=True, slots=True)
class Turned:
    """A member of a proposal, with its rotation relative to the first member."""

    icon: Icon
    """The member."""
    turn: str
    """Angle of the rotation, counter-clockwise, "90°"."""
    agreement: str
    """Mean agreement with the other members, with two digits after the point."""
    first_row: int
    """Row of the sheet that holds the first of its kernels; one row for each of `sources`."""
    sources: tuple[Icon, ...]
    """The source neurons with the same role in every member, by their strength in the first member."""


@dataclass(frozen=True, slots=True)
class Turns:
    """The equivariance sheet of a proposal."""

    sheet: Sheet | None
    """The kernels of all members, None where the store does not hold the weights."""
    peak: str
    """The weight at the ends of the colour scale, "" without a sheet."""
    rows: tuple[tuple[str, tuple[Turned, ...]], ...]
    """(name, members by angle) of the rotated members, then of the reflected ones."""


def turns(catalogue: Catalogue, families: FamilyArtefacts, family: Family) -> Turns:
    """Return a proposal's members by angle, each with the kernels of its matched source neurons."""
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
    sides = (("rotated", False), ("reflected left to right, then rotated", True))
    rows = [(words, tuple(cells[at] for at in order if family.flipped[at] == side)) for words, side in sides]
    if kernels is None:
        return Turns(None, "", tuple(row for row in rows if row[1]))
    pairs = zip(family.neurons, matched, strict=True)
    maps = np.stack([kernels[:, :, i, neuron] for neuron, row in pairs for i in row])
    peak = float(np.abs(maps).max(initial=0.0))
    sheet = heatmaps.kernel_sheet(maps, peak)
    return Turns(sheet, wording.number(peak), tuple(row for row in rows if row[1]))
