"""The stages that draw directions: a neuron's weights position by position, and its factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from atlas import nmf
from atlas.compute.orders import Easel, Grid, SheetsOrder
from atlas.compute.work import NEURONS_AT_A_TIME, Work, title
from atlas.directions import MOST_POSITIONS, factor_directions
from atlas.engine import Shard
from atlas.images import block_sums
from atlas.plan import Artefact, Pair, directions_recipe, pairs_of
from atlas.records import Family, Floats, LayerRecord
from atlas.store import paths
from atlas.weights import outline

# Of a shard that is handed out: what is left over of the last batch weighs little then.
_BATCHES = 4


def positions(work: Work) -> None:
    """Draw each chosen neuron's weights, a picture a position, kept as soon as a neuron is done."""

    def grid(kernel: Floats) -> Grid:
        return Grid(*block_sums(kernel, MOST_POSITIONS))

    def n_pictures(record: LayerRecord) -> int:
        pair = pairs_of(record)["upstream"]
        reach, _ = outline(work.network, pair.carrier, pair.target, width=work.config.weights.width)
        return block_sums(np.zeros(reach, np.float32), MOST_POSITIONS)[0].size

    with work.bar("positions", "positions") as step:
        work.make("positions", _shards(work, "positions", grid, n_pictures), step)


def factor_pictures(work: Work) -> None:
    """Draw what each chosen neuron's factors look for, by all of their loadings."""

    def grid(kernel: Floats) -> Grid:
        config = work.config
        solution = nmf.solve(kernel, source="", n_factors=config.nmf.factors, seed=config.seed)
        return Grid(factor_directions(solution.record, solution.loadings)[None])

    with work.bar("factors", "factor pictures") as step:
        work.make("factors", _shards(work, "factors", grid, lambda _: work.config.nmf.factors), step)


def family_pictures(work: Work) -> None:
    """Draw what the factors of each family look for, by all of their loadings."""
    known = {family.slug: family for family in work.atlas.families}

    def shards() -> Iterator[Shard]:
        # Families of one source are drawn by one renderer.
        for artefact in sorted(work.todo["family pictures"], key=lambda a: known[a.part].source):
            family = known[artefact.part]
            easel = work.easel(family.source, directions_recipe(work.config, family))
            order = partial(_family_order, work, artefact, easel)
            told = f"factor pictures of the family {family.name}"
            yield Shard(told, (family.source,), order, (artefact.key,))

    with work.bar("family pictures", "family pictures", unit="families") as step:
        work.make("family pictures", shards(), step)


def _shards(
    work: Work, stage: str, grid: Callable[[Floats], Grid], n_pictures: Callable[[LayerRecord], int]
) -> Iterator[Shard]:
    for record, artefacts in work.by_layer(stage):
        pair = pairs_of(record)["upstream"]
        easel = work.easel(pair.source, directions_recipe(work.config, record))
        size = NEURONS_AT_A_TIME
        if work.engine.shard_size is not None:
            size = -(-_BATCHES * work.engine.shard_size // n_pictures(record))
        for start in range(0, len(artefacts), size):
            keys = {a.index: a.key for a in artefacts[start : start + size]}
            order = partial(_order, work, stage, pair, easel, grid, keys)
            told = title(stage, record, tuple(keys))
            yield Shard(told, (pair.source, record.layer), order, tuple(keys.values()))


def _order(
    work: Work, stage: str, pair: Pair, easel: Easel, grid: Callable[[Floats], Grid], keys: dict[int, str]
) -> SheetsOrder:
    weights = work.weights(pair)
    grids = {key: grid(weights[..., index]) for index, key in keys.items()}
    return SheetsOrder(easel, stage == "positions", work.config.directions.cosine_power, grids)


def _family_order(work: Work, artefact: Artefact, easel: Easel) -> SheetsOrder:
    loadings = work.store.record(paths.family(artefact.part), Family).loadings
    return SheetsOrder(
        easel, False, work.config.directions.cosine_power, {artefact.key: Grid(loadings[None])}
    )
