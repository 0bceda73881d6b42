"""Figures of what a layer does on images: distributions of activations, fidelity of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.notebook_registry import displays
from atlas.core.records import Distribution, Fidelity
from atlas.notebook import album, markup
from atlas.notebook.weight_figures import excites, neuron_at, place, taken
from atlas.site import wording

# Most rows of a table; longer tables are hard to read.
_ROWS = 10
_ROW_PX = 36


@displays(Distribution)
def distribution(shown: Distribution) -> str:
    """Show the neurons that fire at the most positions."""
    most = np.argsort(-shown.positive, kind="stable")[:_ROWS]
    at = [shown.levels.index(level) for level in (0.5, 0.95, 0.99)]
    rows = [
        (
            *(wording.percent(float(values[i])) for values in (shown.positive, shown.firing)),
            *(wording.number(float(x)) for x in (*shown.quantile[i, at], shown.largest[i])),
        )
        for i in most
    ]
    heads = ("above zero", "images", "median", "95 %", "99 %", "largest")
    rule = (
        f"The {len(rows)} of {wording.counted(len(shown.largest), 'neuron')} with an activation above zero "
        f"at the most of {wording.counted(shown.n_values, 'position')} of "
        f"{wording.counted(shown.n_images, 'image')}. {excites()}"
    )
    return markup.figure(f"Activations of {shown.layer}", _table(shown.layer, most, heads, rows), rule=rule)


@displays(Fidelity)
def fidelity(shown: Fidelity) -> str:
    """Show the neurons that the weights predict best."""
    known = np.nan_to_num(shown.correlation[:, -1], nan=-2)
    most = np.argsort(-known, kind="stable")[:_ROWS]
    rows = [tuple(_shared(value) for value in shown.correlation[i].tolist()) for i in most]
    heads = [f"{k} strongest" for k in shown.kept[:-1]] + [f"all {shown.kept[-1]}"]
    rule = (
        f"The {len(rows)} of {wording.counted(len(shown.r2), 'neuron')} of which the weights from "
        f"{place(shown.source)}{taken(shown.carrier, shown.source)} explain most: the share of variance "
        f"before the activation function, with the strongest inputs alone and with all. Measured at "
        f"{wording.counted(shown.n_samples, 'position')} of {wording.counted(shown.n_images, 'image')}: "
        f"{shown.what}. {excites()}"
    )
    return markup.figure(
        f"Weights of {shown.layer} on images", _table(shown.layer, most, heads, rows), rule=rule
    )


def _shared(correlation: float) -> str:
    """Return the share of variance that a prediction explains, in words."""
    return "\N{EN DASH}" if correlation != correlation else wording.percent(max(correlation, 0.0) ** 2)


def _table(layer: str, most: NDArray[Any], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    neurons = [neuron_at(layer, i) for i in most]
    icons = album.current().icons(neurons, _ROW_PX)
    cells = [(icons[one], one.name, *row) for one, row in zip(neurons, rows, strict=True)]
    return markup.table(("", "neuron", *heads), cells)
