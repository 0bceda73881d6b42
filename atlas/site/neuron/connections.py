"""Connections -> their list on a neuron's page: cells, legend, selection rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from atlas.core.neuron import INPUT
from atlas.core.node_names import shown_name
from atlas.core.records import Connections
from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.coverage import CoverageCurve, coverage_curve
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.neuron.kernel_facts import KernelFacts, kernel_facts
from atlas.site.neuron.prediction import Contributions
from atlas.site.reading.artefacts import Columns, LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# If a larger share than this cancels, the net kernel is less than a fifth of the contributions, and its map
# is marked. In GoogLeNet this holds for few of the shown connections: 13 % from mixed3a to mixed3b, 1 to 10 %
# between later layers; the medians are 0.5 to 0.7. For a hundred paths of equal weight and random sign, the
# share would be 0.92.
MISLEADS = 0.8
_MINUS = "\N{MINUS SIGN}"
# CSS class, and the sign before the number, so that not only a colour shows the sign.
SIGNS = {1: ("p", "+"), -1: ("n", _MINUS), 0: ("z", "")}


class Cell(NamedTuple):
    """One connection; a page has a hundred of them."""

    icon: Icon
    """The neuron on the other side."""
    anchor: str
    """Id of the cell, the target of links."""
    style: str
    """Two CSS variables: --r, its row in the sheet of kernels; --b, percent of the strongest."""
    sign: str
    """CSS class of the sign of the kernel's sum: "p", "n" or "z"."""
    strength: str
    """L2 norm of the kernel, with the sign of its sum."""
    cancels: str = ""
    """Share of the contributions that cancels, "" where it is not known or nothing does."""
    misleads: bool = False
    """Whether so much cancels that the kernel is misleading."""
    label: str = ""
    """The kernel's strongest weight in words; the cell names the neuron already."""
    gives: str = ""
    """Share of all contributions on images, with its sign, "" where it was not measured."""
    silent: bool = False
    """Whether it contributes far less than its strength says."""


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """The shown connections of a neuron in one direction, with legend and selection rule."""

    direction: str
    """Direction: "upstream", "downstream" or "two-hops"; also the id of the section."""
    other: Link
    """The layer on the other side."""
    rule: str
    """Which connections are shown, and their share of the norms of all."""
    remarks: tuple[str, ...]
    """Sentences on carriers, cropped windows, assumptions and cancellation."""
    size: str
    """Width and height of a kernel in positions."""
    peak: str
    """The weight at the ends of the colour scale."""
    sheet: Sheet
    """The kernels of all cells in one picture."""
    wordy: bool
    """Whether the names of the neurons on the other side are words, as for classes."""
    cells: tuple[Cell, ...]
    """The connections, strongest first."""
    facts: str
    """For scripts that read the sheet: rows, columns, weights per side of a square, shades, peak."""
    masses: str
    """L1 norms of the cells' positive weights, then of their negative ones, to sort by."""
    gives: str
    """Percent of all contributions of each cell, with its sign, to sort by; "" where not measured."""
    curve: CoverageCurve | None
    """The share that the strongest connections hold, None where there is only one to choose from."""


def connection_list(
    catalogue: Catalogue,
    columns: Columns | None,
    index: int,
    *,
    direction: str,
    cancelling: Mapping[int, float] | None = None,
    on_images: Contributions | None = None,
) -> ConnectionList | None:
    """Return a neuron's connections in one direction, None where there are none.

    `cancelling` gives the share of the contributions that cancels, by neuron on the other side; `on_images`
    what each contributes on images.
    """
    if columns is None or not columns.record.index.shape[1]:
        return None
    record = columns.record
    other = record.target if direction == "downstream" else record.source
    peak = abs(float(record.peak[index]))
    kernel = record.kernel[index][: len(columns.index[index])]
    sheet = heatmaps.kernel_sheet(kernel, peak)
    h, w = kernel.shape[1:]
    facts = kernel_facts(kernel)
    # Where the others are zero, nothing is left out of the curve.
    n = record.n_candidates if len(kernel) == record.index.shape[1] else len(kernel)
    return ConnectionList(
        direction=direction,
        other=catalogue.link(other),
        rule=_rule(columns, index),
        remarks=(
            *_remarks(record, other, sheet.mean_of),
            *wording.assumptions(columns.notes),
            *_of_cancelling(columns, index, cancelling or {}),
            *(_of_contributions(catalogue.icons(other), on_images) if on_images else ()),
        ),
        size=wording.times(w, h),
        peak=wording.number(peak),
        sheet=sheet,
        wordy=other != INPUT and bool(catalogue.label(catalogue.layer(other), 0)),
        cells=_cells(catalogue.icons(other), columns, index, direction, cancelling or {}, facts, on_images),
        facts=sheet_facts(sheet, peak),
        masses=" ".join(f"{l1:.3g}" for l1 in (*facts.positive, *facts.negative)),
        gives=" ".join(f"{100 * on_images.share[other]:.2g}" for other in columns.index[index])
        if on_images
        else "",
        curve=coverage_curve(columns.strength[index], n, float(record.l2[index])),
    )


