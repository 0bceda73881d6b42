"""Frozen results: what the stages make, what the store keeps, what the pages show. They compute nothing.

Arrays are float32 or int32, the axes named at each field. A record about a layer holds a row for
each of its neurons, so `n` below is the layer's channel count and row i belongs to neuron i.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atlas.displayed import Displayed
from atlas.neuron import Layer, Neuron

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What the site tells of a network.

    `layers` are all layers found, in topological order; `edges` are (from, to) names, one for each
    direct way between two trunk layers or from "input"; `labels` are the names of the classes, empty
    when unknown; `value_range` is what the graph expects for black and white.
    """

    name: str
    sha256: str
    input_shape: tuple[int, int, int]
    value_range: tuple[float, float]
    layers: tuple[Layer, ...]
    labels: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One chosen layer: its shown neurons and the layers it is connected to.

    `upstream` and `downstream` name layers of the network, "input" for the image itself; None where
    there is nothing on that side. A carrier is the tensor that the weights on that side are taken
    from; `two_before` is the layer before the upstream one, None where it is not shown.
    `featurevis` lists the variants made, the first is the page's main; `size` is their (h, w) in pixels,
    `source_size` that of pictures of the upstream layer's directions. `positions` and
    `factor_pictures` are the neurons that have such pictures.
    """

    layer: str
    neurons: tuple[int, ...]
    upstream: str | None
    downstream: str | None
    featurevis: tuple[str, ...] = ()
    examples: bool = False
    upstream_carrier: str = ""
    downstream_carrier: str = ""
    size: tuple[int, int] = (0, 0)
    two_before: str | None = None
    two_before_carrier: str = ""
    source_size: tuple[int, int] = (0, 0)
    positions: tuple[int, ...] = ()
    factor_pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitShape:
    """How far a neuron's circuit reaches, and how much of it is drawn.

    `up` and `down` count hops; `fan` how many of the strongest are followed on the first hop, the
    second, …, its last number on all that come after; `between` is the strength, relative to the
    strongest of the target's list, from which other connections between the neurons drawn are drawn too.
    """

    up: int
    down: int
    fan: tuple[int, ...]
    between: float


@dataclass(frozen=True, slots=True)
class FamilyRecord:
    """One family that the config names: neurons of one layer, as given, without doubles.

    `source` is the layer, or "input", that their weights are from, `carrier` the tensor they are taken from.
    """

    name: str
    slug: str
    layer: str
    neurons: tuple[int, ...]
    source: str
    carrier: str
    n_factors: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class AtlasRecord:
    """The whole: what the last compute made, and how. Read first by every renderer.

    `circuit` is None in a store that an older version made, or where no circuits are wanted;
    `n_proposals` is how many families the program may propose a layer.
    """

    title: str
    model: ModelRecord
    layers: tuple[LayerRecord, ...]
    settings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    circuit: CircuitShape | None = None
    families: tuple[FamilyRecord, ...] = ()
    n_proposals: int = 0


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
class Factor:
    """One factor of a neuron's weights: a non-negative map [h][w], a sign, and its source neurons.

    `strength` is the L2 norm of map times loadings; `source_neurons` the strongest, best first, with
    `loadings` beside them, scaled so that the loadings' L2 norm over all source neurons is one.
    """

    sign: int
    strength: float
    map: tuple[tuple[float, ...], ...]
    source_neurons: tuple[int, ...]
    loadings: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FactorCount:
    """What another number of factors would make of the same weights: the error, and a picture of the maps.

    `tile` holds the colours of the picture's `n_rows` rows, six hexadecimal digits a position.
    """

    n_factors: int
    error: float
    n_rows: int
    tile: str


@dataclass(frozen=True, slots=True)
class Factorization(Displayed):
    """The one-sided NMF of one neuron's expanded weights.

    `error` is the relative reconstruction error, L2: 0 is exact, 1 is nothing explained. `note` is
    a sentence where the case is degenerate. `counts` compare other numbers of factors.
    """

    source: str
    n_factors: int
    error: float
    factors: tuple[Factor, ...]
    note: str = ""
    counts: tuple[FactorCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Family(Displayed):
    """Neurons of one layer taken together, and the NMF of their expanded weights.

    maps [member, h, w, factor] are signed, loadings [factor, source] >= 0 of unit length over all source
    neurons, so that weights[member, h, w, source] = sum over factors of map x loading + what is left;
    strength [factor] is the L2 norm of map times loadings, the strongest first; `error` the relative L2
    error: 0 is exact, 1 nothing explained; `remark` a sentence where the case is degenerate.
    A family that the program proposes has a `score` from 0 to 1 and, for each member, the counter-clockwise
    `angles` in degrees and whether it is `flipped` (left-right, before) against the first member, its mean
    `agreement` with the others, and matched [member, k], the source neurons that play the same part in each;
    else the score is -1 and those are empty. No neurons: there was nothing more to propose.
    """

    name: str
    layer: str
    source: str
    carrier: str
    neurons: tuple[int, ...]
    error: float
    maps: Floats
    loadings: Floats
    strength: Floats
    matched: Ints
    note: str = ""
    remark: str = ""
    score: float = -1.0
    angles: tuple[int, ...] = ()
    flipped: tuple[bool, ...] = ()
    agreement: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureVis:
    """What is known of one feature visualization beside its JPEG.

    `variant` is "neuron", "channel", "neuron-negative" or "channel-negative"; `activation` the
    objective's value on the finished, untransformed image; `precision` that of the convolutions.
    """

    variant: str
    height_px: int
    width_px: int
    n_steps: int
    activation: float
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class DirectionSheet:
    """What is known of a JPEG with pictures of directions of a source layer, laid out in a grid.

    `n_rows` by `n_columns` pictures of `height_px` by `width_px`, 1 px apart. For a neuron's positions
    `block` (h, w) tells how many positions each stands for, and `magnitudes` holds their weights' L2
    norms, row by row; for its factors there is one row, the strongest factor first.
    """

    source: str
    n_rows: int
    n_columns: int
    height_px: int
    width_px: int
    n_steps: int
    cosine_power: float
    precision: str = "float32"
    block: tuple[int, int] = (1, 1)
    magnitudes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """The images that excite each neuron of a layer most, strongest first.

    `images` are the file names of the folder that were read, sorted; image [n, k] indexes them, -1
    where the folder had fewer than k; activation [n, k]; position [n, k, 2] the (h, w) of the
    strongest position in the layer; box [n, k, 4] the crop (top, left, bottom, right) in pixels of
    the network's input. `skipped` names the files that could not be read.
    """

    layer: str
    images: tuple[str, ...]
    skipped: tuple[str, ...]
    image: Ints
    activation: Floats
    position: Ints
    box: Ints


@dataclass(frozen=True, slots=True)
class LayerStatistics(Displayed):
    """Statistics of every neuron's expanded weights from the layer before, and which neurons are alike.

    `source` names the layer before, `carrier` the tensor that the weights are taken from. All arrays but
    the last three have a number for each neuron, [n] float32:
    l2 the root of the sum of the squared weights; l1 the sum of the absolute weights; crispness l2 / l1;
    balance the sum of the weights over that of the absolute ones, -1 all negative to 1 all positive;
    n_inputs the effective number of source neurons: with s2 the squared L2 norm of a source's kernel,
    (sum of s2)^2 / sum of s2^2. All but l1 and l2 are 0 where every weight is zero.
    percentile [n, 5] float32, 0 to 100: the share of the layer's other neurons with a smaller l2, l1,
    crispness, balance, n_inputs, equal ones counted half.
    order [n] int32: the neurons on a line, alike ones beside each other; nearest [n, k] int32 the most
    alike neurons of the layer, best first, and similarity [n, k] float32 the cosines of their weights.
    `branch` has the name of each neuron's branch where the layer is a concatenation, else it is empty;
    branch_index [n] int32 counts within the branch, -1 where there is none.
    """

    layer: str
    source: str
    carrier: str
    branch: tuple[str, ...]
    branch_index: Ints
    l2: Floats
    l1: Floats
    crispness: Floats
    balance: Floats
    n_inputs: Floats
    percentile: Floats
    order: Ints
    nearest: Ints
    similarity: Floats


@dataclass(frozen=True, slots=True)
class FirstLayer(Displayed):
    """The filters of a layer that sees the image itself, as pictures.

    filters [n, h, w, c] float32 in 0 to 1, zero weight is 0.5; order [n] int32: the neurons in the order
    of the first principal component of how strongly the layer after uses them. `downstream` names that
    layer, "" where there is none and the order is that of the index; `explained` is the share of
    variance that the component holds, 0 to 1. `read` tells where the weights come from: "expanded
    weights", or the name of the graph's constant.
    """

    layer: str
    downstream: str
    read: str
    explained: float
    order: Ints
    filters: Floats


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
