"""A script that got into a page does not run, in a real browser."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from atlas.site import Web, render_site
from atlas.store import Store
from browsing import serving

pytestmark = pytest.mark.slow

PAGES = (
    "index.html",
    "mixed3b.html",
    "mixed3b_4.html",
    "method.html",
    "families.html",
    "family_curves.html",
    "embed/mixed3b_4.html",
)
# Each would say what it is.
INJECTED = """
<script>ran.push("script")</script>
<img src="data:image/png,none" alt="" onerror="ran.push('onerror')">
<svg onload="ran.push('onload')"></svg>
<script src="data:text/javascript,ran.push('data')"></script>
<script src="{other}/foreign.js"></script>
<iframe srcdoc="<script>parent.ran.push('srcdoc')</script>"></iframe>
<iframe src="javascript:parent.ran.push('frame')"></iframe>
<object data="{other}/page.html"></object>
<embed src="{other}/page.html">
<base href="{other}/">
<a id="link" href="javascript:ran.push('link')">here</a>
<style>body {{ background: url({other}/spy.png) }}</style>
<form action="{other}/spy"><button id="send">send</button></form>
"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def outcome(browser: Browser, address: str, other: str) -> tuple[set[str], set[str]]:
    """Open a page and press what is in it; return what ran, and what was asked of the other server."""
    context = browser.new_context()
    try:
        page = context.new_page()
        asked: set[str] = set()
        context.on("response", lambda answer: asked.add(answer.url) if answer.url.startswith(other) else None)
        page.add_init_script("if (self === top) self.ran = []")
        page.goto(address)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelector('#link').click()")
        page.wait_for_timeout(50)
        ran = set(page.evaluate("ran"))
        page.evaluate("document.querySelector('#send').click()")
        page.wait_for_timeout(50)
        return ran, {url.removeprefix(other) for url in asked}
    finally:
        context.close()


@pytest.fixture(scope="module")
def broken_into(whole_site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a site with scripts in its pages, and that of another server with a script."""
    root = tmp_path_factory.mktemp("policy")
    shutil.copytree(whole_site, root / "www/site")
    (root / "other").mkdir()
    (root / "other/foreign.js").write_text("ran.push('foreign')")
    (root / "other/page.html").write_text("<title>x</title>")
    with Store.open(whole_site.parents[2] / "store") as store:
        render_site(store, root / "moved", web=Web("", {"old.html": "mixed3b_4.html"}))
    # Without what leads on, so that the page stays to be looked at.
    moved = re.sub(r'<meta http-equiv="refresh"[^>]*>', "", (root / "moved/old.html").read_text())
    (root / "www/site/old.html").write_text(moved)
    return root / "www", root / "other"


@pytest.mark.parametrize("way", ["file", "http"])
def test_nothing_runs_that_is_not_of_the_site(
    browser: Browser, broken_into: tuple[Path, Path], way: str
) -> None:
    """Tags, attributes, frames, links and forms in a page do nothing; without the policy they do."""
    folder, elsewhere = broken_into
    with serving(folder) as root, serving(elsewhere) as other:
        for name in (*PAGES, "old.html"):
            path = folder / "site" / name
            whole = path.read_text()
            hurt = whole.replace("</body>", INJECTED.format(other=other) + "</body>")
            assert hurt != whole
            address = path.as_uri() if way == "file" else f"{root}/site/{name}"
            path.write_text(hurt)
            assert outcome(browser, address, other) == (set(), set()), name
            if name in ("index.html", "embed/mixed3b_4.html"):
                path.write_text(POLICY.sub("", hurt))
                ran, asked = outcome(browser, address, other)
                assert {"script", "onerror", "onload", "data", "foreign", "link"} <= ran, name
                assert {"/foreign.js", "/page.html"} <= asked, name
            path.write_text(whole)
