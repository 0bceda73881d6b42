"""The units of work that are handed out: shards of a stage, orders for any process, pieces that come back.

An order is a function of a worker's context that yields the artefacts, each as soon as it is made. It must
be picklable: a module's function with its arguments (`functools.partial`). It makes the same bytes in any
process that has the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from atlas.core.errors import why_not_made
from atlas.model.network import Network
from atlas.system import memory

Closable = TypeVar("Closable", bound="Closes")
Group = tuple[str, ...]


class Closes(Protocol):
    """An object that holds memory until it is closed."""

    def close(self) -> None:
        """Free the memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An artefact that was made, or the reason why it could not be made."""

    key: str
    """The artefact's key in the store."""
    data: bytes = b""
    """The artefact's bytes, empty where it could not be made."""
    meta: Mapping[str, int | float | str | None] = field(default_factory=dict)
    """Values by name that the store's index keeps with it."""
    failed: str = ""
    """Why it could not be made, "" where it was made."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A part of a stage that one worker makes; if it is made twice, the result is the same."""

    title: str
    """Its name in messages: "factors of mixed3b:0-63"."""
    group: Group
    """Names, general first; shards with the same first names share what a worker's context keeps open."""
    order: Callable[[], Order]
    """Makes the order; called only when it is the shard's turn, as orders may hold large arrays."""
    keys: tuple[str, ...] = ()
    """Keys of the artefacts that it makes; with none, its errors are raised."""


def attempted(keys: Collection[str], pieces: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
    """Yield the pieces of `pieces`; after an error, yield a failed piece for each key not reached.

    Raises errors that end the build (see `why_not_made`), and every error where there are no keys.
    """
    missing = dict.fromkeys(keys)
    try:
        for piece in pieces():
            missing.pop(piece.key, None)
            yield piece
    except Exception as error:
        if not keys:
            raise
        why = why_not_made(error)
        yield from (Piece(key, failed=why) for key in missing)


class WorkerContext:
    """The means to carry out orders: a network, and an open object that the next order may use.

    `n_sessions` is the number of sessions that draw feature visualizations at the same time; None chooses the
    fastest for a machine on which nothing else runs.
    """

    def __init__(self, network: Network, *, n_sessions: int | None = None) -> None:
        """Store the arguments; nothing is opened yet."""
        self.network, self.n_sessions = network, n_sessions
        self._kept: tuple[Hashable, Any] | None = None

    def __enter__(self) -> WorkerContext:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close what is open."""
        self.close()

    def kept(self, key: Hashable, opened: Callable[[], Closable]) -> Closable:
        """Return the object that was opened last if its key is the same; else close it and open another."""
        if self._kept is None or self._kept[0] != key:
            self.close()
            self._kept = key, opened()
        thing: Closable = self._kept[1]
        return thing

    def close(self) -> None:
        """Close what is open, the network's session too, and give its memory back to the system."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None
        self.network.close()
        memory.give_back()


Order = Callable[[WorkerContext], Iterator[Piece]]
