"""What an atlas is made of: the network, its layers, families, and how circuits are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from atlas.neuron import Layer

# Of fewer neurons hardly any are each other's rotations, and all layers before them have to be compared.
FEWEST_FOR_PROPOSALS = 32


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
    `factor_pictures` are the neurons that have such pictures. The notes say under which assumptions the
    weights of each pair hold: what is held at an operating point, which position they are of.
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
    upstream_notes: tuple[str, ...] = ()
    downstream_notes: tuple[str, ...] = ()
    two_before_notes: tuple[str, ...] = ()

    def may_have_proposals(self, n_channels: int) -> bool:
        """Return whether families are proposed: of all neurons of the layer, or of enough to find any."""
        return len(self.neurons) >= min(n_channels, FEWEST_FOR_PROPOSALS)


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

    `source` is the layer, or "input", that their weights are from, `carrier` the tensor they are taken
    from; `source_size` is the (h, w) in pixels of pictures of the source's directions, 0 where there are
    none.
    """

    name: str
    slug: str
    layer: str
    neurons: tuple[int, ...]
    source: str
    carrier: str
    n_factors: int
    note: str = ""
    source_size: tuple[int, int] = (0, 0)
    weights_notes: tuple[str, ...] = ()


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
