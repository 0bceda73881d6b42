"""Addresses are promises: they never change."""

from __future__ import annotations

import pytest

from atlas.site import urls

CASES = [
    (urls.HOME, "index.html"),
    (urls.ATLAS_JSON, "data/atlas.json"),
    (urls.layer_page("mixed3b"), "mixed3b.html"),
    (urls.neuron_page("mixed3b", 379), "mixed3b_379.html"),
    (urls.featurevis("mixed3b", 379), "images/neuron/mixed3b_379.jpg"),
    (
        urls.featurevis("mixed3b", 379, variant="channel-negative"),
        "images/channel-negative/mixed3b_379.jpg",
    ),
    (urls.example_strip("mixed3b", 379), "images/examples/mixed3b_379.jpg"),
    (urls.neuron_json("mixed3b", 379), "data/mixed3b_379.json"),
    (urls.neuron_npz("mixed3b", 379), "data/mixed3b_379.npz"),
    (urls.embed_page("mixed3b", 379), "embed/mixed3b_379.html"),
    (urls.NEURONS_STY, "data/neurons.sty"),
    (urls.REDIRECTS, "redirects.json"),
    (urls.SITEMAP, "sitemap.xml"),
    (urls.static("atlas", "css", "0123456789abcdef"), "static/atlas.0123456789ab.css"),
]


@pytest.mark.parametrize(("address", "expected"), CASES)
def test_address(address: str, expected: str) -> None:
    """Every kind of address is the one that was published."""
    assert address == expected


def test_the_way_to_the_root() -> None:
    """A page in a folder climbs out of each."""
    assert [urls.root(page) for page in ("a.html", "embed/a.html", "a/b/c.html")] == ["", "../", "../../"]
