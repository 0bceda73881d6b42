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
# The ms after which a page of 64 neurons can be used on an idle machine of 2 cores.
IDLE = 250
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


def used_after(browser: Browser, address: str) -> float:
    """Return the ms after which a click that sorts the wall of a page is answered."""
    page = opened_with(browser, _USE)
    page.goto(address)
    wait_until(page, "window.used")
    used = float(page.evaluate("window.used"))
    page.context.close()
    return used


def test_it_can_be_used_within_a_second(browser: Browser, server: str) -> None:
    """A click that sorts 512 neurons is answered within a second, the best of five.

    On a slow or busy machine the limit grows with the time of a page of 64 neurons, opened in turns.
    """
    opened = [
        [used_after(browser, f"{server}/{name}.html") for name in ("mixed4e", "mixed5b")] for _ in range(5)
    ]
    narrow, wide = map(min, zip(*opened, strict=True))
    assert wide < 1000 * max(1, narrow / IDLE), opened


def test_all_neurons_are_on_the_wall(browser: Browser, server: str) -> None:
    """The page of the speed has every neuron of its layer."""
    page = opened_with(browser, _USE)
    page.goto(f"{server}/mixed5b.html")
    assert page.locator(".wall li").count() == 512
    page.context.close()


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
