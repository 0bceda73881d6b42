"""A site's work in pieces: some neurons of one layer with their pictures, or a layer's own page.

Whoever writes takes the next piece; pieces of the layer that is at hand come first, as its artefacts
are decoded already.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlas.pages.plan import LayerPlan, Page, SitePlan
from atlas.pages.site_folder import SiteFolder
from atlas.pages.status import FileState

# About a tenth of a second: short enough that nobody waits long for the last one.
N_NEURONS = 16


@dataclass(frozen=True, slots=True)
class Shard:
    """What is stale of a part of a layer: pages, and pictures as address -> key of the store.

    `known` are the files of these pages that are intact, so that those of the same bytes are left alone.
    """

    layer: str
    pages: tuple[Page, ...]
    pictures: dict[str, str]
    known: dict[str, FileState]

    def __len__(self) -> int:
        """Return the number of pages and pictures."""
        return len(self.pages) + len(self.pictures)


class Shards:
    """The pieces that are left. Threads may share it."""

    def __init__(
        self,
        plan: SitePlan,
        target: SiteFolder,
        *,
        stale_pages: frozenset[str],
        stale_pictures: frozenset[str],
    ) -> None:
        """Cut what is stale of every layer."""
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._left: dict[str, deque[Shard]] = {}
        for layer in plan.layers:
            pages = [page for page in (*layer.neurons, layer.page) if page.name in stale_pages]
            pictures = [pair for pair in layer.pictures.items() if pair[0] in stale_pictures]
            if pages or pictures:
                self._left[layer.layer.name] = deque(_cut(layer, pages, pictures, target))
        self._unfinished = {layer: len(shards) for layer, shards in self._left.items()}

    def next(self, layer: str = "") -> Shard | None:
        """Return the next piece, of `layer` if there is one; None when nothing is left."""
        with self._lock:
            if not self._left.get(layer):
                left = [name for name, shards in self._left.items() if shards]
                fresh = [name for name in left if name not in self._begun]
                if not left:
                    return None
                # A layer that nobody is at, else the one with the most left.
                layer = fresh[0] if fresh else max(left, key=lambda name: len(self._left[name]))
            self._begun.add(layer)
            return self._left[layer].popleft()

    def finish(self, shard: Shard) -> bool:
        """Note that a piece is done; return whether its layer is."""
        self._unfinished[shard.layer] -= 1
        return not self._unfinished[shard.layer]

    def clear(self) -> None:
        """Leave nothing to take."""
        with self._lock:
            self._left = {}


def _cut(
    layer: LayerPlan, pages: Sequence[Page], pictures: Sequence[tuple[str, str]], target: SiteFolder
) -> Iterator[Shard]:
    """Yield a layer's stale pages and pictures in even parts, in their order."""
    n = -(-max(len(pages), len(pictures)) // N_NEURONS)
    for at in range(n):
        own = tuple(pages[at * len(pages) // n : (at + 1) * len(pages) // n])
        drawn = dict(pictures[at * len(pictures) // n : (at + 1) * len(pictures) // n])
        outputs = target.intact.intersection(path for page in own for path in page.outputs)
        yield Shard(layer.layer.name, own, drawn, {path: target.status.files[path] for path in outputs})
