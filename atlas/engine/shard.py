"""What is handed out: shards of a stage, orders that any process can carry out, pieces that come back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from atlas.errors import why_not_made
from atlas.model.network import Network

Closable = TypeVar("Closable", bound="Closes")
Group = tuple[str, ...]


class Closes(Protocol):
    """Whatever holds memory until it is closed."""

    def close(self) -> None:
        """Free the memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An artefact that was made: its key in the store, its bytes, what the index is to tell of it.

    Where it could not be made, `failed` says why, and there are no bytes.
    """

    key: str
    data: bytes = b""
    meta: Mapping[str, int | float | str | None] = field(default_factory=dict)
    failed: str = ""


class Order(Protocol):
    """What is to be made, told so that any process that has the network can make it; it is pickled."""

    def pieces(self, bench: Bench) -> Iterator[Piece]:
        """Yield the artefacts, each as soon as it is made; the same bytes wherever that is."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A part of a stage; whoever makes it twice makes the same.

    `title` is how people are told of it. Shards with the same beginning of `group` share what a bench
    keeps open. `order` is called when it is the shard's turn: orders may hold many numbers. `keys` are
    those of the artefacts that it makes.
    """

    title: str
    group: Group
    order: Callable[[], Order]
    keys: tuple[str, ...] = ()

    def attempted(self, pieces: Callable[[], Iterator[Piece]]) -> Iterator[Piece]:
        """Yield what `pieces` yields; what it does not come to because of an error could not be made."""
        left = dict.fromkeys(self.keys)
        try:
            for piece in pieces():
                left.pop(piece.key, None)
                yield piece
        except Exception as error:
            if not self.keys:
                raise
            yield from self.failed(why_not_made(error), left)

    def failed(self, why: str, keys: Iterable[str] | None = None) -> Iterator[Piece]:
        """Yield that artefacts, by default all, could not be made."""
        return (Piece(key, failed=why) for key in (self.keys if keys is None else keys))


class Bench:
    """Where orders are carried out: a network, and what the last order opened and the next may need.

    `n_lanes` is how many feature visualizations are drawn side by side, None: what is fastest where
    nothing else runs.
    """

    def __init__(self, network: Network, *, n_lanes: int | None = None) -> None:
        """Begin with nothing open."""
        self.network, self.n_lanes = network, n_lanes
        self._kept: tuple[Hashable, Any] | None = None

    def __enter__(self) -> Bench:
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
