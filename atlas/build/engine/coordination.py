"""The coordinator hands shards to workers, of whatever kind, and takes the pieces that they return."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from atlas.build.engine.serialized_network import pieces_of
from atlas.build.engine.shard import Group, Order, Piece, Shard, attempted
from atlas.build.engine.shard_queue import ShardQueue

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has the network open and waits for its first order."""

    worker: str


@dataclass(frozen=True, slots=True)
class Replied:
    """A worker has carried out its order, or says why not."""

    worker: str
    reply: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker that was ready has ended, and with it whatever it was at."""

    worker: str
    why: str


Event = Ready | Replied | Gone


class Workers(Protocol):
    """Processes that carry out orders, one at a time each; a worker's name is never used again."""

    def begin(self, n_shards: int) -> None:
        """Prepare for so many shards; what is to start may still be starting."""

    def event(self) -> Event | None:
        """Return what happened next, None where nothing did for a while.

        Raises EngineError where no worker is left and none is to come.
        """

    def give(self, worker: str, order: object) -> None:
        """Have a worker that waits carry out an order; returns at once."""

    def close(self) -> None:
        """End the workers, or leave those that are not this process's to others."""


class Coordinator:
    """An engine of workers that come and go."""

    def __init__(self, workers: Workers, *, shard_size: int) -> None:
        """`shard_size` is how many pictures a shard should hold."""
        self._workers = workers
        self.shard_size: int | None = shard_size
        self.given_up: list[str] = []
        self._idle: dict[str, Group] = {}
        self._busy: dict[str, Shard] = {}

    def __enter__(self) -> Coordinator:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the workers, whatever they are at."""
        self._workers.close()

    def run(self, shards: Iterable[Shard]) -> Iterator[Piece]:
        """Yield the pieces of shards as they come back; raises what a shard without keys raised.

        A shard that ends its workers is given up and named in `given_up`; the others are finished.
        """
        queue = ShardQueue(shards)
        if queue.n_unfinished:
            self._workers.begin(queue.n_unfinished)
        while queue.n_unfinished:
            yield from self._hand_out(queue)
            event = self._workers.event() if queue.n_unfinished else None
            if isinstance(event, Ready):
                self._idle[event.worker] = ()
            elif isinstance(event, Replied):
                shard = self._busy.pop(event.worker)
                self._idle[event.worker] = shard.group
                yield from attempted(shard.keys, functools.partial(_unpacked, event.reply))
                queue.done(shard)
            elif isinstance(event, Gone):
                self._without(event, queue)
        for shard, why in queue.given_up:
            self.given_up.append(f"{shard.title} ({why})")
            failed = f"it ended every worker that tried ({why})"
            yield from (Piece(key, failed=failed) for key in shard.keys)

    def _hand_out(self, queue: ShardQueue) -> Iterator[Piece]:
        """Give shards to workers that wait; yield what cannot even be ordered."""
        for worker in list(self._idle):
            orders: list[Order] = []
            while not orders and (shard := queue.next(self._idle[worker])):
                yield from attempted(shard.keys, functools.partial(_ordered, shard, orders))
                if orders:
                    del self._idle[worker]
                    self._busy[worker] = shard
                    self._workers.give(worker, orders[0])
                else:
                    queue.done(shard)

    def _without(self, event: Gone, queue: ShardQueue) -> None:
        self._idle.pop(event.worker, None)
        shard = self._busy.pop(event.worker, None)
        if shard is None:
            _log.warning("a worker is gone (%s)", event.why)
        else:
            then = "made again" if queue.lost(shard, event.why) else "left for the end"
            _log.warning("%s lost its worker (%s); %s", shard.title, event.why, then)


def _unpacked(reply: bytes) -> Iterator[Piece]:
    return iter(pieces_of(reply))


def _ordered(shard: Shard, orders: list[Order]) -> Iterator[Piece]:
    """Add a shard's order to a list; there is no piece of it yet."""
    orders.append(shard.order())
    return iter(())
