"""The stage that draws feature visualizations, and each band of a layer's main ones."""

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
    """Yield shards that draw some neurons of a layer and variant each, and their bands."""
    for record in work.records.values():
        for variant in record.featurevis:
            of = [a for a in todo if (a.layer, a.part) == (record.layer, variant)]
            keys, strips = ({a.index: a.key for a in of if a.stage == one} for one in ("featurevis", "bands"))
            settings = work.draw_settings(record.layer, recipe_of(work.config, record, variant))
            for branch, part in _parts(work, record, settings, tuple(dict.fromkeys([*keys, *strips]))):
                group, what = (f"{record.layer} {variant}", branch), f"{variant} pictures"
                held, bands = ({n: of[n] for n in part if n in of} for of in (keys, strips))
                yield _shard(title(what, record, part), group, settings, held, bands)


def _shard(
    told: str,
    group: tuple[str, ...],
    settings: DrawSettings,
    keys: Mapping[int, str],
    strips: Mapping[int, str],
) -> Shard:
    made = (*keys.values(), *strips.values())
    return Shard(told, group, lambda: partial(draw_neurons, settings, keys, strips), made)


def _parts(
    work: Work, record: LayerRecord, settings: DrawSettings, neurons: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a branch's name and neurons of it that fill batches; all at once where nothing is handed out."""
    size = work.engine.shard_size
    if size is None:
        yield from [("", neurons)] if neurons else []
        return
    size = max(size, settings.batch or 0)
    # Whole batches: two pictures more than one take as long as two.
    batch = settings.batch_on_cpu(work.network)
    size = size // batch * batch or size
    for branch in branches(work.network.view, work.layer(record), positive=settings.recipe.positive):
        held = [n for n in neurons if branch.first <= n < branch.first + branch.n_channels]
        for start in range(0, len(held), size):
            yield branch.tensor, tuple(held[start : start + size])


def draw_neurons(
    settings: DrawSettings, keys: Mapping[int, str], strips: Mapping[int, str], context: WorkerContext
) -> Iterator[Piece]:
    """Yield neurons' feature visualizations, neuron -> key, and strips of their bands; any process can."""
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
    shown = ",".join(map(str, settings.bands))
    known = {"n_bands": image.shape[2], "shown": shown, "height_px": h, "width_px": w}
    return Piece(key, jpeg(pixels, quality=settings.quality), known)
