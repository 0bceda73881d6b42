"""An archive that was unpacked, in a real browser, from the disk."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from atlas.site.finished.archive import write_archive
from browsing import loads_whole, opened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up site as it comes out of its archive."""
    folder = tmp_path_factory.mktemp("archive")
    with zipfile.ZipFile(write_archive(site, folder / "atlas.zip").path) as members:
        members.extractall(folder / "a folder")
    (home,) = (folder / "a folder").glob("*/index.html")
    return home.parent


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_every_page_opens_from_the_disk(browser: Browser, unpacked: Path, scripts: bool) -> None:
    """Pages, pictures, styles and scripts are all in the archive, also below a folder with a space."""
    names = sorted(path.name for path in unpacked.glob("*.html"))
    assert len(names) == 20
    loads_whole(browser, [f"{unpacked.as_uri()}/{name}" for name in names], scripts=scripts)


def test_search_works_from_the_disk(browser: Browser, unpacked: Path) -> None:
    """The records of the search are in the archive."""
    with opened(browser) as page:
        page.goto(f"{unpacked.as_uri()}/index.html")
        page.fill(".search input", "3b:4")
        page.wait_for_selector("#found [aria-selected=true]")
        page.keyboard.press("Enter")
        page.wait_for_url("**/mixed3b_4.html")


def test_its_checksums_hold(unpacked: Path) -> None:
    """`sha256sum -c` finds every file whole."""
    command = ["sha256sum", "--check", "--strict", "--quiet", "data/checksums.txt"]
    assert subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=True).stdout == ""


def test_downloads_lead_to_files(browser: Browser, unpacked: Path) -> None:
    """Every link of the home page's data section opens."""
    with opened(browser, scripts=False) as page:
        page.goto(f"{unpacked.as_uri()}/index.html")
        links = page.locator("#data a:not(.anchor)").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))"
        )
    assert len(links) == len({*links}) == 9
    assert [link for link in links if not (unpacked / link).is_file()] == []
