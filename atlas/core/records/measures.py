"""A layer's numbers: effective field, statistics of its neurons' weights, filters of a first layer."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.notebook_registry import Displayed
from atlas.core.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class LayerStatistics(Displayed):
    """Statistics of every neuron's expanded weights from the layer before, and which neurons are similar.

    All statistics but l1 and l2 are 0 where every weight is zero.
    """

    layer: str
    """Name of the layer."""
    source: str
    """The layer before, which the weights come from."""
    carrier: str
    """The tensor that the weights are taken from."""
    branch: tuple[str, ...]
    """Name of each neuron's branch, empty where the layer is not a concatenation."""
    branch_index: Ints
    """[n] int32, index within the branch, -1 where there is none."""
    l2: Floats
    """[n], root of the sum of the squared weights."""
    l1: Floats
    """[n], sum of the absolute weights."""
    crispness: Floats
    """[n], l2 / l1."""
    balance: Floats
    """[n], sum of the weights over that of the absolute ones: -1 all negative, 1 all positive."""
    n_inputs: Floats
    """[n], effective number of source neurons: (sum of s2)^2 / sum of s2^2, s2 a kernel's squared L2 norm."""
    percentile: Floats
    """[n, 5], 0 to 100, in l2, l1, crispness, balance, n_inputs: share of others below, equal ones half."""
    order: Ints
    """[n] int32, the neurons on a line, similar ones next to each other."""
    nearest: Ints
    """[n, k] int32, the most similar neurons of the layer, best first."""
    similarity: Floats
    """[n, k], cosines of their weights."""


@dataclass(frozen=True, slots=True)
class EffectiveField(Displayed):
    """What the middle position of a layer reacts to, measured: where the energy of its gradient lies.

    The energy of a pixel is the squared gradient, summed over the layer's neurons, averaged over images.
    """

    layer: str
    """Name of the layer."""
    what: str
    """The images that it was measured on, in words."""
    inner: tuple[int, int]
    """(h, w) in pixels of the smallest square around the receptive field's middle with 95 % of the energy."""
    outer: tuple[int, int]
    """(h, w) in pixels of the smallest such square with 99 % of it."""
    window: tuple[int, int]
    """(h, w) in pixels of the map: the receptive field, or the image where that is smaller."""
    energy: Floats
    """[h, w], the map in squares, each with its share of the energy; the rest lies outside of it."""

    @property
    def is_known(self) -> bool:
        """Whether the inner square holds its share of the energy: more may lie outside of the map."""
        return self._holds(0.95)

    @property
    def has_outer(self) -> bool:
        """Whether the outer square holds its share."""
        return self._holds(0.99)

    def _holds(self, share: float) -> bool:
        return float(self.energy.sum()) >= share - 1e-4


@dataclass(frozen=True, slots=True)
class FirstLayer(Displayed):
    """The filters of a layer that sees the image itself, as pictures."""

    layer: str
    """Name of the layer."""
    downstream: str
    """The layer after, "" where there is none and the order is that of the index."""
    read: str
    """Where the weights come from: "expanded weights", or the name of the graph's constant."""
    explained: float
    """Share of variance that the principal component of the order holds, 0 to 1."""
    order: Ints
    """[n] int32, by the first principal component of how strongly the layer after uses the neurons."""
    filters: Floats
    """[n, h, w, c] in 0 to 1; zero weight is 0.5."""
