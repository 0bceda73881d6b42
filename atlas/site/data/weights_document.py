"""What the data file of a neuron holds of its weights, as Structs (atlas.site.data.documents)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from atlas.site.data.documents import (
    CarrierName,
    DocumentPart,
    LayerName,
    Natural,
    NonNegative,
    Share,
    Sign,
    about,
)

Percent = Annotated[float, Meta(ge=0, le=100)]
# Rounding takes a cosine a little over 1.
Cosine = Annotated[float, Meta(ge=-1.0001, le=1.0001)]
# What the statistics are, for themselves and for their percentiles.
L2 = "L2 norm of the weights: the root of the sum of the squared weights."
L1 = "L1 norm of the weights: the sum of the absolute weights."
CRISPNESS = "L2 / L1: large where few weights hold all."
BALANCE = "Sum of the weights over the sum of their absolute values: -1 all negative, 1 all positive."
N_INPUTS = "Effective number of source neurons: (sum s^2)^2 / sum (s^2)^2 over the strengths s."


class Coverage(DocumentPart, frozen=True):
    """What part of all of this neuron's weights the listed connections hold."""

    l2: Annotated[NonNegative, about("Of the sum of squared weights.", "share")]
    l1: Annotated[NonNegative, about("Of the sum of absolute weights.", "share")]


class Strongest(DocumentPart, frozen=True):
    """The strongest connections with a layer. All lists run in step."""

    source: Annotated[
        str, about('The layer that the weights come from, nearer to the image; "input" is the image itself.')
    ]
    target: Annotated[str, about("The layer that the weights lead to.")]
    carrier: Annotated[
        str,
        about(
            "The tensor of the graph that the weights are taken from: "
            "the last one with the source's channels one to one."
        ),
    ]
    n_candidates: Annotated[Natural, about("How many neurons there were to choose from.", "count")]
    cropped: Annotated[Share, about("Share of the absolute weights that the window cuts off.", "share")]
    peak: Annotated[
        NonNegative,
        about(
            "The largest absolute weight of all of this neuron's connections with the layer, "
            "also those that are not listed.",
            "weight",
        ),
    ]
    coverage: Coverage
    kernel_size: Annotated[
        tuple[int, int], about("Height and width of the kernels in the .npz.", "positions")
    ]
    index: Annotated[
        Sequence[Natural], about("The neurons at the other end, the strongest connection first.", "index")
    ]
    name: Annotated[
        Sequence[str],
        about("The same neurons by name, as the pages call them: their label where they have one."),
    ]
    strength: Annotated[Sequence[NonNegative], about("The L2 norm of each connection's kernel.", "weight")]
    sign: Annotated[Sequence[Sign], about("The sign of the sum of each kernel.", "sign")]


class ConnectionListData(Strongest, frozen=True):
    """The strongest connections in one direction. All lists run in step."""

    notes: Annotated[
        Sequence[str] | UnsetType,
        about(
            "Present where the weights hold under assumptions: what is held at an operating point, "
            "and which position they are of."
        ),
    ] = UNSET


class PathList(Strongest, frozen=True):
    """The strongest connections from one layer, and how much of each cancels. All lists run in step."""

    cancels: Annotated[
        Sequence[Share],
        about(
            "Of what flows along positive and negative paths, the share that cancels: 1 - |net| / all.",
            "share",
        ),
    ]
    total_cancels: Annotated[
        Share, about("The same of all of this neuron's weights from the layer.", "share")
    ]


class FactorPart(DocumentPart, frozen=True):
    """One factor: its map times its loadings is a part of the weights."""

    sign: Annotated[Sign, about("1 where the factor excites, -1 where it inhibits.", "sign")]
    strength: Annotated[NonNegative, about("The L2 norm of map times loadings.", "weight")]
    map: Annotated[
        Sequence[Sequence[NonNegative]],
        about("Where the factor stands, [height][width], never negative.", "weight"),
    ]
    source_neurons: Annotated[
        Sequence[Natural],
        about("The source neurons of the largest loadings, the largest first.", "index"),
    ]
    loadings: Annotated[
        Sequence[float],
        about("Their loadings; the L2 norm of the loadings of all source neurons is 1.", "1"),
    ]
    source_names: Annotated[Sequence[str], about("The source neurons by name.")]


class OtherCount(DocumentPart, frozen=True):
    """What another number of factors would make of the same weights."""

    n_factors: Annotated[Natural, about("The number of factors.", "count")]
    error: Annotated[NonNegative, about("What they leave out: relative L2 error.", "share")]
    n_rows: Annotated[Natural, about("Rows of the picture of their maps.", "count")]
    tile: Annotated[
        str,
        about("That picture, row by row: six hexadecimal digits a position, red, green and blue."),
    ]


class FactorListData(DocumentPart, frozen=True):
    """The one-sided non-negative matrix factorization of this neuron's weights from the layer before."""

    source: LayerName
    n_factors: Annotated[Natural, about("The number of factors that were made.", "count")]
    error: Annotated[
        NonNegative,
        about("What the factors leave out: relative L2 error, 0 exact, 1 nothing explained.", "share"),
    ]
    factors: Annotated[Sequence[FactorPart], about("The factors, the strongest first.")]
    note: Annotated[str, about("A sentence where the case is degenerate, else empty.")]
    counts: Annotated[Sequence[OtherCount], about("Other numbers of factors, compared.")]


class Percentiles(DocumentPart, frozen=True):
    """For each, the share of the layer's other neurons that have less, equal ones counted half."""

    l2: Annotated[Percent, about(L2, "percent")]
    l1: Annotated[Percent, about(L1, "percent")]
    crispness: Annotated[Percent, about(CRISPNESS, "percent")]
    balance: Annotated[Percent, about(BALANCE, "percent")]
    n_inputs: Annotated[Percent, about(N_INPUTS, "percent")]


class Statistics(DocumentPart, frozen=True):
    """Statistics of all of this neuron's weights from the layer before."""

    source: LayerName
    carrier: CarrierName
    branch: Annotated[
        str | None, about("The branch of the layer that the neuron is in; null where the layer has none.")
    ]
    branch_index: Annotated[Natural | None, about("The neuron's number in its branch.", "index")]
    l2: Annotated[float, about(L2, "weight")]
    l1: Annotated[float, about(L1, "weight")]
    crispness: Annotated[float, about(CRISPNESS, "1")]
    balance: Annotated[float, about(BALANCE, "1")]
    n_inputs: Annotated[float, about(N_INPUTS, "neurons")]
    percentile: Percentiles


class Similar(DocumentPart, frozen=True):
    """The neurons of the layer with the most similar weights, the most similar first. Lists run in step."""

    index: Annotated[Sequence[Natural], about("Their numbers.", "index")]
    name: Annotated[Sequence[str], about("Their names.")]
    similarity: Annotated[
        Sequence[Cosine], about("The cosine of their weights with this neuron's.", "cosine")
    ]
