"""Factorization -> the factor rows on a neuron's page."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from atlas.images import factor_hues
from atlas.pages import heatmaps, wording
from atlas.pages.artefacts import LayerArtefacts
from atlas.pages.catalogue import Catalogue
from atlas.pages.connection_context import SIGNS
from atlas.pages.context import FactorRow, Factors, Icon, Term
from atlas.pages.direction_context import factor_strip
from atlas.records import Factor, FactorCount, Factorization, Floats

# An equation of more terms fills more than a line; the data file holds them all.
MAX_TERMS = 5
_VERBS = {1: "excites", -1: "inhibits", 0: "no effect"}


@dataclass(frozen=True, slots=True)
class Count:
    """One number of factors: its error, and whether it is the one that the rows show."""

    n_factors: int
    error: str
    shown: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The maps of different numbers of factors, side by side in one picture; a tile's size in CSS pixels."""

    uri: str
    width_px: int
    height_px: int
    counts: tuple[Count, ...]


def factors(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Factors | None:
    """Return the factors of a neuron's weights, None where they were not made."""
    record = artefacts.factorization(index)
    if record is None:
        return None
    strip = factor_strip(artefacts, index)
    maps = [np.asarray(factor.map, np.float32) for factor in record.factors]
    largest = max(maps[0].shape, default=1) if maps else 1
    scale = heatmaps.CELL_PX / largest
    h, w = maps[0].shape if maps else (1, 1)
    return Factors(
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
    # The picture of an inhibiting factor shows what inhibits, so its equation is turned round too.
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
