"""The stages that draw directions: a neuron's weights position by position, and factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from atlas.analysis import nmf
from atlas.build.draw_settings import DrawSettings
from atlas.build.engine import Order, Piece, Shard, WorkerContext
from atlas.build.forecast import n_positions
from atlas.build.plan import Artefact, Pair, directions_recipe, pairs_of
from atlas.build.work import NEURONS_AT_A_TIME, Work, title
from atlas.core.errors import why_not_made
from atlas.core.records import DirectionSheet, Family, FeatureVis, Floats, LayerRecord
from atlas.drawing.images import FADED_GREY, block_sums, in_colour, jpeg, tiled
from atlas.featurevis.directions import MOST_POSITIONS, draw, factor_directions, magnitudes, position_sheet
from atlas.store import codec, keys

# Batches of pictures in a shard that is handed out: enough that an incomplete last batch costs little.
_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Grid:
    """The directions of one sheet of pictures."""

    vectors: Floats
    """[h, w, source], a direction over the source's neurons for each picture."""
    block: tuple[int, int] = (1, 1)
    """Number of positions (h, w) that each picture stands for."""


def positions(work: Work, todo: list[Artefact]) -> Iterator[Shard]:
    """Yield shards that draw the weights of neurons, a picture for each position or block of positions."""

    def grid(kernel: Floats) -> Grid:
        return Grid(*block_sums(kernel, MOST_POSITIONS))

    def n_pictures(record: LayerRecord) -> int:
        return n_positions(work.network, work.config, pairs_of(record)["upstream"])

    return _shards(work, todo, grid, n_pictures)


def factors(work: Work, todo: list[Artefact]) -> Iterator[Shard]:
    """Yield shards that draw the factors of neurons, each as the direction of all its loadings."""

    def grid(kernel: Floats) -> Grid:
        config = work.config
        solution = nmf.solve(kernel, source="", n_factors=config.nmf.factors, seed=config.seed)
        return Grid(factor_directions(solution.record, solution.loadings)[None])

    return _shards(work, todo, grid, lambda _: work.config.nmf.factors)


def family_pictures(work: Work, todo: list[Artefact]) -> Iterator[Shard]:
    """Yield a shard for each family, which draws its factors, each as the direction of all its loadings."""
    families = {family.slug: family for family in work.atlas.families}
    # Sorted, so that one renderer draws all families of a source.
    for artefact in sorted(todo, key=lambda artefact: families[artefact.part].source):
        family = families[artefact.part]
        settings = work.draw_settings(family.source, directions_recipe(work.config, family))
        order = partial(_family_order, work, artefact, settings)
        yield Shard(f"factor pictures of the family {family.name}", (family.source,), order, (artefact.key,))


def _shards(
    work: Work,
    todo: list[Artefact],
    grid: Callable[[Floats], Grid],
    n_pictures: Callable[[LayerRecord], int],
) -> Iterator[Shard]:
    """Yield a stage's shards; `grid` makes a sheet of `n_pictures` at most from a kernel [h, w, source]."""
    for record, artefacts in work.by_layer(todo):
        pair, stage = pairs_of(record)["upstream"], artefacts[0].stage
        settings = work.draw_settings(pair.source, directions_recipe(work.config, record))
        size = NEURONS_AT_A_TIME
        if work.engine.shard_size is not None:
            size = -(-_BATCHES * work.engine.shard_size // n_pictures(record))
        for start in range(0, len(artefacts), size):
            artefact_keys = {a.index: a.key for a in artefacts[start : start + size]}
            order = partial(_order, work, stage, pair, settings, grid, artefact_keys)
            shard_title = title(stage, record, tuple(artefact_keys))
            yield Shard(shard_title, (pair.source, record.layer), order, tuple(artefact_keys.values()))


def _order(
    work: Work,
    stage: str,
    pair: Pair,
    settings: DrawSettings,
    grid: Callable[[Floats], Grid],
    artefact_keys: dict[int, str],
) -> Order:
    weights = work.weights(pair)
    grids = {key: grid(weights[..., index]) for index, key in artefact_keys.items()}
    return _drawing(work, settings, grids, of_positions=stage == "positions")


def _family_order(work: Work, artefact: Artefact, settings: DrawSettings) -> Order:
    grids = {artefact.key: Grid(work.store.record(keys.family(artefact.part), Family).loadings[None])}
    return _drawing(work, settings, grids, of_positions=False)


def _drawing(work: Work, settings: DrawSettings, grids: Mapping[str, Grid], *, of_positions: bool) -> Order:
    cosine_power = work.config.directions.cosine_power
    return partial(draw_sheets, settings, grids, of_positions=of_positions, cosine_power=cosine_power)


def draw_sheets(
    settings: DrawSettings,
    grids: Mapping[str, Grid],
    context: WorkerContext,
    *,
    of_positions: bool,
    cosine_power: float,
) -> Iterator[Piece]:
    """Yield a sheet of pictures for each grid of directions, by key, all drawn by one renderer.

    Pictures `of_positions` are each faded by their strength. Any process can carry this out.
    """
    renderer, sheets = settings.renderer(context), tuple(grids.items())
    vectors_by_sheet = [grid.vectors.reshape(-1, renderer.layer.n_channels) for _, grid in sheets]

    def piece(key: str, grid: Grid, pictures: Floats, record: FeatureVis | None) -> Piece:
        sheet = _sheet(settings, of_positions, grid, pictures)
        sheet_record = _sheet_record(settings, of_positions, cosine_power, grid, record)
        return Piece(key, jpeg(sheet, quality=settings.quality), codec.encode_meta(sheet_record))

    done = 0
    try:
        for at, drawn in enumerate(draw(renderer, vectors_by_sheet, cosine_power=cosine_power)):
            yield piece(*sheets[at], *drawn)
            done += 1
    except Exception as error:
        why_not_made(error)
        # Sheets that are drawn together fail together: draw each alone, so that only the faulty ones fail.
        for (key, grid), vectors in zip(sheets[done:], vectors_by_sheet[done:], strict=True):
            try:
                (drawn,) = draw(renderer, [vectors], cosine_power=cosine_power)
                yield piece(key, grid, *drawn)
            except Exception as error:
                yield Piece(key, failed=why_not_made(error))


def _sheet(settings: DrawSettings, of_positions: bool, grid: Grid, drawn: Floats) -> Floats:
    h, w = grid.vectors.shape[:2]
    if not h * w:
        # Weights of zero have no factor; the sheet is one grey picture, as the store keeps no empty ones.
        return np.full((*drawn.shape[1:3], 1), FADED_GREY, np.float32)
    coloured = in_colour(drawn, settings.bands)
    pictures = coloured.reshape(h, w, *coloured.shape[1:])
    return position_sheet(pictures, magnitudes(grid.vectors)) if of_positions else tiled(pictures)


def _sheet_record(
    settings: DrawSettings, of_positions: bool, cosine_power: float, grid: Grid, record: FeatureVis | None
) -> DirectionSheet:
    recipe = settings.recipe
    strengths = magnitudes(grid.vectors).ravel() if of_positions else np.zeros(0)
    return DirectionSheet(
        source=settings.layer,
        n_rows=grid.vectors.shape[0],
        n_columns=grid.vectors.shape[1],
        height_px=recipe.size[0],
        width_px=recipe.size[1],
        n_steps=recipe.preset.n_steps,
        cosine_power=cosine_power,
        precision=record.precision if record else recipe.precision,
        block=grid.block,
        magnitudes=tuple(float(f"{value:.6g}") for value in strengths),
    )
