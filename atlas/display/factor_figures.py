"""How factors of weights show themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from atlas.display import album, markup
from atlas.display.weight_figures import excites, neuron_at, place
from atlas.displayed import displays
from atlas.images import factor_colours
from atlas.neuron import Neuron
from atlas.pages import wording
from atlas.records import Factor, Factorization, Floats

# An equation of more terms fills more than a line.
_TERMS = 5
_VERBS = {1: "excites", -1: "inhibits", 0: "no effect"}


@displays(Factorization)
def factorization(shown: Factorization) -> str:
    """Show all maps in one picture, and each factor as an equation of source neurons."""
    return factor_figure(shown, f"Factors of weights from {place(shown.source)}")


def factor_figure(shown: Factorization, title: str, pictures: Sequence[str] = ()) -> str:
    """Return the figure of a factorization; `pictures` show what each factor looks for."""
    terms = [_terms(shown.source, factor) for factor in shown.factors]
    icons = album.current().icons([neuron for row in terms for neuron, _ in row])
    maps = [np.asarray(factor.map, np.float32) for factor in shown.factors]
    parts = [markup.cells([_tile(maps)])] if maps else []
    for at, factor in enumerate(shown.factors):
        parts.append(
            markup.cells(
                [
                    _map_cell(factor, maps[at], at + 1),
                    *([markup.stack(pictures[at], "looks for")] if pictures else []),
                    *(
                        markup.stack(icons[neuron], neuron.name, f"\N{MULTIPLICATION SIGN} {_loading(load)}")
                        for neuron, load in terms[at]
                    ),
                ]
            )
        )
    rule = (
        f"Weights from {place(shown.source)}, split by a non-negative matrix factorization into maps times "
        f"loadings, the strongest factor first, the {_TERMS} largest loadings of each; what they leave out: "
        f"{wording.percent(shown.error)} (relative L2 error). Maps of factors that inhibit are blue, each on "
        f"its own scale. {shown.note} {excites()}"
    )
    legend = markup.hue_legend(len(maps), "nothing") + markup.signed_legend(1) if maps else ""
    return markup.figure(title, Markup("").join(parts), legend=legend, rule=rule)


def _tile(maps: Sequence[Floats]) -> Markup:
    """Return all maps in one picture, each in its hue."""
    together = factor_colours(np.stack(maps, -1))
    return markup.stack(markup.colour_map(together, "all maps in one picture"), "all maps")


def _map_cell(factor: Factor, weights: Floats, number: int) -> Markup:
    peak = float(weights.max(initial=0.0))
    picture = markup.signed_map(weights * factor.sign, peak, f"map of factor {number}")
    return markup.stack(
        picture, f"{number}: {_VERBS[factor.sign]}", f"strength {wording.number(factor.strength)} ="
    )


def _terms(source: str, factor: Factor) -> list[tuple[Neuron, float]]:
    pairs = zip(factor.source_neurons[:_TERMS], factor.loadings, strict=False)
    return [(neuron_at(source, index), loading) for index, loading in pairs]


def _loading(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
