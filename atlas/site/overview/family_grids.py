"""Expanded weights between the members of two families whose layers are a connected pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.neuron import INPUT
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.reading.catalogue import Catalogue, Icon, Link
from atlas.site.reading.family_artefacts import FamilyAddress, FamilyArtefacts

# Most rows and columns of a grid, so that a page stays below 100 kB; a sentence says where there are more.
MAX_SIDE = 10
# Number of families on each side, upstream and downstream: the most strongly connected ones.
MAX_GRIDS = 2


@dataclass(frozen=True, slots=True)
class FamilyGrid:
    """Kernels between two families; that of (row, column) is number row * len(columns) + column."""

    direction: str
    """Either "upstream", where the other family is the source, or "downstream"."""
    other: Link
    """The other family."""
    layer: Link
    """The other family's layer."""
    rows: tuple[Icon, ...]
    """The shown members of this family."""
    columns: tuple[Icon, ...]
    """The shown members of the other family."""
    sheet: Sheet
    """The kernels in one picture."""
    peak: str
    """The weight at the ends of the colour scale."""
    mean: str
    """Root mean square of the strengths of all pairs, shown or not."""
    rule: str
    """Which members are shown."""


def grids(
    catalogue: Catalogue, families: FamilyArtefacts, address: FamilyAddress
) -> tuple[tuple[FamilyGrid, ...], str]:
    """Return a family's grids, upstream first, and a sentence where there is none, else ""."""
    record = catalogue.record(address.layer)
    assert record is not None, "families are of layers of the atlas"
    family_grids, unconnected = [], []
    for direction, other in (("upstream", record.upstream), ("downstream", record.downstream)):
        chosen = _strongest(families, address, other, direction) if other not in (None, INPUT) else []
        family_grids += [_grid(catalogue, families, address, one, direction) for one in chosen]
        unconnected += [other] if not chosen and other is not None else []
    if family_grids or not unconnected:
        return tuple(family_grids), "" if family_grids else "No layer is connected to this one."
    names = " and ".join("the image" if name == INPUT else name for name in unconnected)
    return (), f"There is no family in the layers connected to {address.layer} ({names})."


def _pair(address: FamilyAddress, other: str, direction: str) -> tuple[str, str]:
    return (other, address.layer) if direction == "upstream" else (address.layer, other)


def _between(families: FamilyArtefacts, one: FamilyAddress, other: FamilyAddress, direction: str) -> float:
    """Return the root mean square of the strengths between the members of two families."""
    strengths = families.strengths(*_pair(one, other.layer, direction))
    assert strengths is not None, "chosen for having weights"
    sides = [list(families.family(address).neurons) for address in (other, one)]
    sides = sides if direction == "upstream" else sides[::-1]
    return float(np.sqrt(np.square(strengths[np.ix_(*sides)]).mean()))


def _strongest(
    families: FamilyArtefacts, address: FamilyAddress, other: str | None, direction: str
) -> list[FamilyAddress]:
    """Return the families of another layer most strongly connected to one, the config's before proposals."""
    if other is None or families.strengths(*_pair(address, other, direction)) is None:
        return []
    there = [one for one in families.addresses if one.layer == other]
    there.sort(key=lambda one: (one.number > 0, -_between(families, address, one, direction)))
    return there[:MAX_GRIDS]


def _grid(
    catalogue: Catalogue, families: FamilyArtefacts, one: FamilyAddress, other: FamilyAddress, direction: str
) -> FamilyGrid:
    here, there = families.family(one), families.family(other)
    kernels = families.kernels(*_pair(one, other.layer, direction))
    assert kernels is not None, "chosen for having weights"
    rows, columns = list(here.neurons[:MAX_SIDE]), list(there.neurons[:MAX_SIDE])
    axes = (columns, rows) if direction == "upstream" else (rows, columns)
    cut = kernels[:, :, axes[0]][..., axes[1]]
    cut = np.moveaxis(cut, (3, 2), (0, 1)) if direction == "upstream" else np.moveaxis(cut, (2, 3), (0, 1))
    peak = float(np.abs(cut).max(initial=0.0))
    row_icons, column_icons = catalogue.icons(one.layer), catalogue.icons(other.layer)
    return FamilyGrid(
        direction=direction,
        other=Link(there.name, urls.family_page(other.slug)),
        layer=catalogue.link(other.layer),
        rows=tuple(row_icons[i] for i in rows),
        columns=tuple(column_icons[i] for i in columns),
        sheet=heatmaps.kernel_sheet(cut.reshape(-1, *cut.shape[2:]), peak),
        peak=wording.number(peak),
        mean=wording.number(_between(families, one, other, direction)),
        rule=_rule(len(here.neurons), len(there.neurons)),
    )


def _rule(n_rows: int, n_columns: int) -> str:
    cut = [
        f"the first {MAX_SIDE} of {n} {side}"
        for n, side in ((n_rows, "rows"), (n_columns, "columns"))
        if n > MAX_SIDE
    ]
    return f"Only {' and '.join(cut)} are shown." if cut else "All members are shown."
