"""What a layer does on images: how its activations are distributed, and how well weights predict them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.notebook_registry import Displayed
from atlas.core.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Distribution(Displayed):
    """How the activations of each neuron of a layer are distributed over images and positions.

    In large maps only some positions of an image are looked at, evenly spaced from a start that differs from
    image to image; each image's maximum is over all positions.
    """

    layer: str
    """Name of the layer."""
    n_images: int
    """Number of images."""
    n_values: int
    """Number of values of each neuron: positions that were looked at, over all images."""
    levels: tuple[float, ...]
    """Shares of the values that lie below each quantile, 0 to 1, ascending."""
    edges: Floats
    """[b + 1], the limits of the histograms' bins, ascending: a bin around zero, four in each doubling."""
    counts: Ints
    """[n, b] int32, number of values in each bin; a bin holds its limit nearer to zero."""
    image_counts: Ints
    """[n, b] int32, number of images whose maximum lies in each bin."""
    zero: Floats
    """[n], share of values that are exactly zero."""
    positive: Floats
    """[n], share of values above zero."""
    firing: Floats
    """[n], share of images whose maximum is above zero."""
    mean: Floats
    """[n], mean of the values."""
    deviation: Floats
    """[n], standard deviation of the values."""
    quantile: Floats
    """[n, level], quantiles of the values, right to 3 % of their size."""
    image_quantile: Floats
    """[n, level], quantiles of the images' maxima, likewise."""
    largest: Floats
    """[n], the largest value of all positions of all images."""


@dataclass(frozen=True, slots=True)
class Fidelity(Displayed):
    """How well a layer's expanded weights from the layer before predict its neurons on images.

    The prediction at a position is the sum of weights times activations of the source over the weights'
    window. A constant is added that makes its mean right, as weights hold no biases. R² is 1 - (mean squared
    error) / variance: 1 for a perfect prediction, 0 for one no better than the mean, below 0 for a worse one.
    It and the correlation are NaN where the neuron, or its prediction, is the same everywhere.
    """

    layer: str
    """Name of the layer."""
    source: str
    """The layer before, which the weights come from, "input" for the image."""
    carrier: str
    """The tensor that the weights, and the activations that they are multiplied with, are taken from."""
    what: str
    """The positions that were sampled, in words."""
    n_images: int
    """Number of images."""
    n_samples: int
    """Number of sampled positions, over all images."""
    kept: tuple[int, ...]
    """How many of the strongest source neurons each prediction uses, ascending; the last is all of them."""
    r2: Floats
    """[n, kept], R² for the value before the activation function."""
    correlation: Floats
    """[n, kept], correlation with that value."""
    r2_after: Floats
    """[n, kept], R² for the activation."""
    correlation_after: Floats
    """[n, kept], correlation with the activation."""
    n_firing: Ints
    """[n] int32, number of samples at which the neuron's activation is above zero."""
    contribution: Floats
    """[source, n], mean of weights times activations over the window where the neuron fires; 0 if nowhere."""
    magnitude: Floats
    """[source, n], mean of the sum over the window of the absolute values of these products, likewise."""

    def shares(self, index: int) -> Floats:
        """Return float32 [source]: each source's part of a neuron's magnitudes, with its contribution's sign.

        0 where all magnitudes are.
        """
        own = self.magnitude[:, index]
        total = float(own.sum(dtype="f8")) or 1.0
        shares: Floats = np.copysign(own / np.float32(total), self.contribution[:, index])
        return shares
