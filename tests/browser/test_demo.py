"""The bundled demo's atlas in a real browser, some neurons of every layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser

from atlas.cli import commands
from atlas.site import check_site
from browsing import axe_faults, html_faults, loads_whole, opened, serving, walked
from schema_check import site_faults

pytestmark = pytest.mark.slow
# Of all neurons of a layer families are proposed.
NEURONS = "conv2d0,conv2d1:0-1,conv2d2:0-1,mixed3a:0-1,mixed3b:0-1,mixed4a:86-87"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's site, built by the program, two folders below what is served."""
    site = tmp_path_factory.mktemp("demo") / "www" / "papers" / "demo"
    done = CliRunner().invoke(
        commands.main, ["build", "--preset", "draft", "--neurons", NEURONS, "--site", str(site)]
    )
    assert done.exit_code == 0, done.output
    return site


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("way", ["file", "http"])
def test_every_page_loads_whole(browser: Browser, demo: Path, way: str, scripts: bool) -> None:
    """Every page of the demo loads from the disk and below a sub-path, with and without scripts."""
    names = sorted(path.name for path in demo.glob("*.html"))
    families = [name for name in names if name.startswith("famil")]
    assert "families.html" in families
    assert len(names) - len(families) == 2 + 6 + 34
    with serving(demo.parents[1]) as root:
        base = demo.as_uri() if way == "file" else f"{root}/papers/demo"
        loads_whole(browser, [f"{base}/{name}" for name in names], scripts=scripts)


def test_every_link_leads_somewhere(browser: Browser, demo: Path) -> None:
    """All of the demo's pages are reached from home, and no link is broken."""
    with serving(demo.parents[1]) as root:
        found = walked(browser, f"{root}/papers/demo")
    assert {link.rpartition("/")[2] for link in found if link.endswith(".html")} == {
        path.name for path in demo.glob("*.html")
    }


def test_data_follow_the_schemas(demo: Path) -> None:
    """Every JSON file of the demo is valid by the schema that it names."""
    assert site_faults(demo) == []


def test_check_finds_nothing(demo: Path) -> None:
    """The program's own check has nothing to say."""
    assert check_site(demo) == ()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, demo: Path, scheme: str) -> None:
    """On a page of every kind that the demo has, the deepest neuron's among them."""
    names = ["index.html", "method.html", "families.html", "conv2d0.html", "mixed4a.html", "mixed4a_86.html"]
    names.append(min(demo.glob("family_*.html")).name)
    with serving(demo.parents[1]) as root, opened(browser, scheme=scheme) as page:
        for name in names:
            page.goto(f"{root}/papers/demo/{name}")
            assert axe_faults(page) == [], name


def test_html_is_valid(demo: Path) -> None:
    """Nor has the checker of HTML anything to say."""
    assert html_faults(demo) == []
