"""The stages that make pictures: dataset examples, feature visualizations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from atlas.compute.orders import Easel, NeuronsOrder
from atlas.compute.work import Work, title
from atlas.engine import Shard
from atlas.errors import legible
from atlas.examples import example_strips, find_examples
from atlas.featurevis.objective import branches
from atlas.image_files import check_readable, image_files
from atlas.plan import Artefact, recipe_of
from atlas.progress import bar
from atlas.records import ExampleTable, LayerRecord
from atlas.store import paths

log = logging.getLogger(__name__)


def foresee_examples(work: Work) -> None:
    """Refuse a folder of which no picture can be read before hours of work; raises ExamplesFolderError."""
    if work.todo["examples"]:
        check_readable(Path(work.config.examples), work.network.input_shape)


def examples(work: Work) -> None:
    """Find the examples of all layers in one pass over the images, then cut the strips."""
    missing = work.todo["examples"]
    if missing:
        with work.sparing(*missing):
            _find_examples(work, missing)
    with work.bar("strips", "example strips") as step:
        for record, artefacts in work.by_layer("strips"):
            with work.sparing(*artefacts):
                _cut_strips(work, record, artefacts)
            step(len(artefacts))


def _cut_strips(work: Work, record: LayerRecord, artefacts: list[Artefact]) -> None:
    table = work.store.record(paths.examples(work.layer(record).slug), ExampleTable)
    by_index = {artefact.index: artefact for artefact in artefacts}
    folder, shape = Path(work.config.examples), work.network.input_shape
    for index, data in example_strips(table, folder, shape, tuple(by_index), bands=work.bands):
        work.store.put(by_index[index].key, data, inputs=by_index[index].inputs)


def featurevis(work: Work) -> None:
    """Draw feature visualizations, a layer and variant at a time, each kept as soon as it is back."""
    with work.bar("featurevis", "feature visualization", unit="images") as step:
        work.make("featurevis", _featurevis_shards(work), step, also="bands")


def _featurevis_shards(work: Work) -> Iterator[Shard]:
    for record in work.records.values():
        for variant in record.featurevis:
            keys, strips = (_keys(work, stage, record, variant) for stage in ("featurevis", "bands"))
            recipe = recipe_of(work.config, record, variant)
            easel, what = work.easel(record.layer, recipe), f"{variant} pictures"
            for branch, part in _parts(work, record, easel, tuple(dict.fromkeys([*keys, *strips]))):
                held, bands = ({n: of[n] for n in part if n in of} for of in (keys, strips))
                order = partial(NeuronsOrder, easel, held, bands)
                made = (*held.values(), *bands.values())
                yield Shard(title(what, record, part), (f"{record.layer} {variant}", branch), order, made)


def _keys(work: Work, stage: str, record: LayerRecord, variant: str) -> dict[int, str]:
    """Return the keys of a stage that are to be made of a layer and variant, by neuron."""
    return {a.index: a.key for a in work.todo[stage] if (a.layer, a.part) == (record.layer, variant)}


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
        log.warning("%d of %d images could not be read: %s", len(skipped), total, legible(named))
    for artefact in missing:
        work.store.put_record(artefact.key, tables[artefact.layer], inputs=artefact.inputs)
