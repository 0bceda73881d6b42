"""The atlas of a real InceptionV1 in a real browser: conv2d0 to mixed3b, all 1,056 neurons, drawn as drafts.

`ATLAS_SITE` names a site that is there already, as one of preset standard, to be looked at instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser

from atlas.cli import commands
from atlas.site import check_site
from browsing import axe_faults, html_faults, loads_whole, opened, serving
from schema_check import site_faults

pytestmark = pytest.mark.slow
LAYERS = ("conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b")
NEURONS = ("conv2d0_0", "conv2d1_7", "conv2d2_100", "mixed3a_110", "mixed3b_379", "mixed3b_479")


@pytest.fixture(scope="module")
def site(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, two folders below what is served."""
    www = tmp_path_factory.mktemp("googlenet") / "www"
    site = www / "papers" / "atlas"
    if os.environ.get("ATLAS_SITE"):
        site.parent.mkdir(parents=True)
        site.symlink_to(Path(os.environ["ATLAS_SITE"]).resolve())
        return site
    model, images = str(shared / "models" / "googlenet"), str(shared / "images")
    command = ["build", "--model", model, "--layers", ",".join(LAYERS), "--examples", images]
    done = CliRunner().invoke(commands.main, [*command, "--preset", "draft", "--site", str(site)])
    assert done.exit_code == 0, done.output
    return site


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """Its address over http, below a sub-path."""
    with serving(site.parents[1]) as root:
        yield f"{root}/papers/atlas"


@pytest.fixture(scope="module")
def names(site: Path) -> list[str]:
    """Pages of every kind: all layers, neurons of each, the first family, pages for iframes."""
    some = [f"{slug}.html" for slug in (*LAYERS, *NEURONS)]
    family = min(site.glob("family_*.html")).name
    embeds = [f"embed/{slug}.html" for slug in NEURONS]
    return ["index.html", "method.html", "families.html", family, *some, *embeds]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("way", ["file", "http"])
def test_pages_load_whole(
    browser: Browser, site: Path, served: str, names: list[str], way: str, scripts: bool
) -> None:
    """From the disk and over http, with and without scripts: every picture, and not a word on the console."""
    base = site.as_uri() if way == "file" else served
    loads_whole(browser, [f"{base}/{name}" for name in names], scripts=scripts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, served: str, names: list[str], scheme: str) -> None:
    """Home, layers, neurons, family, method and pages for iframes."""
    with opened(browser, scheme=scheme) as page:
        for name in names:
            page.goto(f"{served}/{name}")
            assert axe_faults(page) == [], name


def test_no_request_leaves_the_site(browser: Browser, served: str, names: list[str]) -> None:
    """Whatever these pages load comes from the site."""
    asked: list[str] = []
    with opened(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        for name in names:
            page.goto(f"{served}/{name}")
    assert len(asked) > len(names)
    assert [url for url in asked if not url.startswith((f"{served}/", "data:"))] == []


def test_every_page_is_valid_and_whole(site: Path) -> None:
    """All of its pages: valid HTML, links that lead somewhere, at most 100 kB, data by their schemas."""
    assert html_faults(site) == []
    assert check_site(site) == ()
    assert site_faults(site) == []
    assert len(list(site.glob("mixed3b_*.html"))) == 480
    assert max(path.stat().st_size for path in site.glob("*_*.html")) <= 100_000
