"""A site's stale pages and pictures, cut into batches: each holds some pages and pictures of one layer.

Each process that writes takes the next batch from the queue. It gets batches of its current layer first,
because it has already decoded that layer's artefacts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlas.site.folder.site_folder import SiteFolder
from atlas.site.folder.status import FileState
from atlas.site.writing.pages import LayerPlan, Page, SitePlan

# About a tenth of a second of work: short enough that no process waits long for the last batch.
N_NEURONS = 16


@dataclass(frozen=True, slots=True)
class PageBatch:
    """Some stale pages and pictures of one layer."""

    layer: str
    """Name of the layer."""
    pages: tuple[Page, ...]
    """The stale pages and zip files of this batch; the layer's own page has index -1."""
    pictures: dict[str, str]
    """Stale pictures of this batch, address in the site -> key in the store."""
    known: dict[str, FileState]
    """State of each intact file of these pages; a file whose bytes stay the same is not written again."""

    def __len__(self) -> int:
        """Return the number of pages and pictures."""
        return len(self.pages) + len(self.pictures)


class BatchQueue:
    """The queue of the batches that are left. Threads may share it."""

    def __init__(
        self,
        plan: SitePlan,
        target: SiteFolder,
        *,
        stale_pages: frozenset[str],
        stale_pictures: frozenset[str],
    ) -> None:
        """Cut the stale pages and pictures of every layer into batches."""
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._left: dict[str, deque[PageBatch]] = {}
        for layer in plan.layers:
            pages = [p for p in (*layer.neurons, *layer.packs, layer.page) if p.name in stale_pages]
            pictures = [pair for pair in layer.pictures.items() if pair[0] in stale_pictures]
            if pages or pictures:
                self._left[layer.layer.name] = deque(_cut(layer, pages, pictures, target))
        self._unfinished = {layer: len(batches) for layer, batches in self._left.items()}

    def next(self, layer: str = "") -> PageBatch | None:
        """Return the next batch, of `layer` if it has one left; None when no layer has any."""
        with self._lock:
            if not self._left.get(layer):
                left = [name for name, batches in self._left.items() if batches]
                fresh = [name for name in left if name not in self._begun]
                if not left:
                    return None
                # Prefer a layer that no process has begun, else the layer with the most batches left.
                layer = fresh[0] if fresh else max(left, key=lambda name: len(self._left[name]))
            self._begun.add(layer)
            return self._left[layer].popleft()

    def finish(self, batch: PageBatch) -> bool:
        """Record that a batch is done, and return whether its whole layer is done."""
        self._unfinished[batch.layer] -= 1
        return not self._unfinished[batch.layer]

    def clear(self) -> None:
        """Remove all batches that are left."""
        with self._lock:
            self._left = {}


def _cut(
    layer: LayerPlan, pages: Sequence[Page], pictures: Sequence[tuple[str, str]], target: SiteFolder
) -> Iterator[PageBatch]:
    """Yield batches of about equal size, with a layer's stale pages and pictures in their order."""
    n = -(-max(len(pages), len(pictures)) // N_NEURONS)
    for at in range(n):
        part = tuple(pages[at * len(pages) // n : (at + 1) * len(pages) // n])
        drawn = dict(pictures[at * len(pictures) // n : (at + 1) * len(pictures) // n])
        outputs = target.intact.intersection(path for page in part for path in page.outputs)
        yield PageBatch(layer.layer.name, part, drawn, {path: target.status.files[path] for path in outputs})
