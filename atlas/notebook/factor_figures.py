"""Figures of factors of weights: of one neuron, of a layer, of a family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from atlas.analysis.sheets import NmfSheet
from atlas.core.neuron import Neuron
from atlas.core.notebook_registry import displays
from atlas.core.records import Factor, Factorization, Family, Floats
from atlas.drawing.images import factor_colours
from atlas.featurevis.directions import FactorPictures, Factors, FamilyPictures
from atlas.notebook import album, markup
from atlas.notebook.weight_figures import excites, neuron_at, place, taken
from atlas.site import wording

# Most terms of an equation; more would not fit on a line.
_TERMS = 5
_VERBS = {1: "excites", -1: "inhibits", 0: "no effect"}
_SOUGHT = {1: "excited by", -1: "inhibited by", 0: "looks for"}
# A sheet of more neurons shows only tiles, because it serves as an overview.
_WITH_ICONS = 40
_TILE_PX = 40


@displays(Factorization)
def factorization(shown: Factorization) -> str:
    """Show all maps in one picture, and each factor as an equation of source neurons."""
    return _factor_figure(shown, f"Factors of weights from {place(shown.source)}")


@displays(Factors)
def factors(shown: Factors) -> str:
    """Show the factors of a neuron's weights."""
    return _factor_figure(shown.record, f"{shown.neuron} from {place(shown.source)} in factors")


@displays(FactorPictures)
def factor_pictures(shown: FactorPictures) -> str:
    """Show the factors of a neuron's weights, each with a picture of what it looks for."""
    title = f"{shown.factors.neuron} from {place(shown.factors.source)} in factors"
    pictures = [markup.photo(picture, f"factor {at}") for at, picture in enumerate(shown.pictures, 1)]
    return _factor_figure(shown.factors.record, title, pictures)


@displays(NmfSheet)
def nmf_sheet(shown: NmfSheet) -> str:
    """Show each neuron's maps in one tile, with similar neurons next to each other."""
    neurons = [neuron_at(shown.layer, index) for index in shown.order]
    with_icons = len(neurons) <= _WITH_ICONS
    icons = album.current().icons(neurons) if with_icons else {}
    side = markup.SIDE_PX if with_icons else _TILE_PX
    body = markup.cells(
        markup.stack(icons.get(neuron, ""), markup.colour_map(tile, neuron.name, side), str(neuron.index))
        for neuron, tile in zip(neurons, shown.tiles, strict=True)
    )
    error = wording.percent(float(np.mean(shown.error))) if shown.error else "nothing"
    rule = (
        f"{wording.counted(len(neurons), 'neuron')} of {shown.layer}, with similar neurons next to each "
        f"other; each tile shows a neuron's weights from {place(shown.source)} as the maps of its own "
        f"factors, which leave out {error} on average (relative L2 "
        f"error).{' ' + excites() if with_icons else ''}"
    )
    return markup.figure(f"Sheet of {shown.layer}", body, legend=markup.hue_legend(3, "nothing"), rule=rule)


@displays(Family)
def family(shown: Family) -> str:
    """Show the members of a family with their maps, and the largest loadings of each factor."""
    return _family_figure(shown)


@displays(FamilyPictures)
def family_pictures(shown: FamilyPictures) -> str:
    """Show a family with a picture of what each factor looks for."""
    pictures = [markup.photo(picture, f"factor {at}") for at, picture in enumerate(shown.pictures, 1)]
    return _family_figure(shown.family, pictures)


