"""Pictures may lie on another host than the pages: each page names that host, and is checked as before."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from atlas.core.config import WebConfig
from atlas.site import check_site, render_site
from atlas.site.web import Web, read_web
from atlas.store import Store
from trees import tree

BASE = "https://b.example/atlas/"


@pytest.fixture
def elsewhere(store: Store, tmp_path: Path) -> Path:
    """A site whose pictures lie on another host."""
    render_site(store, tmp_path / "site", web=Web(images=BASE))
    return tmp_path / "site"


def test_every_page_names_the_host(elsewhere: Path, rendered: Path) -> None:
    """Pages differ from those of another site by the pictures' addresses and the policy alone."""
    before = tree(rendered)
    for name, data in tree(elsewhere).items():
        if name.endswith(".html"):
            html = data.decode()
            assert not re.search(r'"(\.\./)?images/', html), name
            folder = "../" if "/" in name else ""
            assert html.count(f'"{BASE}images/') == before[name].decode().count(f'"{folder}images/')
            assert "img-src 'self' file: data: https://b.example;" in html
    assert json.loads((elsewhere / "data/atlas.json").read_bytes())["images"] == BASE


def test_pictures_are_in_the_folder_and_checked(elsewhere: Path) -> None:
    """The site holds its pictures, to be sent elsewhere; one that is missing is a fault of each page."""
    assert check_site(elsewhere) == ()
    picture = next((elsewhere / "images/neuron").glob("*_4.jpg"))
    picture.unlink()
    messages = [problem.message for problem in check_site(elsewhere)]
    assert f"the link {BASE}images/neuron/{picture.name} leads nowhere" in messages


def test_another_host_makes_pages_anew(store: Store, elsewhere: Path) -> None:
    """Pages follow the setting; pictures stay as they are."""
    written = render_site(store, elsewhere, web=Web(images="https://c.example/")).written
    assert {name for name in tree(elsewhere) if name.endswith(".html")} <= set(written)
    assert not any(name.startswith("images/") for name in written)


def test_what_is_no_folder_is_refused() -> None:
    """The address is that of a folder on the web, with or without a slash at its end."""
    assert read_web(WebConfig(images="https://b.example/atlas")).images == BASE
    with pytest.raises(ValueError, match="no address of a folder"):
        WebConfig(images="b.example/atlas")