def sheet_facts(sheet: Sheet, peak: float) -> str:
    """Return the numbers that a script needs to read weights off a sheet coloured from -peak to +peak."""
    return f"{sheet.rows} {sheet.columns} {sheet.mean_of} {sheet.n_shades} {peak:.4g}"


def filter_picture(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> str:
    """Return the data URI of a neuron's weights on an RGB image, "" where its source is not such an image."""
    columns = artefacts.upstream
    if columns is None or columns.record.source != INPUT or catalogue.model.input_shape[2] != 3:
        return ""
    channels = columns.record.index[index].tolist()
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
    on_images: Contributions | None,
) -> tuple[Cell, ...]:
    strengths = columns.strength[index]
    prefix = urls.anchor(direction, 0)[:-1]
    unit = 100 / (strengths[0] or 1.0)
    limit = MISLEADS if _are_marked(columns, index, cancelling) else 1.0
    cells = []
    pairs = zip(columns.index[index], strengths, columns.sign[index], strict=True)
    for row, (other, strength, sign) in enumerate(pairs):
        css, mark = SIGNS[sign]
        style = f"--r:{row};--b:{strength * unit:.0f}"
        share = cancelling.get(other)
        cancels = "" if share is None else wording.percent(share)
        signed_strength = mark + wording.number(strength)
        misleads = share is not None and share > limit
        anchor, label = f"{prefix}{other}", facts.strongest[row]
        gives = wording.signed_percent(on_images.share[other]) if on_images else ""
        silent = on_images is not None and other in on_images.silent
        cell = Cell(
            icons[other], anchor, style, css, signed_strength, cancels, misleads, label, gives, silent
        )
        cells.append(cell)
    return tuple(cells)


def _rule(columns: Columns, index: int) -> str:
    """Say which connections are shown, and their share of the norms of all."""
    record = columns.record
    k, n = len(columns.index[index]), record.n_candidates
    if not columns.strength[index][0]:
        return f"All {wording.thousands(n)} have weights of zero." if n > 1 else "Its weights are zero."
    if k < record.index.shape[1]:
        some = "this one has" if k == 1 else f"these {k} have"
        return f"Of {wording.thousands(n)} only {some} weights; the others are zero."
    return wording.coverage(k, n, l2=float(record.l2[index]), l1=float(record.l1[index]))


def _misleading(columns: Columns, index: int, cancelling: Mapping[int, float]) -> tuple[int, int]:
    """Return of how many shown maps so much cancels that they are misleading, and of how many it is known."""
    shares = [cancelling[other] for other in columns.index[index] if other in cancelling]
    return sum(share > MISLEADS for share in shares), len(shares)


def _are_marked(columns: Columns, index: int, cancelling: Mapping[int, float]) -> bool:
    """Return whether misleading maps are marked one by one.

    Over two hops, and between layers far apart, nearly all are: there a sentence says so.
    """
    count, known = _misleading(columns, index, cancelling)
    return columns.record.direction == "upstream" and count <= known / 2


def _of_cancelling(columns: Columns, index: int, cancelling: Mapping[int, float]) -> tuple[str, ...]:
    """Explain the percentages below connections, where there are any."""
    if not cancelling:
        return ()
    sentence = "Percentages show what share of the contributions cancels"
    if columns.record.direction == "upstream":
        sentence = f"{sentence}; above {wording.percent(MISLEADS)} the map is misleading"
        if not _are_marked(columns, index, cancelling):
            count, known = _misleading(columns, index, cancelling)
            sentence = f"{sentence}, as {'all' if count == known else f'{count} of'} these {known} are"
    return (f"{sentence}.",)


def _of_contributions(icons: tuple[Icon, ...], on_images: Contributions) -> tuple[str, ...]:
    """Explain the signed percentages below connections, and name neurons that are not shown."""
    sentences = [
        "Percentages with a sign show an input's share of all contributions at the "
        f"{wording.counted(on_images.n_firing, 'sampled position')} where the neuron fires"
    ]
    if on_images.silent:
        sentences[0] += "; a silent one contributes less than a tenth of what others of its strength do"
    if on_images.unlisted:
        named = ", ".join(
            f"{icons[n].short} ({wording.signed_percent(on_images.share[n])})" for n in on_images.unlisted[:3]
        )
        sentences.append(f"Not shown, though among the ten that contribute most: {named}")
    return tuple(f"{sentence}." for sentence in sentences)


def _remarks(record: Connections, other: str, mean_of: int) -> tuple[str, ...]:
    remarks = []
    node = record.carrier.partition(":")[0]
    if record.carrier and node not in (record.source, record.target) and other != INPUT:
        remarks.append(f"Weights are taken from {shown_name(node)}.")
    if record.cropped > 0:
        share = wording.percent(record.cropped)
        remarks.append(f"The window cuts off {share} of the L1 norm.")
    if mean_of > 1:
        remarks.append(f"Each square is the mean of {wording.times(mean_of, mean_of)} weights.")
    return tuple(remarks)
