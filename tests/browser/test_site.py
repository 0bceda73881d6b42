"""The site in a real browser: from the disk and over http, with and without scripts, wide and narrow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser

from browsing import loads_whole, opened, walked

pytestmark = pytest.mark.slow

# Colours of the style sheet by their names, as "rgb(r, g, b)".
COLOURS = """names => names.map(name => {
    document.body.style.color = `var(${name})`;
    return getComputedStyle(document.body).color;
})"""
PAGES = ("index.html", "conv1.html", "mixed3b.html", "conv1_2.html", "mixed3b_4.html")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_every_page_loads_whole(browser: Browser, address: str, scripts: bool) -> None:
    """No error in the console, no failed request, every picture there, whatever the way to the site."""
    loads_whole(browser, [f"{address}/{name}" for name in PAGES], scripts=scripts)


def test_every_link_leads_somewhere(browser: Browser, served: str) -> None:
    """All pages, those for an iframe too, are reached from home by links, and no link is broken."""
    assert len([link for link in walked(browser, served) if link.endswith(".html")]) == 20 + 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overflows(browser: Browser, served: str, width: int, scheme: str) -> None:
    """No page scrolls sideways, on a telephone or on a desk."""
    with opened(browser, width=width, scheme=scheme) as page:
        for name in PAGES:
            page.goto(f"{served}/{name}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_search_finds_neurons_layers_and_classes(browser: Browser, address: str) -> None:
    """Aliases lead to a neuron's page, from the disk as well."""
    with opened(browser) as page:
        for query in (
            "3b:4",
            "3B : 4",
            "mixed3b 4",
            "mixed3b/4",
            "MIXED3B_4",
            "https://a.org/mixed3b_4.html",
            "https://a.org/mixed3b_4.html?x=1#factors",
            "/models/x/mixed3b_0/4",
            "https://microscope.openai.com/models/x/mixed3b_0/4?q=1",
        ):
            page.goto(f"{address}/index.html")
            page.keyboard.press("/")
            page.keyboard.type(query)
            page.wait_for_selector("#found [aria-selected=true]")
            page.keyboard.press("Enter")
            page.wait_for_url("**/mixed3b_4.html")
        page.fill(".search input", "one two")
        page.wait_for_selector("#found li")
        assert page.locator("#found li").first.inner_text().startswith("block/one two:three")
        page.fill(".search input", "nothing like it")
        page.wait_for_selector("#found p")


@pytest.mark.parametrize(
    "query",
    [
        "mixed3b_1x1:1",
        "MIXED3B_1X1/1",
        "mixed3b_1x1_1",
        "mixed3b_1x1 : 1",
        "https://a.org/mixed3b_1x1_1.html",
    ],
)
def test_search_finds_neurons_by_their_branch(browser: Browser, address: str, query: str) -> None:
    """A branch's neuron is the first that is offered, under the name of its layer."""
    with opened(browser) as page:
        page.goto(f"{address}/index.html")
        page.fill(".search input", query)
        page.wait_for_selector("#found [aria-selected=true]")
        assert page.locator("#found li").first.inner_text().startswith("mixed3b:3")
        page.keyboard.press("Enter")
        page.wait_for_url("**/mixed3b_3.html")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_circuit_leads_to_its_kernels(browser: Browser, address: str, width: int) -> None:
    """Without scripts, on any screen: a line leads to the cell with its kernel, a neuron to its page."""
    with opened(browser, scripts=False, width=width) as page:
        page.goto(f"{address}/mixed3b_4.html")
        assert (
            page.locator("#circuit svg[role=group]").get_attribute("aria-label") == "The circuit of mixed3b:4"
        )
        line = page.locator("#circuit a:has(path)").last
        href = line.get_attribute("href") or ""
        line.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{href}")
        assert page.locator("li:target .k").count() == 1
        page.goto(f"{address}/mixed3b_4.html")
        dot = page.locator("#circuit a:has(image):not(.ego)").first
        href = dot.get_attribute("href") or ""
        dot.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{href}")


