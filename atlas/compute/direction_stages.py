"""The stages that draw directions: a neuron's weights position by position, and its factors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from atlas import nmf
from atlas.compute.work import Work
from atlas.directions import (
    MOST_POSITIONS,
    Directions,
    DrawnDirections,
    draw,
    factor_directions,
    magnitudes,
    position_sheet,
)
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.images import FADED_GREY, block_sums, jpeg, tiled
from atlas.plan import Artefact, directions_recipe, pairs_of
from atlas.records import DirectionSheet, Family, Floats, LayerRecord
from atlas.store import codec, paths

# Fills every batch; the vectors of a whole layer would take as much memory as its weights.
NEURONS_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class _Grid:
    """The directions of one neuron, [h, w, source], and how many positions (h, w) each stands for."""

    vectors: Floats
    block: tuple[int, int] = (1, 1)


def positions(work: Work) -> None:
    """Draw each chosen neuron's weights, a picture a position, kept as soon as a neuron is done."""

    def grids(record: LayerRecord) -> Callable[[int], _Grid]:
        weights = work.weights(pairs_of(record)["upstream"])
        return lambda index: _Grid(*block_sums(weights[..., index], MOST_POSITIONS))

    _make(work, "positions", "positions", grids)


def factor_pictures(work: Work) -> None:
    """Draw what each chosen neuron's factors look for, by all of their loadings."""

    def grids(record: LayerRecord) -> Callable[[int], _Grid]:
        weights = work.weights(pairs_of(record)["upstream"])
        return lambda index: _Grid(_by_factor(work, weights[..., index])[None])

    _make(work, "factors", "factor pictures", grids)


def family_pictures(work: Work) -> None:
    """Draw what the factors of each family look for, by all of their loadings."""
    known = {family.slug: family for family in work.atlas.families}
    groups: dict[str, list[Artefact]] = defaultdict(list)
    for artefact in work.todo["family pictures"]:
        groups[known[artefact.part].source].append(artefact)
    with work.bar("family pictures", "family pictures", unit="families") as step:
        for source, artefacts in groups.items():
            recipe = directions_recipe(work.config, known[artefacts[0].part])
            layer = work.network.layer(source)
            with Renderer(work.network, layer, recipe, batch=work.config.featurevis.batch) as renderer:
                for artefact in artefacts:
                    loadings = work.store.record(paths.family(artefact.part), Family).loadings
                    (drawn,) = draw(
                        renderer,
                        [Directions(0, loadings)],
                        cosine_power=work.config.directions.cosine_power,
                    )
                    _keep(work, artefact, _Grid(loadings[None]), drawn, source=source, recipe=recipe)
                    step(1)


def _by_factor(work: Work, kernel: Floats) -> Floats:
    solution = nmf.solve(kernel, source="", n_factors=work.config.nmf.factors, seed=work.config.seed)
    return factor_directions(solution.record, solution.loadings)


def _make(work: Work, stage: str, title: str, grids: Callable[[LayerRecord], Callable[[int], _Grid]]) -> None:
    with work.bar(stage, title) as step:
        for record, artefacts in work.by_layer(stage):
            for artefact, grid, drawn in _drawn(work, record, artefacts, grids(record)):
                recipe = directions_recipe(work.config, record)
                _keep(work, artefact, grid, drawn, source=str(record.upstream), recipe=recipe)
                step(1)


def _keep(
    work: Work, artefact: Artefact, grid: _Grid, drawn: DrawnDirections, *, source: str, recipe: Recipe
) -> None:
    data = jpeg(_sheet(artefact.stage, grid, drawn), quality=work.config.featurevis.quality)
    known = codec.encode_meta(_known(work, artefact.stage, grid, drawn, source=source, recipe=recipe))
    work.store.put(artefact.key, data, inputs=artefact.inputs, meta=known)


def _drawn(
    work: Work, record: LayerRecord, artefacts: list[Artefact], grid_of: Callable[[int], _Grid]
) -> Iterator[tuple[Artefact, _Grid, DrawnDirections]]:
    """Yield each neuron's artefact, directions and pictures, all drawn by one renderer."""
    source = work.network.layer(pairs_of(record)["upstream"].source)
    recipe = directions_recipe(work.config, record)
    with Renderer(work.network, source, recipe, batch=work.config.featurevis.batch) as renderer:
        for start in range(0, len(artefacts), NEURONS_AT_A_TIME):
            part = {a.index: a for a in artefacts[start : start + NEURONS_AT_A_TIME]}
            of_neuron = {index: grid_of(index) for index in part}
            asked = [Directions(i, g.vectors.reshape(-1, source.n_channels)) for i, g in of_neuron.items()]
            for drawn in draw(renderer, asked, cosine_power=work.config.directions.cosine_power):
                yield part[drawn.key], of_neuron[drawn.key], drawn


def _sheet(stage: str, grid: _Grid, drawn: DrawnDirections) -> Floats:
    h, w = grid.vectors.shape[:2]
    if not h * w:
        # Weights of zero have no factor, and the store keeps no empty picture.
        return np.full((*drawn.pictures.shape[1:3], 1), FADED_GREY, np.float32)
    pictures = drawn.pictures.reshape(h, w, *drawn.pictures.shape[1:])
    return position_sheet(pictures, magnitudes(grid.vectors)) if stage == "positions" else tiled(pictures)


def _known(
    work: Work, stage: str, grid: _Grid, drawn: DrawnDirections, *, source: str, recipe: Recipe
) -> DirectionSheet:
    strengths = magnitudes(grid.vectors).ravel() if stage == "positions" else np.zeros(0)
    return DirectionSheet(
        source=source,
        n_rows=grid.vectors.shape[0],
        n_columns=grid.vectors.shape[1],
        height_px=recipe.size[0],
        width_px=recipe.size[1],
        n_steps=recipe.preset.n_steps,
        cosine_power=work.config.directions.cosine_power,
        precision=drawn.known.precision if drawn.known else recipe.precision,
        block=grid.block,
        magnitudes=tuple(float(f"{value:.6g}") for value in strengths),
    )
