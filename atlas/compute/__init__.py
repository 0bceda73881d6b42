"""Makes the artefacts that are missing or stale, stage by stage, each kept as soon as it is done."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from atlas.compute import (
    direction_stages,
    family_stages,
    path_stages,
    picture_stages,
    statistics_stages,
    weight_stages,
)
from atlas.compute.forecast import forecast
from atlas.compute.known_weights import known_weights
from atlas.compute.model import open_model
from atlas.compute.work import Work
from atlas.config import AtlasConfig
from atlas.engine import engine_of
from atlas.freshness import failures, images_digest, stale
from atlas.plan import Artefact, wanted
from atlas.resolve import resolve
from atlas.store import Status, Store, codec, paths
from atlas.store.fingerprint import Inputs

__all__ = ["Made", "Planned", "compute", "open_model", "plan"]

log = logging.getLogger(__name__)

# Each stage stands on those before it.
STAGES = (
    weight_stages.weights,
    weight_stages.connections,
    path_stages.signed_paths,
    weight_stages.factorizations,
    statistics_stages.statistics,
    statistics_stages.filters,
    family_stages.families,
    family_stages.proposals,
    picture_stages.examples,
    picture_stages.featurevis,
    direction_stages.positions,
    direction_stages.factor_pictures,
    direction_stages.family_pictures,
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a compute did: how many artefacts there are, and which were made, with the reason.

    `failed` are those of all that could not be made, now or before, each with what stood in its way.
    """

    n_wanted: int
    made: tuple[tuple[Artefact, Status], ...]
    failed: tuple[tuple[Artefact, str], ...] = ()


def compute(config: AtlasConfig, store: Store, *, tell: Callable[[str], object] = log.info) -> Made:
    """Bring a store up to date with a config; raises AtlasError, keeping all that was done before.

    `tell` is told what there is to do before work starts, a line at a time.
    """
    planned = plan(config, store)
    for line in planned.lines():
        tell(line)
    work = planned.work
    with engine_of(config.engine, work.network) as work.engine:
        for stage in STAGES:
            stage(work)
    # Written last: until then a renderer sees the former atlas, whose artefacts are still there.
    inputs = planned.artefacts[-1].inputs
    if codec.encode(work.atlas) != _former(store, inputs):
        store.put_record(paths.ATLAS, work.atlas, inputs=inputs)
    failed = failures(store, planned.artefacts)
    lost = {artefact.key for artefact, _ in failed}
    made = tuple((artefact, status) for artefact, status in planned.todo if artefact.key not in lost)
    return Made(len(planned.artefacts), made, failed)


@dataclass(frozen=True, slots=True)
class Planned:
    """All artefacts of a config, those that are to be made with the reasons, and the work that makes them."""

    artefacts: tuple[Artefact, ...]
    todo: list[tuple[Artefact, Status]]
    work: Work

    def lines(self) -> Iterator[str]:
        """Yield what is to be made by stage, then what is to be drawn with the time that it will take."""
        counts = Counter(artefact.stage for artefact, _ in self.todo)
        listed = ", ".join(f"{count:,} {stage}" for stage, count in counts.items())
        yield f"to make: {listed or 'nothing'}, of {len(self.artefacts):,} artefacts"
        work, todo = self.work, (artefact for artefact, _ in self.todo)
        line = forecast(work.network, work.atlas, work.config, todo).line
        if line:
            place = work.config.engine
            apart = place.workers > 1 or place.scheduler or place.scheduler_file
            yield line + (" in one process" if apart else "")


def plan(config: AtlasConfig, store: Store) -> Planned:
    """Return what a compute would do; raises AtlasError. Nothing is made."""
    images = images_digest(store, config.examples)
    network = open_model(config)
    atlas = resolve(network, config, weights=known_weights(network, config, store))
    artefacts = wanted(atlas, config, images=images)
    todo = stale(store, artefacts)
    return Planned(artefacts, todo, Work(network, atlas, config, store, [artefact for artefact, _ in todo]))


def _former(store: Store, inputs: Inputs) -> bytes | None:
    return store.read(paths.ATLAS) if store.status(paths.ATLAS, inputs).fresh else None
