"""The stage that draws feature visualizations, and strips of the bands of each neuron's main one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial

from atlas.build.draw_settings import DrawSettings
from atlas.build.engine import Piece, Shard, WorkerContext
from atlas.build.plan import Artefact, recipe_of
from atlas.build.work import Work, title
from atlas.core.records import Floats, LayerRecord
from atlas.drawing.images import band_strip, in_colour, jpeg
from atlas.featurevis.objective import branches
from atlas.featurevis.subject import Undrawn


def featurevis(work: Work, todo: list[Artefact]) -> Iterator[Shard]:
    """Yield shards, each of which draws some neurons of a layer in one variant, and their bands."""
    for record in work.records.values():
        for variant in record.featurevis:
            pictures = [a for a in todo if (a.layer, a.part) == (record.layer, variant)]
            keys = {a.index: a.key for a in pictures if a.stage == "featurevis"}
            strips = {a.index: a.key for a in pictures if a.stage == "bands"}
            settings = work.draw_settings(record.layer, recipe_of(work.config, record, variant))
            for branch, part in _parts(work, record, settings, tuple(dict.fromkeys([*keys, *strips]))):
                group, what = (f"{record.layer} {variant}", branch), f"{variant} pictures"
                part_keys = {n: keys[n] for n in part if n in keys}
                part_strips = {n: strips[n] for n in part if n in strips}
                yield _shard(title(what, record, part), group, settings, part_keys, part_strips)


def _shard(
    shard_title: str,
    group: tuple[str, ...],
    settings: DrawSettings,
    keys: Mapping[int, str],
    strips: Mapping[int, str],
) -> Shard:
    made = (*keys.values(), *strips.values())
    return Shard(shard_title, group, lambda: partial(draw_neurons, settings, keys, strips), made)


def _parts(
    work: Work, record: LayerRecord, settings: DrawSettings, neurons: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a branch's tensor and neurons of it that fill batches; "" and all if nothing is handed out."""
    size = work.engine.shard_size
    if size is None:
        yield from [("", neurons)] if neurons else []
        return
    size = max(size, settings.batch or 0)
    # Whole batches: an incomplete one takes as long as a full one.
    batch = settings.batch_on_cpu(work.network)
    size = size // batch * batch or size
    for branch in branches(work.network.view, work.layer(record), positive=settings.recipe.positive):
        members = [n for n in neurons if branch.first <= n < branch.first + branch.n_channels]
        for start in range(0, len(members), size):
            yield branch.tensor, tuple(members[start : start + size])


def draw_neurons(
    settings: DrawSettings, keys: Mapping[int, str], strips: Mapping[int, str], context: WorkerContext
) -> Iterator[Piece]:
    """Yield neurons' feature visualizations and strips of bands, by index; any process can do this."""
    neurons = tuple(dict.fromkeys([*keys, *strips]))
    for drawn in settings.renderer(context).attempts(neurons):
        index = drawn.key if isinstance(drawn, Undrawn) else drawn[0]
        key, strip = keys.get(index), strips.get(index)
        if isinstance(drawn, Undrawn):
            yield from (Piece(one, failed=drawn.why) for one in (key, strip) if one)
            continue
        _, image, result = drawn
        if key:
            yield Piece(key, jpeg(in_colour(image, settings.bands), quality=settings.quality), asdict(result))
        if strip:
            yield _strip(strip, image, settings)


def _strip(key: str, image: Floats, settings: DrawSettings) -> Piece:
    pixels = band_strip(image)
    h, w = pixels.shape
    bands = ",".join(map(str, settings.bands))
    meta = {"n_bands": image.shape[2], "shown": bands, "height_px": h, "width_px": w}
    return Piece(key, jpeg(pixels, quality=settings.quality), meta)
