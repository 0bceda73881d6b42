"""Positions and pictures of factors on a neuron's page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.records import Factorization
from atlas.site import render_site
from atlas.site.writing.site import SiteResult
from atlas.store import Store, codec, keys
from schema_check import site_faults
from synthetic import LISTS
from whole_store import COUNTS, POSITIONS, add_directions, put_sheet


@pytest.fixture
def drawn(store: Store) -> Store:
    """The store with positions of mixed3b:4 and :5, and factors of mixed3b:4."""
    add_directions(store)
    # What a former config left behind is not shown.
    put_sheet(store, keys.positions("mixed3b", 6), POSITIONS)
    return store


def rendered(store: Store, site: Path) -> SiteResult:
    return render_site(store, site)


def section(html: str, name: str) -> str:
    match = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert match, f"no section {name}"
    return match[0]


def test_the_grid_stands_on_the_chosen_pages_only(drawn: Store, tmp_path: Path) -> None:
    """The sheet is copied and shown with its rule and the largest magnitude; others have no section."""
    site = tmp_path / "site"
    rendered(drawn, site)
    shown = section((site / "mixed3b_4.html").read_text("utf-8"), "positions")
    assert 'src="images/positions/mixed3b_4.jpg"' in shown
    assert 'width="246" height="408"' in shown
    assert "relative to the strongest, 1.90." in shown
    assert "One picture for each position of the window. Plain grey: no weights at that position." in shown
    assert "30 × 40 px each, 176 steps, cosine power 1" in shown  # noqa: RUF001
    assert sorted(p.name for p in site.glob("images/positions/*")) == ["mixed3b_4.jpg", "mixed3b_5.jpg"]
    assert [p.name for p in site.glob("images/factors/*")] == ["mixed3b_4.jpg"]
    for page in ("mixed3b_6.html", "conv1_0.html"):
        assert 'id="positions"' not in (site / page).read_text("utf-8")


def test_blocks_are_told(drawn: Store, tmp_path: Path) -> None:
    """Where a picture stands for more than one position the page says for how many."""
    put_sheet(drawn, keys.positions("mixed3b", 4), replace(POSITIONS, block=(3, 2)))
    rendered(drawn, tmp_path / "site")
    shown = section((tmp_path / "site/mixed3b_4.html").read_text("utf-8"), "positions")
    assert "each picture stands for 2 × 3 positions, whose weights are added up" in shown  # noqa: RUF001


def test_a_factors_picture_is_the_icon_of_its_row(drawn: Store, tmp_path: Path) -> None:
    """Each row cuts its own picture from the strip; of an inhibiting factor the equation is turned round."""
    rendered(drawn, tmp_path / "site")
    factors = drawn.record(keys.factorization("mixed3b", 4), Factorization).factors
    shown = section((tmp_path / "site/mixed3b_4.html").read_text("utf-8"), "factors")
    cuts = re.findall(
        r'<span class="seen"><img src="images/factors/mixed3b_4.jpg"[^>]*margin-left:(\S+?)px', shown
    )
    assert cuts == ["0.00", "-65.10", "-130.20"]
    assert "For a factor that inhibits, the signs are flipped" in shown
    rows = re.findall(r"<li>.*?</li>", shown, re.DOTALL)
    for row, factor in zip(rows, factors, strict=False):
        first = re.search(r"([−\d.]+) ·", row)  # noqa: RUF001
        assert first is not None
        value = float(first[1].replace("\N{MINUS SIGN}", "-"))
        assert value == pytest.approx(factor.sign * factor.loadings[0], abs=0.006)


def test_without_a_picture_the_row_stays(drawn: Store, tmp_path: Path) -> None:
    """A neuron that was not chosen has the same rows without pictures, its loadings as they are."""
    rendered(drawn, tmp_path / "site")
    shown = section((tmp_path / "site/mixed3b_5.html").read_text("utf-8"), "factors")
    assert 'class="seen"' not in shown
    assert "signs are flipped" not in shown


def test_numbers_of_factors_are_compared(drawn: Store, tmp_path: Path) -> None:
    """A tile for each number of factors with its error; the one that the rows show is marked."""
    key = keys.factorization("mixed3b", 4)
    drawn.put_record(key, replace(drawn.record(key, Factorization), counts=COUNTS))
    rendered(drawn, tmp_path / "site")
    shown = section((tmp_path / "site/mixed3b_4.html").read_text("utf-8"), "factors")
    figure = shown.partition('<figure class="compare">')[2]
    assert re.findall(r"<b>(\d)</b> <small>(\d+)", figure) == [
        ("2", "50"), ("3", "33"), ("4", "25"), ("5", "20"), ("6", "17"),
    ]  # fmt: skip
    assert re.findall(r'<li class="shown">.*?<b>(\d)</b>', figure) == ["3"]
    assert "--w:64px;--h:43px" in figure


def test_the_twin_lists_them(drawn: Store, tmp_path: Path) -> None:
    """JSON holds what is known of both sheets, with magnitudes and addresses; null where there is none."""
    rendered(drawn, tmp_path / "site")
    known = json.loads((tmp_path / "site/data/mixed3b_4.json").read_text())
    assert known["positions"]["magnitudes"] == list(POSITIONS.magnitudes)
    assert known["positions"]["image"] == "images/positions/mixed3b_4.jpg"
    assert known["factor_pictures"]["n_columns"] == 3
    other = json.loads((tmp_path / "site/data/mixed3b_6.json").read_text())
    assert (other["positions"], other["factor_pictures"]) == (None, None)
    layers = json.loads((tmp_path / "site/data/atlas.json").read_text())["layers"]
    assert [layer["positions"] for layer in layers] == [[], [], [4, 5]]
    assert site_faults(tmp_path / "site") == []


def test_another_sheet_rewrites_its_page_alone(drawn: Store, tmp_path: Path) -> None:
    """A sheet made anew changes its picture, its neuron's page and the layer's, and nothing else."""
    site = tmp_path / "site"
    rendered(drawn, site)
    key = keys.positions("mixed3b", 5)
    drawn.put(key, drawn.read(key) + b" ", meta=codec.encode_meta(replace(POSITIONS, cosine_power=2.0)))
    written = set(rendered(drawn, site).written)
    assert written - {"mixed3b.html"} - LISTS == {
        "images/positions/mixed3b_5.jpg",
        "mixed3b_5.html",
        "data/mixed3b_5.json",
    }
