"""How pages look: the reader chooses, the choice stays, and paper, keys and other colours are thought of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from browsing import opened

pytestmark = pytest.mark.slow

DARK, LIGHT = "rgb(21, 21, 20)", "rgb(255, 255, 255)"
FORBIDDEN = (
    "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('forbidden'); } })"
)


def paper(page: Page) -> str:
    """Return the colour of the page's background."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def ends(page: Page) -> np.ndarray:
    """Return the RGB at both ends of the first legend."""
    shot = Image.open(io.BytesIO(page.locator("#upstream .legend i").first.screenshot())).convert("RGB")
    middle = np.asarray(shot)[shot.height // 2].astype(int)
    return middle[[3, -4]]


def test_a_theme_is_chosen_and_stays(browser: Browser, address: str) -> None:
    """A button goes from the system's to light to dark; the next page comes as it was chosen."""
    with opened(browser) as page:
        page.goto(f"{address}/index.html")
        button = page.get_by_role("button", name="Theme")
        assert (button.get_attribute("aria-label"), paper(page)) == ("Theme: system", LIGHT)
        button.click()
        assert (button.get_attribute("aria-label"), paper(page)) == ("Theme: light", LIGHT)
        button.click()
        assert (button.get_attribute("aria-label"), paper(page)) == ("Theme: dark", DARK)
        page.goto(f"{address}/mixed3b_4.html")
        assert paper(page) == DARK
        page.get_by_role("button", name="Theme: dark").click()
        assert paper(page) == LIGHT


def test_a_light_page_in_a_dark_system(browser: Browser, served: str) -> None:
    """The reader's choice is stronger than the system's, which holds until there is one."""
    with opened(browser, scheme="dark") as page:
        page.goto(f"{served}/mixed3b.html")
        assert paper(page) == DARK
        page.get_by_role("button", name="Theme").click()
        assert paper(page) == LIGHT


def test_nothing_flashes(browser: Browser, served: str) -> None:
    """The theme is known before the first thing of the page is there to be painted."""
    with opened(browser) as page:
        page.add_init_script(
            """localStorage.setItem('atlas-theme', 'dark');
            new MutationObserver(() => {
                if (document.body) window.first ??= document.documentElement.dataset.theme;
            }).observe(document, { childList: true, subtree: true });"""
        )
        page.goto(f"{served}/mixed3b_4.html")
        assert page.evaluate("window.first") == "dark"


def test_other_colours_of_weights(browser: Browser, address: str) -> None:
    """Legends and kernels turn from red and blue to orange and purple, the words with them, on every page."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        legend = page.locator("#upstream .legend small").first
        assert legend.inner_text() == "blue negative, white zero, red positive"
        np.testing.assert_allclose(ends(page), [[5, 113, 176], [202, 0, 32]], atol=24)
        page.get_by_role("button", name="Colours of weights: red-blue").click()
        assert legend.inner_text() == "purple negative, white zero, orange positive"
        np.testing.assert_allclose(ends(page), [[94, 60, 153], [230, 97, 1]], atol=24)
        page.goto(f"{address}/mixed3b_5.html")
        assert legend.inner_text() == "purple negative, white zero, orange positive"
        for name in (".k", ".factors .signed"):
            filters = page.locator(name).evaluate_all("all => all.map(one => getComputedStyle(one).filter)")
            assert set(filters) == {'url("#orange-purple")'}, name


def test_where_nothing_may_be_stored(browser: Browser, served: str) -> None:
    """A choice holds for the page, and no error is told."""
    with opened(browser) as page:
        page.add_init_script(FORBIDDEN)
        page.goto(f"{served}/mixed3b_4.html")
        for _ in range(2):
            page.get_by_role("button", name="Theme").click()
        assert paper(page) == DARK
        page.keyboard.press("?")
        page.get_by_label("Enabled").uncheck()
        page.keyboard.press("Escape")


def test_without_scripts_the_system_decides(browser: Browser, served: str) -> None:
    """No dead button is shown, and a dark system has dark pages."""
    with opened(browser, scripts=False, scheme="dark") as page:
        page.goto(f"{served}/mixed3b_4.html")
        assert paper(page) == DARK
        assert page.locator("button:visible").count() == 0


@pytest.mark.parametrize("way", ["key", "button"])
def test_keys_are_listed(browser: Browser, address: str, way: str) -> None:
    """The list keeps the focus while it is open, and gives it back; Esc closes it."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        opener = page.get_by_role("button", name="Keyboard shortcuts")
        opener.focus()
        page.keyboard.press("?" if way == "key" else "Enter")
        assert page.locator("#keys dt").all_inner_texts()[:2] == ["← →", "/"]
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('body, #keys *')")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        assert not page.locator("#keys").is_visible()
        assert page.evaluate("document.activeElement.matches('[data-keys-list]')")
        assert page.url.endswith("mixed3b_4.html")


def test_keys_can_be_turned_off(browser: Browser, address: str) -> None:
    """Turned off they stay off on the next page, and the button turns them on again."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        page.keyboard.press("?")
        page.get_by_label("Enabled").uncheck()
        page.get_by_role("button", name="Close").click()
        page.goto(f"{address}/mixed3b_5.html")
        for key in ("ArrowRight", "/", "?"):
            page.keyboard.press(key)
        assert page.url.endswith("mixed3b_5.html")
        assert page.locator("#found:visible, #keys:visible").count() == 0
        page.get_by_role("button", name="Keyboard shortcuts").click()
        page.get_by_label("Enabled").check()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/mixed3b_6.html")


def test_a_question_mark_is_typed(browser: Browser, served: str) -> None:
    """In the search box it is a character like any other."""
    with opened(browser) as page:
        page.goto(f"{served}/mixed3b_4.html")
        page.keyboard.press("/")
        page.keyboard.type("a?")
        assert page.locator(".search input").input_value() == "a?"
        assert page.locator("#keys").count() == 0


def test_paper(browser: Browser, served: str) -> None:
    """On paper a page is light, whatever the screen was, and has neither header nor controls."""
    with opened(browser, scheme="dark") as page:
        page.add_init_script("localStorage.setItem('atlas-theme', 'dark')")
        page.emulate_media(media="print")
        for name in ("mixed3b_4.html", "mixed3b.html", "method.html"):
            page.goto(f"{served}/{name}")
            assert paper(page) == LIGHT
            assert (
                page.locator("header, nav, .tools, button:not(thead *)").locator("visible=true").count() == 0
            )
            assert page.locator("h1").is_visible()


def test_colours_that_the_system_forces(browser: Browser, served: str) -> None:
    """Kernels and legends keep their colours where all others are the system's."""
    with opened(browser) as page:
        page.emulate_media(forced_colors="active")
        page.goto(f"{served}/mixed3b_4.html")
        np.testing.assert_allclose(ends(page), [[5, 113, 176], [202, 0, 32]], atol=24)
        assert page.locator(".k").first.evaluate("one => getComputedStyle(one).forcedColorAdjust") == "none"
