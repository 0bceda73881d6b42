"""The stages that look at images: a table of examples, distributions, fidelity of weights; example strips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from atlas.analysis.distribution import Distributed
from atlas.analysis.examples import Top, example_strips
from atlas.analysis.fidelity import Compared, claim_of
from atlas.analysis.image_pass import Observer, Seen, look_through
from atlas.analysis.ranges import Ranged
from atlas.build.engine import Piece, attempted
from atlas.build.plan import Artefact, pairs_of
from atlas.build.work import Work
from atlas.core.errors import AtlasError, legible, why_not_made
from atlas.core.records import ExampleTable, LayerRecord, RangeTable
from atlas.drawing.image_files import check_readable, image_files
from atlas.store import codec, keys
from atlas.system.progress import bar

log = logging.getLogger(__name__)

# The observers of a pass, each with the key of its artefact.
Observed = list[tuple[str, Observer]]
# Weights in memory during one pass; those between neighbouring layers of GoogLeNet take 0.4 GiB.
MOST_BYTES = 1 << 29


def foresee_examples(work: Work) -> None:
    """Refuse a folder without a readable image, before hours of work; raises ExamplesFolderError."""
    if work.todo["examples"]:
        check_readable(Path(work.config.examples), work.network.input_shape)


def examples(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Find the examples of all layers, and measure what else is wanted, in one pass over the images.

    Weights are held against images in groups that fit into memory: each group after the first takes a pass
    of its own.
    """
    if not todo:
        return
    folder = Path(work.config.examples)
    count = len(image_files(folder))
    observers, failed = _observers(work, todo, count)
    yield from failed
    passes = list(_passes(observers))
    with bar("images", count * len(passes), unit="images") as step:
        for at, observed in enumerate(passes):
            read = partial(_read, work, folder, observed, step, telling=not at)
            yield from attempted([key for key, _ in observed], read)


def _observers(work: Work, todo: list[Artefact], n_images: int) -> tuple[Observed, list[Piece]]:
    """Return the observers of the pass by the keys of their artefacts, and what cannot be measured."""
    observers: Observed = []
    failed: list[Piece] = []
    for artefact in todo:
        try:
            observers.append((artefact.key, _OBSERVERS[artefact.stage](work, artefact, n_images)))
        except AtlasError as error:
            failed.append(Piece(artefact.key, failed=why_not_made(error)))
    return observers, failed


def _top(work: Work, artefact: Artefact, _: int) -> Top:
    layer = work.network.layer(artefact.layer)
    return Top(layer, work.config.dataset_examples.count, work.network.input_shape)


def _ranged(work: Work, artefact: Artefact, _: int) -> Ranged:
    layer = work.network.layer(artefact.layer)
    # Examples come first, so they are in the store, from this pass or one before.
    shown = partial(work.store.record, keys.examples(layer.slug), ExampleTable)
    return Ranged(layer, work.network.input_shape, work.config.seed, shown)


def _distributed(work: Work, artefact: Artefact, _: int) -> Distributed:
    return Distributed(work.network.layer(artefact.layer))


def _compared(work: Work, artefact: Artefact, n_images: int) -> Compared:
    pair, config = pairs_of(work.records[artefact.layer])["upstream"], work.config
    claim = claim_of(
        work.network,
        work.network.layer(artefact.layer),
        pair.source,
        pair.carrier,
        top=config.connections.top,
        width=config.weights.width,
    )
    return Compared(claim, partial(work.weights, pair), n_images)


_OBSERVERS: dict[str, Callable[[Work, Artefact, int], Observer]] = {
    "examples": _top,
    "ranges": _ranged,
    "distributions": _distributed,
    "fidelity": _compared,
}


def _passes(observers: Observed) -> Iterator[Observed]:
    """Yield observers whose weights fit into memory together, in their order."""
    group: Observed = []
    n_bytes = 0
    for key, observer in observers:
        own = observer.n_bytes if isinstance(observer, Compared) else 0
        if group and n_bytes + own > MOST_BYTES:
            yield group
            group, n_bytes = [], 0
        group.append((key, observer))
        n_bytes += own
    if group:
        yield group


def _read(
    work: Work, folder: Path, observed: Observed, step: Callable[[int], object], *, telling: bool
) -> Iterator[Piece]:
    observers = [observer for _, observer in observed]
    resizing = work.network.preprocessing.resizing
    seen = look_through(work.network, folder, observers, resizing=resizing, progress=step)
    if seen.skipped and telling:
        names = ", ".join(seen.skipped[:5]) + (", …" if len(seen.skipped) > 5 else "")
        n_files = len(seen.images) + len(seen.skipped)
        log.warning("%d of %d images could not be read: %s", len(seen.skipped), n_files, legible(names))
    for key, observer in observed:
        yield from attempted([key], partial(_record, key, observer, seen))


def _record(key: str, observer: Observer, seen: Seen) -> Iterator[Piece]:
    yield Piece(key, codec.encode(observer.record(seen)))


def strips(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Make the strip of each neuron's examples side by side, layer by layer."""
    for record, artefacts in work.by_layer(todo):
        artefact_keys = {artefact.index: artefact.key for artefact in artefacts}
        yield from attempted(tuple(artefact_keys.values()), partial(_strips, work, record, artefact_keys))


def _strips(work: Work, record: LayerRecord, artefact_keys: dict[int, str]) -> Iterator[Piece]:
    table = work.store.record(keys.examples(work.layer(record).slug), ExampleTable)
    folder, shape = Path(work.config.examples), work.network.input_shape
    resizing = work.network.preprocessing.resizing
    key = keys.ranges(work.layer(record).slug)
    # Where it could not be made, the examples themselves are shown nevertheless.
    ranges = work.store.record(key, RangeTable) if record.ranges and work.store.has(key) else None
    strips = example_strips(
        table, folder, shape, tuple(artefact_keys), ranges=ranges, bands=work.bands, resizing=resizing
    )
    for index, data in strips:
        yield Piece(artefact_keys[index], data)
