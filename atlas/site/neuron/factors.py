"""Factorization -> the rows of factors on a neuron's page."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from atlas.core.records import Factor, FactorCount, Factorization, Floats
from atlas.drawing.images import factor_hues
from atlas.site import wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.connections import SIGNS
from atlas.site.neuron.directions import FactorStrip, factor_strip
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# More terms would not fit on one line; the data file holds them all.
MAX_TERMS = 5
_VERBS = {1: "excites", -1: "inhibits", 0: "no effect"}


@dataclass(frozen=True, slots=True)
class Count:
    """A number of factors that the weights were split into, for comparison."""

    n_factors: int
    """The number of factors."""
    error: str
    """Relative L2 error of the factorization, as a percentage."""
    shown: bool
    """Whether the rows show this number of factors."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The maps of different numbers of factors; sizes are in CSS pixels."""

    uri: str
    """Data URI of all maps side by side, a tile for each number of factors."""
    width_px: int
    """Width of one tile."""
    height_px: int
    """Height of one tile."""
    counts: tuple[Count, ...]
    """The numbers of factors, in the order of the tiles."""


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a factor's equation."""

    icon: Icon
    """The source neuron."""
    loading: str
    """Its loading, with two digits after the point."""


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One factor of a neuron's weights."""

    number: int
    """Number of the factor, from 1."""
    sign: str
    """CSS class of the factor's sign: "p", "n" or "z"."""
    verb: str
    """Effect on the neuron: "excites", "inhibits" or "no effect"."""
    map: str
    """Data URI of its signed map."""
    hue: str
    """Its colour in the tile of all maps, "#rrggbb"."""
    strength: str
    """L2 norm of map times loadings."""
    terms: tuple[Term, ...]
    """Its strongest source neurons, strongest first."""
    has_more: bool
    """Whether there are source neurons beyond these."""
    cut: str
    """Style that cuts its picture out of the strip of all, "" where there is none."""


@dataclass(frozen=True, slots=True)
class FactorList:
    """The factorization of a neuron's weights."""

    source: Link
    """The layer whose neurons the weights are from."""
    tile: str
    """Data URI of all maps in one picture, "" without factors."""
    rows: tuple[FactorRow, ...]
    """The factors, strongest first."""
    error: str
    """Relative L2 error of the factorization, as a percentage."""
    note: str
    """A sentence where the factorization is degenerate, else ""."""
    width_px: int
    """Width of a map in CSS pixels."""
    height_px: int
    """Height of a map in CSS pixels."""
    strip: FactorStrip | None
    """The pictures of the factors, None where they were not drawn."""
    comparison: Comparison | None
    """Other numbers of factors, None where they were not tried."""


def factors(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> FactorList | None:
    """Return the factors of a neuron's weights, None where they were not made."""
    record = artefacts.factorization(index)
    if record is None:
        return None
    strip = factor_strip(artefacts, index)
    maps = [np.asarray(factor.map, np.float32) for factor in record.factors]
    largest = max(maps[0].shape, default=1) if maps else 1
    scale = heatmaps.CELL_PX / largest
    h, w = maps[0].shape if maps else (1, 1)
    return FactorList(
        source=catalogue.link(record.source),
        tile=heatmaps.factor_tile(np.stack(maps, -1)) if maps else "",
        rows=_rows(catalogue.icons(record.source), record, maps, strip.cuts if strip else ()),
        error=wording.percent(record.error),
        note=record.note,
        width_px=round(w * scale),
        height_px=round(h * scale),
        strip=strip,
        comparison=_comparison(record.counts, len(record.factors)),
    )


def _comparison(counts: tuple[FactorCount, ...], n_shown: int) -> Comparison | None:
    if not counts:
        return None
    tiles = [np.frombuffer(bytes.fromhex(c.tile), np.uint8).reshape(c.n_rows, -1, 3) for c in counts]
    h, w = tiles[0].shape[:2]
    scale = heatmaps.CELL_PX / max(h, w)
    return Comparison(
        uri=heatmaps.colour_picture(np.concatenate(tiles, 1)),
        width_px=round(w * scale),
        height_px=round(h * scale),
        counts=tuple(
            Count(c.n_factors, wording.percent(c.error), shown=c.n_factors == n_shown) for c in counts
        ),
    )


def _rows(
    icons: tuple[Icon, ...], record: Factorization, maps: list[Floats], cuts: tuple[str, ...]
) -> tuple[FactorRow, ...]:
    hues = _css_hues(len(record.factors))
    styles = cuts or ("",) * len(maps)
    return tuple(
        _row(icons, factor, number=at + 1, hue=hues[at], weights=maps[at], cut=styles[at])
        for at, factor in enumerate(record.factors)
    )


def _row(
    icons: tuple[Icon, ...], factor: Factor, *, number: int, hue: str, weights: Floats, cut: str
) -> FactorRow:
    # An inhibiting factor's picture shows what inhibits the neuron, so its equation's signs change too.
    turn = factor.sign if cut else 1
    peak = float(weights.max(initial=0.0))
    terms = zip(factor.source_neurons[:MAX_TERMS], factor.loadings, strict=False)
    return FactorRow(
        number=number,
        sign=SIGNS[factor.sign][0],
        verb=_VERBS[factor.sign],
        map=heatmaps.kernel_picture(weights * factor.sign, peak),
        hue=hue,
        strength=wording.number(factor.strength),
        terms=tuple(Term(icons[neuron], _loading(turn * loading)) for neuron, loading in terms),
        has_more=len(icons) > min(MAX_TERMS, len(factor.source_neurons)),
        cut=cut,
    )


def _loading(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


@functools.cache
def _css_hues(n_factors: int) -> tuple[str, ...]:
    return tuple("#" + bytes(hue).hex() for hue in (factor_hues(n_factors) * 255).round().astype(np.uint8))
