"""Stores filled with seeded, made-up records: every kind of artefact, layers of different sizes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from atlas.analysis.distribution import Distributed
from atlas.analysis.image_pass import Batch, Seen
from atlas.core.neuron import Branch, Layer, ReceptiveField
from atlas.core.records import (
    AtlasRecord,
    CircuitShape,
    Connections,
    Distribution,
    EffectiveField,
    ExampleTable,
    Factor,
    Factorization,
    FeatureVis,
    Fidelity,
    FirstLayer,
    LayerRecord,
    LayerStatistics,
    ModelRecord,
    Paths,
    RangeTable,
)
from atlas.core.slugs import layer_slugs
from atlas.drawing.images import jpeg
from atlas.store import Store, codec, keys

HOSTILE = "<script>alert(1)</script>"
STRANGE = "block/one two:three"
# What tells of all files of a site is written again with any of them.
LISTS = {"data/atlas.json", "data/checksums.txt"}
LABELS = ("tench", "great white shark", HOSTILE, 'a "quoted" & sharp label', "cock", "hen")


@dataclass(frozen=True)
class Spec:
    """A layer to make up: its kernel is that of the way from the layer before, (h, w)."""

    name: str
    n_channels: int
    kernel: tuple[int, int]
    neurons: tuple[int, ...] | None = None
    kind: str = "conv"


SMALL = (
    Spec("conv1", 4, (3, 5), neurons=(0, 2, 3)),
    Spec(STRANGE, 5, (1, 1)),
    Spec("mixed3b", 7, (5, 4), kind="concat"),
)


def fill_store(
    folder: Path,
    specs: Sequence[Spec] = SMALL,
    *,
    k: int = 50,
    px: int = 40,
    seed: int = 0,
    variants: tuple[str, ...] = ("neuron", "neuron-negative"),
) -> None:
    """Fill a store with an atlas of the layers in `specs`, ending in six classes that have no pages."""
    rng = np.random.default_rng(seed)
    layers = make_layers(specs)
    pictures = [jpeg(grating(rng, px)) for _ in range(24)]
    rows = [np.concatenate([grating(rng, 96) for _ in range(12)], 1) for _ in range(6)]
    strips = [jpeg(np.concatenate([row, row[:64]])) for row in rows]
    with Store.open(folder, write=True) as store:
        for at, spec in enumerate(specs):
            before = layers[at - 1] if at else None
            put_layer(store, spec, layers, at, k=k, rng=rng)
            for n in spec.neurons or range(spec.n_channels):
                put_pictures(store, layers[at], n, variants, px=px, pictures=pictures, strips=strips)
                source = before.name if before else "input"
                factors = factorization(rng, source, before.n_channels if before else 3, spec.kernel)
                store.put_record(keys.factorization(layers[at].slug, n), factors)
        store.put_record(keys.ATLAS, atlas_record(specs, layers, variants))


def make_layers(specs: Sequence[Spec]) -> tuple[Layer, ...]:
    """Return the layers, and after them a branch without a page and the classes."""
    names = [spec.name for spec in specs] + ["mixed3b_1x1", "logits"]
    slugs = layer_slugs(names)
    layers = []
    for at, spec in enumerate(specs):
        field = ReceptiveField((7 + 8 * at, 9 + 8 * at), (2**at, 2**at), (-3, -4))
        shape = (40 // 2**at, 56 // 2**at)
        layers.append(
            Layer(
                spec.name, slugs[spec.name], spec.kind, f"{slugs[spec.name]}:0", spec.n_channels, shape, field
            )
        )
    # mixed3b ends in the branch: its neurons 2 and 3 are the branch's 0 and 1.
    parts = (Branch("mixed3b_1x1", 2, 2),)
    layers = [replace(layer, branches=parts) if layer.name == "mixed3b" else layer for layer in layers]
    layers.append(Layer("mixed3b_1x1", slugs["mixed3b_1x1"], "conv", "b:0", 2, (5, 7), None, trunk=False))
    layers.append(Layer("logits", slugs["logits"], "dense", "logits:0", len(LABELS), None, None))
    return tuple(layers)


def atlas_record(specs: Sequence[Spec], layers: tuple[Layer, ...], variants: tuple[str, ...]) -> AtlasRecord:
    """Return the record that is read first."""
    chain = ["input", *(spec.name for spec in specs), "logits"]
    model = ModelRecord(
        name=f"Made-up network {HOSTILE}",
        sha256="5f" * 32,
        input_shape=(40, 56, 3),
        value_range=(0.0, 255.0),
        layers=layers,
        labels=LABELS,
        edges=tuple(itertools.pairwise(chain)),
    )
    records = tuple(
        LayerRecord(
            layer=spec.name,
            neurons=spec.neurons or tuple(range(spec.n_channels)),
            upstream=chain[at],
            downstream=chain[at + 2],
            featurevis=variants,
            examples=True,
            ranges=True,
            distribution=True,
            fidelity=True,
            two_before=chain[at - 1] if at else None,
        )
        for at, spec in enumerate(specs)
    )
    settings = {"featurevis.preset": "draft", "connections.k": "50", "seed": "0"}
    return AtlasRecord(
        "A made-up atlas",
        model,
        records,
        settings,
        {"atlas": "0.1.0", "numpy": "2"},
        ("Made of noise.",),
        CircuitShape(up=2, down=1, fan=(5, 2, 1), between=0.3),
    )


def put_layer(
    store: Store, spec: Spec, layers: tuple[Layer, ...], at: int, *, k: int, rng: np.random.Generator
) -> None:
    """Put the connections and the example table of one layer."""
    layer, n = layers[at], spec.n_channels
    after = layers[at + 1] if layers[at + 1].name != "mixed3b_1x1" else layers[-1]
    source, n_source = (layers[at - 1].name, layers[at - 1].n_channels) if at else ("input", 3)
    up = connections(rng, (source, layer.name), "upstream", n, n_source, k=k, kernel=spec.kernel)
    kernel = (1, 1) if after.kind == "dense" else spec.kernel
    down = connections(rng, (layer.name, after.name), "downstream", n, after.n_channels, k=k, kernel=kernel)
    store.put_record(keys.connections(layer.slug, "upstream"), up)
    store.put_record(keys.connections(layer.slug, "downstream"), down)
    store.put_record(keys.signed_paths(layer.slug, 1), signed_paths(up, hops=1, one_path=at == 0))
    if at:
        before, n_before = (layers[at - 2].name, layers[at - 2].n_channels) if at > 1 else ("input", 3)
        own = np.random.default_rng(at)
        far = connections(own, (before, layer.name), "upstream", n, n_before, k=12, kernel=(9, 7))
        store.put_record(keys.signed_paths(layer.slug, 2), signed_paths(far, hops=2))
    store.put_record(keys.examples(layer.slug), example_table(rng, layer))
    # Random numbers of their own, so that what else is made up stays as it is.
    own = np.random.default_rng(at)
    store.put_record(keys.statistics(layer.slug), statistics(own, spec, source))
    store.put_record(keys.effective_field(layer.slug), effective_field(own, layer))
    store.put_record(keys.ranges(layer.slug), range_table(own, layer))
    store.put_record(keys.distribution(layer.slug), distribution(own, layer))
    store.put_record(keys.fidelity(layer.slug), fidelity(own, layer.name, source, n_source, n))
    if not at:
        store.put_record(keys.filters(layer.slug), first_layer(own, spec, after.name))


def effective_field(rng: np.random.Generator, layer: Layer) -> EffectiveField:
    """Return a field with most of its energy around the middle of the receptive field."""
    assert layer.receptive_field is not None
    h, w = layer.receptive_field.size
    y, x = (np.abs(np.arange(n) - (n - 1) / 2) / n for n in (h, w))
    energy = rng.random((h, w)) * np.exp(-30 * (y[:, None] ** 2 + x**2))
    inner, outer = (h - 4, w - 5), (h - 2, w - 2)
    what = "16 of the dataset examples"
    return EffectiveField(layer.name, what, inner, outer, (h, w), (energy / energy.sum()).astype(np.float32))


def range_table(rng: np.random.Generator, layer: Layer) -> RangeTable:
    """Return a table over 20 images, of whose levels the highest has none, and which neuron 0 has not."""
    n, levels = layer.n_channels, (0.99, 0.75, 0.5)
    image = rng.integers(0, 20, (n, len(levels), 3)).astype(np.int32)
    image[:, 0], image[0] = -1, -1
    activation = -np.sort(-rng.gamma(2, 10, (n, len(levels) * 3)).astype(np.float32), axis=1)
    return RangeTable(
        layer=layer.name,
        images=tuple(f"n{at + 1440764:08d}_{LABELS[at % 2].replace(' ', '_')}_{at}.jpg" for at in range(20)),
        levels=levels,
        n_positive=np.r_[0, rng.integers(9, 20, n - 1)].astype(np.int32),
        image=image,
        activation=activation.reshape(image.shape),
        position=rng.integers(0, 5, (*image.shape, 2)).astype(np.int32),
        box=rng.integers(0, 40, (*image.shape, 4)).astype(np.int32),
    )


def distribution(rng: np.random.Generator, layer: Layer) -> Distribution:
    """Return what is counted of 20 images of noise; neuron 0 never fires."""
    observer = Distributed(layer)
    values = rng.gamma(3, 20, (20, 3, 4, layer.n_channels)) * (rng.random((20, 3, 4, layer.n_channels)) < 0.3)
    values[..., 0] = 0
    names = tuple(f"{i}.jpg" for i in range(20))
    pixels = np.zeros((20, 1, 1, 3), np.float32)
    observer.add(Batch(0, names, pixels, {layer.name: values.astype(np.float32)}))
    return observer.record(Seen(names, ()))


def fidelity(rng: np.random.Generator, layer: str, source: str, n_source: int, n: int) -> Fidelity:
    """Return correlations that rise with the inputs kept; neuron 0 is constant, and 1 is explained badly."""
    kept = (*(k for k in (1, 3, 10, 30, 50) if k < n_source), n_source)
    correlation = np.sort(rng.uniform(0.1, 0.95, (n, len(kept))), axis=1)
    correlation[0] = np.nan
    correlation[1:2] *= 0.4
    magnitude = rng.gamma(1, 1, (n_source, n)).astype(np.float32)
    sign = rng.choice([-1, 1], (n_source, n))
    before, after = correlation.astype(np.float32), (0.7 * correlation).astype(np.float32)
    return Fidelity(
        layer=layer,
        source=source,
        carrier=f"{source}_pool",
        what="random positions whose window lies within the image",
        n_images=20,
        n_samples=320,
        kept=kept,
        r2=before**2 - 0.2,
        correlation=before,
        r2_after=after**2 - 0.5,
        correlation_after=after,
        n_firing=np.r_[0, rng.integers(10, 320, n - 1)].astype(np.int32),
        contribution=(sign * magnitude).astype(np.float32),
        magnitude=magnitude * 1.5,
    )


def statistics(rng: np.random.Generator, spec: Spec, source: str) -> LayerStatistics:
    """Return statistics with the shapes and ranges of real ones; a concatenation has two branches."""
    n, k = spec.n_channels, min(8, spec.n_channels - 1)
    values = {
        name: rng.lognormal(0, 1, n).astype(np.float32) for name in ("l2", "l1", "crispness", "n_inputs")
    }
    values["n_inputs"] += 1
    branched, first = spec.kind == "concat", np.arange(n) < 2
    return LayerStatistics(
        layer=spec.name,
        source=source,
        carrier="pool/max",
        branch=tuple(np.where(first, "=1x1", "3x3").tolist()) if branched else (),
        branch_index=np.where(first, np.arange(n), np.arange(n) - 2).astype(np.int32)
        if branched
        else np.full(n, -1, np.int32),
        balance=rng.uniform(-1, 1, n).astype(np.float32),
        percentile=rng.uniform(0, 100, (n, 5)).astype(np.float32),
        order=rng.permutation(n).astype(np.int32),
        nearest=np.stack([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)]).astype(
            np.int32
        ),
        similarity=-np.sort(-rng.uniform(-1, 1, (n, k)), 1).astype(np.float32),
        **values,
    )


def first_layer(rng: np.random.Generator, spec: Spec, after: str) -> FirstLayer:
    """Return filters of noise around grey."""
    shape = (spec.n_channels, *spec.kernel, 3)
    order = rng.permutation(spec.n_channels).astype(np.int32)
    return FirstLayer(spec.name, after, "expanded weights", 0.62, order, rng.random(shape).astype(np.float32))


def connections(
    rng: np.random.Generator,
    pair: tuple[str, str],
    direction: str,
    n: int,
    n_candidates: int,
    *,
    k: int,
    kernel: tuple[int, int],
) -> Connections:
    """Return connections that agree with themselves: sorted strengths, shares of all candidates' mass."""
    h, w = kernel
    yy, xx = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    angle = rng.uniform(0, np.pi, (n, n_candidates, 1, 1))
    wave = np.cos(3 * (np.cos(angle) * xx + np.sin(angle) * yy) + rng.uniform(0, 6, angle.shape))
    scale = rng.lognormal(-2, 1, angle.shape) * rng.choice([-1, 1], angle.shape)
    weights = (scale * (wave * np.exp(-2 * (xx**2 + yy**2)) + 0.1 * rng.normal(size=wave.shape))).astype("f4")
    norm = np.sqrt(np.square(weights).sum((2, 3)))
    order = np.argsort(-norm, axis=1, kind="stable")[:, :k].astype(np.int32)
    shown = np.take_along_axis(weights, order[:, :, None, None], 1)
    absolute = np.abs(weights).sum((1, 2, 3))
    return Connections(
        source=pair[0],
        target=pair[1],
        carrier="pool/max:0" if pair[0] == "mixed3b" else f"{pair[0]}:0",
        direction=direction,
        n_candidates=n_candidates,
        cropped=0.021 if direction == "upstream" else 0.0,
        index=order,
        strength=np.take_along_axis(norm, order, 1),
        sign=np.sign(shown.sum((2, 3))).astype(np.int32),
        kernel=shown,
        peak=np.abs(weights).max((1, 2, 3)),
        l2=(np.square(shown).sum((1, 2, 3)) / np.square(norm).sum(1)).astype(np.float32),
        l1=(np.abs(shown).sum((1, 2, 3)) / absolute).astype(np.float32),
    )


