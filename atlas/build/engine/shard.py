"""What is handed out: shards of a stage, orders that any process can carry out, pieces that come back.

An order is a function of a worker's context that yields the artefacts, each as soon as it is made. It is
pickled, so it is a function of a module with its arguments (`functools.partial`), and it makes the same
bytes in whatever process that has the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from atlas.core.errors import why_not_made
from atlas.model.network import Network

Closable = TypeVar("Closable", bound="Closes")
Group = tuple[str, ...]


class Closes(Protocol):
    """Whatever holds memory until it is closed."""

    def close(self) -> None:
        """Free the memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An artefact that was made: its key in the store, its bytes, what the index is to record of it.

    Where it could not be made, `failed` says why, and there are no bytes.
    """

    key: str
    data: bytes = b""
    meta: Mapping[str, int | float | str | None] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A part of a stage, which may be made twice, with the same result.

    `title` names it for people. Shards with the same beginning of `group` share what a worker's context
    keeps open. `order` is called when it is the shard's turn: orders may hold many numbers. `keys` are
    those of the artefacts that it makes.
    """

    title: str
    group: Group
    order: Callable[[], Order]
    keys: tuple[str, ...] = ()


def attempted(keys: Collection[str], pieces: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
    """Yield what `pieces` yields; of those `keys` that it does not reach because of an error, yield that.

    Raises an error that is no fault of the artefacts, and any where there are no keys.
    """
    left = dict.fromkeys(keys)
    try:
        for piece in pieces():
            left.pop(piece.key, None)
            yield piece
    except Exception as error:
        if not keys:
            raise
        why = why_not_made(error)
        yield from (Piece(key, failed=why) for key in left)


class WorkerContext:
    """What orders are carried out with: a network, and what the last order opened and the next may need.

    `n_sessions` is how many feature visualizations are drawn side by side, None: what is fastest where
    nothing else runs.
    """

    def __init__(self, network: Network, *, n_sessions: int | None = None) -> None:
        """Begin with nothing open."""
        self.network, self.n_sessions = network, n_sessions
        self._kept: tuple[Hashable, Any] | None = None

    def __enter__(self) -> WorkerContext:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close what is open."""
        self.close()

    def kept(self, key: Hashable, opened: Callable[[], Closable]) -> Closable:
        """Return what was opened for the same key last time, or else open it and close the former."""
        if self._kept is None or self._kept[0] != key:
            self.close()
            self._kept = key, opened()
        thing: Closable = self._kept[1]
        return thing

    def close(self) -> None:
        """Close what is open."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None


Order = Callable[[WorkerContext], Iterator[Piece]]
