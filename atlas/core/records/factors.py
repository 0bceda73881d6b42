"""Factors of the weights of a neuron and of a family."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.notebook_registry import Displayed
from atlas.core.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a neuron's weights."""

    sign: int
    """1 where it excites, -1 where it inhibits, 0 where it is zero."""
    strength: float
    """L2 norm of map times loadings."""
    map: tuple[tuple[float, ...], ...]
    """[h][w], not negative."""
    source_neurons: tuple[int, ...]
    """The strongest source neurons, best first."""
    loadings: tuple[float, ...]
    """Their loadings, scaled so that the L2 norm over all source neurons is one."""


@dataclass(frozen=True, slots=True)
class FactorCount:
    """The result of another number of factors on the same weights."""

    n_factors: int
    """The number of factors."""
    error: float
    """Relative L2 error, 0 to 1."""
    n_rows: int
    """Number of rows of the picture of all maps."""
    tile: str
    """Colours of the picture row by row, six hexadecimal digits a position."""


@dataclass(frozen=True, slots=True)
class Factorization(Displayed):
    """The one-sided NMF of one neuron's expanded weights."""

    source: str
    """The layer, or "input", that the weights are from."""
    n_factors: int
    """Number of factors requested; degenerate weights have fewer."""
    error: float
    """Relative L2 error: 0 is exact, 1 nothing explained."""
    factors: tuple[Factor, ...]
    """The factors, strongest first."""
    note: str = ""
    """A sentence where the case is degenerate, else ""."""
    counts: tuple[FactorCount, ...] = ()
    """Other numbers of factors to compare with."""


@dataclass(frozen=True, slots=True)
class Family(Displayed):
    """Neurons of one layer taken together, and the NMF of their expanded weights.

    weights[member, h, w, source] = sum over factors of map x loading + the rest.
    `matched` and the fields from `score` on are set for proposals of the program only, else empty and -1.
    A family without neurons means: there was nothing more to propose.
    """

    name: str
    """Name of the family."""
    layer: str
    """The layer that its members are neurons of."""
    source: str
    """The layer, or "input", that their weights are from."""
    carrier: str
    """The tensor that these weights are taken from."""
    neurons: tuple[int, ...]
    """Indices of the members."""
    error: float
    """Relative L2 error: 0 is exact, 1 nothing explained."""
    maps: Floats
    """[member, h, w, factor], signed."""
    loadings: Floats
    """[factor, source], not negative, of unit length over all source neurons."""
    strength: Floats
    """[factor], the L2 norm of map times loadings, strongest first."""
    matched: Ints
    """[member, k] int32, source neurons that play the same part in each member of a proposal."""
    note: str = ""
    """The config's note on it, "" for none."""
    remark: str = ""
    """A sentence where the case is degenerate, else ""."""
    score: float = -1.0
    """How good a proposal is, 0 to 1; -1 for a family that the config names."""
    angles: tuple[int, ...] = ()
    """Each member's counter-clockwise angle against the first, in degrees."""
    flipped: tuple[bool, ...] = ()
    """Whether each member is reflected left to right, before it is turned."""
    agreement: tuple[float, ...] = ()
    """Each member's mean agreement with the others."""
