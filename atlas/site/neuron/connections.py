"""Connections -> the list of them on a neuron's page: cells, legend, selection rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from atlas.core.neuron import INPUT
from atlas.core.records import Connections
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.coverage import CoverageCurve, coverage_curve
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.neuron.kernel_facts import KernelFacts, kernel_facts
from atlas.site.reading.artefacts import Columns, LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# Above it a net kernel is less than a fifth of what flows, and its map is marked. In GoogLeNet that is the
# tail of the shown connections: 13 % from mixed3a to mixed3b, 1 to 10 % between later layers; the medians
# lie at 0.5 to 0.7. A hundred paths of equal weight and random sign would cancel to 0.92.
MISLEADS = 0.8
_MINUS = "\N{MINUS SIGN}"
# Class of the style sheet, and what stands before the number: the sign is shown by more than a colour.
SIGNS = {1: ("p", "+"), -1: ("n", _MINUS), 0: ("z", "")}


class Cell(NamedTuple):
    """One connection; a page has a hundred of them."""

    icon: Icon
    """The neuron on the other side."""
    anchor: str
    """Id of the cell, which links lead to."""
    style: str
    """Two CSS variables: --r, its row in the sheet of kernels; --b, percent of the strongest."""
    sign: str
    """Class of the style sheet for the sign of the kernel's sum: "p", "n" or "z"."""
    strength: str
    """L2 norm of the kernel, with the sign of its sum."""
    cancels: str = ""
    """Share of what flows that cancels, "" where it is not known or nothing does."""
    misleads: bool = False
    """Whether so much cancels that the kernel is no guide."""
    label: str = ""
    """What the picture of the kernel shows, in words."""


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """The shown connections of a neuron in one direction, with legend and selection rule."""

    direction: str
    """Direction: "upstream", "downstream" or "two-hops"; also the id of the section."""
    other: Link
    """The layer on the other side."""
    rule: str
    """Which connections are shown, and what share of the whole they hold."""
    remarks: tuple[str, ...]
    """Sentences on carriers, cropped windows, assumptions and cancellation."""
    size: str
    """Width and height of a kernel in positions."""
    peak: str
    """The weight at the ends of the colour scale."""
    sheet: Sheet
    """The kernels of all cells in one picture."""
    wordy: bool
    """Whether the other side has words for names, as classes have."""
    cells: tuple[Cell, ...]
    """The connections, strongest first."""
    facts: str
    """For scripts that read the sheet: rows, columns, weights a side of a square, shades, peak."""
    masses: str
    """The cells' positive masses, then their negative ones, to sort by."""
    curve: CoverageCurve | None
    """How much the strongest connections hold, None where there is only one to choose from."""


def connection_list(
    catalogue: Catalogue,
    columns: Columns | None,
    index: int,
    *,
    direction: str,
    cancelling: Mapping[int, float] | None = None,
) -> ConnectionList | None:
    """Return a neuron's connections in one direction, None where there are none.

    `cancelling` gives, for neurons on the other side, the share of the contributions that cancels.
    """
    if columns is None or not columns.record.index.shape[1]:
        return None
    record = columns.record
    other = record.target if direction == "downstream" else record.source
    peak = float(record.peak[index])
    sheet = heatmaps.kernel_sheet(record.kernel[index], peak)
    h, w = record.kernel.shape[2:]
    facts = kernel_facts(record.kernel[index])
    return ConnectionList(
        direction=direction,
        other=catalogue.link(other),
        rule=_rule(record, index),
        remarks=(
            *_remarks(record, other, sheet.mean_of),
            *wording.assumptions(columns.notes),
            *_of_cancelling(record, cancelling),
        ),
        size=wording.times(w, h),
        peak=wording.number(peak),
        sheet=sheet,
        wordy=other != INPUT and bool(catalogue.label(catalogue.layer(other), 0)),
        cells=_cells(catalogue.icons(other), columns, index, direction, cancelling or {}, facts),
        facts=sheet_facts(sheet, peak),
        masses=" ".join(f"{mass:.3g}" for mass in (*facts.positive, *facts.negative)),
        curve=coverage_curve(columns.strength[index], record.n_candidates, float(record.l2[index])),
    )


