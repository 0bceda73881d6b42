"""What the small made-up store has not: families, directions, bands, failures, an address on the web."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from atlas.core.records import (
    AtlasRecord,
    Bands,
    DirectionSheet,
    FactorCount,
    Factorization,
    Family,
    FamilyRecord,
)
from atlas.drawing.images import jpeg
from atlas.site import Web
from atlas.store import Store, codec, keys
from synthetic import STRANGE

HOSTILE = "<script>alert('f')</script> & co"
POSITIONS = DirectionSheet("s", 5, 4, 40, 30, 176, 1.0, magnitudes=tuple(i / 10 for i in range(20)))
FACTORS = DirectionSheet("s", 1, 3, 40, 30, 176, 1.0)
COUNTS = tuple(FactorCount(n, 1 / n, 2, "ff0000" * 6) for n in range(2, 7))
# Where a site of the whole store stands, and a page that it used to have.
WEB = Web("https://example.org/atlas/", {"old/curves.html": "mixed3b_4.html#upstream"})


def add_everything(store: Store) -> None:
    """Add what a page can show beside what the small store holds."""
    add_families(store)
    add_directions(store)
    key = keys.factorization("mixed3b", 4)
    store.put_record(key, replace(store.record(key, Factorization), counts=COUNTS))
    bands = Bands(n_bands=4, shown="3,2,1", height_px=40, width_px=163)
    grey = jpeg(np.zeros((40, 163, 3), np.uint8))
    store.put(keys.bands("mixed3b", 4), grey, meta=codec.encode_meta(bands))
    store.put_failure(keys.featurevis("neuron", "mixed3b", 5), "the gradient is zero everywhere")
    store.put_failure(keys.positions("mixed3b", 5), "the gradient is zero everywhere")


def add_directions(store: Store, neurons: Iterable[int] = (4, 5)) -> None:
    """Add positions of some neurons of mixed3b, and factors of mixed3b:4."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    *others, last = atlas.layers
    last = replace(last, positions=tuple(neurons), factor_pictures=(4,))
    store.put_record(keys.ATLAS, replace(atlas, layers=(*others, last)))
    for index in neurons:
        put_sheet(store, keys.positions("mixed3b", index), POSITIONS)
    put_sheet(store, keys.factor_pictures("mixed3b", 4), FACTORS)


def put_sheet(store: Store, key: str, sheet: DirectionSheet) -> None:
    """Put a sheet of its size, with what is known of it; its source is the layer before."""
    source = store.record(keys.ATLAS, AtlasRecord).layers[1].layer
    pixels = np.zeros((sheet.n_rows * 41 - 1, sheet.n_columns * 31 - 1, 3), np.uint8)
    store.put(key, jpeg(pixels), meta=codec.encode_meta(replace(sheet, source=source)))


def add_families(store: Store) -> None:
    """Add two named families, a proposal and an empty one to a store, and weights of one pair."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    named = (
        FamilyRecord(HOSTILE, "hostile", "mixed3b", (6, 0), STRANGE, "c:0", 2, note="<b>bold</b>"),
        FamilyRecord("Small", "small", STRANGE, (1, 2), "conv1", "c:0", 2),
    )
    store.put_record(keys.ATLAS, replace(atlas, families=named, n_proposals=2))
    slugs = {layer.name: layer.slug for layer in atlas.model.layers}
    put_family(
        store,
        keys.family("hostile"),
        family("mixed3b", STRANGE, (6, 0), n_source=5, name=HOSTILE, note="<b>bold</b>"),
    )
    put_family(store, keys.family("small"), family(STRANGE, "conv1", (1, 2), n_source=4, name="Small"))
    put_family(store, keys.proposal("mixed3b", 1), proposal((6, 2, 5), 0.4))
    put_family(store, keys.proposal("mixed3b", 2), proposal((), 0.0))
    weights = np.random.default_rng(0).normal(size=(5, 4, 5, 7)).astype("f4")
    store.put(keys.weights(slugs[STRANGE], "mixed3b"), codec.encode_array(weights))


def put_family(store: Store, key: str, record: Family) -> None:
    """Put a family as a compute does."""
    store.put_record(key, record, meta={"members": len(record.neurons)})


def family(layer: str, source: str, neurons: tuple[int, ...], *, n_source: int, **more: object) -> Family:
    """Return a made-up family of two factors."""
    rng = np.random.default_rng(len(neurons))
    return Family(
        name=str(more.pop("name", "Proposal")),
        layer=layer,
        source=source,
        carrier="c:0",
        neurons=neurons,
        error=0.25,
        maps=rng.normal(size=(len(neurons), 5, 4, 2)).astype("f4"),
        loadings=np.abs(rng.normal(size=(2, n_source))).astype("f4"),
        strength=np.array([2, 1], "f4"),
        matched=more.pop("matched", np.zeros((0, 0), "i4")),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def proposal(neurons: tuple[int, ...], score: float) -> Family:
    """Return a made-up proposal of mixed3b."""
    n = len(neurons)
    return family(
        "mixed3b",
        STRANGE,
        neurons,
        n_source=5,
        name="Proposal 1 of mixed3b",
        score=score,
        angles=(0, 90, 0)[:n],
        flipped=(False, False, True)[:n],
        agreement=(0.5,) * n,
        matched=np.array([[4, 0], [1, 2], [3, 0]], "i4")[:n],
    )
