"""The page on method: every term has its place, and the atlas's own facts stand where they belong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.preprocessing import Preprocessing, Resizing
from atlas.core.records import AtlasRecord, ExampleTable
from atlas.site import render_site
from atlas.store import Store, keys

# Pages link to these; they are as fixed as addresses.
TERMS = (
    "about expanded-weights carriers strength coverage cancellation factors families feature-visualization "
    "positions examples distribution fidelity receptive-field effective-field statistics look-alikes "
    "circuits provenance limits"
).split()


def section(html: str, term: str) -> str:
    """Return a term's section without tags, its white space squeezed."""
    found = re.search(rf'<section id="{term}"[^>]*>(.*?)</section>', html, re.S)
    assert found is not None, term
    words = re.sub(r"<[^>]+>", "", found[1].replace("</t", " </t"))
    return re.sub(r"\s+", " ", words)


@pytest.fixture(scope="module")
def html(rendered: Path) -> str:
    """The page of the small made-up site."""
    return (rendered / "method.html").read_text()


def test_every_term_has_a_place_and_is_listed(html: str) -> None:
    """Sections stand in the order of the list of contents, each with a heading."""
    assert re.findall(r'<section id="([^"]+)">\s*<h2', html) == TERMS
    assert re.findall(r'<li><a href="#([^"]+)">', html) == TERMS


@pytest.mark.parametrize("term", [term for term in TERMS if term not in ("about", "provenance", "limits")])
def test_every_term_says_where_it_misleads(html: str, term: str) -> None:
    """No number is told of without what it hides."""
    assert "Where it misleads:" in section(html, term)


def test_every_page_leads_to_it(rendered: Path) -> None:
    """From the header and from the foot."""
    for page in rendered.glob("*.html"):
        assert page.read_text().count('href="method.html"') >= 2, page.name


def test_it_tells_the_facts_of_this_atlas(store: Store, tmp_path: Path) -> None:
    """Settings, layers and counts are those of the store; what is not there is not told of."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    settings = {"connections": "top 7 by L2 strength", "dataset examples": "12 for each neuron"}
    store.put_record(keys.ATLAS, replace(atlas, settings=settings))
    render_site(store, tmp_path / "site")
    html = (tmp_path / "site/method.html").read_text()
    assert "In this atlas: top 7 by L2 strength." in section(html, "coverage")
    skipped = "12 for each neuron out of 20 images; 1 more could not be read."
    assert f"In this atlas: {skipped}" in section(html, "examples")
    assert "In this atlas: 15 neurons, some of the neurons of its layers." in section(html, "about")
    times, none = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
    row = f"conv1 3 of 4 the image {none} 9 {times} 7 px 4 {times} 3 px 1 {times} 1 px {none}"
    assert row in section(html, "carriers")
    assert "2 hops upstream, following the 5, then 2 strongest connections of each neuron; 1 hop" in section(
        html, "circuits"
    )
    assert "measured on 16 of the dataset examples." in section(html, "effective-field")
    assert "no families" in section(html, "families")
    assert "In this atlas" not in section(html, "factors")


def test_it_says_how_photographs_become_inputs(store: Store, tmp_path: Path) -> None:
    """Here, on the first page and in the data; a record of an older version says what it knows."""
    render_site(store, tmp_path / "old")
    times = "\N{MULTIPLICATION SIGN}"
    html = (tmp_path / "old/method.html").read_text()
    cover = f"photographs are resized to cover 56 {times} 40 px (bilinear), the centre cropped."
    assert cover in section(html, "examples")
    assert f"images of 56 {times} 40 {times} 3, values 0 to 255." in section(html, "receptive-field")
    assert json.loads((tmp_path / "old/data/atlas.json").read_bytes())["model"]["preprocessing"] is None
    atlas = store.record(keys.ATLAS, AtlasRecord)
    stated = Preprocessing(Resizing("bicubic", 0.5), (-1.0, 1.0), (0.25, 0.5, 0.75), (2.0,), "bgr")
    store.put_record(keys.ATLAS, replace(atlas, model=replace(atlas.model, preprocessing=stated)))
    render_site(store, tmp_path / "site")
    values = "values \N{MINUS SIGN}1 to 1, minus mean 0.25, 0.5, 0.75, over std 2; channels BGR"
    resizing = (
        f"resized to cover 112 {times} 80 px (bicubic), the centre 56 {times} 40 cropped; "
        f"those of 56 {times} 40 px stay as they are"
    )
    html = (tmp_path / "site/method.html").read_text()
    assert f"photographs are {resizing}." in section(html, "examples")
    assert f"{times} 3, {values}." in section(html, "receptive-field")
    home = section((tmp_path / "site/index.html").read_text(), "made")
    assert f"Photographs are {resizing}. Images have {values}." in home
    assert json.loads((tmp_path / "site/data/atlas.json").read_bytes())["model"]["preprocessing"] == {
        "interpolation": "bicubic",
        "crop": 0.5,
        "squash": False,
        "value_range": [-1, 1],
        "mean": [0.25, 0.5, 0.75],
        "std": [2],
        "channels": "bgr",
    }


def test_it_follows_the_images(store: Store, tmp_path: Path) -> None:
    """A table of other images makes it stale, and what is told is the new number."""
    render_site(store, tmp_path / "site")
    key = keys.examples("conv1")
    table = store.record(key, ExampleTable)
    store.put_record(key, replace(table, images=(*table.images, "one_more.jpg")))
    assert "method.html" in render_site(store, tmp_path / "site").written
    assert "21 images" in section((tmp_path / "site/method.html").read_text(), "examples")
