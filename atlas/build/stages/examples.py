"""The stages that make dataset examples: a table of each layer, a strip of pictures of each neuron."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from atlas.analysis.examples import example_strips, find_examples
from atlas.build.engine import Piece, attempted
from atlas.build.plan import Artefact
from atlas.build.work import Work
from atlas.core.errors import legible
from atlas.core.records import ExampleTable, LayerRecord
from atlas.drawing.image_files import check_readable, image_files
from atlas.store import codec, keys
from atlas.system.progress import bar

log = logging.getLogger(__name__)


def foresee_examples(work: Work) -> None:
    """Refuse a folder without a readable image, before hours of work; raises ExamplesFolderError."""
    if work.todo["examples"]:
        check_readable(Path(work.config.examples), work.network.input_shape)


def examples(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Find the examples of all layers in one pass over the images."""
    if todo:
        yield from attempted([artefact.key for artefact in todo], partial(_examples, work, todo))


def _examples(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    layers = [work.network.layer(artefact.layer) for artefact in todo]
    folder, count = Path(work.config.examples), work.config.dataset_examples.count
    total = len(image_files(folder))
    with bar("dataset examples", total, unit="images") as step:
        tables = find_examples(
            work.network,
            layers,
            folder,
            k=count,
            resizing=work.network.preprocessing.resizing,
            progress=step,
        )
    skipped = next(iter(tables.values())).skipped
    if skipped:
        names = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
        log.warning("%d of %d images could not be read: %s", len(skipped), total, legible(names))
    for artefact in todo:
        yield Piece(artefact.key, codec.encode(tables[artefact.layer]))


def strips(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
    """Make the strip of each neuron's examples side by side, layer by layer."""
    for record, artefacts in work.by_layer(todo):
        artefact_keys = {artefact.index: artefact.key for artefact in artefacts}
        yield from attempted(tuple(artefact_keys.values()), partial(_strips, work, record, artefact_keys))


def _strips(work: Work, record: LayerRecord, artefact_keys: dict[int, str]) -> Iterator[Piece]:
    table = work.store.record(keys.examples(work.layer(record).slug), ExampleTable)
    folder, shape = Path(work.config.examples), work.network.input_shape
    resizing = work.network.preprocessing.resizing
    strips = example_strips(table, folder, shape, tuple(artefact_keys), bands=work.bands, resizing=resizing)
    for index, data in strips:
        yield Piece(artefact_keys[index], data)
