"""Distribution -> how a neuron's activations are distributed over images, as a figure and in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Distribution, Ints
from atlas.site import wording
from atlas.site.neuron.coverage import HEIGHT, LEFT, TOP, WIDTH
from atlas.site.reading.artefacts import LayerArtefacts

Doubles = NDArray[np.float64]

# Of fewer images, or samples, nothing is claimed.
FEWEST = 10
# Bins below this part of the largest value are left out of the figure.
_SMALLEST = 2.0**-10
_BASE = TOP + HEIGHT


@dataclass(frozen=True, slots=True)
class Histogram:
    """The figure of a neuron's activations, on a log axis, in units of its view box."""

    values: str
    """Outline of the shares of positions in each bin, an SVG path."""
    maxima: str
    """Outline of the shares of images whose maximum lies in each bin, an SVG path."""
    marks: str
    """Marks at the activations of the examples that the page shows, an SVG path; "" for none."""
    ticks: tuple[tuple[int, str], ...]
    """Distance from the left edge and number of each tick of the axis."""
    label: str
    """Description of the figure, for readers who cannot see it."""


@dataclass(frozen=True, slots=True)
class Activity:
    """How a neuron's activations are distributed."""

    histogram: Histogram | None
    """The figure, None where every activation is zero."""
    n_images: str
    """Number of images, in words."""
    sentences: tuple[str, ...]
    """The numbers, in words."""


def activity(artefacts: LayerArtefacts, index: int) -> Activity | None:
    """Return how a neuron's activations are distributed, None where that was not measured."""
    record = artefacts.distribution
    if record is None:
        return None
    n_images = wording.counted(record.n_images, "image")
    return Activity(_histogram(artefacts, record, index), n_images, tuple(_sentences(record, index)))


def _sentences(record: Distribution, index: int) -> list[str]:
    positive, firing = float(record.positive[index]), float(record.firing[index])
    if record.largest[index] == 0 and record.zero[index] == 1:
        return ["It is zero at every position of every image."]
    where = f"Its activation is above zero at {wording.percent(positive)} of all positions"
    sentences = [f"{where}, and somewhere in {wording.percent(firing)} of the images."]
    largest = wording.number(float(record.largest[index]))
    if record.n_images >= FEWEST:
        levels = dict(zip(record.levels, record.image_quantile[index].tolist(), strict=True))
        half, most = (wording.number(levels[level]) for level in (0.5, 0.95))
        sentences.append(
            f"The largest in an image is {half} in the median and reaches {most} in one image of twenty; "
            f"the largest of all is {largest}."
        )
    mean, deviation = (wording.number(float(x[index])) for x in (record.mean, record.deviation))
    return [*sentences, f"Over all positions its mean is {mean}, its standard deviation {deviation}."]


def _histogram(artefacts: LayerArtefacts, record: Distribution, index: int) -> Histogram | None:
    counts, maxima = record.counts[index], record.image_counts[index]
    edges = record.edges.astype(np.float64)
    # Values in the bin around zero are told in words: it would dwarf all others.
    around_zero = (edges[:-1] < 0) & (edges[1:] > 0) | (edges[:-1] == 0)
    reach = np.abs([edges[:-1], edges[1:]]).max(0)
    used = np.flatnonzero(((counts > 0) | (maxima > 0)) & ~around_zero)
    if not used.size:
        return None
    used = used[reach[used] >= reach[used].max() * _SMALLEST]
    first, last = int(used[0]), int(used[-1]) + 1
    bins = slice(first, last)
    shown = np.where(around_zero[bins], 0, [counts[bins], maxima[bins]])
    table, marks = artefacts.examples, ""
    axis = _Axis(edges[first : last + 1])
    if table is not None:
        examples = table.activation[index][table.image[index] >= 0].astype(np.float64)
        places = axis.px(examples[(examples >= edges[first]) & (examples <= edges[last])])
        marks = "".join(f"M{x} {_BASE + 3}v11" for x in dict.fromkeys(places.tolist()))
    low, high = (wording.number(edges[i]) for i in (first, last))
    return Histogram(
        values=f"{axis.outline(shown[0])}V{_BASE}Z",
        maxima=axis.outline(shown[1]),
        marks=marks,
        ticks=axis.ticks(),
        label=f"Histogram of the activations on a log axis, from {low} to {high}",
    )


class _Axis:
    """A log axis on both sides of zero, over bins of a histogram; the one around zero has a width of 1."""

    def __init__(self, edges: Doubles) -> None:
        self._edges = edges
        # In doublings of the smallest limit.
        self._smallest = np.abs(edges[edges != 0]).min()
        ends = self._places(edges)
        self._start, self._scale = ends[0], WIDTH / (ends[-1] - ends[0])

    def _places(self, values: Doubles) -> Doubles:
        doublings = np.log2(np.maximum(np.abs(values) / self._smallest, 1)) + 0.5
        places: Doubles = np.where(
            np.abs(values) < self._smallest, values / self._smallest / 2, np.sign(values) * doublings
        )
        return places

    def px(self, values: Doubles) -> NDArray[np.int64]:
        """Return how far values lie from the left edge."""
        px: NDArray[np.int64] = np.round(LEFT + self._scale * (self._places(values) - self._start)).astype(
            int
        )
        return px

    def outline(self, counts: Ints) -> str:
        """Return the path of a histogram by area, whose highest bin fills the figure."""
        at, density = self.px(self._edges).tolist(), counts / np.diff(self._places(self._edges))
        heights = (_BASE - np.round(HEIGHT * density / (density.max() or 1))).astype(int).tolist()
        steps, before = [f"M{at[0]} {_BASE}"], _BASE
        for i, height in enumerate(heights):
            if height != before:
                steps.append(f"V{height}")
            before = height
            if i + 1 == len(heights) or heights[i + 1] != height:
                steps.append(f"H{at[i + 1]}")
        return "".join(steps)

    def ticks(self) -> tuple[tuple[int, str], ...]:
        """Return ticks at powers of ten, four at most on a side, else at both ends."""
        low, high = float(self._edges[0]), float(self._edges[-1])
        biggest = math.floor(math.log10(max(abs(low), abs(high))))
        powers = [10.0**power for power in range(biggest - 2, biggest + 1)]
        values = [value for value in (*(-p for p in reversed(powers)), *powers) if low < value < high]
        values = values if len(values) > 1 else [low, high]
        places = self.px(np.array(values)).tolist()
        return tuple(
            (x, f"{v:,.4g}".replace("-", "\N{MINUS SIGN}")) for x, v in zip(places, values, strict=True)
        )
