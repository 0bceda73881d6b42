"""The weights between neurons: connections, the paths they come from, circuits."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.displayed import Displayed
from atlas.neuron import Neuron
from atlas.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Connections(Displayed):
    """The strongest connections of every neuron of a layer, in one direction; rank is the column.

    `source` and `target` name the pair of layers, `carrier` the tensor that weights are taken from.
    `direction` "upstream": the rows are the target's neurons, `index` holds source neurons;
    "downstream" the other way round.
    index [n, k] int32; strength [n, k] the kernels' L2 norms; sign [n, k] int32: the sign of the
    kernel's sum, 0 when it is zero; kernel [n, k, h, w]; peak [n] the largest absolute weight over
    all of a neuron's connections in this direction; l2 [n] and l1 [n] the share of squared and of
    absolute mass that the k shown hold; n_candidates how many there were to choose from;
    cropped the share of absolute mass that the window cuts off.
    """

    source: str
    target: str
    carrier: str
    direction: str
    n_candidates: int
    cropped: float
    index: Ints
    strength: Floats
    sign: Ints
    kernel: Floats
    peak: Floats
    l2: Floats
    l1: Floats


@dataclass(frozen=True, slots=True)
class Paths:
    """The strongest connections from `hops` layers before, split by the sign of their paths.

    index [n, k] int32 source neurons, strongest first; strength [n, k] the L2 norms of the net kernels;
    sign [n, k] int32 that of their sums; ratio [n, k] the share of what flows that cancels, 0 to 1, and
    total_ratio [n] that over all source neurons. For the first m of the k, kernel [n, m, h, w] is net
    and positive [n, m, h, w] what positive paths add up to; negative is positive - kernel. peak [n] is
    the largest absolute net weight over all connections; l2, l1, n_candidates and cropped are those of
    Connections.
    """

    source: str
    target: str
    carrier: str
    hops: int
    n_candidates: int
    cropped: float
    index: Ints
    strength: Floats
    sign: Ints
    ratio: Floats
    kernel: Floats
    positive: Floats
    total_ratio: Floats
    peak: Floats
    l2: Floats
    l1: Floats


@dataclass(frozen=True, slots=True)
class CircuitEdge:
    """One connection of a circuit: its kernel, float32 [h, w], from `source` to `target`.

    `strength` is the kernel's L2 norm, `sign` that of its sum; `relative` the strength over that of the
    target's strongest connection from the source's layer, `share` what part of the squared mass of all
    of these it holds. `chosen` is False for one that was not followed, but joins two that are there.
    """

    source: Neuron
    target: Neuron
    kernel: Floats
    strength: float
    sign: int
    relative: float
    share: float
    chosen: bool = True


@dataclass(frozen=True, slots=True)
class Circuit(Displayed):
    """Some neurons and the expanded weights between them.

    `nodes` stand layer by layer, the layer nearest the image first; a channel of the image is a neuron
    of layer "input". Every edge joins two nodes. `ego` is the neuron that the circuit was grown from,
    `rule` says in words what was selected.
    """

    nodes: tuple[Neuron, ...]
    edges: tuple[CircuitEdge, ...]
    rule: str
    ego: Neuron | None = None
