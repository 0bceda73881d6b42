"""Frozen results: what the stages make, what the store keeps, what the pages show. They compute nothing.

Arrays are float32 or int32, the axes named at each field. A record about a layer holds a row for
each of its neurons, so `n` below is the layer's channel count and row i belongs to neuron i.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atlas.displayed import Displayed
from atlas.neuron import Layer

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
    from. `featurevis` lists the variants made, the first is the page's main; `size` is their (h, w)
    in pixels.
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


@dataclass(frozen=True, slots=True)
class AtlasRecord:
    """The whole: what the last compute made, and how. Read first by every renderer."""

    title: str
    model: ModelRecord
    layers: tuple[LayerRecord, ...]
    settings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
class Factorization(Displayed):
    """The one-sided NMF of one neuron's expanded weights.

    `error` is the relative reconstruction error, L2: 0 is exact, 1 is nothing explained. `note` is
    a sentence where the case is degenerate.
    """

    source: str
    n_factors: int
    error: float
    factors: tuple[Factor, ...]
    note: str = ""


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
