"""LayerStatistics -> a neuron's numbers and look-alikes, a layer's table and its CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from atlas.pages import urls, wording
from atlas.pages.artefacts import LayerArtefacts, Measured
from atlas.pages.catalogue import Catalogue
from atlas.pages.context import Icon, Link

# What a spreadsheet would take for a formula. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# Spreadsheets take a file for Latin-1 more often than not.
_ASCII = {ord("\N{MINUS SIGN}"): "-", ord("\N{GREEK CAPITAL LETTER SIGMA}"): "sum ", ord("²"): "^2"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One statistic: its field of LayerStatistics, its name, its formula in words; `signed` of both signs."""

    field: str
    name: str
    formula: str
    signed: bool = False


MEASURES = (
    Measure("l2", "L2 norm", "root of the sum of the squared weights"),
    Measure("l1", "L1 norm", "sum of the absolute weights"),
    Measure("crispness", "crispness", "L2 / L1; large where few weights hold all"),
    Measure(
        "balance",
        "sign balance",
        "positive minus negative absolute mass, over all of it; \N{MINUS SIGN}1 all negative, 1 all positive",
        signed=True,
    ),
    Measure(
        "n_inputs",
        "effective inputs",
        "participation ratio (\N{GREEK CAPITAL LETTER SIGMA}s²)² / \N{GREEK CAPITAL LETTER SIGMA}(s²)² over "
        "the strengths s, the L2 norms of the kernels, of its source neurons; 1 when one neuron holds all",
    ),
)


@dataclass(frozen=True, slots=True)
class Number:
    """One statistic of a neuron; `rank` is its percentile in words, `bar` in whole percent."""

    name: str
    value: str
    rank: str
    bar: int
    formula: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """The statistics of a neuron's weights from the layer `source`; `branch` says where it stands in it."""

    source: Link
    rows: tuple[Number, ...]
    branch: str


@dataclass(frozen=True, slots=True)
class Alike:
    """A neuron of the same layer, and the cosine of its weights with those of the page's neuron."""

    icon: Icon
    similarity: str


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """The most alike neurons of a layer, by their weights from the layer `source`."""

    source: Link
    layer: str
    n_others: int
    neurons: tuple[Alike, ...]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of numbers; `rising` where a first click puts the smallest on top."""

    name: str
    formula: str
    rising: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """A neuron's row; `branch` is "" where there is none."""

    icon: Icon
    branch: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatisticsTable:
    """All shown neurons of a layer with their statistics; `csv` is the address of the same as a file."""

    source: Link
    branched: bool
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]
    csv: str


def numbers(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Numbers | None:
    """Return the statistics of a neuron, None where they were not made."""
    measured = artefacts.statistics
    if measured is None:
        return None
    ranks = measured.percentile[index]
    rows = [
        Number(
            measure.name,
            _text(measure, measured.values[measure.field][index]),
            f"more than {wording.percent(rank / 100)} of the layer",
            round(rank),
            measure.formula,
        )
        for measure, rank in zip(MEASURES, ranks, strict=True)
    ]
    return Numbers(catalogue.link(measured.record.source), tuple(rows), _branch(measured, index))


def lookalikes(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Lookalikes | None:
    """Return the neurons most like one, None where there is no other or it has no weights."""
    measured = artefacts.statistics
    if measured is None or not measured.nearest[index] or measured.values["l2"][index] == 0:
        return None
    icons = catalogue.icons(artefacts.layer.name)
    pairs = zip(measured.nearest[index], measured.similarity[index], strict=True)
    return Lookalikes(
        source=catalogue.link(measured.record.source),
        layer=artefacts.layer.name,
        n_others=artefacts.layer.n_channels - 1,
        neurons=tuple(Alike(icons[other], _fixed(cosine)) for other, cosine in pairs),
    )


def statistics_table(catalogue: Catalogue, artefacts: LayerArtefacts) -> StatisticsTable | None:
    """Return the table of a layer, None where its statistics were not made."""
    measured = artefacts.statistics
    if measured is None:
        return None
    icons = catalogue.icons(artefacts.layer.name)
    columns = [TableColumn(m.name, m.formula) for m in MEASURES]
    columns.insert(1, TableColumn("L2 percentile", "share of the layer's other neurons with a smaller L2"))
    columns.append(TableColumn("closest look-alike", "cosine with the most similar neuron of the layer"))
    rows = tuple(
        TableRow(icons[index], _branch(measured, index), tuple(_cells(measured, index)))
        for index in artefacts.record.neurons
    )
    return StatisticsTable(
        source=catalogue.link(measured.record.source),
        branched=bool(measured.record.branch),
        columns=tuple(columns),
        rows=rows,
        csv=urls.layer_csv(artefacts.layer.slug),
    )


def layer_csv(catalogue: Catalogue, artefacts: LayerArtefacts) -> bytes:
    """Return the statistics of the shown neurons as CSV (RFC 4180), UTF-8; needs the statistics.

    Numbers are written so that reading them as float32 gives those of the store. A text that a spreadsheet
    would take for a formula begins with an apostrophe.
    """
    measured = artefacts.statistics
    assert measured is not None, "the plan lists a CSV file only where there are statistics"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(text) for text in _header(measured)])
    for index in artefacts.record.neurons:
        writer.writerow(_csv_row(catalogue, artefacts, measured, index))
    return out.getvalue().encode()


def _header(measured: Measured) -> Iterator[str]:
    yield from ("neuron", "index", "label", "branch", "index in branch (from 0)")
    source = measured.record.source
    for measure in MEASURES:
        yield f"{measure.name} of the weights from {source} ({measure.formula.translate(_ASCII)})"
    yield from (f"{m.name} percentile (0-100, share of the layer's others below)" for m in MEASURES)
    yield from ("most similar neuron (index)", "its cosine (of all weights; -1 to 1)")


def _csv_row(
    catalogue: Catalogue, artefacts: LayerArtefacts, measured: Measured, index: int
) -> Iterator[str]:
    record = measured.record
    name, label = f"{artefacts.layer.name}:{index}", catalogue.label(artefacts.layer, index)
    yield from (_safe(name), str(index), _safe(label))
    branch = record.branch[index] if record.branch else ""
    yield from (_safe(branch), str(record.branch_index[index]) if branch else "")
    # NumPy writes a float32 with the digits that it has.
    yield from (str(getattr(record, m.field)[index]) for m in MEASURES)
    yield from map(str, record.percentile[index])
    alone = record.nearest.shape[1] == 0
    yield "" if alone else str(record.nearest[index, 0])
    yield "" if alone else str(record.similarity[index, 0])


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _branch(measured: Measured, index: int) -> str:
    """Return "3x3:17" for a neuron of a concatenation's branch, else ""."""
    record = measured.record
    name = record.branch[index] if record.branch else ""
    return f"{name}:{record.branch_index[index]}" if name else ""


def _cells(measured: Measured, index: int) -> Iterator[str]:
    for at, measure in enumerate(MEASURES):
        yield _text(measure, measured.values[measure.field][index])
        if at == 0:
            yield f"{measured.percentile[index][0]:.0f}"
    yield _fixed(measured.similarity[index][0]) if measured.similarity[index] else ""


def _text(measure: Measure, value: float) -> str:
    if measure.signed:
        return _fixed(value)
    return f"{value:.1f}" if measure.field == "n_inputs" else wording.number(value)


def _fixed(value: float) -> str:
    """Return a number between -1 and 1 with its sign: +0.31."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
