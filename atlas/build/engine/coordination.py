"""The coordinator hands shards to workers of any kind, and takes the pieces that they return."""

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
    """Name of the worker."""


@dataclass(frozen=True, slots=True)
class Replied:
    """A worker has carried out its order, or reports why it could not."""

    worker: str
    """Name of the worker."""
    reply: bytes
    """The pieces or the error, for `serialized_network.pieces_of`."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker has ended, and the order that it was carrying out is lost."""

    worker: str
    """Name of the worker."""
    why: str
    """How it ended, in words."""


Event = Ready | Replied | Gone


class Workers(Protocol):
    """Processes that each carry out one order at a time; a worker's name is never used again."""

    def begin(self, n_shards: int) -> None:
        """Prepare for so many shards; workers may still be starting on return."""

    def event(self) -> Event | None:
        """Return the next event, None where nothing happened for a while.

        Raises EngineError where no worker is left and none is expected.
        """

    def give(self, worker: str, order: object, title: str) -> None:
        """Send an order, with its shard's title, to a worker that waits; returns at once."""

    def refuse(self, worker: str, error: Exception) -> None:
        """Give a worker that has no room left no more orders; raise the error if no other has more room."""

    def close(self) -> None:
        """End the workers that this process started, and disconnect from others."""


class Coordinator:
    """An engine whose workers may start and end at any time."""

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
        """Close the workers, also in the middle of an order."""
        self._workers.close()

    def run(self, shards: Iterable[Shard]) -> Iterator[Piece]:
        """Yield the pieces of shards as they come back; raise the error of a shard without keys.

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
                yield from self._replied(event, queue)
            elif isinstance(event, Gone):
                self._without(event, queue)
        for shard, why in queue.given_up:
            self.given_up.append(f"{shard.title} ({why})")
            failed = f"it ended every worker that tried ({why})"
            yield from (Piece(key, failed=failed) for key in shard.keys)

    def _hand_out(self, queue: ShardQueue) -> Iterator[Piece]:
        """Give shards to idle workers; yield failed pieces of shards whose order cannot be made."""
        for worker in list(self._idle):
            orders: list[Order] = []
            while not orders and (shard := queue.next(self._idle[worker])):
                yield from attempted(shard.keys, functools.partial(_ordered, shard, orders))
                if orders:
                    del self._idle[worker]
                    self._busy[worker] = shard
                    self._workers.give(worker, orders[0], shard.title)
                else:
                    queue.done(shard)

    def _replied(self, event: Replied, queue: ShardQueue) -> Iterator[Piece]:
        """Yield the pieces of a reply, unless another worker was faster; refuse a worker that cannot work."""
        shard = self._busy.pop(event.worker)
        try:
            pieces = list(attempted(shard.keys, functools.partial(pieces_of, event.reply)))
        except (OSError, MemoryError) as error:
            # Another worker may have room on its disk and in its memory.
            self._workers.refuse(event.worker, error)
            queue.returned(shard)
            return
        self._idle[event.worker] = shard.group
        is_first = queue.done(shard)
        # Before the pieces, as the worker would wait until they are stored.
        yield from self._hand_out(queue)
        if is_first:
            yield from pieces

    def _without(self, event: Gone, queue: ShardQueue) -> None:
        """Forget a worker that is gone, and return its shard to the queue."""
        self._idle.pop(event.worker, None)
        shard = self._busy.pop(event.worker, None)
        if shard is None:
            _log.warning("a worker is gone (%s)", event.why)
        else:
            _log.warning("%s lost its worker (%s); %s", shard.title, event.why, queue.lost(shard, event.why))


def _ordered(shard: Shard, orders: list[Order]) -> Iterator[Piece]:
    """Append a shard's order to a list; yields no piece, as `attempted` expects an iterator of pieces."""
    orders.append(shard.order())
    return iter(())
