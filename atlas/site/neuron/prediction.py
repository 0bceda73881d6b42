"""Fidelity -> how well its weights predict a neuron on images, and what each input contributes there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from atlas.core.records import Fidelity
from atlas.site import wording
from atlas.site.neuron.activity import FEWEST, Activity, activity
from atlas.site.neuron.coverage import HEIGHT, LEFT, TOP, WIDTH, line_of
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link

# Weights that explain less do not tell what the neuron does.
LITTLE = 1 / 3
# A connection is silent if a unit of its strength contributes less than this part of what is usual.
SILENT = 0.1
# Sources not shown are named where they are among so many that contribute most.
_MOST = 10


@dataclass(frozen=True, slots=True)
class FidelityCurve:
    """The share of variance that weights explain, against how many of the strongest inputs are kept."""

    points: str
    """The points, in the format of an SVG polyline."""
    after: str
    """Those for the activation, after the activation function; "" where the two are the same."""
    n_all: str
    """Number of all inputs."""
    label: str
    """Description of the figure, for readers who cannot see it."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """How well the weights from the layer before predict a neuron on images."""

    source: Link
    """The layer before."""
    claim: str
    """The main number, in a sentence."""
    details: tuple[str, ...]
    """Other numbers, and what they were measured on, in sentences."""
    warns: bool
    """Whether the weights explain so little that they mislead."""
    curve: FidelityCurve | None
    """The curve, None where there is only one input, or nothing to explain."""


@dataclass(frozen=True, slots=True)
class OnImages:
    """What a neuron does on images, and what its weights say of that."""

    activity: Activity | None
    """How its activations are distributed, None where that was not measured."""
    prediction: Prediction | None
    """How well its weights predict it, None where that was not measured."""


def on_images(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> OnImages:
    """Return what was measured of a neuron on images."""
    return OnImages(activity(artefacts, index), prediction(catalogue, artefacts, index))


def prediction(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Prediction | None:
    """Return how well its weights predict a neuron, None where that was not measured."""
    record = artefacts.fidelity
    if record is None:
        return None
    source = catalogue.link(record.source)
    before = [explained(value) for value in record.correlation[index].tolist()]
    after = [explained(value) for value in record.correlation_after[index].tolist()]
    share = before[-1]
    if share is None or record.n_samples < FEWEST:
        why = "it is the same everywhere" if share is None else "too few positions were looked at"
        return Prediction(source, f"Nothing can be said of these weights on images: {why}.", (), False, None)
    # Without an activation function the two are one.
    same = np.array_equal(record.correlation[index], record.correlation_after[index], equal_nan=True)
    value = "activation" if same else "value before the activation function"
    parts = [f"{_strongest(k)} {wording.percent(x)}" for k, x in _parts(record.kept, before)]
    claim = f"These weights explain {wording.percent(share)} of the variance of its {value}"
    return Prediction(
        source=source,
        claim=f"{claim}{'; ' if parts else ''}{', '.join(parts)}.",
        details=tuple(_details(record, index, share, None if same else after[-1])),
        warns=share < LITTLE,
        curve=_curve(record.kept, before, [] if same else after),
    )


def _details(record: Fidelity, index: int, share: float, after: float | None) -> Iterator[str]:
    r2 = float(record.r2[index, -1])
    if r2 < share - 0.05:
        yield f"This allows for one factor; on the scale of the weights R² is {_two_digits(r2)}."
    if after is not None:
        yield f"Of the variance of its activation they explain {wording.percent(after)}."
    yield measured_at(record)


def measured_at(record: Fidelity) -> str:
    """Return a sentence on the sampled positions."""
    where = f"{wording.counted(record.n_samples, 'position')} of {wording.counted(record.n_images, 'image')}"
    return f"Measured at {where}: {record.what}."


def _parts(kept: Sequence[int], shares: Sequence[float | None]) -> list[tuple[int, float]]:
    pairs = zip(kept[:-1], shares[:-1], strict=True)
    return [(k, share) for k, share in pairs if share is not None and k in (1, 10, kept[-2])]


def _strongest(k: int) -> str:
    return "the strongest alone" if k == 1 else f"the {k} strongest"


def _two_digits(value: float) -> str:
    if value < -10:
        return "less than \N{MINUS SIGN}10"
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _curve(
    kept: Sequence[int], before: Sequence[float | None], after: Sequence[float | None]
) -> FidelityCurve | None:
    if len(kept) < 2:
        return None
    told = ", ".join(f"{k}: {wording.percent(s)}" for k, s in zip(kept, before, strict=True) if s is not None)
    return FidelityCurve(
        points=_points(kept, before),
        after=_points(kept, after) if after else "",
        n_all=wording.thousands(kept[-1]),
        label=f"Share of variance explained by the strongest inputs: {told}",
    )


def _points(kept: Sequence[int], shares: Sequence[float | None]) -> str:
    pairs = zip(kept, shares, strict=bool(shares))
    scale = WIDTH / math.log(kept[-1])
    return line_of(
        [
            (LEFT + round(scale * math.log(k)), TOP + round(HEIGHT * (1 - share)))
            for k, share in pairs
            if share is not None
        ]
    )


def explained(correlation: float) -> float | None:
    """Return the share of variance that a prediction explains, up to a factor and a constant; None for NaN.

    A prediction that falls where the value rises explains nothing.
    """
    return None if math.isnan(correlation) else max(correlation, 0.0) ** 2


@dataclass(frozen=True, slots=True)
class Contributions:
    """What a neuron's inputs contribute on images where it fires."""

    share: Mapping[int, float]
    """Each source neuron's share of all contributions, negative where it takes away."""
    silent: frozenset[int]
    """Shown source neurons that are strong by their weights, and contribute hardly anything."""
    n_firing: int
    """Number of sampled positions at which the neuron fires."""
    unlisted: tuple[int, ...]
    """Source neurons that are not shown, though they are among those that contribute most."""


def contributions(artefacts: LayerArtefacts, index: int) -> Contributions | None:
    """Return what the shown inputs contribute; None where it was not measured, or the neuron hardly fires."""
    record, columns = artefacts.fidelity, artefacts.upstream
    if record is None or columns is None or int(record.n_firing[index]) < FEWEST:
        return None
    signed = record.shares(index)
    shares = np.abs(signed)
    if not shares.any():
        return None
    shown, strengths = columns.index[index], np.array(columns.strength[index])
    rates = np.divide(shares[shown], strengths, out=np.zeros(len(shown)), where=strengths > 0)
    usual = float(np.median(rates))
    silent = frozenset(
        other for other, rate in zip(shown, rates.tolist(), strict=True) if rate < SILENT * usual
    )
    most = np.argsort(-shares, kind="stable")[:_MOST].tolist()
    unlisted = tuple(other for other in most if other not in shown and shares[other] > 0)
    return Contributions(dict(enumerate(signed.tolist())), silent, int(record.n_firing[index]), unlisted)
