"""The stages that make pictures: dataset examples, feature visualizations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from atlas.compute.work import Work
from atlas.examples import example_strips, find_examples, image_files
from atlas.featurevis.render import Renderer
from atlas.images import jpeg
from atlas.plan import Artefact, recipe_of
from atlas.progress import bar
from atlas.records import ExampleTable, LayerRecord
from atlas.store import paths
from atlas.store.fingerprint import Inputs

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
    """Draw feature visualizations, a layer and variant at a time, each kept as soon as it is done."""
    with work.bar("featurevis", "feature visualization", unit="images") as step:
        for record, artefacts in work.by_layer("featurevis"):
            for variant in record.featurevis:
                of_variant = {a.index: a.key for a in artefacts if a.part == variant}
                inputs = next((a.inputs for a in artefacts if a.part == variant), {})
                for _ in _draw(work, record, variant, of_variant, inputs):
                    step(1)


def _draw(
    work: Work, record: LayerRecord, variant: str, keys: dict[int, str], inputs: Inputs
) -> Iterator[None]:
    if not keys:
        return
    recipe = recipe_of(work.config, record, variant)
    batch = work.config.featurevis.batch
    with Renderer(work.network, work.layer(record), recipe, batch=batch) as renderer:
        for index, image, result in renderer.render(tuple(keys)):
            data = jpeg(image, quality=work.config.featurevis.quality)
            work.store.put(keys[index], data, inputs=inputs, meta=asdict(result))
            yield


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