def _family_figure(shown: Family, pictures: Sequence[str] = ()) -> str:
    """Return the figure of a family; `pictures` show what each of its factors looks for."""
    terms = [_largest(shown.source, loadings) for loadings in shown.loadings]
    members = [neuron_at(shown.layer, index) for index in shown.neurons]
    icons = album.current().icons([*members, *(neuron for row in terms for neuron, _ in row)])
    peaks = np.abs(shown.maps).max((0, 1, 2), initial=0.0)
    parts = [
        markup.cells(
            [
                markup.stack(
                    *pictures[at : at + 1], f"factor {at + 1}", f"strength {wording.number(float(size))} ="
                ),
                *_term_cells(icons, terms[at]),
            ]
        )
        for at, size in enumerate(shown.strength)
    ]
    parts.append(
        markup.cells(
            markup.stack(
                icons[member],
                *(
                    markup.signed_map(
                        shown.maps[row, :, :, at], float(peak), f"{member.name}, factor {at + 1}"
                    )
                    for at, peak in enumerate(peaks)
                ),
                member.name,
                *_turn(shown, row),
            )
            for row, member in enumerate(members)
        )
    )
    rule = (
        f"{wording.counted(len(members), 'neuron')} of {shown.layer}, their weights from "
        f"{place(shown.source)}{taken(shown.carrier, shown.source)} factorized together: below each member "
        f"its signed maps of factors 1 to {len(peaks)}, one scale a factor. The factors leave out "
        f"{wording.percent(shown.error)} (relative L2 error).{_proposal(shown)} {shown.remark} {shown.note} "
        f"{excites()}"
    )
    name = shown.name or f"A family of {shown.layer}"
    peak = float(peaks.max(initial=0.0))
    return markup.figure(name, Markup("").join(parts), legend=markup.signed_legend(peak), rule=rule)


def _factor_figure(shown: Factorization, title: str, pictures: Sequence[str] = ()) -> str:
    terms = [
        [
            (neuron_at(shown.source, i), load)
            for i, load in zip(one.source_neurons[:_TERMS], one.loadings, strict=False)
        ]
        for one in shown.factors
    ]
    icons = album.current().icons([neuron for row in terms for neuron, _ in row])
    maps = [np.asarray(factor.map, np.float32) for factor in shown.factors]
    parts = [markup.cells([_tile(maps)])] if maps else []
    parts += [
        markup.cells(
            [
                _map_cell(factor, maps[at], at + 1),
                *([markup.stack(pictures[at], _SOUGHT[factor.sign])] if pictures else []),
                *_term_cells(icons, terms[at]),
            ]
        )
        for at, factor in enumerate(shown.factors)
    ]
    rule = (
        f"Weights from {place(shown.source)}, split by a non-negative matrix factorization into maps times "
        f"loadings, the strongest factor first, with the {_TERMS} largest loadings of each. They leave out "
        f"{wording.percent(shown.error)} (relative L2 error). Each map is on its own scale, blue where "
        f"the factor inhibits. {shown.note} {excites()}"
    )
    legend = markup.hue_legend(len(maps), "nothing") + markup.signed_legend(1) if maps else ""
    return markup.figure(title, Markup("").join(parts), legend=legend, rule=rule)


def _tile(maps: Sequence[Floats]) -> Markup:
    """Return all maps in one picture, each in its own hue."""
    together = factor_colours(np.stack(maps, -1))
    return markup.stack(markup.colour_map(together, "all maps in one picture"), "all maps")


def _map_cell(factor: Factor, weights: Floats, number: int) -> Markup:
    peak = float(weights.max(initial=0.0))
    picture = markup.signed_map(weights * factor.sign, peak, f"map of factor {number}")
    return markup.stack(
        picture, f"{number}: {_VERBS[factor.sign]}", f"strength {wording.number(factor.strength)} ="
    )


def _term_cells(icons: dict[Neuron, Markup], terms: Sequence[tuple[Neuron, float]]) -> list[Markup]:
    """Return the terms of an equation: loading times neuron."""
    return [
        markup.stack(icons[neuron], neuron.name, f"\N{MULTIPLICATION SIGN} {_loading(load)}")
        for neuron, load in terms
    ]


def _largest(source: str, loadings: Floats) -> list[tuple[Neuron, float]]:
    """Return the source neurons with the largest absolute loadings, without zeros."""
    best = [i for i in np.argsort(-np.abs(loadings), kind="stable")[:_TERMS] if loadings[i]]
    return [(neuron_at(source, i), float(loadings[i])) for i in best]


def _turn(shown: Family, row: int) -> tuple[str, ...]:
    """Return how a member is turned against the first; () unless the program proposed the family."""
    if not shown.angles:
        return ()
    flipped = ", flipped" if shown.flipped[row] else ""
    return (f"{shown.angles[row]}\N{DEGREE SIGN}{flipped}",)


def _proposal(shown: Family) -> str:
    """Return a sentence on the score of a proposed family; "" for a family from the config."""
    if shown.score < 0:
        return ""
    return (
        f" Proposed by the program, score {shown.score:.2f} of 1: kernels that match after a turn, "
        "counter-clockwise against the first member, or a reflection. A hypothesis, not a finding."
    )


def _loading(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
