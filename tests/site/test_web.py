"""What a site tells the web around it: full addresses where its own is known, previews, a sitemap."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from atlas.site import Web, check_site, render_site
from atlas.site.web import sitemap
from atlas.store import Store

URL = "https://a.org/x/"


@pytest.fixture(scope="module")
def published(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that knows its address."""
    site = tmp_path_factory.mktemp("web") / "site"
    with Store.open(filled) as store:
        render_site(store, site, web=Web(URL, {"old.html": "mixed3b_4.html"}))
    return site


def named(html: str, name: str) -> list[str]:
    """Return the contents of the meta tags of a name or property."""
    return re.findall(rf'<meta (?:name|property)="{name}" content="([^"]*)">', html)


def test_every_page_names_itself(published: Path) -> None:
    """Canonical and og:url are a page's own full address, the home page's that of the folder."""
    for page in published.glob("*.html"):
        html = page.read_text()
        own = {"index.html": "", "old.html": "mixed3b_4.html"}.get(page.name, page.name)
        assert re.findall(r'<link rel="canonical" href="([^"]*)">', html) == [URL + own], page.name
        assert named(html, "og:url") == ([URL + own] if page.name != "old.html" else []), page.name
    assert check_site(published) == ()


def test_an_embedded_page_names_the_whole_one(published: Path) -> None:
    """Its canonical address is the neuron's page."""
    html = (published / "embed/mixed3b_4.html").read_text()
    assert f'<link rel="canonical" href="{URL}mixed3b_4.html">' in html


def test_without_an_address_nothing_is_made_up(rendered: Path) -> None:
    """Then pages are the same wherever they lie."""
    html = (rendered / "mixed3b_4.html").read_text()
    assert named(html, "og:url") == []
    assert "canonical" not in html
    assert not (rendered / "sitemap.xml").exists()


def test_a_preview_has_a_picture_with_its_size(published: Path, rendered: Path) -> None:
    """In full where the address is known."""
    for site, start in ((published, URL), (rendered, "")):
        html = (site / "mixed3b_4.html").read_text()
        assert named(html, "og:image") == [f"{start}images/neuron/mixed3b_4.jpg"]
        assert named(html, "og:image:width") == named(html, "og:image:height") == ["40"]
        assert named(html, "og:image:alt") == ["Feature visualization of mixed3b:4"]
        assert named(html, "twitter:card") == ["summary"]


def test_the_sitemap_lists_what_readers_walk_through(published: Path) -> None:
    """Every page of the root but redirects; none for an iframe."""
    tree = ElementTree.parse(published / "sitemap.xml")
    found = [loc.text for loc in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    pages = {page.name for page in published.glob("*.html")} - {"old.html", "index.html"}
    assert set(found) == {URL, *(URL + page for page in pages)}
    assert len(found) == len(set(found))


def test_an_address_is_escaped() -> None:
    """An ampersand in a path does not break the list."""
    assert b"<loc>https://a.org/b&amp;c/d.html</loc>" in sitemap("https://a.org/b&c/", ["d.html"])


def test_a_new_address_is_told_by_every_page(store: Store, tmp_path: Path) -> None:
    """A site that moves is written again."""
    render_site(store, tmp_path / "site", web=Web(URL))
    result = render_site(store, tmp_path / "site", web=Web("https://b.org/"))
    assert {p.name for p in (tmp_path / "site").glob("*.html")} <= set(result.written)
    assert not any(URL in p.read_text() for p in (tmp_path / "site").rglob("*.html"))
