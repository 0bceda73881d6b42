"""What is handed out: shards of a stage, orders that any process can carry out, pieces that come back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from atlas.model.network import Network

Closable = TypeVar("Closable", bound="Closes")
Group = tuple[str, ...]


class Closes(Protocol):
    """Whatever holds memory until it is closed."""

    def close(self) -> None:
        """Free the memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An artefact that was made: its key in the store, its bytes, what the index is to tell of it."""

    key: str
    data: bytes
    meta: Mapping[str, int | float | str | None]


class Order(Protocol):
    """What is to be made, told so that any process that has the network can make it; it is pickled."""

    def pieces(self, bench: Bench) -> Iterator[Piece]:
        """Yield the artefacts, each as soon as it is made; the same bytes wherever that is."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A part of a stage; whoever makes it twice makes the same.

    `title` is how people are told of it. Shards with the same beginning of `group` share what a bench
    keeps open. `order` is called when it is the shard's turn: orders may hold many numbers.
    """

    title: str
    group: Group
    order: Callable[[], Order]


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
