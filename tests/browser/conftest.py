"""A headless Chromium, and a made-up site below a sub-path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

import synthetic
from atlas.pages import render_site
from atlas.store import Store
from browsing import serving

CHROMIUM = Path("/usr/bin/chromium")
# Nothing that looks for a network, a graphics card or a profile.
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skips where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}; install Debian's chromium to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small made-up site, two folders below what is served."""
    root = tmp_path_factory.mktemp("browser")
    synthetic.fill_store(root / "store")
    with Store.open(root / "store") as store:
        render_site(store, root / "www" / "papers" / "atlas")
    return root / "www" / "papers" / "atlas"


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The site's address over http, below a sub-path."""
    with serving(site.parents[1]) as root:
        yield f"{root}/papers/atlas"


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, site: Path, served: str) -> str:
    """The site's address, once from the disk and once over http below a sub-path."""
    return served if request.param == "http" else site.as_uri()
