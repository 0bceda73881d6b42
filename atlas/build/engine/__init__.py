"""Where work runs: in this process, in processes of this machine, or on a Dask cluster; the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from atlas.build.engine.cluster import Cluster
from atlas.build.engine.coordination import Coordinator
from atlas.build.engine.processes import Processes
from atlas.build.engine.serialized_network import serialized
from atlas.build.engine.shard import Order, Piece, Shard, WorkerContext, attempted
from atlas.core.config import EngineConfig
from atlas.model.network import Network

__all__ = [
    "Engine",
    "Order",
    "Piece",
    "Shard",
    "ThisProcess",
    "WorkerContext",
    "attempted",
    "engine_of",
]

# The most pictures that a session draws at a time, on a processor and on a GPU: a shard fills a batch.
_PICTURES, _PICTURES_ON_GPU = 16, 64


class Engine(Protocol):
    """Makes shards somewhere; a context manager, entered before the first run and left after the last."""

    shard_size: int | None
    """Number of pictures that a shard should hold; None for no limit, as pieces come one by one."""
    given_up: list[str]
    """Titles of the shards that were not made because they ended every worker that tried, with the reason."""

    def run(self, shards: Iterable[Shard]) -> Iterator[Piece]:
        """Yield the pieces of shards, in any order; raises errors of shards without keys, and EngineError."""


class ThisProcess:
    """The engine that works in this process alone; its sessions keep all cores busy."""

    def __init__(self, network: Network) -> None:
        """Open nothing yet."""
        self.shard_size: int | None = None
        self.given_up: list[str] = []
        self._network = network

    def __enter__(self) -> ThisProcess:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: every run closes what it opens."""

    def run(self, shards: Iterable[Shard]) -> Iterator[Piece]:
        """Yield the pieces of the shards, in the order of the shards."""
        with WorkerContext(self._network) as context:
            for shard in shards:
                yield from attempted(shard.keys, lambda shard=shard: shard.order()(context))  # type: ignore[misc]


def engine_of(config: EngineConfig, network: Network) -> AbstractContextManager[Engine]:
    """Return the engine that a config names; raises EngineError."""
    if config.scheduler or config.scheduler_file:
        workers = Cluster(
            serialized(network),
            scheduler=config.scheduler,
            scheduler_file=config.scheduler_file,
            resources=config.resources,
            patience=config.patience,
        )
        size = _PICTURES_ON_GPU if "GPU" in config.resources else _PICTURES
        return Coordinator(workers, shard_size=size)
    if config.workers > 1:
        return Coordinator(Processes(serialized(network), config.workers), shard_size=_PICTURES)
    return ThisProcess(network)
