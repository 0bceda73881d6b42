"""Links, citations, pages in an iframe, former addresses and saved figures, in a real browser."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from atlas.core.records import Connections
from atlas.drawing.images import signed_colours
from atlas.site import Web, render_site
from atlas.store import Store, keys
from browsing import loads_whole, opened, serving, wait_until

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
NEURON = "mixed3b_4.html"
FIGURES = {
    NEURON: {
        *("examples", "on-images", "circuit", "upstream", "cancels", "two-hops", "factors", "downstream"),
        *("lookalikes", "numbers"),
    },
    "conv1.html": {"filters", "sheet", "field"},
}


def saved(page: Page, section: str, kind: str) -> bytes:
    """Save a section's figure as a file; return what is in it."""
    with page.expect_download() as download:
        page.locator(f"#{section} > .take button", has_text=kind).click()
    assert re.fullmatch(rf"\w+-{section}\.{kind.lower()}", download.value.suggested_filename)
    return Path(download.value.path()).read_bytes()


def words(svg: bytes) -> str:
    """Return all words of a drawing in a row."""
    texts = ("".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text"))
    return " ".join(texts)


def pictures(svg: bytes) -> list[np.ndarray]:
    """Return the PNG pictures in a drawing, uint8 [h, w, 3]."""
    links = [node.get("href", "") for node in ElementTree.fromstring(svg).iter(f"{SVG}image")]
    start = "data:image/png;base64,"
    files = [base64.b64decode(link.removeprefix(start)) for link in links if link.startswith(start)]
    return [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


class TestAnchors:
    def test_a_heading_links_to_its_section(self, browser: Browser, address: str) -> None:
        """Seen when it is pointed at or focused, and no sooner; it works without scripts."""
        with opened(browser, scripts=False) as page:
            page.goto(f"{address}/{NEURON}")
            anchor = page.locator("#factors .anchor")
            assert anchor.evaluate("a => getComputedStyle(a).opacity") == "0"
            page.locator("#factors h2").hover()
            assert anchor.evaluate("a => getComputedStyle(a).opacity") == "1"
            page.mouse.move(0, 0)
            anchor.focus()
            assert anchor.evaluate("a => getComputedStyle(a).opacity") == "1"
            page.keyboard.press("Enter")
            assert page.url.endswith(f"{NEURON}#factors")

    def test_a_hidden_heading_comes_with_its_link(self, browser: Browser, served: str) -> None:
        """Whoever tabs through a layer's page sees where the focus is."""
        with opened(browser) as page:
            page.goto(f"{served}/mixed3b.html")
            page.locator("#neurons .anchor").focus()
            box = page.locator("#neurons .anchor").bounding_box()
            assert box is not None
            assert box["width"] > 5
            assert page.locator("#neurons h2").evaluate("h => getComputedStyle(h).clipPath") == "none"


class TestCiting:
    def test_what_is_copied(self, browser: Browser, served: str) -> None:
        """The buttons copy the entry, the line, the snippet and the macros, with the page's full address."""
        with opened(browser) as page:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.goto(f"{served}/{NEURON}#made")
            copied = []
            for button in page.locator(".share .copy").all():
                button.evaluate("b => { b.closest('details').open = true; }")
                button.click()
                wait_until(page, "b => b.textContent === 'Copied'", button.element_handle())
                copied.append(page.evaluate("navigator.clipboard.readText()"))
        entry, line, snippet, macros = copied
        assert f"\\url{{{served}/{NEURON}}}" in entry
        assert line.endswith(f"model SHA-256 {'5f' * 8}. {served}/{NEURON}")
        assert snippet.startswith(f'<iframe src="{served}/embed/{NEURON}" title="Neuron mixed3b:4"')
        assert macros.splitlines()[1:] == [
            f"\\atlasurl{{{served}/}} \\atlasfolder{{atlas}}",
            "",
            "\\neuron{mixed3b}{4}",
        ]

    def test_from_the_disk_no_path_is_told(self, browser: Browser, site: Path) -> None:
        """Nothing to cite has a folder of this machine in it."""
        with opened(browser) as page:
            page.goto(f"{site.as_uri()}/{NEURON}")
            texts = page.locator(".copied").all_text_contents()
        assert len(texts) == 4
        assert not any("file:" in text or str(site.parent) in text for text in texts)


class TestEmbed:
    PAGES = (NEURON, "conv1_2.html", "block-one-two-three-xa84c01fd_0.html")

    @pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
    def test_it_loads_whole(self, browser: Browser, address: str, scripts: bool) -> None:
        """From the disk and from a server, every picture is there."""
        loads_whole(browser, [f"{address}/embed/{name}" for name in self.PAGES], scripts=scripts)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 480, 700])
    def test_it_fits(self, browser: Browser, served: str, width: int, scheme: str) -> None:
        """From narrow to wide nothing has to be scrolled sideways."""
        with opened(browser, width=width, scheme=scheme) as page:
            for name in self.PAGES:
                page.goto(f"{served}/embed/{name}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name

    def test_the_snippet_shows_it(self, browser: Browser, served: str, site: Path) -> None:
        """Put into another page it fits the frame's height, and its links open outside of the frame."""
        with opened(browser) as page:
            page.goto(f"{served}/{NEURON}")
            snippet = page.locator(".copied", has_text="iframe").text_content()
            page.route(
                "**/article.html",
                lambda route: route.fulfill(body=f"<title>x</title>{snippet}", content_type="text/html"),
            )
            page.goto(f"{served.rpartition('/')[0]}/article.html")
            frame = page.frame_locator("iframe")
            assert frame.locator("h1").inner_text() == "mixed3b:4"
            # The frame is lazy: the page around it does not wait for its style sheet.
            page.frames[-1].wait_for_load_state("load")
            height = frame.locator("html").evaluate("html => html.scrollHeight")
            assert height <= page.locator("iframe").evaluate("frame => frame.clientHeight")
            with page.expect_popup() as opened_page:
                frame.get_by_role("link", name="Open the full page").click()
            assert opened_page.value.url == f"{served}/{NEURON}"
            assert page.url.endswith("article.html")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("way", ["file", "http"])
def test_former_addresses_lead_on(
    browser: Browser, site: Path, tmp_path: Path, way: str, scripts: bool
) -> None:
    """From the disk and over http, with and without scripts, to the very section."""
    with Store.open(site.parents[2] / "store") as store:
        render_site(store, tmp_path / "x", web=Web("", {"old/a.html": f"{NEURON}#factors"}))
    with serving(tmp_path) as root, opened(browser, scripts=scripts) as page:
        page.goto((tmp_path / "x/old/a.html").as_uri() if way == "file" else f"{root}/x/old/a.html")
        page.wait_for_url(f"**/x/{NEURON}#factors")
        assert page.locator("h1").inner_text() == "mixed3b:4"


class TestFigures:
    @pytest.mark.parametrize("name", FIGURES)
    def test_every_figure_can_be_saved(self, browser: Browser, served: str, name: str) -> None:
        """As a drawing that stands alone, with its rule and source; as a picture of twice its size."""
        with opened(browser) as page:
            page.goto(f"{served}/{name}")
            ids = page.evaluate("[...document.querySelectorAll('section:has(> .take)')].map(s => s.id)")
            assert set(ids) == FIGURES[name]
            for section in ids:
                svg = saved(page, section, "SVG")
                root = ElementTree.fromstring(svg)
                links = [value for node in root.iter() for key, value in node.items() if key.endswith("href")]
                assert all(link.startswith("data:image/") for link in links), section
                told = words(svg)
                rule = page.locator(f"#{section} .rule").first.inner_text()
                assert " ".join(rule.split()[-4:]) in told, section
                assert told.endswith(f"model SHA-256 {'5f' * 8}. {served}/{name}#{section}"), section
                png = Image.open(io.BytesIO(saved(page, section, "PNG")))
                assert png.size == tuple(2 * int(root.get(side, "0")) for side in ("width", "height"))
                assert len(np.unique(np.asarray(png.convert("RGB")).reshape(-1, 3), axis=0)) > 20, section

    def test_kernels_keep_their_colours_and_legend(self, browser: Browser, served: str, site: Path) -> None:
        """The strongest connection's kernel is that of the store, in the legend's colours."""
        with Store.open(site.parents[2] / "store") as store:
            record = store.record(keys.connections("mixed3b", "upstream"), Connections)
        with opened(browser) as page:
            page.goto(f"{served}/{NEURON}")
            svg = saved(page, "upstream", "SVG")
        peak = float(record.peak[4])
        assert f"\N{MINUS SIGN}{peak:#.3g} +{peak:#.3g} blue negative, white zero, red positive" in words(svg)
        kernels = pictures(svg)
        assert len(kernels) == record.kernel.shape[1]
        for kernel, shown in zip(record.kernel[4], kernels, strict=True):
            wanted = signed_colours(kernel, peak).astype(int)
            h, w = wanted.shape[:2]
            rows = ((np.arange(h) + 0.5) * shown.shape[0] / h).astype(int)
            columns = ((np.arange(w) + 0.5) * shown.shape[1] / w).astype(int)
            assert np.abs(shown[rows][:, columns].astype(int) - wanted).max() <= 6

    def test_it_is_what_the_page_shows(self, browser: Browser, served: str) -> None:
        """The drawing of a circuit has each of its names, lines and kernels, and those neurons' pictures."""
        with opened(browser) as page:
            page.goto(f"{served}/{NEURON}")
            svg = saved(page, "circuit", "SVG")
            n_lines = page.locator("#circuit .circuit path").count()
            n_pictures = page.locator("#circuit :is(image, .k)").count()
            names = page.locator("#circuit text").all_text_contents()
        root = ElementTree.fromstring(svg)
        drawn = [
            path
            for path in root.iter(f"{SVG}path")
            if path.get("d", "").startswith("M") and "C" in path.get("d", "")
        ]
        assert len(drawn) == n_lines
        assert all(path.get("stroke", "").startswith("rgb(") for path in drawn)
        assert len(list(root.iter(f"{SVG}image"))) == n_pictures
        assert all(name in words(svg) for name in names)

    def test_dark_pages_give_dark_figures(self, browser: Browser, served: str) -> None:
        """A figure looks like its page."""
        with opened(browser, scheme="dark", width=360) as page:
            page.goto(f"{served}/{NEURON}")
            png = Image.open(io.BytesIO(saved(page, "numbers", "PNG")))
        assert max(png.convert("RGB").getpixel((2, 2))) < 40

    def test_from_the_disk_what_is_left_out_is_told(self, browser: Browser, site: Path) -> None:
        """Kernels are in the page; pictures a page from the disk may not read, and the figure says so."""
        with opened(browser) as page:
            page.goto(f"{site.as_uri()}/{NEURON}")
            svg = saved(page, "upstream", "SVG")
            png = saved(page, "upstream", "PNG")
        assert len(pictures(svg)) == 5
        assert words(svg).endswith(f"{NEURON}#upstream (without pictures, which pages on disk cannot read)")
        assert b"file:" not in svg
        assert str(site.parent).encode() not in svg
        assert Image.open(io.BytesIO(png)).size[0] > 200

    def test_without_scripts_there_is_nothing_to_press(self, browser: Browser, address: str) -> None:
        """Nothing dead is shown."""
        with opened(browser, scripts=False) as page:
            page.goto(f"{address}/{NEURON}")
            assert page.locator(".take, .copy").count() == 0
