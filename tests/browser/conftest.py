"""A headless Chromium, and a made-up site below a sub-path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

import synthetic
from atlas.core.records import AtlasRecord, DirectionSheet, Family, FamilyRecord
from atlas.drawing.images import jpeg
from atlas.site import render_site
from atlas.store import Store, codec, keys
from browsing import serving

CHROMIUM = Path("/usr/bin/chromium")
# Nothing that looks for a network, a graphics card or a profile.
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skips where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}; install Debian's chromium to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small made-up site, two folders below what is served."""
    root = tmp_path_factory.mktemp("browser")
    synthetic.fill_store(root / "store")
    with Store.open(root / "store") as store:
        render_site(store, root / "www" / "papers" / "atlas")
    return root / "www" / "papers" / "atlas"


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The site's address over http, below a sub-path."""
    with serving(site.parents[1]) as root:
        yield f"{root}/papers/atlas"


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, site: Path, served: str) -> str:
    """The site's address, once from the disk and once over http below a sub-path."""
    return served if request.param == "http" else site.as_uri()


@pytest.fixture(scope="session")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up site with a page of every kind and all that a page can show, two folders below its root."""
    root = tmp_path_factory.mktemp("whole")
    synthetic.fill_store(root / "store")
    with Store.open(root / "store", write=True) as store:
        atlas = store.record(keys.ATLAS, AtlasRecord)
        last = replace(atlas.layers[-1], positions=(4,), factor_pictures=(4,))
        named = FamilyRecord(
            "Curves", "curves", "mixed3b", (4, 6), str(last.upstream), "c:0", 2, note="Some."
        )
        layers = (*atlas.layers[:-1], last)
        store.put_record(keys.ATLAS, replace(atlas, layers=layers, families=(named,), n_proposals=1))
        _put_directions(store, str(last.upstream))
        _put_families(store, str(last.upstream))
    with Store.open(root / "store") as store:
        render_site(store, root / "www" / "papers" / "atlas")
    return root / "www" / "papers" / "atlas"


@pytest.fixture(scope="session")
def whole_served(whole_site: Path) -> Iterator[str]:
    """Its address over http, below a sub-path."""
    with serving(whole_site.parents[1]) as root:
        yield f"{root}/papers/atlas"


def _put_directions(store: Store, source: str) -> None:
    """Put the pictures of a neuron's positions and factors."""
    for key, n_rows, n_columns in (
        (keys.positions("mixed3b", 4), 5, 4),
        (keys.factor_pictures("mixed3b", 4), 1, 3),
    ):
        magnitudes = tuple(at / 10 for at in range(n_rows * n_columns))
        sheet = DirectionSheet(source, n_rows, n_columns, 40, 30, 176, 1.0, magnitudes=magnitudes)
        pixels = np.full((n_rows * 41 - 1, n_columns * 31 - 1, 3), 90, np.uint8)
        store.put(key, jpeg(pixels), meta=codec.encode_meta(sheet))


def _put_families(store: Store, source: str) -> None:
    """Put a family that a person named and one that the program proposes."""
    rng = np.random.default_rng(0)

    def family(name: str, neurons: tuple[int, ...]) -> Family:
        maps = rng.normal(size=(len(neurons), 5, 4, 2)).astype("f4")
        loadings = np.abs(rng.normal(size=(2, 5))).astype("f4")
        strength = np.array([2, 1], "f4")
        none = np.zeros((0, 0), "i4")
        return Family(name, "mixed3b", source, "c:0", neurons, 0.25, maps, loadings, strength, none)

    proposal = replace(
        family("Proposal 1 of mixed3b", (6, 2, 5)),
        score=0.4,
        angles=(0, 90, 0),
        flipped=(False, False, True),
        agreement=(0.5, 0.5, 0.5),
        matched=np.array([[4, 0], [1, 2], [3, 0]], "i4"),
    )
    named = replace(family("Curves", (4, 6)), note="Some.")
    for key, record in ((keys.family("curves"), named), (keys.proposal("mixed3b", 1), proposal)):
        store.put_record(key, record, meta={"members": len(record.neurons)})
    weights = rng.normal(size=(5, 4, 5, 7)).astype("f4")
    slugs = {layer.name: layer.slug for layer in store.record(keys.ATLAS, AtlasRecord).model.layers}
    store.put(keys.weights(slugs[source], "mixed3b"), codec.encode_array(weights))
