"""Factorization -> the factor rows on a neuron's page."""

from __future__ import annotations

import functools

import numpy as np

from atlas.images import factor_hues
from atlas.pages import heatmaps, wording
from atlas.pages.artefacts import LayerArtefacts
from atlas.pages.catalogue import Catalogue
from atlas.pages.connection_context import SIGNS
from atlas.pages.context import FactorRow, Factors, Icon, Term
from atlas.records import Factor, Factorization, Floats

# An equation of more terms fills more than a line; the data file holds them all.
MAX_TERMS = 5
_VERBS = {1: "excites", -1: "inhibits", 0: "no effect"}


def factors(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> Factors | None:
    """Return the factors of a neuron's weights, None where they were not made."""
    record = artefacts.factorization(index)
    if record is None:
        return None
    maps = [np.asarray(factor.map, np.float32) for factor in record.factors]
    largest = max(maps[0].shape, default=1) if maps else 1
    scale = heatmaps.CELL_PX / largest
    h, w = maps[0].shape if maps else (1, 1)
    return Factors(
        source=catalogue.link(record.source),
        tile=heatmaps.factor_tile(np.stack(maps, -1)) if maps else "",
        rows=_rows(catalogue.icons(record.source), record, maps),
        error=wording.percent(record.error),
        note=record.note,
        width_px=round(w * scale),
        height_px=round(h * scale),
    )


def _rows(icons: tuple[Icon, ...], record: Factorization, maps: list[Floats]) -> tuple[FactorRow, ...]:
    hues = _css_hues(len(record.factors))
    return tuple(
        _row(icons, factor, number=at + 1, hue=hues[at], weights=maps[at])
        for at, factor in enumerate(record.factors)
    )


def _row(icons: tuple[Icon, ...], factor: Factor, *, number: int, hue: str, weights: Floats) -> FactorRow:
    peak = float(weights.max(initial=0.0))
    terms = zip(factor.source_neurons[:MAX_TERMS], factor.loadings, strict=False)
    return FactorRow(
        number=number,
        sign=SIGNS[factor.sign][0],
        verb=_VERBS[factor.sign],
        map=heatmaps.kernel_picture(weights * factor.sign, peak),
        hue=hue,
        strength=wording.number(factor.strength),
        terms=tuple(Term(icons[neuron], f"{loading:.2f}") for neuron, loading in terms),
        has_more=len(icons) > min(MAX_TERMS, len(factor.source_neurons)),
    )


@functools.cache
def _css_hues(n_factors: int) -> tuple[str, ...]:
    return tuple("#" + bytes(hue).hex() for hue in (factor_hues(n_factors) * 255).round().astype(np.uint8))
