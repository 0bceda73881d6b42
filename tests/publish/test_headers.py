"""Each file is served with a type that browsers take, and kept by them no longer than it lives."""

from __future__ import annotations

import pytest

from atlas.publish.headers import cache_control, content_type
from atlas.site import urls


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (urls.HOME, "text/html; charset=utf-8"),
        (urls.static("atlas", "css", "0" * 64), "text/css; charset=utf-8"),
        (urls.static("atlas", "js", "0" * 64), "text/javascript; charset=utf-8"),
        (urls.static("icon", "svg", "0" * 64), "image/svg+xml"),
        (urls.featurevis("mixed3b", 1), "image/jpeg"),
        (urls.nmf_sheet("mixed3b"), "image/png"),
        (urls.neuron_json("mixed3b", 1), "application/json"),
        (urls.neuron_npz("mixed3b", 1), "application/octet-stream"),
        ("data/neurons.sty", "text/plain; charset=utf-8"),
        (urls.layer_csv("mixed3b"), "text/csv; charset=utf-8"),
        ("notes", "application/octet-stream"),
    ],
)
def test_types(key: str, kind: str) -> None:
    """Every kind of file of a site has the type of its ending."""
    assert content_type(key) == kind


@pytest.mark.parametrize(
    ("key", "cache"),
    [
        (urls.static("atlas", "css", "ab" * 32), "public, max-age=31536000, immutable"),
        ("static/atlas.css", "public, max-age=3600"),
        ("data/x.0123456789ab.json", "public, max-age=3600"),
        (urls.neuron_page("mixed3b", 1), "public, max-age=300"),
        (urls.featurevis("mixed3b", 1), "public, max-age=3600"),
    ],
)
def test_cache(key: str, cache: str) -> None:
    """Only what has its content's hash in its name is kept for a year; pages are kept for minutes."""
    assert cache_control(key) == cache
