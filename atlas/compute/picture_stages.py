"""The stages that make pictures: dataset examples, feature visualizations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from atlas.compute.orders import Easel, NeuronsOrder
from atlas.compute.work import Work, title
from atlas.engine import Shard
from atlas.examples import example_strips, find_examples, image_files
from atlas.featurevis.objective import branches
from atlas.plan import Artefact, recipe_of
from atlas.progress import bar
from atlas.records import ExampleTable, LayerRecord
from atlas.store import paths

log = logging.getLogger(__name__)


def examples(work: Work) -> None:
    """Find the examples of all layers in one pass over the images, then cut the strips."""
    missing = work.todo["examples"]
    if missing:
        _find_examples(work, missing)
    with work.bar("strips", "example strips") as step:
        for record, artefacts in work.by_layer("strips"):
            table = work.store.record(paths.examples(work.layer(record).slug), ExampleTable)
            by_index = {artefact.index: artefact for artefact in artefacts}
            strips = example_strips(
                table, Path(work.config.examples), work.network.input_shape, tuple(by_index)
            )
            for index, data in strips:
                work.store.put(by_index[index].key, data, inputs=by_index[index].inputs)
                step(1)


def featurevis(work: Work) -> None:
    """Draw feature visualizations, a layer and variant at a time, each kept as soon as it is back."""
    with work.bar("featurevis", "feature visualization", unit="images") as step:
        work.make("featurevis", _featurevis_shards(work), step)


def _featurevis_shards(work: Work) -> Iterator[Shard]:
    for record, artefacts in work.by_layer("featurevis"):
        for variant in record.featurevis:
            keys = {a.index: a.key for a in artefacts if a.part == variant}
            recipe = recipe_of(work.config, record, variant)
            easel, what = work.easel(record.layer, recipe), f"{variant} pictures"
            for branch, part in _parts(work, record, easel, tuple(keys)):
                held = {index: keys[index] for index in part}
                order = partial(NeuronsOrder, easel, held)
                told = title(what, record, part)
                yield Shard(told, (f"{record.layer} {variant}", branch), order, tuple(held.values()))


def _parts(
    work: Work, record: LayerRecord, easel: Easel, neurons: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a branch's name and neurons of it that fill batches; all at once where nothing is handed out."""
    size = work.engine.shard_size
    if size is None:
        yield from [("", neurons)] if neurons else []
        return
    size = max(size, easel.batch or 0)
    # Whole batches: two pictures more than one take as long as two.
    batch = easel.batch_on_cpu(work.network)
    size = size // batch * batch or size
    for branch in branches(work.network.view, work.layer(record), positive=easel.recipe.positive):
        held = [n for n in neurons if branch.first <= n < branch.first + branch.n_channels]
        for start in range(0, len(held), size):
            yield branch.tensor, tuple(held[start : start + size])


def _find_examples(work: Work, missing: list[Artefact]) -> None:
    layers = [work.network.layer(artefact.layer) for artefact in missing]
    total = len(image_files(Path(work.config.examples)))
    with bar("dataset examples", total, unit="images") as step:
        count = work.config.dataset_examples.count
        tables = find_examples(work.network, layers, Path(work.config.examples), k=count, progress=step)
    skipped = next(iter(tables.values())).skipped
    if skipped:
        named = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
        log.warning("%d of %d images could not be read: %s", len(skipped), total, named)
    for artefact in missing:
        work.store.put_record(artefact.key, tables[artefact.layer], inputs=artefact.inputs)
