"""Expanded weights, activations on images -> how well the weights predict each neuron, and what contributes.

Weights are a claim: that a neuron's value at a position is the sum of weights times activations of the source
over a window. Here the claim is held against the network on images. At sampled positions the contribution of
each source neuron s to each target neuron t is computed,

    C[s, sample, t] = sum over the window of W[:, :, s, t] * A[sample, :, :, s]

and their sum, the prediction, is compared with the value before the target's activation function, and after
it. The strongest source neurons alone give the other predictions. Sums of products are kept, not samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlas.analysis.image_pass import Batch, Seen, look_through
from atlas.analysis.predictions import Fit, Predictor
from atlas.analysis.weights import Placement, pair_weights, placement
from atlas.core.errors import AtlasError
from atlas.core.neuron import INPUT, Layer
from atlas.core.records import Fidelity, Floats, Ints
from atlas.drawing.image_files import image_files
from atlas.model.carriers import before_activations
from atlas.model.graph.view import node_of
from atlas.model.network import Network

# Numbers of strongest source neurons that predictions are made of, besides those on a page, and all.
KEPT = (1, 3, 10, 30)
# Positions to sample over all images, and most of one image: neighbouring positions see nearly the same.
N_SAMPLES, MOST_OF_IMAGE = 2048, 16
# Samples are taken in when their windows have so many values: each time all weights are gone through.
_AT_ONCE = 1 << 22


def fidelity(
    network: Network,
    layer: str,
    folder: Path,
    *,
    source: str | None = None,
    top: int = 50,
    progress: Callable[[int], object] | None = None,
) -> Fidelity:
    """Return how well a layer's expanded weights predict its neurons on the images of a folder.

    `source` None is the trunk layer before, "input" the image; one prediction uses the `top` strongest source
    neurons. `progress` is called with the number of files just done. Raises the errors of
    `expanded_weights`, ExamplesError for a folder without a readable image, and AtlasError for layers whose
    values are no maps.
    """
    pair = pair_weights(network, source, layer)
    claim = claim_of(network, network.layer(layer), pair.source, pair.carrier, top=top)
    observer = Compared(claim, lambda: pair.weights, len(image_files(folder)))
    resizing = network.preprocessing.resizing
    return observer.record(look_through(network, folder, [observer], resizing=resizing, progress=progress))


@dataclass(frozen=True, slots=True)
class Claim:
    """A pair of layers whose weights are held against images."""

    layer: Layer
    """The target."""
    source: str
    """The layer before, "input" for the image."""
    carrier: str
    """The tensor that its activations are taken from."""
    tensors: tuple[str, ...]
    """The tensors that hold the target's neurons, in order, before its activation function."""
    placement: Placement
    """Which window the weights are for."""
    n_source: int
    """How many neurons the source has."""
    top: int
    """How many connections a page shows."""


def claim_of(
    network: Network, layer: Layer, source: str, carrier: str, *, top: int, width: int | None = None
) -> Claim:
    """Return what is needed to hold a pair's weights against images; `width` is that of the weights.

    Raises AtlasError where a tensor is neither a map nor a dense layer.
    """
    where = placement(network, carrier, layer.name, width=width)
    tensors = tuple(part.tensor for part in before_activations(network, layer, carrier))
    maps: dict[str, tuple[int, ...]] = dict.fromkeys((layer.tensor, *tensors), layer.shape or ())
    if source != INPUT:
        maps[carrier] = where.window if where.stride is None else ()
    for tensor, map_ in maps.items():
        shape = network.shapes.get(node_of(tensor), ())
        # Three axes are those of tokens: those of a map, in order.
        if len(shape) not in (2, 4) and not (len(shape) == 3 and map_ and shape[1] == math.prod(map_)):
            raise AtlasError(
                f"{layer.name}: its weights from {source} cannot be held against images",
                found=f"{node_of(tensor)} with axes {shape}",
                expected="a map or a dense layer",
            )
    n_source = network.input_shape[2] if source == INPUT else network.layer(source).n_channels
    return Claim(layer, source, carrier, tensors, where, n_source, top)


