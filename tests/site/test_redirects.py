"""Former addresses lead on; what cannot be kept is refused before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atlas.core.errors import SiteError
from atlas.site import Web, check_site, render_site
from atlas.site.data.redirects import check_redirects, read_redirects, resolved_redirects
from atlas.store import Store
from atlases import paper_atlas

FILES = ("index.html", "a_1.html", "a_2.html", "data/a_1.json")


def file_of(folder: Path, text: str) -> Path:
    """Write a file of redirects."""
    (folder / "redirects.json").write_text(text)
    return folder / "redirects.json"


def test_chains_are_resolved() -> None:
    """Every former address leads to a page without a detour, and keeps its place in it."""
    found = resolved_redirects({"c.html": "b.html", "b.html": "x/a.html", "x/a.html": "a_1.html#up"}, FILES)
    assert found == dict.fromkeys(("b.html", "c.html", "x/a.html"), "a_1.html#up")


@pytest.mark.parametrize(
    ("redirects", "message"),
    [
        ({"a_1.html": "a_2.html"}, r"from 'a_1\.html': found a file of the site"),
        ({"A_1.html": "a_2.html"}, r"from 'A_1\.html': found a file of the site"),
        ({"a_1.html/b.html": "a_2.html"}, r"found a file of the site at 'a_1\.html'"),
        ({"b.html": "a_1.html", "B.html": "a_1.html"}, r"from 'B\.html': found a file"),
        ({"b.html": "a_3.html"}, r"'a_3\.html', which is no page of this site; did you mean a_"),
        ({"b.html": "data/a_1.json"}, "no page of this site"),
        ({"b.html": "https://a.org/"}, "no page of this site"),
        ({"b.html": "#up"}, "no page of this site"),
        ({"b.html": "../a_1.html"}, "no page of this site"),
        ({"b.html": "b.html"}, r"in a circle: b\.html to b\.html"),
        ({"b.html": "c.html", "c.html": "d.html", "d.html": "c.html"}, "in a circle"),
    ],
)
def test_what_a_site_cannot_keep(redirects: dict[str, str], message: str) -> None:
    """A page's own address, a target that is no page, and a loop."""
    with pytest.raises(SiteError, match=message):
        resolved_redirects(redirects, FILES)


@pytest.mark.parametrize(
    "old",
    ["../b.html", "/b.html", "b.htm", "b", "", ".b.html", "x/../b.html", "a\\b.html", "b.html?x", "ü.html"],
)
def test_addresses_that_no_page_could_have(tmp_path: Path, old: str) -> None:
    """Nothing is written outside of the site, hidden, or as another kind of file."""
    with pytest.raises(SiteError, match=r"expected the address of an \.html file in the site"):
        read_redirects(file_of(tmp_path, json.dumps({old: "a_1.html"})))


@pytest.mark.parametrize("text", ["", "[]", "3", '{"b.html": 3}', '{"b.html": {"c": "d"}}', "[" * 99_999])
def test_files_that_say_something_else(tmp_path: Path, text: str) -> None:
    """The error says what a file of redirects looks like."""
    with pytest.raises(SiteError, match="expected a JSON object of addresses"):
        read_redirects(file_of(tmp_path, text))


def test_one_address_twice(tmp_path: Path) -> None:
    """An address that leads to two pages is a mistake; said twice the same, it is none."""
    twice = '{"b.html": "a_1.html", "b.html": "a_%d.html"}'
    assert read_redirects(file_of(tmp_path, twice % 1)) == {"b.html": "a_1.html"}
    with pytest.raises(SiteError, match=r"leads to 'a_1\.html' and to 'a_2\.html'"):
        read_redirects(file_of(tmp_path, twice % 2))


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(SiteError, match=r"cannot read the redirects .*gone\.json"):
        read_redirects(tmp_path / "gone.json")


def test_pages_stand_at_former_addresses(store: Store, tmp_path: Path) -> None:
    """Each leads on by itself and by a link; the site lists them, and its check finds no fault."""
    site = tmp_path / "site"
    redirects = {"deep/er/b.html": "mixed3b_4.html#upstream", "b.html": "index.html"}
    render_site(store, site, web=Web("", redirects))
    page = (site / "deep/er/b.html").read_text()
    assert '<meta http-equiv="refresh" content="0; url=../../mixed3b_4.html#upstream">' in page
    assert '<link rel="canonical" href="../../mixed3b_4.html">' in page
    assert '<a href="../../mixed3b_4.html#upstream">' in page
    assert read_redirects(site / "redirects.json") == redirects
    assert check_site(site) == ()


def test_a_redirect_that_goes_takes_its_page_along(store: Store, tmp_path: Path) -> None:
    """Only pages of redirects, and what lists all files, are written and removed when these change."""
    site = tmp_path / "site"
    render_site(store, site, web=Web("", {"b.html": "index.html", "c/d.html": "index.html"}))
    result = render_site(store, site, web=Web("", {"b.html": "mixed3b.html"}))
    assert set(result.written) == {"b.html", "redirects.json", "data/atlas.json", "data/checksums.txt"}
    assert result.removed == ("c/d.html",)
    assert not (site / "c").exists()


def test_refused_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    """A site is left as it was."""
    with pytest.raises(SiteError, match="no page of this site"):
        render_site(store, tmp_path / "site", web=Web("", {"b.html": "gone.html"}))
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("old.html", "index.html"),
        ("old.html", "second-x_4.html#to-1"),
        ("old.html", "embed/first_0.html"),
        ("old.html", "family_first-proposal-1.html"),
        ("families.html", "first.html"),
        ("family_old.html", "families.html"),
    ],
)
def test_what_will_or_may_be_there_is_let_through(old: str, new: str) -> None:
    """Before an atlas is computed its pages are known, but for families that will be proposed."""
    check_redirects({old: new}, paper_atlas())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("old.html", "first_4.html", "no page of this site"),
        ("old.html", "classes.html", "no page of this site"),
        ("first_3.html", "first.html", "a file of the site"),
    ],
)
def test_what_will_not_be_there_is_refused(old: str, new: str, message: str) -> None:
    """A neuron that there is not, a layer that is not shown, an address that is taken."""
    with pytest.raises(SiteError, match=message):
        check_redirects({old: new}, paper_atlas())


def test_a_packed_atlas_has_no_pages_to_embed() -> None:
    """There their former addresses may lead on, and nothing may lead to them."""
    check_redirects({"embed/first_3.html": "first_3.html"}, paper_atlas(), packed=True)
    with pytest.raises(SiteError, match="a file of the site"):
        check_redirects({"embed/first_3.html": "first_3.html"}, paper_atlas())
    with pytest.raises(SiteError, match="no page of this site"):
        check_redirects({"old.html": "embed/first_3.html"}, paper_atlas(), packed=True)
