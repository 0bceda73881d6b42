"""A made-up atlas for the search box, as large as one likes, and what a key stroke costs in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from atlas.core.neuron import Layer
from atlas.core.records import AtlasRecord, FamilyRecord, LayerRecord, ModelRecord
from atlas.core.slugs import layer_slugs
from atlas.site.data.search import search_script
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyAddress
from browsing import wait_until

NAMES = ("conv2d0 conv2d1 conv2d2 mixed3a mixed3b mixed4a mixed4b mixed4c mixed4d mixed4e mixed5a").split()
# What people type, letter by letter: names, aliases, numbers alone, classes, families, words, nonsense.
QUERIES = (
    "mixed4c:447",
    "3b 37",
    "379",
    "conv2d12",
    "logits/42",
    "striped shark",
    "curves",
    "mixed",
    "4 4",
    "Proposal 3 of mixed4a",
    "https://a.org/atlas/mixed3b_379.html",
    "no such thing",
)
_FIRST = "striped spotted great little golden common red blue grey white black giant".split()
_LAST = (
    "shark terrier finch newt gecko cobra spider crane otter beetle monkey church wagon flute bottle".split()
)
# A key stroke with all that follows from it but the paint, in milliseconds.
_TYPE = """queries => {
    const box = document.querySelector(".search input"), found = document.querySelector("#found");
    const times = [];
    for (const query of queries) {
        for (let n = 1; n <= query.length; n += 1) {
            box.value = query.slice(0, n);
            const start = performance.now();
            box.dispatchEvent(new Event("input"));
            found.getBoundingClientRect();
            times.push([performance.now() - start, box.value, found.querySelectorAll("li").length]);
        }
    }
    return times;
}"""


def records(n_neurons: int) -> bytes:
    """Return the search script of so many neurons: eleven layers, a twelfth of classes, forty families."""
    n = n_neurons // (len(NAMES) + 1)
    n_classes = n_neurons - n * len(NAMES)
    sizes = [*((name, n, "concat") for name in NAMES), ("logits", n_classes, "dense")]
    slugs = layer_slugs([name for name, _, _ in sizes])
    layers = tuple(
        Layer(name, slugs[name], kind, f"{name}:0", count, (7, 7), None) for name, count, kind in sizes
    )
    labels = tuple(
        f"{_FIRST[i % 12]} {_LAST[i // 12 % 15]} {i // 180 or ''}".strip() for i in range(n_classes)
    )
    families = tuple(
        FamilyRecord(f"{kind} of {name}", f"{kind}-{name}", name, (1, 2, 3), "input", "", 2)
        for name in NAMES
        for kind in ("curves", "eyes")
    )
    model = ModelRecord("Made up", "5f" * 32, (224, 224, 3), (0.0, 255.0), layers, labels, ())
    pages = tuple(LayerRecord(layer.name, tuple(range(layer.n_channels)), None, None) for layer in layers)
    atlas = AtlasRecord("Made up", model, pages, families=families)
    named = [FamilyAddress(f.slug, f.slug, f.layer) for f in families]
    proposed = [
        FamilyAddress("", f"{slugs[name]}-proposal-{i}", name, i) for name in NAMES for i in (1, 2, 3)
    ]
    return search_script(Catalogue(atlas, lambda key: False), named + proposed)


def with_records(site: Path, folder: Path, script: bytes) -> Path:
    """Return a copy of a site with other search records."""
    shutil.copytree(site, folder, dirs_exist_ok=True)
    (target,) = (folder / "static").glob("search.*.js")
    target.write_bytes(script)
    return folder


def ready(page: Page, address: str) -> None:
    """Open a page and its search box, and wait for the records."""
    page.goto(address)
    page.focus(".search input")
    wait_until(page, "window.ATLAS_SEARCH")


def typed(page: Page, queries: tuple[str, ...] = QUERIES) -> list[tuple[float, str, int]]:
    """Type queries into an open page; return for each key stroke its time in ms, the text, the results."""
    measured: list[Any] = page.evaluate(_TYPE, list(queries))
    return [(float(ms), str(text), int(n)) for ms, text, n in measured]
