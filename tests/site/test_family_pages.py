"""Families on their pages: nothing is hidden, every figure can be read, only what changed is rewritten."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from atlas.site import check_site, render_site
from atlas.store import Store, keys
from schema_check import site_faults
from whole_store import add_families, proposal, put_family


@pytest.fixture(scope="module")
def kin(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with families that no test changes."""
    folder = tmp_path_factory.mktemp("kin") / "store"
    shutil.copytree(filled, folder, ignore=shutil.ignore_patterns("lock*"))
    with Store.open(folder, write=True) as store:
        add_families(store)
    return folder


@pytest.fixture(scope="module")
def site(kin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its site."""
    folder = tmp_path_factory.mktemp("kin") / "site"
    with Store.open(kin) as store:
        render_site(store, folder)
    return folder


@pytest.fixture
def own(kin: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of the store for one test."""
    shutil.copytree(kin, tmp_path / "store", ignore=shutil.ignore_patterns("lock*"))
    with Store.open(tmp_path / "store", write=True) as store:
        yield store


class TestSite:
    """The pages together."""

    def test_a_family_can_be_cited(self, site: Path) -> None:
        """By its own address, with the script that fills in where it is read."""
        page = unescape((site / "family_small.html").read_text())
        assert "@misc{family_small,\n  title  = {Family " in page
        assert ", neurons of " in page.partition("@misc")[2][:200]
        assert "/cite." in page

    def test_every_family_has_a_page(self, site: Path) -> None:
        """Named ones and proposals that are there; an empty number has none."""
        pages = {page.name for page in site.glob("famil*.html")}
        assert pages == {
            "families.html",
            "family_hostile.html",
            "family_small.html",
            "family_mixed3b-proposal-1.html",
        }
        assert check_site(site) == ()

    def test_text_stays_text(self, site: Path) -> None:
        """A family's name and note become no tag, on whatever page they stand."""
        for page in site.glob("*.html"):
            assert "<script>alert" not in page.read_text()
            assert "<b>bold" not in page.read_text()
        assert "&lt;script&gt;alert(" in (site / "family_hostile.html").read_text()

    def test_two_renders_are_identical(self, kin: Path, site: Path, tmp_path: Path) -> None:
        """Families too are a function of the store."""
        with Store.open(kin) as store:
            render_site(store, tmp_path / "again")
        for page in site.rglob("*famil*"):
            assert page.read_bytes() == (tmp_path / "again" / page.relative_to(site)).read_bytes()

    def test_without_families_nothing_leads_to_them(self, rendered: Path) -> None:
        """An atlas without families has no page for them and no link to one."""
        assert not (rendered / "families.html").exists()
        assert "families.html" not in (rendered / "index.html").read_text()


class TestList:
    """families.html."""

    def test_named_before_proposed_and_others_are_linked(self, site: Path) -> None:
        """Named families stand first, proposals are called hypotheses, and the rest of a layer is linked."""
        text = (site / "families.html").read_text()
        assert text.index("Small") < text.index("hypotheses") < text.index("Proposal 1 of mixed3b")
        assert "score 0.40" in text
        assert '<a href="mixed3b.html">5 other neurons of mixed3b</a>' in text
        assert '<a href="mixed3b.html">4 other neurons of mixed3b</a>' in text

    def test_every_page_leads_to_it(self, site: Path) -> None:
        """Header, home and members' pages link families."""
        for name in ("index.html", "mixed3b.html", "mixed3b_1.html", "family_small.html"):
            assert 'href="families.html"' in (site / name).read_text()
        member = (site / "mixed3b_6.html").read_text()
        assert 'href="family_hostile.html"' in member
        assert 'href="family_mixed3b-proposal-1.html"' in member
        assert "family_hostile" not in (site / "mixed3b_1.html").read_text()


class TestPage:
    """family_<slug>.html."""

    def test_members_maps_and_grids(self, site: Path) -> None:
        """A wall, a row of all members for each factor, and weights to the family of the layer before."""
        text = (site / "family_hostile.html").read_text()
        assert "2 of 7 neurons" in text
        for number in (1, 2):
            part = text[text.index(f'<section id="factor{number}"') :]
            assert part[: part.index("</section>")].count('<i class="k"') == 2
        grid = text[text.index('<section id="grid1"') :]
        grid = grid[: grid.index("</section>")]
        assert "Small" in grid
        assert re.findall(r"--r:(\d+)", grid) == ["0", "1", "2", "3"]

    def test_proposal_shows_members_by_angle(self, site: Path) -> None:
        """Turned members in one row by angle, reflected ones in another, each with its matched sources."""
        text = (site / "family_mixed3b-proposal-1.html").read_text()
        turns = text[text.index('<section id="turns"') : text.index('<section id="factors"')]
        assert re.findall(r"<b>(\d+)°</b>", turns) == ["0", "90", "0"]
        assert turns.index("mixed3b_2.html") < turns.index("reflected") < turns.index("mixed3b_5.html")
        assert re.findall(r"--r:(\d)", turns) == ["0", "1", "2", "3", "4", "5"]

    def test_json_holds_every_number(self, site: Path) -> None:
        """Members, turns, loadings and maps stand in the twin; the index and the members' twins link it."""
        twin = json.loads((site / "data/family_mixed3b-proposal-1.json").read_text())
        assert twin["neurons"] == [6, 2, 5]
        assert twin["turns"][1] == {
            "neuron": 2,
            "angle": 90,
            "flipped": False,
            "agreement": 0.5,
            "matched": [1, 2],
        }
        assert np.shape(twin["loadings"]) == (2, 5)
        assert np.shape(twin["maps"]) == (3, 5, 4, 2)
        listed = json.loads((site / "data/atlas.json").read_text())["families"]
        assert [entry["proposed"] for entry in listed] == [False, False, True]
        neuron = json.loads((site / "data/mixed3b_5.json").read_text())
        assert [entry["page"] for entry in neuron["families"]] == ["family_mixed3b-proposal-1.html"]
        assert len(twin["source_name"]) == 5
        assert site_faults(site) == []


class TestAgain:
    """What a change rewrites."""

    def test_another_proposal_rewrites_its_layer_alone(self, own: Store, tmp_path: Path) -> None:
        """Pages of the layer's neurons and of families are written again, pages of other layers are not."""
        render_site(own, tmp_path / "site")
        put_family(own, keys.proposal("mixed3b", 1), proposal((1, 2, 3), 0.3))
        written = {name for name in render_site(own, tmp_path / "site").written if name.endswith(".html")}
        assert {
            "families.html",
            "family_mixed3b-proposal-1.html",
            "mixed3b_1.html",
            "mixed3b_6.html",
        } <= written
        assert not any(name.startswith(("conv1", "block")) for name in written)

    def test_a_family_that_goes_takes_its_page_along(self, own: Store, tmp_path: Path) -> None:
        """No page of a former proposal is left."""
        render_site(own, tmp_path / "site")
        put_family(own, keys.proposal("mixed3b", 1), proposal((), 0.0))
        result = render_site(own, tmp_path / "site")
        assert "family_mixed3b-proposal-1.html" in result.removed
        assert check_site(tmp_path / "site") == ()
