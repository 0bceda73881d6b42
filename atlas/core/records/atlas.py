"""What an atlas is made of: the network, its layers, families, and how circuits are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from atlas.core.neuron import Layer
from atlas.core.preprocessing import COVER, Preprocessing, Resizing

# Among fewer neurons hardly any are rotations of each other, but all layers before them are compared.
FEWEST_FOR_PROPOSALS = 32


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The facts of a network that the site shows."""

    name: str
    """Name of the model."""
    sha256: str
    """SHA-256 of the model's bytes, in hexadecimal digits."""
    input_shape: tuple[int, int, int]
    """Height, width and channels of the images that it takes."""
    value_range: tuple[float, float]
    """The numbers that the graph expects for black and white."""
    layers: tuple[Layer, ...]
    """All layers of the network, in topological order."""
    labels: tuple[str, ...] = ()
    """Names of the classes, empty where they are not known."""
    edges: tuple[tuple[str, str], ...] = ()
    """A pair (from, to) of names for each direct path between two trunk layers or from "input"."""
    preprocessing: Preprocessing | None = None
    """How photographs become its input; None where an older version made the store."""

    @property
    def resizing(self) -> Resizing:
        """How photographs get the size of its input."""
        return self.preprocessing.resizing if self.preprocessing else COVER


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One chosen layer: its shown neurons and the layers it is connected to.

    A carrier is the tensor that the weights of a pair are taken from. Notes state the assumptions of these
    weights: which tensors are held at an operating point, which position the weights are of.
    """

    layer: str
    """Name of the layer."""
    neurons: tuple[int, ...]
    """Indices of the neurons that have a page, ascending."""
    upstream: str | None
    """The layer before, "input" for the image itself; None where there is none."""
    downstream: str | None
    """The layer after; None where there is none."""
    featurevis: tuple[str, ...] = ()
    """The variants of feature visualization, the first of them the page's main one."""
    examples: bool = False
    """Whether there are dataset examples."""
    ranges: bool = False
    """Whether images from the whole range of each neuron are shown beside them."""
    distribution: bool = False
    """Whether activations on these images are counted."""
    fidelity: bool = False
    """Whether the weights from the layer before are held against these images."""
    upstream_carrier: str = ""
    """Carrier of the weights from the layer before."""
    downstream_carrier: str = ""
    """Carrier of the weights to the layer after."""
    size: tuple[int, int] = (0, 0)
    """The (h, w) of feature visualizations in pixels."""
    margin: tuple[int, int] = (0, 0)
    """(h, w) in pixels that are drawn on each side of a feature visualization, and cut off."""
    two_before: str | None = None
    """The layer before the upstream one, None where it is not shown."""
    two_before_carrier: str = ""
    """Carrier of the weights from that layer."""
    source_size: tuple[int, int] = (0, 0)
    """The (h, w) of pictures of the upstream layer's directions in pixels."""
    source_margin: tuple[int, int] = (0, 0)
    """(h, w) in pixels drawn on each side of such a picture, and cut off."""
    positions: tuple[int, ...] = ()
    """Indices of the neurons with pictures of their positions."""
    factor_pictures: tuple[int, ...] = ()
    """Indices of the neurons with pictures of their factors."""
    upstream_notes: tuple[str, ...] = ()
    """Notes on the weights from the layer before."""
    downstream_notes: tuple[str, ...] = ()
    """Notes on the weights to the layer after."""
    two_before_notes: tuple[str, ...] = ()
    """Notes on the weights from the layer before the upstream one."""

    def may_have_proposals(self, n_channels: int) -> bool:
        """Return whether families are proposed: all neurons of the layer are shown, or enough to find any."""
        return len(self.neurons) >= min(n_channels, FEWEST_FOR_PROPOSALS)


@dataclass(frozen=True, slots=True)
class CircuitShape:
    """How far a neuron's circuit reaches, and how much of it is drawn."""

    up: int
    """Number of hops towards the image."""
    down: int
    """Number of hops towards the output."""
    fan: tuple[int, ...]
    """How many of the strongest connections each hop follows; the last number holds for all further hops."""
    between: float
    """Relative strength, as in CircuitEdge, from which other connections between these neurons are drawn."""


@dataclass(frozen=True, slots=True)
class FamilyRecord:
    """One family that the config names."""

    name: str
    """Name of the family."""
    slug: str
    """Address of its page, without "family_" and the ending."""
    layer: str
    """The layer that its members are neurons of."""
    neurons: tuple[int, ...]
    """Indices of its members as given, without doubles."""
    source: str
    """The layer, or "input", that their weights are from."""
    carrier: str
    """The tensor that these weights are taken from."""
    n_factors: int
    """Number of factors to split the weights into."""
    note: str = ""
    """The config's note on it, "" for none."""
    source_size: tuple[int, int] = (0, 0)
    """The (h, w) of pictures of the source's directions in pixels, 0 where there are none."""
    source_margin: tuple[int, int] = (0, 0)
    """(h, w) in pixels drawn on each side of such a picture, and cut off."""
    weights_notes: tuple[str, ...] = ()
    """The assumptions under which the weights hold."""


@dataclass(frozen=True, slots=True)
class AtlasRecord:
    """The whole atlas as the last compute made it. Every renderer reads it first."""

    title: str
    """Title of the atlas."""
    model: ModelRecord
    """The network that the atlas shows."""
    layers: tuple[LayerRecord, ...]
    """The chosen layers, in topological order."""
    settings: dict[str, str] = field(default_factory=dict)
    """The settings of the build, as texts by name."""
    versions: dict[str, str] = field(default_factory=dict)
    """The versions of the programs that made it, by name."""
    notes: tuple[str, ...] = ()
    """Sentences on how the model was read."""
    circuit: CircuitShape | None = None
    """The shape of circuits; None where none are wanted or an older version made the store."""
    families: tuple[FamilyRecord, ...] = ()
    """The families that the config names."""
    n_proposals: int = 0
    """How many families the program may propose for each layer."""
