"""LayerStatistics -> a neuron's statistics and the neurons most similar to it."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.site import wording
from atlas.site.reading.artefacts import LayerArtefacts, Measured
from atlas.site.reading.catalogue import Catalogue, Icon, Link


@dataclass(frozen=True, slots=True)
class Measure:
    """One statistic of a neuron's weights."""

    field: str
    """Name of its field in LayerStatistics."""
    name: str
    """Its name on pages."""
    formula: str
    """Its formula, in words."""
    signed: bool = False
    """Whether it may be negative; pages then show its sign."""


MEASURES = (
    Measure("l2", "L2 norm", "root of the sum of the squared weights"),
    Measure("l1", "L1 norm", "sum of the absolute weights"),
    Measure("crispness", "L2/L1 ratio", "L2 norm over L1 norm; large when few weights dominate"),
    Measure(
        "balance",
        "sign balance",
        "L1 norm of the positive weights minus that of the negative ones, over the L1 norm of all; "
        "\N{MINUS SIGN}1 all negative, 1 all positive",
        signed=True,
    ),
    Measure(
        "n_inputs",
        "participation ratio",
        "effective number of inputs, (\N{GREEK CAPITAL LETTER SIGMA}s²)² / "
        "\N{GREEK CAPITAL LETTER SIGMA}(s²)² over the strengths s of its source neurons; "
        "1 if one neuron holds all the weight",
    ),
)


@dataclass(frozen=True, slots=True)
class Number:
    """One statistic of a neuron."""

    name: str
    """Name of the statistic."""
    value: str
    """Its value as text."""
    rank: str
    """Its percentile in the layer, in words."""
    bar: int
    """Its percentile in the layer, 0 to 100."""
    formula: str
    """Its formula, in words."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The statistics of a neuron's weights."""

    source: Link
    """The layer that the weights are from."""
    rows: tuple[Number, ...]
    """The statistics, in the order of MEASURES."""
    branch: str
    """The neuron's branch and its index within, "3x3:17"; "" where it is in none."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A neuron of the same layer with similar weights."""

    icon: Icon
    """The neuron."""
    similarity: str
    """Cosine of its weights with those of the page's neuron, -1 to 1, with its sign."""


@dataclass(frozen=True, slots=True)
class SimilarNeurons:
    """The neurons of a layer whose weights are most similar to a neuron's."""

    source: Link
    """The layer that the compared weights are from."""
    layer: str
    """Name of the neurons' own layer."""
    n_others: int
    """Number of the layer's other neurons."""
    neurons: tuple[Alike, ...]
    """The most similar neurons, best first."""


def numbers(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Numbers | None:
    """Return the statistics of a neuron, None where they were not made."""
    measured = artefacts.statistics
    if measured is None:
        return None
    ranks = measured.percentile[index]
    rows = [
        Number(
            measure.name,
            shown_text(measure, measured.values[measure.field][index]),
            _rank(rank, artefacts.layer.n_channels),
            round(rank),
            measure.formula,
        )
        for measure, rank in zip(MEASURES, ranks, strict=True)
    ]
    return Numbers(catalogue.link(measured.record.source), tuple(rows), shown_branch(measured, index))


def lookalikes(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> SimilarNeurons | None:
    """Return the most similar neurons, None where the layer has no other or the neuron's weights are zero."""
    measured = artefacts.statistics
    if measured is None or not measured.nearest[index] or measured.values["l2"][index] == 0:
        return None
    icons = catalogue.icons(artefacts.layer.name)
    pairs = zip(measured.nearest[index], measured.similarity[index], strict=True)
    return SimilarNeurons(
        source=catalogue.link(measured.record.source),
        layer=artefacts.layer.name,
        n_others=artefacts.layer.n_channels - 1,
        neurons=tuple(Alike(icons[other], signed(cosine)) for other, cosine in pairs),
    )


def _rank(percentile: float, n_neurons: int) -> str:
    """Return a percentile (0 to 100) in words."""
    if n_neurons == 1:
        return "the only neuron of the layer"
    ends = {0.0: "the smallest in the layer", 100.0: "the largest in the layer"}
    return ends.get(percentile, f"higher than {wording.percent(percentile / 100)} of the layer")


def shown_branch(measured: Measured, index: int) -> str:
    """Return a neuron's branch and its index within, "3x3:17"; "" where it is in none."""
    record = measured.record
    name = record.branch[index] if record.branch else ""
    return f"{name}:{record.branch_index[index]}" if name else ""


def shown_text(measure: Measure, value: float) -> str:
    """Return a statistic in the form that pages show."""
    if measure.signed:
        return signed(value)
    return f"{value:.1f}" if measure.field == "n_inputs" else wording.number(value)


def signed(value: float) -> str:
    """Return a number between -1 and 1 with its sign: +0.31."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
