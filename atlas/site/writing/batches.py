"""A site's work in batches: some neurons of one layer with their pictures, or a layer's own page.

A process that writes takes the next batch; batches of the layer that it is at come first, as its artefacts
are decoded already.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlas.site.folder.site_folder import SiteFolder
from atlas.site.folder.status import FileState
from atlas.site.writing.plan import LayerPlan, Page, SitePlan

# About a tenth of a second: short enough that no process waits long for the last one.
N_NEURONS = 16


@dataclass(frozen=True, slots=True)
class PageBatch:
    """What is stale of a part of a layer."""

    layer: str
    """Name of the layer."""
    pages: tuple[Page, ...]
    """Its stale pages."""
    pictures: dict[str, str]
    """Its stale pictures, address -> key of the store."""
    known: dict[str, FileState]
    """Files of these pages that are intact, so that those of the same bytes are left alone."""

    def __len__(self) -> int:
        """Return the number of pages and pictures."""
        return len(self.pages) + len(self.pictures)


class BatchQueue:
    """The batches that are left. Threads may share it."""

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
        self._left: dict[str, deque[PageBatch]] = {}
        for layer in plan.layers:
            pages = [page for page in (*layer.neurons, layer.page) if page.name in stale_pages]
            pictures = [pair for pair in layer.pictures.items() if pair[0] in stale_pictures]
            if pages or pictures:
                self._left[layer.layer.name] = deque(_cut(layer, pages, pictures, target))
        self._unfinished = {layer: len(batches) for layer, batches in self._left.items()}

    def next(self, layer: str = "") -> PageBatch | None:
        """Return the next batch, of `layer` if there is one; None when nothing is left."""
        with self._lock:
            if not self._left.get(layer):
                left = [name for name, batches in self._left.items() if batches]
                fresh = [name for name in left if name not in self._begun]
                if not left:
                    return None
                # A layer that no process is at, else the one with the most left.
                layer = fresh[0] if fresh else max(left, key=lambda name: len(self._left[name]))
            self._begun.add(layer)
            return self._left[layer].popleft()

    def finish(self, batch: PageBatch) -> bool:
        """Note that a batch is done; return whether its layer is."""
        self._unfinished[batch.layer] -= 1
        return not self._unfinished[batch.layer]

    def clear(self) -> None:
        """Leave nothing to take."""
        with self._lock:
            self._left = {}


def _cut(
    layer: LayerPlan, pages: Sequence[Page], pictures: Sequence[tuple[str, str]], target: SiteFolder
) -> Iterator[PageBatch]:
    """Yield a layer's stale pages and pictures in even parts, in their order."""
    n = -(-max(len(pages), len(pictures)) // N_NEURONS)
    for at in range(n):
        own = tuple(pages[at * len(pages) // n : (at + 1) * len(pages) // n])
        drawn = dict(pictures[at * len(pictures) // n : (at + 1) * len(pictures) // n])
        outputs = target.intact.intersection(path for page in own for path in page.outputs)
        yield PageBatch(layer.layer.name, own, drawn, {path: target.status.files[path] for path in outputs})