def signed_paths(shown: Connections, *, hops: int, one_path: bool = False) -> Paths:
    """Return paths of shown connections whose ratio grows from rank to rank, up to 0.9; 0 for one path."""
    n, k = shown.index.shape
    ratio = np.broadcast_to(np.linspace(0.1, 0.9, k) * (not one_path), (n, k)).astype("f4")
    kernel, left = shown.kernel[:, :12], ratio[:, :12, None, None]
    absolute = np.abs(kernel) / (1 - left)
    shared = ("source", "target", "carrier", "n_candidates", "index", "strength", "sign", "peak", "l2", "l1")
    return Paths(
        hops=hops,
        cropped=0.0,
        ratio=ratio,
        kernel=kernel,
        positive=(absolute + kernel) / 2,
        total_ratio=ratio.mean(1),
        **{name: getattr(shown, name) for name in shared},
    )


def factorization(
    rng: np.random.Generator, source: str, n_source: int, kernel: tuple[int, int]
) -> Factorization:
    """Return a factorization, a degenerate one where there is one position only."""
    if kernel == (1, 1):
        return Factorization(source, 0, 0.0, (), "All weights are zero, so there is nothing to factor.")
    factors = []
    for at in range(3):
        weights = rng.random(kernel) ** 3
        picked = tuple(rng.permutation(n_source)[:8].tolist())
        loadings = np.sort(rng.random(len(picked)))[::-1]
        loadings = loadings / np.sqrt(np.square(loadings).sum())
        factors.append(
            Factor(
                sign=(1, -1, 1)[at],
                strength=3.0 - at,
                map=tuple(map(tuple, weights.tolist())),
                source_neurons=picked,
                loadings=tuple(loadings.tolist()),
            )
        )
    return Factorization(source, 3, 0.418, tuple(factors))


