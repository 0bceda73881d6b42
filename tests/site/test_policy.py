"""What pages may load and do: nothing but the site's own files, and no script that stands in a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.site import Web, render_site
from atlas.store import Store
from sites import foreign_scripts, tags


@pytest.fixture
def pages(store: Store, tmp_path: Path) -> dict[str, str]:
    """Every page of a site, by its address; one of them stands at a former address."""
    site = tmp_path / "site"
    render_site(store, site, web=Web("", {"old/a.html": "mixed3b_4.html"}))
    return {p.relative_to(site).as_posix(): p.read_text() for p in site.rglob("*.html")}


def test_every_page_has_it_first_in_head(pages: dict[str, str]) -> None:
    """A policy holds for what comes after it, so that nothing may come before."""
    assert {"index.html", "mixed3b.html", "mixed3b_4.html", "embed/mixed3b_4.html", "method.html"} <= set(
        pages
    )
    assert "old/a.html" in pages
    for name, text in pages.items():
        found = tags(text)
        assert [tag for tag, _ in found[:3]] == ["html", "head", "meta"], name
        assert found[2][1]["http-equiv"] == "Content-Security-Policy", name
        # Where pages name their encoding late, browsers guess.
        assert text.encode().index(b'<meta charset="utf-8">') < 1024 - 22, name


def test_all_is_forbidden_that_is_not_named(pages: dict[str, str]) -> None:
    """No script from a page itself or from elsewhere, on light pages none at all; no host but the site's."""
    for name, text in pages.items():
        policy = next(str(attrs["content"]) for tag, attrs in tags(text) if tag == "meta")
        rules = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"], name
        light = name.startswith(("embed/", "old/"))
        assert rules.get("script-src") == (None if light else ["'self'", "file:"]), name
        sources = {
            source for kind in ("script-src", "style-src", "img-src") for source in rules.get(kind, [])
        }
        assert sources == {"'self'", "file:", "data:", "'unsafe-inline'"}, name
        assert "'unsafe-inline'" not in rules["img-src"], name


def test_no_page_has_a_script_of_its_own(pages: dict[str, str]) -> None:
    """Every script is a file of the site, and no attribute is one: what the policy forbids is not there."""
    for name, text in pages.items():
        assert foreign_scripts(text) == [], name
