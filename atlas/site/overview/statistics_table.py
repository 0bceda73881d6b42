"""LayerStatistics -> the table on a layer's page, and a CSV file with the same statistics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atlas.site import urls
from atlas.site.neuron.prediction import explained
from atlas.site.neuron.statistics import MEASURES, shown_branch, shown_text, signed
from atlas.site.reading.artefacts import LayerArtefacts, Measured
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# Characters that begin a formula in a spreadsheet. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# (name, formula) in the CSV file's column heads, by field. Programs find columns by their heads, so these
# stay the same when pages are reworded. They are ASCII, because most spreadsheets read a file as Latin-1.
_HEADS = {
    "l2": ("L2 norm", "root of the sum of the squared weights"),
    "l1": ("L1 norm", "sum of the absolute weights"),
    "crispness": ("crispness", "L2 / L1; large where few weights hold all"),
    "balance": (
        "sign balance",
        "positive minus negative absolute mass, over all of it; -1 all negative, 1 all positive",
    ),
    "n_inputs": (
        "effective inputs",
        "participation ratio (sum s^2)^2 / sum (s^2)^2 over the strengths s, the L2 norms of the kernels, "
        "of its source neurons; 1 when one neuron holds all",
    ),
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of numbers."""

    name: str
    """Name of the column."""
    formula: str
    """Definition of its numbers, in words."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A neuron's row."""

    icon: Icon
    """The neuron."""
    branch: str
    """Its branch and its index within, "3x3:17"; "" where it is in none."""
    cells: tuple[str, ...]
    """Its numbers, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class StatisticsTable:
    """All shown neurons of a layer with their statistics."""

    source: Link
    """The layer that the weights are from."""
    branched: bool
    """Whether the layer is a concatenation of branches."""
    columns: tuple[TableColumn, ...]
    """The columns of numbers."""
    rows: tuple[TableRow, ...]
    """The neurons, by index."""
    csv: str
    """Address of the CSV file with the same statistics."""


def statistics_table(catalogue: Catalogue, artefacts: LayerArtefacts) -> StatisticsTable | None:
    """Return the table of a layer, None where its statistics were not made."""
    measured = artefacts.statistics
    if measured is None:
        return None
    icons = catalogue.icons(artefacts.layer.name)
    columns = [TableColumn(m.name, m.formula) for m in MEASURES]
    columns.insert(
        1, TableColumn("L2 percentile", "percentage of the layer's other neurons with a smaller L2 norm")
    )
    columns.append(TableColumn("highest similarity", "cosine with the most similar neuron of the layer"))
    images = list(on_images(artefacts))
    columns += [column for column, _ in images]
    rows = tuple(
        TableRow(
            icons[index],
            shown_branch(measured, index),
            (*_cells(measured, index), *(_percent(values[index]) for _, values in images)),
        )
        for index in artefacts.record.neurons
    )
    return StatisticsTable(
        source=catalogue.link(measured.record.source),
        branched=bool(measured.record.branch),
        columns=tuple(columns),
        rows=rows,
        csv=urls.layer_csv(artefacts.layer.slug),
    )


def on_images(artefacts: LayerArtefacts) -> Iterator[tuple[TableColumn, list[float | None]]]:
    """Yield columns of what the neurons do on images, each with its shares by neuron, None for unknown."""
    fidelity, distribution = artefacts.fidelity, artefacts.distribution
    if fidelity is not None:
        column = TableColumn(
            "explained on images", "share of variance before the activation function that the weights explain"
        )
        yield column, [explained(value) for value in fidelity.correlation[:, -1].tolist()]
    if distribution is not None:
        yield (
            TableColumn("density", "share of positions with an activation above zero"),
            distribution.positive.tolist(),
        )
        yield (
            TableColumn("fires", "share of images with an activation above zero"),
            distribution.firing.tolist(),
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def layer_csv(catalogue: Catalogue, artefacts: LayerArtefacts) -> bytes:
    """Return the statistics of the shown neurons as CSV (RFC 4180) in UTF-8; the store must hold them.

    Read as float32, the numbers are exactly those of the store. A text that a spreadsheet would take for a
    formula gets an apostrophe in front.
    """
    measured = artefacts.statistics
    assert measured is not None, "the plan lists a CSV file only where there are statistics"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    images = list(on_images(artefacts))
    heads = [f"{column.name} ({column.formula})" for column, _ in images]
    writer.writerow([*(_safe(text) for text in _header(measured)), *heads])
    for index in artefacts.record.neurons:
        shares = ["" if values[index] is None else str(np.float32(values[index])) for _, values in images]
        writer.writerow([*_csv_row(catalogue, artefacts, measured, index), *shares])
    return out.getvalue().encode()


def _header(measured: Measured) -> Iterator[str]:
    yield from ("neuron", "index", "label", "branch", "index in branch (from 0)")
    source = measured.record.source
    heads = [_HEADS[measure.field] for measure in MEASURES]
    yield from (f"{name} of the weights from {source} ({formula})" for name, formula in heads)
    yield from (f"{name} percentile (0-100, share of the layer's others below)" for name, _ in heads)
    yield from ("most similar neuron (index)", "its cosine (of all weights; -1 to 1)")


def _csv_row(
    catalogue: Catalogue, artefacts: LayerArtefacts, measured: Measured, index: int
) -> Iterator[str]:
    record = measured.record
    name, label = f"{artefacts.layer.name}:{index}", catalogue.label(artefacts.layer, index)
    yield from (_safe(name), str(index), _safe(label))
    branch = record.branch[index] if record.branch else ""
    yield from (_safe(branch), str(record.branch_index[index]) if branch else "")
    # NumPy writes the shortest text that reads back as the same float32.
    yield from (str(getattr(record, m.field)[index]) for m in MEASURES)
    yield from map(str, record.percentile[index])
    alone = record.nearest.shape[1] == 0
    yield "" if alone else str(record.nearest[index, 0])
    yield "" if alone else str(record.similarity[index, 0])


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(measured: Measured, index: int) -> Iterator[str]:
    for at, measure in enumerate(MEASURES):
        yield shown_text(measure, measured.values[measure.field][index])
        if at == 0:
            yield f"{measured.percentile[index][0]:.0f}"
    yield signed(measured.similarity[index][0]) if measured.similarity[index] else ""
