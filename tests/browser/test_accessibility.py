"""Pages for everybody: axe finds nothing, focus is kept and shown, and no page says a word to the network."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import axe_faults, opened

pytestmark = pytest.mark.slow

# One page of each kind; those in folders, as `embed/`, are found in the site.
PAGES = (
    "index.html",
    "mixed3b.html",
    "conv1.html",
    "mixed3b_4.html",
    "conv1_2.html",
    "families.html",
    "family_curves.html",
    "family_mixed3b-proposal-1.html",
    "method.html",
)


def kinds(site: Path) -> list[str]:
    """Return the pages to look at: the fixed ones, and the first of each folder."""
    folders = sorted({page.parent for page in site.glob("*/*.html")})
    return [*PAGES, *(min(folder.glob("*.html")).relative_to(site).as_posix() for folder in folders)]


@pytest.mark.parametrize("weights", ["red-blue", "orange-purple"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, whole_site: Path, whole_served: str, scheme: str, weights: str
) -> None:
    """No violation on any kind of page, in either theme and either palette, everything unfolded."""
    with opened(browser, scheme=scheme) as page:
        page.add_init_script(f"localStorage.setItem('atlas-weights', '{weights}')")
        for name in kinds(whole_site):
            page.goto(f"{whole_served}/{name}")
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert axe_faults(page) == [], name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(browser: Browser, whole_served: str, scheme: str) -> None:
    """Nor with the search open, nor with the list of keys, on a telephone."""
    with opened(browser, scheme=scheme, width=360) as page:
        page.goto(f"{whole_served}/mixed3b_4.html")
        assert axe_faults(page) == []
        page.keyboard.press("/")
        page.keyboard.type("3b")
        page.wait_for_selector("#found [aria-selected=true]")
        assert axe_faults(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Keyboard shortcuts").click()
        assert page.get_by_role("dialog").is_visible()
        assert axe_faults(page) == []


def test_no_request_leaves_the_site(browser: Browser, whole_site: Path) -> None:
    """Whatever a page loads, scripts and search records too, lies in the site's folder or in the page."""
    asked: list[str] = []
    with opened(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        for name in kinds(whole_site):
            page.goto(f"{whole_site.as_uri()}/{name}")
        page.goto(f"{whole_site.as_uri()}/index.html")
        page.keyboard.press("/")
        page.keyboard.type("3b")
        page.wait_for_selector("#found li")
    assert any("search" in url for url in asked)
    assert [url for url in asked if not url.startswith((whole_site.as_uri(), "data:"))] == []


def test_headings_are_in_order(browser: Browser, whole_site: Path) -> None:
    """The first heading is the page's, and none skips a level on the way down."""
    with opened(browser, scripts=False) as page:
        for name in kinds(whole_site):
            page.goto(f"{whole_site.as_uri()}/{name}")
            levels = page.evaluate(
                "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])"
            )
            assert levels[:1] == [1], name
            assert levels.count(1) == 1, name
            assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), (name, levels)


def test_every_stop_of_the_keyboard_is_seen(browser: Browser, whole_site: Path) -> None:
    """Each element that Tab reaches shows an outline of its own, in the view."""
    with opened(browser) as page:
        page.goto(f"{whole_site.as_uri()}/mixed3b.html")
        for _ in range(40):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                """() => {
                    const at = document.activeElement, box = at.getBoundingClientRect();
                    const style = getComputedStyle(at);
                    const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                    return at === document.body || (seen && box.bottom > 0 && box.top < innerHeight);
                }"""
            )
            assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
