"""A neuron's lists of connections in a real browser: sorted, cut down, recoloured, read weight by weight."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from browsing import opened, wait_until

pytestmark = pytest.mark.slow
CELLS = "#upstream .cells li:visible"


def kernels(site: Path) -> tuple[list[int], np.ndarray]:
    """Return the source neurons of mixed3b:4 and their kernels, by strength."""
    with np.load(site / "data/mixed3b_4.npz") as arrays:
        return arrays["upstream_index"].tolist(), arrays["upstream_kernel"]


def shown(page: Page) -> list[int]:
    """Return the numbers of the cells that are seen, in their order."""
    ids = page.locator(CELLS).evaluate_all("cells => cells.map(cell => cell.id)")
    return [int(name.rpartition("-")[2]) for name in ids]


@pytest.mark.parametrize("by", ["l1", "positive", "negative", "index", "l2", "gives"])
def test_a_list_is_sorted(browser: Browser, address: str, site: Path, by: str) -> None:
    """Each way to sort puts the largest first and shows its numbers; by number, the smallest."""
    index, kernel = kernels(site)
    masses = {
        "l1": np.abs(kernel).sum((1, 2)),
        "positive": np.maximum(kernel, 0).sum((1, 2)),
        "negative": np.maximum(-kernel, 0).sum((1, 2)),
        "index": -np.array(index, float),
        "l2": np.sqrt(np.square(kernel).sum((1, 2))),
        "gives": 100 * np.abs(json.loads((site / "data/mixed3b_4.json").read_bytes())["fidelity"]["share"]),
    }[by]
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        page.locator("#upstream [name=by]").select_option("index" if by == "l2" else "l1")
        page.locator("#upstream [name=by]").select_option(by)
        order = np.argsort(-masses, kind="stable")
        assert shown(page) == [index[i] for i in order]
        texts = page.locator("#upstream .cells em").all_inner_texts()
        if by != "index":
            numbers = [abs(float(re.sub(r"[+\u2212,% ]", "", text))) for text in texts]
            np.testing.assert_allclose(numbers, masses[order], rtol=0.05 if by == "gives" else 6e-3)


def test_only_inputs_can_be_sorted_by_what_they_give(browser: Browser, address: str) -> None:
    """Outputs have no contributions: their list has no such way to sort."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        assert page.locator("#upstream [value=gives]").count() == 1
        assert page.locator("#downstream [value=gives]").count() == 0


def test_a_list_is_cut_by_sign(browser: Browser, address: str, site: Path) -> None:
    """One sign's connections are left, counted; a link to one of the others shows all again."""
    index, kernel = kernels(site)
    negative = [i for i, k in zip(index, kernel, strict=True) if k.sum() < 0]
    positive = [i for i in index if i not in negative]
    assert positive
    assert negative
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        page.locator("#upstream [name=sign]").select_option("n")
        assert shown(page) == negative
        assert page.locator("#upstream output").inner_text() == f"{len(negative)} of the {len(index)} shown"
        page.evaluate(f"location.hash = 'from-{positive[0]}'")
        wait_until(page, "document.querySelectorAll('#upstream .cells li[hidden]').length === 0")
        assert shown(page) == index


def test_own_limits_colour_each_map_up_to_its_peak(browser: Browser, address: str) -> None:
    """Each map then has a weight in the last colour, the legend says so, and the way back is exact."""
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        before = page.locator("#upstream .k").first.evaluate("k => getComputedStyle(k).backgroundImage")
        legend = page.locator("#upstream .legend").inner_text()
        page.locator("#upstream [name=limits]").select_option("own")
        wait_until(page, "document.querySelector('#upstream .cells .k').style.backgroundImage")
        assert "its own peak" in page.locator("#upstream .legend").inner_text()
        ends = page.evaluate(
            """async () => {
                const image = new Image();
                image.src = document.querySelector('#upstream .cells .k').style.backgroundImage.slice(5, -2);
                await image.decode();
                const canvas = document.createElement('canvas');
                [canvas.width, canvas.height] = [image.width, image.height];
                const brush = canvas.getContext('2d');
                brush.drawImage(image, 0, 0);
                const rows = +document.querySelector('#upstream').dataset.sheet.split(' ')[0] + 1;
                const data = brush.getImageData(0, 0, image.width, image.height).data;
                const found = Array(image.height / rows).fill(false);
                for (let i = 0; i < data.length; i += 4) {
                    const end = ['202,0,32', '5,113,176'].includes([...data.slice(i, i + 3)].join());
                    if (end) found[Math.floor(i / 4 / image.width / rows)] = true;
                }
                return found;
            }"""
        )
        assert ends == [True] * page.locator("#upstream .cells .k").count()
        page.locator("#upstream [name=limits]").select_option("")
        wait_until(page, "!document.querySelector('#upstream .cells .k').style.backgroundImage")
        assert (
            page.locator("#upstream .k").first.evaluate("k => getComputedStyle(k).backgroundImage") == before
        )
        assert page.locator("#upstream .legend").inner_text() == legend


