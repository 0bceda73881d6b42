"""A layer's page with 512 neurons: how soon it can be used, and whether anything moves while it loads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

import synthetic
from atlas.site import render_site
from atlas.store import Store
from browsing import serving, wait_until

pytestmark = pytest.mark.slow
# As soon as the scripts have run, a click sorts the wall, and the page is laid out again.
_USE = """
document.addEventListener("DOMContentLoaded", () => setTimeout(() => {
    [...document.querySelectorAll(".tools button")].at(-1).click();
    document.querySelector(".wall").getBoundingClientRect();
    window.used = performance.now();
}));
"""
_WATCH = """
window.moved = [];
new PerformanceObserver(list => {
    for (const one of list.getEntries()) {
        for (const { node } of one.sources) window.moved.push([one.value, node?.className || node?.nodeName]);
    }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site with a layer of 512 neurons, served."""
    root = tmp_path_factory.mktemp("wide")
    specs = [synthetic.Spec("mixed4e", 64, (3, 3)), synthetic.Spec("mixed5b", 512, (3, 3), kind="concat")]
    synthetic.fill_store(root / "store", specs)
    with Store.open(root / "store") as store:
        render_site(store, root / "site")
    with serving(root / "site") as address:
        yield address


def opened_with(browser: Browser, script: str, width: int = 1280) -> Page:
    """Return a page in which a script runs first; close its context."""
    page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
    page.add_init_script(script)
    return page


def test_it_can_be_used_within_a_second(browser: Browser, server: str) -> None:
    """The best of five, as other work may come between: a click that sorts is answered within a second."""
    times = []
    for _ in range(5):
        page = opened_with(browser, _USE)
        page.goto(f"{server}/mixed5b.html")
        wait_until(page, "window.used")
        assert page.locator(".wall li").count() == 512
        times.append(float(page.evaluate("window.used")))
        page.context.close()
    assert min(times) < 1000, times


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["mixed5b.html", "mixed5b_7.html"])
def test_nothing_moves_while_it_loads(browser: Browser, server: str, name: str, width: int) -> None:
    """What scripts unhide or add has its place beforehand: a cumulative layout shift below 0.02."""
    page = opened_with(browser, _WATCH, width)
    page.goto(f"{server}/{name}")
    page.wait_for_timeout(300)
    moved = page.evaluate("window.moved")
    page.context.close()
    assert sum({value for value, _ in moved}) < 0.02, moved
