"""A folder of images -> for each neuron some images from the middle of its range, not only from its top.

The strongest images mislead: what excites a neuron a little may show something else. Each image is taken by
its largest activation. Bins, eight in each doubling, hold a few images each, drawn at random;
afterwards the bin is found in which a given share of all images with an activation lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.examples import boxes
from atlas.analysis.image_pass import Batch, Seen
from atlas.core.neuron import Layer
from atlas.core.records import ExampleTable, Floats, RangeTable

# Shares of the images with an activation that lie below, and how many images are shown of each.
LEVELS = (0.999, 0.99, 0.95, 0.75, 0.5, 0.25)
DRAWN = 3
# Bins in a doubling, and doublings: from four above the largest activation of the first images downwards.
_IN_DOUBLING, _DOUBLINGS, _ABOVE = 8, 24, 4
_N_BINS = _IN_DOUBLING * _DOUBLINGS


class Ranged:
    """The running choice of one layer, an observer: DRAWN images of each bin, [n, bin, drawn]."""

    def __init__(
        self, layer: Layer, input_shape: tuple[int, int, int], seed: int, shown: Callable[[], ExampleTable]
    ) -> None:
        """Keep nothing yet; `seed` decides which images are drawn, `shown` returns the examples then."""
        self.layer, self.tensors, self._shown = layer, (layer.name,), shown
        self._input_shape, self._seed = input_shape, seed
        shape = (layer.n_channels, _N_BINS, DRAWN)
        # The lowest draws of a bin are kept, whatever the order of the images.
        self._draw = np.full(shape, np.inf, np.float32)
        self._image = np.full(shape, -1, np.int32)
        self._activation = np.zeros(shape, np.float32)
        self._position = np.zeros(shape, np.int32)
        self._counts = np.zeros((layer.n_channels, _N_BINS), np.int32)
        self._top: int | None = None
        self._width = 1

    def add(self, batch: Batch) -> None:
        """Take a batch of maps [b, h, w, n] or vectors [b, n]; raises ExamplesError if one is not finite."""
        maps, best, self._width = batch.of(self.layer.name)
        if self._top is None and (best > 0).any():
            self._top = math.frexp(float(best.max()))[1] + _ABOVE
        for i in range(len(maps) if self._top is not None else 0):
            self._add(maps[i], best[i], batch.first + i)

    def _add(self, positions: Floats, best: Floats, image: int) -> None:
        neurons = np.flatnonzero(best > 0)
        bins = self._bins(best[neurons])
        self._counts[neurons, bins] += 1
        draws = np.random.default_rng((self._seed, image)).random(len(best), np.float32)[neurons]
        worst = self._draw[neurons, bins].argmax(1)
        kept = draws < self._draw[neurons, bins, worst]
        at = (neurons[kept], bins[kept], worst[kept])
        self._draw[at], self._image[at], self._activation[at] = draws[kept], image, best[at[0]]
        self._position[at] = positions[:, at[0]].argmax(0)

    def _bins(self, values: Floats) -> NDArray[np.intp]:
        """Return the bin of each positive value, the largest in the last."""
        assert self._top is not None
        mantissa, exponent = np.frexp(values)
        inside = ((2 * mantissa - 1) * _IN_DOUBLING).astype(np.intp)
        bins = _N_BINS + (exponent - self._top - 1) * _IN_DOUBLING + inside
        return np.clip(bins, 0, _N_BINS - 1)

    def record(self, seen: Seen) -> RangeTable:
        """Return the record, without images that are examples already."""
        shown = self._shown()
        n, levels = self.layer.n_channels, np.array(LEVELS)
        image = np.full((n, len(LEVELS), DRAWN), -1, np.int32)
        activation, position = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.int32)
        reached = np.cumsum(self._counts, 1)
        for neuron in range(n):
            total = int(reached[neuron, -1])
            if not total:
                continue
            taken = set(shown.image[neuron].tolist()) | {-1}
            bins = np.searchsorted(reached[neuron], levels * (total - 1), "right")
            for row, bin_ in enumerate(bins.tolist()):
                order = np.argsort(self._draw[neuron, bin_])
                free = [at for at in order.tolist() if self._image[neuron, bin_, at] not in taken]
                chosen = sorted(free, key=lambda at: -self._activation[neuron, bin_, at])
                part = slice(len(chosen))
                image[neuron, row, part] = self._image[neuron, bin_, chosen]
                activation[neuron, row, part] = self._activation[neuron, bin_, chosen]
                position[neuron, row, part] = self._position[neuron, bin_, chosen]
                taken |= set(image[neuron, row].tolist())
        filled = image >= 0
        where = np.stack(np.divmod(position, self._width), -1) * filled[..., None]
        field = self.layer.receptive_field if self.layer.shape else None
        return RangeTable(
            layer=self.layer.name,
            images=seen.images,
            levels=LEVELS,
            n_positive=reached[:, -1].astype(np.int32),
            image=image,
            activation=activation,
            position=where.astype(np.int32),
            box=(boxes(where, field, self._input_shape) * filled[..., None]).astype(np.int32),
        )
