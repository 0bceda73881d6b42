"""What weights fall into: factors of a neuron and of a family."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.displayed import Displayed
from atlas.records.arrays import Floats, Ints


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
