"""Makes the artefacts that are missing or stale, stage by stage, each kept as soon as it is done."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.compute import family_stages, picture_stages, weight_stages
from atlas.compute.model import open_model
from atlas.compute.work import Work
from atlas.config import AtlasConfig
from atlas.freshness import images_digest, stale
from atlas.plan import Artefact, wanted
from atlas.resolve import resolve
from atlas.store import Status, Store, codec, paths
from atlas.store.fingerprint import Inputs

__all__ = ["Made", "compute", "open_model"]

# Each stage stands on those before it.
STAGES = (
    weight_stages.weights,
    weight_stages.connections,
    weight_stages.factorizations,
    family_stages.families,
    family_stages.proposals,
    picture_stages.examples,
    picture_stages.featurevis,
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a compute did: how many artefacts there are, and which were made, with the reason."""

    n_wanted: int
    made: tuple[tuple[Artefact, Status], ...]


def compute(config: AtlasConfig, store: Store) -> Made:
    """Bring a store up to date with a config; raises AtlasError, keeping all that was done before."""
    images = images_digest(store, config.examples)
    network = open_model(config)
    atlas = resolve(network, config)
    artefacts = wanted(atlas, config, images=images)
    todo = stale(store, artefacts)
    work = Work(network, atlas, config, store, [artefact for artefact, _ in todo])
    for stage in STAGES:
        stage(work)
    # Written last: until then a renderer sees the former atlas, whose artefacts are still there.
    if codec.encode(atlas) != _former(store, artefacts[-1].inputs):
        store.put_record(paths.ATLAS, atlas, inputs=artefacts[-1].inputs)
    return Made(len(artefacts), tuple(todo))


def _former(store: Store, inputs: Inputs) -> bytes | None:
    return store.read(paths.ATLAS) if store.status(paths.ATLAS, inputs).fresh else None
