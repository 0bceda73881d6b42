"""Predictions that a pair's weights make of a layer from windows of the layer before, and how they fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.norms import mass_of
from atlas.core.records import Floats

Doubles = NDArray[np.float64]

# A deviation below this part of the largest value is what rounding leaves of a constant.
_ROUNDING = 1e-6


class Predictor:
    """A pair's weights, ready for many windows of activations."""

    def __init__(self, weights: Floats, kept: Sequence[int]) -> None:
        """`weights` are float32 [h, w, source, target].

        `kept` are the numbers of strongest sources that predictions are made of; the last is all.
        """
        self._all = weights.reshape(-1, *weights.shape[2:])
        self._kept = kept
        strength = np.sqrt(mass_of(weights).square).astype(np.float32)
        order = np.argsort(-strength, axis=0, kind="stable")[: max(kept[:-1], default=0)]
        # The strong connections one by one, sorted by source: their targets, kernels, and the first
        # prediction that uses each.
        rank, target = np.indices(order.shape).reshape(2, -1)
        by_source = np.argsort(order.reshape(-1), kind="stable")
        source, self._target = order.reshape(-1)[by_source], target[by_source]
        self._first = np.searchsorted(np.array(kept[:-1]), rank[by_source] + 1)
        self._kernels = np.ascontiguousarray(self._all[:, source, self._target].T)
        self._ends = np.searchsorted(source, np.arange(weights.shape[2] + 1))

    def contributions(self, windows: Floats, fires: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
        """Return contributions and magnitudes [source, target], each summed where its target fires.

        Samples are summed first, in a matrix product: contributions one by one would be an array of sources,
        samples and targets.
        """
        n_samples, where = len(windows), fires.astype(np.float32)
        flat = windows.reshape(n_samples, -1)
        spread = (flat.T @ where).reshape(self._all.shape)
        contribution = (spread * self._all).sum(0, dtype=np.float64)
        if flat.min() < 0:
            spread = (np.abs(flat).T @ where).reshape(self._all.shape)
        return contribution, (spread * np.abs(self._all)).sum(0, dtype=np.float64)

    def predictions(self, windows: Floats) -> Doubles:
        """Return the predictions [kept, target, sample] of windows [sample, h * w, source]."""
        n_samples, n_targets = len(windows), self._all.shape[2]
        out = np.zeros((len(self._kept), n_targets, n_samples))
        of_source = np.ascontiguousarray(windows.transpose(2, 1, 0))
        for source, window in enumerate(of_source):
            part = slice(self._ends[source], self._ends[source + 1])
            out[self._first[part], self._target[part]] += self._kernels[part] @ window
        np.cumsum(out[:-1], axis=0, out=out[:-1])
        flat = windows.reshape(n_samples, -1)
        out[-1] = (flat @ self._all.reshape(-1, n_targets)).T
        return out


class Fit:
    """Running sums of predictions and values, their squares and products, around the first samples' mean."""

    def __init__(self, n: int, n_kept: int) -> None:
        """Start with nothing, for `n` neurons and `n_kept` predictions of each."""
        self.n = 0
        self._value, self._square = np.zeros(n), np.zeros(n)
        self._prediction, self._squares, self._product = np.zeros((3, n_kept, n))
        self._origin: tuple[Doubles, Doubles] | None = None
        # The largest magnitudes, beside which rounding is told from variance.
        self._most_value, self._most_prediction = np.zeros(n), np.zeros((n_kept, n))

    def add(self, predictions: Doubles, values: Doubles) -> None:
        """Add predictions [kept, n, sample] of values [n, sample]."""
        if self._origin is None:
            self._origin = predictions.mean(2, keepdims=True), values.mean(1, keepdims=True)
        p, y = predictions - self._origin[0], values - self._origin[1]
        self.n += y.shape[1]
        self._most_value = np.maximum(self._most_value, np.abs(values).max(1))
        self._most_prediction = np.maximum(self._most_prediction, np.abs(predictions).max(2))
        self._value += y.sum(1)
        self._square += np.square(y).sum(1)
        self._prediction += p.sum(2)
        self._squares += np.square(p).sum(2)
        self._product += (p * y).sum(2)

    def results(self) -> tuple[Floats, Floats]:
        """Return R² and correlation, each [n, kept], NaN where they are not defined."""
        value = self._square - np.square(self._value) / self.n
        prediction = self._squares - np.square(self._prediction) / self.n
        product = self._product - self._prediction * self._value / self.n
        still = value <= self.n * (_ROUNDING * self._most_value) ** 2
        flat = prediction <= self.n * (_ROUNDING * self._most_prediction) ** 2
        nothing = np.full_like(product, np.nan)
        known = np.broadcast_to(~still, product.shape)
        r2 = 1 - np.divide(value + prediction - 2 * product, value, out=nothing.copy(), where=known)
        scale = np.sqrt(value * prediction)
        correlation = np.divide(product, scale, out=nothing.copy(), where=known & ~flat)
        return r2.T.astype(np.float32), np.clip(correlation.T, -1, 1).astype(np.float32)
