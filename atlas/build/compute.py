"""Makes the artefacts that are missing or stale, stage by stage; stores each as soon as it is done."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from atlas.build.engine import Piece, engine_of
from atlas.build.forecast import duration
from atlas.build.freshness import failures, images_digest, stale
from atlas.build.model import open_model
from atlas.build.plan import STAGES, Artefact, wanted
from atlas.build.resolve import resolve
from atlas.build.stages import directions, examples, factors, featurevis, statistics, weights
from atlas.build.work import Maker, Work, handed_out, one_by_one
from atlas.core.config import AtlasConfig
from atlas.core.errors import AtlasError, LayerError
from atlas.model.carriers import ALL, AUTO, chosen_layers, n_neurons
from atlas.model.network import Network
from atlas.store import Status, Store, codec, keys

__all__ = ["Made", "compute", "open_model", "plan"]

log = logging.getLogger(__name__)

# Up to this number of neurons, an atlas shows all layers without asking for a choice.
NOT_ASKED = 500


def _atlas(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Yield the atlas's record where it differs from the store's: its inputs do not determine all of it."""
    data = codec.encode(work.atlas)
    if todo or work.store.read(keys.ATLAS) != data:
        yield Piece(keys.ATLAS, data)


# The maker of each stage; STAGES sets the order.
MAKERS: dict[str, Maker] = {
    "weights": one_by_one(weights.weights),
    "connections": one_by_one(weights.connections),
    "paths": one_by_one(weights.paths),
    "nmf": handed_out(factors.nmf),
    "statistics": one_by_one(statistics.statistics),
    "filters": one_by_one(statistics.filters),
    "effective fields": one_by_one(statistics.effective_fields),
    "families": one_by_one(factors.families),
    "proposals": factors.proposals,
    "examples": examples.examples,
    "strips": examples.strips,
    "featurevis": handed_out(featurevis.featurevis),
    "positions": handed_out(directions.positions),
    "factors": handed_out(directions.factors),
    "family pictures": handed_out(directions.family_pictures),
    "atlas": _atlas,
}


@dataclass(frozen=True, slots=True)
class Made:
    """The result of a compute."""

    n_wanted: int
    """Number of artefacts of the atlas, made now or fresh before."""
    made: tuple[tuple[Artefact, Status], ...]
    """The artefacts made now, each with the status that says why."""
    failed: tuple[tuple[Artefact, str], ...] = ()
    """The artefacts that could not be made, now or before, each with the reason."""


def compute(
    config: AtlasConfig,
    store: Store,
    *,
    tell: Callable[[str], object] = log.info,
    asking: bool = False,
    check: Callable[[Work], object] | None = None,
) -> Made:
    """Bring a store up to date with a config; raises AtlasError, keeping all that was done before.

    Before work starts, `tell` is called with each line of what there is to do. `asking` is as in `plan`.
    `check` is called with the work, and may raise an AtlasError to refuse it.
    """
    work = plan(config, store, asking=asking)
    if check is not None:
        check(work)
    for line in work.lines():
        tell(line)
    examples.foresee_examples(work)
    with engine_of(config.engine, work.network) as work.engine:
        for stage in STAGES.values():
            if not stage.made_with:
                work.make(stage, MAKERS[stage.name])
    failed = failures(store, tuple(work.artefacts.values()))
    lost = {artefact.key for artefact, _ in failed}
    made = tuple((artefact, status) for artefact, status in work.stale if artefact.key not in lost)
    return Made(len(work.artefacts), made, failed)


def plan(config: AtlasConfig, store: Store, *, asking: bool = False) -> Work:
    """Return the work of a compute without doing it; raises AtlasError.

    `asking` is set where the layers were not chosen: then more than NOT_ASKED neurons raise a LayerError that
    proposes layers.
    """
    images = images_digest(store, config.examples)
    network = open_model(config)
    n_all = n_neurons(chosen_layers(network, ALL))
    if asking and n_all > NOT_ASKED:
        raise _offer(network, config, store, n_all)
    return _work(network, config, store, images)


def _offer(network: Network, config: AtlasConfig, store: Store, n_all: int) -> LayerError:
    """Return the error that proposes the layers of --layers auto, with the time that they take."""
    natural = chosen_layers(network, AUTO)
    seconds = None
    with contextlib.suppress(AtlasError):  # the error goes without a time where none can be computed
        work = _work(network, msgspec.structs.replace(config, layers=AUTO), store, "")
        seconds = work.forecast().seconds
    time = f", about {duration(seconds)} of drawing" if seconds else ""
    return LayerError(
        f"no layers are chosen, and all of {network.name} have {n_all:,} neurons",
        expected="--layers auto, all, or names",
        remedy=f"auto is {','.join(layer.name for layer in natural)}: the ends of resolutions and blocks, "
        f"{n_neurons(natural):,} neurons{time}",
    )


def _work(network: Network, config: AtlasConfig, store: Store, images: str) -> Work:
    fields = statistics.known_fields(network, config, store)
    atlas = resolve(network, config, weights=weights.known_weights(network, config, store), fields=fields)
    artefacts = wanted(atlas, config, images=images)
    return Work(network, atlas, config, store, artefacts=artefacts, stale=stale(store, artefacts))