def example_table(rng: np.random.Generator, layer: Layer) -> ExampleTable:
    """Return a table over 20 images, where neuron 0 has fewer than 12."""
    n = layer.n_channels
    image = rng.integers(0, 20, (n, 12)).astype(np.int32)
    activation = -np.sort(-rng.gamma(3, 20, (n, 12)).astype(np.float32), axis=1)
    image[0, 9:], activation[0, 9:] = -1, 0
    return ExampleTable(
        layer=layer.name,
        images=tuple(f"n{at + 1440764:08d}_{LABELS[at % 2].replace(' ', '_')}_{at}.jpg" for at in range(20)),
        skipped=("broken <b>.jpg",),
        image=image,
        activation=activation,
        position=rng.integers(0, 5, (n, 12, 2)).astype(np.int32),
        box=rng.integers(0, 40, (n, 12, 4)).astype(np.int32),
    )


def put_pictures(
    store: Store,
    layer: Layer,
    index: int,
    variants: tuple[str, ...],
    *,
    px: int,
    pictures: list[bytes],
    strips: list[bytes],
) -> None:
    """Put a neuron's feature visualizations and its strip of examples."""
    start = sum(map(ord, layer.name)) + index
    for at, variant in enumerate(variants):
        known = FeatureVis(variant, px, px, 512, 12.5 + index)
        meta = {name: getattr(known, name) for name in known.__dataclass_fields__}
        data = pictures[(start + 7 * at) % len(pictures)]
        store.put(keys.featurevis(variant, layer.slug, index), data, meta=meta)
    store.put(keys.example_strip(layer.slug, index), strips[start % len(strips)])


def grating(rng: np.random.Generator, px: int) -> np.ndarray:
    """Return a colourful picture, float32 [px, px, 3] in [0, 1]."""
    yy, xx = np.mgrid[0 : 1 : px * 1j, 0 : 1 : px * 1j]
    angle, turns = rng.uniform(0, np.pi), rng.uniform(2, 9)
    bend = rng.uniform(-3, 3)
    phase = 2 * np.pi * turns * (np.cos(angle) * xx + np.sin(angle) * yy) + bend * (xx - 0.5) * (yy - 0.5) * 9
    colours = rng.random((2, 3)) * 0.9
    share = (0.5 + 0.5 * np.cos(phase))[..., None]
    return (share * colours[0] + (1 - share) * colours[1] + 0.1 * rng.random((px, px, 3))).astype(np.float32)


def put_record_at(store: Store, key: str, record: object) -> None:
    """Put a record in place of another."""
    store.put(key, codec.encode(record))
