"""Activations over images -> how each neuron's are distributed, counted in fine bins, in constant memory.

Bins are cut from the bits of a float32: 32 in each doubling, so that a quantile between two limits of a bin
is right to a few percent of itself at worst, and to half of that where values lie evenly in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.image_pass import Batch, Seen, look_through
from atlas.core.errors import ExamplesError
from atlas.core.neuron import Layer
from atlas.core.records import Distribution, Floats, Ints
from atlas.model.network import Network

Doubles = NDArray[np.float64]

# Shares of the values below each quantile.
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
# Most positions of one image that are looked at: those of a map of 14 x 14, of larger maps a part.
MOST_POSITIONS = 196
# Powers of two from which on values are told apart, and below which they lie.
_LOW, _HIGH = -24, 40
# Bits of the mantissa that count, and those that are left out.
_MANTISSA = 5
_SHIFT = 23 - _MANTISSA
_OCTAVE = 1 << _MANTISSA
_N_BINS = (_HIGH - _LOW) * _OCTAVE
# Limits of the bins above zero; the first bin holds all below.
_LIMITS = np.concatenate(
    [
        [0.0],
        np.ldexp(1 + np.arange(_OCTAVE) / _OCTAVE, np.arange(_LOW, _HIGH)[:, None]).ravel(),
        [2.0**_HIGH],
    ]
)
# Those of all bins, below zero and above; the middle one is around zero.
_EDGES = np.concatenate([-_LIMITS[:0:-1], _LIMITS[1:]])
# A record's bins: so many in each doubling, over so many doublings below the largest value.
_SHOWN_OCTAVE, _SHOWN_OCTAVES = 4, 16
# Values are counted when so many have come together, as counting takes a time for each bin.
_AT_ONCE = 1 << 19


def distribution(
    network: Network, layer: str, folder: Path, *, progress: Callable[[int], object] | None = None
) -> Distribution:
    """Return how the activations of a layer's neurons are distributed over the images of a folder.

    `progress` is called with the number of files just done. Raises LayerError for an unknown layer and
    ExamplesError as `atlas.analysis.image_pass.look_through` does.
    """
    observer = Distributed(network.layer(layer))
    resizing = network.preprocessing.resizing
    return observer.record(look_through(network, folder, [observer], resizing=resizing, progress=progress))


class Distributed:
    """The running counts of one layer, an observer."""

    def __init__(self, layer: Layer) -> None:
        """Keep nothing but the layer; counts are made as values come."""
        n = layer.n_channels
        self.layer, self.tensors = layer, (layer.name,)
        self._values, self._maxima = _Histogram(n), _Histogram(n)
        self._firing = np.zeros(n, np.int64)
        self._largest = np.full(n, -np.inf, np.float32)

    def add(self, batch: Batch) -> None:
        """Count a batch of maps [b, h, w, n] or vectors [b, n]; raises ExamplesError if one is not finite."""
        maps, best, width = batch.of(self.layer.name)
        parts = [maps[i, looked_at(maps.shape[1], width, batch.first + i)] for i in range(len(maps))]
        self._firing += (best > 0).sum(0)
        self._largest = np.maximum(self._largest, best.max(0))
        self._values.add(np.concatenate(parts))
        self._maxima.add(best)

    def record(self, seen: Seen) -> Distribution:
        """Return the record; raises ExamplesError for values of 2^40 and more."""
        counts, maxima = self._values.counts(self.layer.name), self._maxima.counts(self.layer.name)
        limits = _shown(counts, maxima)
        values, n = self._values, self._values.n_values
        mean = values.sum / n
        variance = np.maximum(values.squares / n - np.square(mean), 0)
        return Distribution(
            layer=self.layer.name,
            n_images=len(seen.images),
            n_values=n,
            levels=LEVELS,
            edges=_EDGES[limits].astype(np.float32),
            counts=_grouped(counts, limits),
            image_counts=_grouped(maxima, limits),
            zero=(1 - values.other_than_zero / n).astype(np.float32),
            positive=(values.positive / n).astype(np.float32),
            firing=(self._firing / len(seen.images)).astype(np.float32),
            mean=mean.astype(np.float32),
            deviation=np.sqrt(variance).astype(np.float32),
            quantile=np.minimum(_quantiles(counts), self._largest[:, None]),
            image_quantile=np.minimum(_quantiles(maxima), self._largest[:, None]),
            largest=self._largest,
        )


def looked_at(n_positions: int, width: int, image: int) -> slice:
    """Return the positions of an image's map that are looked at: all of a small one, else each k-th.

    k shares no factor with the map's width, so that all columns are met; the start differs between images.
    """
    step = -(-n_positions // MOST_POSITIONS)
    while math.gcd(step, width) > 1:
        step += 1
    return slice(image % step, None, step)


class _Histogram:
    """Counts and sums of values, a row a neuron; most values are zero, and cost nothing but to be found."""

    def __init__(self, n: int) -> None:
        self.n_values = 0
        self.other_than_zero, self.positive = np.zeros((2, n), np.int64)
        self.sum, self.squares = np.zeros((2, n))
        self._n = n
        # Counts of magnitudes by fine bin, of values below zero and above.
        self._sides: dict[bool, Ints] = {}
        self._waiting: list[tuple[NDArray[np.int64], Floats]] = []
        self._too_large = np.zeros(n, bool)

    def add(self, values: Floats) -> None:
        """Take values [m, n]; they are counted when many have come together."""
        self.n_values += len(values)
        flat = values.reshape(-1)
        at = np.flatnonzero(flat)
        self._waiting.append((at % self._n, flat[at]))
        if sum(len(neurons) for neurons, _ in self._waiting) >= _AT_ONCE:
            self._count()

    def counts(self, layer: str) -> Ints:
        """Return int32 [n, 2 _N_BINS + 1]; the middle bin is around zero. Raises ExamplesError."""
        self._count()
        if self._too_large.any():
            raise ExamplesError(
                f"{layer}:{int(self._too_large.argmax())}: an activation is too large to be counted",
                expected=f"less than 2^{_HIGH}",
                remedy="check the model's weights and its value range",
            )
        none = np.zeros((self._n, _N_BINS + 1), np.int32)
        below, above = (self._sides.get(side, none) for side in (False, True))
        zeros = (self.n_values - self.other_than_zero)[:, None]
        middle = below[:, :1] + above[:, :1] + zeros.astype(np.int32)
        return np.concatenate([below[:, :0:-1], middle, above[:, 1:]], 1)

    def _count(self) -> None:
        if not self._waiting:
            return
        neurons, values = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting = []
        self.other_than_zero += np.bincount(neurons, minlength=self._n)
        self.sum += np.bincount(neurons, values, self._n)
        self.squares += np.bincount(neurons, np.square(values, dtype=np.float64), self._n)
        above = values > 0
        self.positive += np.bincount(neurons[above], minlength=self._n)
        # The first bits of a float32 are its exponent and the start of its mantissa.
        bins = (np.abs(values).view(np.int32) >> _SHIFT) - ((127 + _LOW) * _OCTAVE - 1)
        self._too_large[neurons[bins > _N_BINS]] = True
        bins = np.clip(bins, 0, _N_BINS) + neurons * (_N_BINS + 1)
        for side, chosen in ((True, bins[above]), (False, bins[~above])):
            if chosen.size:
                found = np.bincount(chosen, minlength=self._n * (_N_BINS + 1)).reshape(self._n, -1)
                kept = self._sides.setdefault(side, np.zeros(found.shape, np.int32))
                kept += found.astype(np.int32)


def _quantiles(counts: Ints) -> Floats:
    """Return the quantiles [n, level] of counts in fine bins, as `numpy.quantile` defines them."""
    total = counts.sum(1, dtype=np.int64)
    out = np.empty((len(counts), len(LEVELS)), np.float32)
    for row, own in enumerate(counts):
        reached = np.cumsum(own, dtype=np.int64)
        # Between two of the sorted values, each of which lies somewhere in its bin.
        places = np.array(LEVELS) * (total[row] - 1)
        low, high = (_ranked(own, reached, rank) for rank in (np.floor(places), np.ceil(places)))
        out[row] = low + (places - np.floor(places)) * (high - low)
    return out


def _ranked(counts: Ints, reached: NDArray[np.int64], ranks: Doubles) -> Doubles:
    """Return values by rank, from 0, as if those of a bin lay evenly in it; `reached` sums up the counts."""
    at = np.searchsorted(reached, ranks, "right")
    inside = (ranks - (reached[at] - counts[at]) + 0.5) / counts[at]
    values = _EDGES[at] + inside * (_EDGES[at + 1] - _EDGES[at])
    # Most of what lies in the middle bin is exactly zero.
    return np.where(at == _N_BINS, 0.0, values)


def _shown(*all_counts: Ints) -> Ints:
    """Return the fine limits that are the record's: no more than the values of any neuron reach."""
    used = np.flatnonzero(np.any([counts.any(0) for counts in all_counts], 0))
    peak = np.abs(_EDGES[[used[0], used[-1] + 1]]).max()
    smallest = max(math.floor(math.log2(peak)) - _SHOWN_OCTAVES, _LOW)
    # From that power of two on every eighth limit; between it and its negative lies one bin.
    starts = np.arange((smallest - _LOW) * _OCTAVE, _N_BINS + 1, _OCTAVE // _SHOWN_OCTAVE)
    limits = np.concatenate([_N_BINS - starts[::-1], _N_BINS + 1 + starts])
    begin = max(int(np.searchsorted(limits, used[0], "right")) - 1, 0)
    return limits[begin : int(np.searchsorted(limits, used[-1] + 1)) + 1].astype(np.int32)


def _grouped(counts: Ints, limits: Ints) -> Ints:
    return np.add.reduceat(counts[:, : limits[-1]], limits[:-1], axis=1).astype(np.int32)