def told(page: Page) -> tuple[int, int, float]:
    """Return the row, the column and the weight that the readout tells."""
    text = page.locator(".readout b").inner_text().replace("\u2212", "-")
    match = re.match(r"row (\d+), column (\d+): about ([+-]?[\d.]+)", text)
    assert match, text
    return int(match[1]), int(match[2]), float(match[3])


def test_hovering_tells_each_weight(browser: Browser, address: str, site: Path) -> None:
    """The readout follows the pointer and is within a shade of the stored weight."""
    _, kernel = kernels(site)
    h, w = kernel.shape[1:]
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        shade = float(page.locator("#upstream").get_attribute("data-sheet").split()[4]) / 127  # type: ignore[union-attr]
        cell = page.locator("#upstream .cells .k").nth(1)
        cell.scroll_into_view_if_needed()
        box = cell.bounding_box()
        assert box is not None
        for row, column in np.ndindex(h, w):
            page.mouse.move(
                box["x"] + box["width"] * (column + 0.5) / w, box["y"] + box["height"] * (row + 0.5) / h
            )
            place = f"row {row + 1}, column {column + 1}:"
            wait_until(page, f"document.querySelector('.readout').innerText.includes('{place}')")
            assert told(page)[2] == pytest.approx(kernel[1, row, column], rel=0.06, abs=0.51 * shade)
        page.mouse.move(0, 0)
        assert not page.locator(".readout").is_visible()


def test_the_keyboard_tells_each_weight(browser: Browser, address: str, site: Path) -> None:
    """Focus tells the strongest weight; arrows move within the map and turn no page, Page Down goes on."""
    _, kernel = kernels(site)
    with opened(browser) as page:
        page.goto(f"{address}/mixed3b_4.html")
        assert page.locator("#upstream .cells .k[tabindex='0']").count() == 1
        page.locator("#upstream .cells .k").first.focus()
        page.wait_for_selector(".readout:visible")
        row, column, _ = told(page)
        wanted = np.unravel_index(np.abs(kernel[0]).argmax(), kernel[0].shape)
        assert (row - 1, column - 1) == wanted
        page.keyboard.press("ArrowLeft" if column > 1 else "ArrowRight")
        assert told(page)[:2] == (row, column - 1 if column > 1 else column + 1)
        page.keyboard.press("PageDown")
        wait_until(page, "document.querySelector('#upstream li:nth-child(2) .spot')")
        assert page.url.endswith("mixed3b_4.html")
        page.keyboard.press("Escape")
        assert not page.locator(".readout").is_visible()


def test_a_map_that_focus_scrolls_to_is_told(browser: Browser, address: str) -> None:
    """The page scrolls after the words are there: they go with their map, off the screen too."""
    with opened(browser) as page:
        page.set_viewport_size({"width": 1280, "height": 300})
        page.goto(f"{address}/mixed3b_4.html")
        first = page.locator("#upstream .cells .k").first
        first.focus()
        wait_until(page, "document.querySelector('.readout').checkVisibility()")
        page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
        page.wait_for_timeout(100)
        first.focus()
        page.wait_for_timeout(300)
        assert page.evaluate("scrollY") > 0
        assert page.locator(".readout").is_visible()
        top = page.locator(".readout").evaluate("readout => readout.getBoundingClientRect().top")
        page.evaluate("scrollBy(0, 5)")
        wait_until(page, f"document.querySelector('.readout').getBoundingClientRect().top === {top} - 5")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        wait_until(page, "document.querySelector('.readout').getBoundingClientRect().bottom < 0")


def test_without_scripts_there_are_no_controls(browser: Browser, address: str, site: Path) -> None:
    """The list stands as it was written, chips lead to its cells, and pictures have their words."""
    index, _ = kernels(site)
    with opened(browser, scripts=False) as page:
        page.goto(f"{address}/mixed3b_4.html")
        assert shown(page) == index
        assert page.locator(".sift:visible, .readout:visible").count() == 0
        page.locator(".strongest a[href^='#from']").nth(1).click()
        assert page.url.endswith(f"#from-{index[1]}")
        label = page.locator("li:target .k").get_attribute("aria-label") or ""
        assert re.fullmatch(r"[+\u2212][\d.]+ .*", label)


def test_the_opening_is_above_the_fold(browser: Browser, served: str, site: Path) -> None:
    """On a desk of 1280 x 800 the picture, three numbers and three chips each way are seen at once."""
    document = json.loads((site / "data/mixed3b_4.json").read_bytes())
    with opened(browser) as page:
        page.goto(f"{served}/mixed3b_4.html")
        assert page.locator(".key > div").count() == 3
        assert page.locator(".strongest li").count() == 6
        for part in ("h1", ".main img", ".key", ".ways"):
            box = page.locator(part).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 800, part
        first = page.locator(".strongest li a").first.get_attribute("href")
        assert first == f"#from-{document['upstream']['index'][0]}"
