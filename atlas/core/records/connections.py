"""The weights between neurons: connections, the paths they come from, circuits."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.neuron import Neuron
from atlas.core.notebook_registry import Displayed
from atlas.core.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Connections(Displayed):
    """The strongest connections of every neuron of a layer, in one direction; rank is the column.

    Rows are the target's neurons where the direction is upstream, else the source's.
    """

    source: str
    """The layer nearer to the image."""
    target: str
    """The layer nearer to the output."""
    carrier: str
    """The tensor that the weights are taken from."""
    direction: str
    """What `index` holds: source neurons if "upstream", target neurons if "downstream"."""
    n_candidates: int
    """Number of connections that the strongest are chosen from."""
    cropped: float
    """Share of the L1 norm that the window cuts off, 0 to 1."""
    index: Ints
    """[n, k] int32, the neurons on the other side, strongest first."""
    strength: Floats
    """[n, k], the kernels' L2 norms."""
    sign: Ints
    """[n, k] int32, the sign of the kernel's sum: 1, -1, or 0 where the sum is zero."""
    kernel: Floats
    """[n, k, h, w], the expanded weights."""
    peak: Floats
    """[n], the largest absolute weight over all of a neuron's connections in this direction."""
    l2: Floats
    """[n], the share of the squared L2 norm that the k connections hold, 0 to 1."""
    l1: Floats
    """[n], the share of the L1 norm that the k connections hold, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The strongest connections from a layer one or two hops before, split by the sign of their paths.

    Maps are kept for the first m of the k connections.
    """

    source: str
    """The layer that the paths start from."""
    target: str
    """The layer that they end in, whose neurons the rows are."""
    carrier: str
    """The tensor that the weights are taken from."""
    hops: int
    """Number of layers from the source to the target."""
    n_candidates: int
    """Number of connections that the strongest are chosen from."""
    cropped: float
    """Share of the L1 norm that the window cuts off, 0 to 1."""
    index: Ints
    """[n, k] int32, source neurons, strongest first."""
    strength: Floats
    """[n, k], the L2 norms of the net kernels."""
    sign: Ints
    """[n, k] int32, the sign of the net kernel's sum."""
    ratio: Floats
    """[n, k], the share of the paths' L1 norm that cancels, 0 to 1."""
    kernel: Floats
    """[n, m, h, w], net weights."""
    positive: Floats
    """[n, m, h, w], the sum of the positive paths; the negative paths sum to kernel - positive."""
    total_ratio: Floats
    """[n], the share that cancels over all source neurons, 0 to 1."""
    peak: Floats
    """[n], the largest absolute net weight over all connections."""
    l2: Floats
    """[n], the share of the squared L2 norm that the k connections hold, 0 to 1."""
    l1: Floats
    """[n], the share of the L1 norm that the k connections hold, 0 to 1."""


@dataclass(frozen=True, slots=True)
class CircuitEdge:
    """One connection of a circuit."""

    source: Neuron
    """The neuron nearer to the image."""
    target: Neuron
    """The neuron nearer to the output."""
    kernel: Floats
    """[h, w] float32, the expanded weights."""
    strength: float
    """The kernel's L2 norm."""
    sign: int
    """The sign of the kernel's sum: 1, -1 or 0."""
    relative: float
    """Strength over that of the target's strongest connection from the source's layer, 0 to 1."""
    share: float
    """Its share of the squared L2 norm of all the target's connections from that layer, 0 to 1."""
    chosen: bool = True
    """False for a connection that was not followed, but joins two neurons of the circuit."""


@dataclass(frozen=True, slots=True)
class Circuit(Displayed):
    """Some neurons and the expanded weights between them."""

    nodes: tuple[Neuron, ...]
    """The neurons, the layer nearest the image first; a channel of the image is a neuron of layer "input"."""
    edges: tuple[CircuitEdge, ...]
    """The connections, each of which joins two nodes."""
    rule: str
    """How neurons and connections were selected, in words."""
    ego: Neuron | None = None
    """The neuron that the circuit was grown from, None where it was given as a whole."""