def sheet_facts(sheet: Sheet, peak: float) -> str:
    """Return what a script needs to read weights off a sheet that is coloured from -peak to +peak."""
    return f"{sheet.rows} {sheet.columns} {sheet.mean_of} {sheet.n_shades} {peak:.4g}"


def weights_of(icon: Icon, *, towards: bool) -> str:
    """Return "weights from mixed3a 147", or "weights to …" when they lead `towards` it."""
    return f"weights {'to' if towards else 'from'} {f'{icon.group} {icon.short}'.strip()}"


def filter_picture(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> str:
    """Return the neuron's weights on an RGB image as one picture, "" where its source is another."""
    columns = artefacts.upstream
    if columns is None or columns.record.source != INPUT or catalogue.model.input_shape[2] != 3:
        return ""
    channels = columns.index[index]
    if sorted(channels) != [0, 1, 2]:
        return ""
    by_channel = columns.record.kernel[index][[channels.index(c) for c in range(3)]]
    return heatmaps.colour_filter(by_channel) if by_channel[0].size > 1 else ""


def _cells(
    icons: tuple[Icon, ...],
    columns: Columns,
    index: int,
    direction: str,
    cancelling: Mapping[int, float],
    facts: KernelFacts,
) -> tuple[Cell, ...]:
    strengths = columns.strength[index]
    prefix = urls.anchor(direction, 0)[:-1]
    unit = 100 / (strengths[0] or 1.0)
    # Over two hops nearly all connections would bear the mark, so none does.
    limit = MISLEADS if columns.record.direction == "upstream" else 1.0
    # "from" and "to" show the direction; a word more, a hundred times, would be a kilobyte.
    towards, way = direction == "downstream", "two-hop " if direction == "two-hops" else ""
    cells = []
    pairs = zip(columns.index[index], strengths, columns.sign[index], strict=True)
    for row, (other, strength, sign) in enumerate(pairs):
        css, mark = SIGNS[sign]
        style = f"--r:{row};--b:{strength * unit:.0f}"
        share = cancelling.get(other)
        told = "" if share is None else wording.percent(share)
        strong = mark + wording.number(strength)
        misleads = share is not None and share > limit
        label = f"{way}{weights_of(icons[other], towards=towards)}: {facts.strongest[row]}"
        cells.append(Cell(icons[other], f"{prefix}{other}", style, css, strong, told, misleads, label))
    return tuple(cells)


def _rule(record: Connections, index: int) -> str:
    """Say which connections are shown, and how much of the whole they are."""
    k, n = record.index.shape[1], record.n_candidates
    return wording.coverage(k, n, l2=float(record.l2[index]), l1=float(record.l1[index]))


def _of_cancelling(record: Connections, cancelling: Mapping[int, float] | None) -> tuple[str, ...]:
    """Say what the percentage below a connection is, where there is one."""
    if not cancelling:
        return ()
    told = "Percentages show what share of the contributions cancels"
    if record.direction != "upstream":
        return (f"{told}.",)
    return (f"{told}; above {wording.percent(MISLEADS)} the map is misleading.",)


def _remarks(record: Connections, other: str, mean_of: int) -> tuple[str, ...]:
    remarks = []
    node = record.carrier.partition(":")[0]
    if record.carrier and node not in (record.source, record.target) and other != INPUT:
        remarks.append(f"Weights are taken from {node}.")
    if record.cropped > 0:
        share = wording.percent(record.cropped)
        remarks.append(f"The window cuts off {share} of the L1 norm.")
    if mean_of > 1:
        remarks.append(f"Each square is the mean of {wording.times(mean_of, mean_of)} weights.")
    return tuple(remarks)