def test_arrow_keys_turn_pages(browser: Browser, address: str) -> None:
    """Right is the next neuron and left the one before, but not while typing."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/mixed3b_5.html")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**/mixed3b_4.html")
        page.focus(".search input")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        assert page.url.endswith("mixed3b_4.html")


def test_a_layer_is_sorted_and_cut(browser: Browser, address: str) -> None:
    """Sorting by activation puts the strongest first; the filter takes spans of indices."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b.html")
        page.get_by_role("button", name="activation").click()
        assert page.locator(".wall li").first.inner_text() == "6"
        page.get_by_role("button", name="index").click()
        assert page.locator(".wall li").first.inner_text() == "0"
        page.fill(".tools input", "2-3, 6")
        shown = page.locator(".wall li:visible")
        assert shown.all_inner_texts() == ["2", "3", "6"]
        assert page.locator(".tools output").inner_text() == "3 of 7"


def test_a_table_is_sorted_by_its_heads(browser: Browser, address: str) -> None:
    """A click puts the largest on top, the next one the smallest; names and branches start from the first."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b.html")
        head = page.locator("#statistics thead th", has_text="sign balance")
        column = page.locator("#statistics tbody tr td:nth-child(7)")
        head.get_by_role("button").click()
        falling = [float(text.replace("\u2212", "-")) for text in column.all_inner_texts()]
        assert falling == sorted(falling, reverse=True)
        assert falling[-1] < 0
        assert head.get_attribute("aria-sort") == "descending"
        head.get_by_role("button").click()
        rising = [float(text.replace("\u2212", "-")) for text in column.all_inner_texts()]
        assert rising == falling[::-1]
        page.get_by_role("button", name="branch").click()
        branches = page.locator("#statistics tbody td:nth-child(2)").all_inner_texts()
        assert branches == ["=1x1:0", "=1x1:1", *(f"3x3:{n}" for n in range(5))]
        assert page.locator("#statistics [aria-sort]").count() == 1
        page.get_by_role("button", name="neuron", exact=True).click()
        assert page.locator("#statistics tbody th").all_inner_texts() == [str(n) for n in range(7)]


def test_tiles_lead_to_their_neurons(browser: Browser, address: str) -> None:
    """Without scripts each tile of a sheet is a link of its own size to its neuron."""
    with opened(browser, scripts=False) as page:
        page.goto(f"{address}/conv1.html")
        tile = page.locator("#filters li").nth(1)
        box = tile.locator("i").bounding_box()
        assert box is not None
        assert (box["width"], box["height"]) == (45, 27)
        index = tile.inner_text()
        tile.locator("i").click()
        assert page.url.endswith(f"conv1_{index}.html")


def test_a_citation_holds_the_page_s_address(browser: Browser, served: str) -> None:
    """Over http the BibTeX entry ends with the address that is being read."""
    with opened(browser) as page:
        page.goto(f"{served}/mixed3b_4.html#factors")
        entry = page.locator("#bibtex").text_content() or ""
    assert entry.endswith(f"  howpublished = {{\\url{{{served}/mixed3b_4.html}}}},\n}}")


def test_without_scripts_nothing_dead_is_shown(browser: Browser, address: str) -> None:
    """Search and sorting stay away where they cannot work."""
    with opened(browser, scripts=False) as page:
        page.goto(f"{address}/mixed3b.html")
        assert not page.locator(".search").is_visible()
        assert not page.locator(".tools").is_visible()
        assert page.locator(".wall li:visible").count() == 7


def test_keyboard_and_screen_reader(browser: Browser, served: str) -> None:
    """The first stop is the skip link, focus is seen, and each page has one main heading and landmark."""
    with opened(browser) as page:
        for name in PAGES:
            page.goto(f"{served}/{name}")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip"
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            assert page.locator("h1").count() == 1
            assert page.get_by_role("main").count() == 1


@pytest.mark.parametrize("weights", ["red-blue", "orange-purple"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Browser, served: str, scheme: str, weights: str) -> None:
    """Every text colour stands out from the paper by 4.5 to 1 (WCAG AA), whatever palette is chosen."""
    with opened(browser, scheme=scheme) as page:
        page.add_init_script(f"localStorage.setItem('atlas-weights', '{weights}')")
        page.goto(f"{served}/mixed3b_4.html")
        names = ["--ink", "--soft", "--link", "--more", "--less"]
        colours = page.evaluate(COLOURS, [*names, "--paper", "--shade"])
    *texts, paper, shade = map(luminance, colours)
    for name, text in zip(names, texts, strict=True):
        for back in (paper, shade):
            low, high = sorted((text, back))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """Return the relative luminance of "rgb(r, g, b)" (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