class Compared:
    """The running sums of one pair, an observer."""

    def __init__(self, claim: Claim, weights: Callable[[], Floats], n_images: int) -> None:
        """`weights` returns float32 [h, w, source, target]; it is called when the first images come.

        Of `n_images` images all are looked at, or, of very many, as many as samples are wanted.
        """
        self.claim, self._n_images, self._load = claim, n_images, weights
        n_source, n = claim.n_source, claim.layer.n_channels
        self.kept = (*sorted(k for k in {*KEPT, claim.top} if k < n_source), n_source)
        carrier = () if claim.source == INPUT else (claim.carrier,)
        self.tensors = tuple(dict.fromkeys((claim.layer.name, *claim.tensors, *carrier)))
        self._sums = [Fit(n, len(self.kept)) for _ in range(2)]
        self._firing = np.zeros(n, np.int64)
        self._contribution, self._magnitude = np.zeros((2, n_source, n))
        self._n_seen = 0
        self._weights: Predictor | None = None
        # Windows [sample, h * w, source], and values [sample, target] before and after, not yet taken in.
        self._waiting: list[tuple[Floats, Floats, Floats]] = []

    @property
    def n_bytes(self) -> int:
        """Memory that the weights take while images are looked at."""
        h, w = self.claim.placement.window
        return 4 * h * w * self.claim.n_source * self.claim.layer.n_channels

    def add(self, batch: Batch) -> None:
        """Take a batch; raises ExamplesError for an activation that is not finite."""
        sampled = [(i, batch.first + i) for i in range(len(batch.names)) if self._is_due(batch.first + i)]
        if not sampled:
            return
        claim, own = self.claim, batch.of(self.claim.layer.name).maps
        source = batch.pixels if claim.source == INPUT else batch.values[claim.carrier]
        # Tokens of a map that is read whole have its shape; what has no positions has one.
        shape = claim.placement.window if source.ndim == 3 else source.shape[1:-1] or (1, 1)
        maps = source.reshape(len(source), *shape, -1)
        parts = [batch.values[name] for name in claim.tensors]
        before = np.concatenate([part.reshape(*own.shape[:2], -1) for part in parts], -1)
        self._n_seen += len(sampled)
        images, positions = [], []
        for i, number in sampled:
            chosen = self._positions(number)
            images += [i] * len(chosen)
            positions += chosen
        at = (np.array(images), *np.array(positions).T)
        flat = (at[0], at[1] * (claim.layer.shape or (1, 1))[1] + at[2])
        self._waiting.append((self._windows(maps, at), before[flat], own[flat]))
        if sum(windows.size for windows, *_ in self._waiting) >= _AT_ONCE:
            self._take_in()

    def record(self, seen: Seen) -> Fidelity:
        """Return the record, and let the weights go."""
        self._take_in()
        self._weights = None
        (r2, correlation), (r2_after, correlation_after) = (sums.results() for sums in self._sums)
        firing = np.maximum(self._firing, 1)
        return Fidelity(
            layer=self.claim.layer.name,
            source=self.claim.source,
            carrier=node_of(self.claim.carrier),
            what=self._what(),
            n_images=self._n_seen,
            n_samples=self._sums[0].n,
            kept=self.kept,
            r2=r2,
            correlation=correlation,
            r2_after=r2_after,
            correlation_after=correlation_after,
            n_firing=self._firing.astype(np.int32),
            contribution=(self._contribution / firing).astype(np.float32),
            magnitude=(self._magnitude / firing).astype(np.float32),
        )

    def _what(self) -> str:
        if self.claim.placement.stride is None:
            return "the centre of each image" if self.claim.layer.shape else "each image"
        if not all(self.claim.placement.inside):
            return "the centre of each image, where the window reaches beyond the map and weights are inexact"
        return "random positions whose window lies within the image"

    def _is_due(self, number: int) -> bool:
        """Return whether an image is looked at: all of a few, of many as many as samples are wanted."""
        n = max(self._n_images, 1)
        return n <= N_SAMPLES or number * N_SAMPLES // n != (number - 1) * N_SAMPLES // n

    def _positions(self, number: int) -> list[tuple[int, int]]:
        """Return the sampled positions of an image; they depend on its number alone."""
        rows, columns = self.claim.placement.inside
        n = len(rows) * len(columns)
        if not n:
            return [self.claim.placement.centre]
        wanted = min(max(-(-N_SAMPLES // self._n_images), 1), MOST_OF_IMAGE, n)
        chosen = np.random.default_rng(number).choice(n, wanted, replace=False)
        return [(rows[c // len(columns)], columns[c % len(columns)]) for c in chosen.tolist()]

    def _windows(self, maps: Floats, at: tuple[Ints, ...]) -> Floats:
        """Return the windows of samples at (image, h, w), [sample, h * w, source]; zero beyond the map."""
        place, (h, w) = self.claim.placement, self.claim.placement.window
        stride = place.stride or (0, 0)
        padded = np.pad(maps, [(0, 0), (h, h), (w, w), (0, 0)])
        tops, lefts = (
            np.clip(first + (p - centre) * step, -size, length) + size
            for first, p, centre, step, size, length in zip(
                place.first, at[1:], place.centre, stride, (h, w), maps.shape[1:3], strict=True
            )
        )
        rows, columns = tops[:, None] + np.arange(h), lefts[:, None] + np.arange(w)
        windows: Floats = padded[at[0][:, None, None], rows[:, :, None], columns[:, None, :]]
        return windows.reshape(len(tops), h * w, -1)

    def _take_in(self) -> None:
        """Add the samples that wait to the sums."""
        if not self._waiting:
            return
        windows, before, after = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting = []
        if self._weights is None:
            self._weights = Predictor(self._load(), self.kept)
        fires = after > 0
        self._firing += fires.sum(0)
        contribution, magnitude = self._weights.contributions(windows, fires)
        self._contribution += contribution
        self._magnitude += magnitude
        predictions = self._weights.predictions(windows)
        for sums, values in zip(self._sums, (before, after), strict=True):
            sums.add(predictions, values.T.astype(np.float64))
