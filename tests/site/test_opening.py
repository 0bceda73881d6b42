"""The top of a neuron's page: three numbers, the strongest connections each way, and terms explained."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.records import Connections, LayerStatistics
from atlas.site import render_site
from atlas.site.html.chrome import chrome
from atlas.site.neuron import key_numbers
from atlas.site.writing import writing
from atlas.store import Store, keys

TERMS = {
    "expanded-weights",
    "strength",
    "coverage",
    "factors",
    "cancellation",
    "receptive-field",
    "effective-field",
    "distribution",
    "fidelity",
}


def page(site: Path, name: str = "mixed3b_4") -> str:
    """Return the HTML of a page."""
    return (site / f"{name}.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")


def numbers(html: str) -> dict[str, str]:
    """Return the numbers on top by their names."""
    (shown,) = re.findall(r'<dl class="key">.*?</dl>', html, re.DOTALL)
    rows = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", shown)
    return {re.sub("<.*?>", "", name): re.sub("<.*?>", "", value) for name, value in rows}


def test_three_numbers_of_the_statistics(filled: Path, rendered: Path) -> None:
    """Participation ratio, sign balance, and the rank of its strength, back from the percentile."""
    with Store.open(filled) as store:
        record = store.record(keys.statistics("mixed3b"), LayerStatistics)
    rank = 7 - round(float(record.percentile[4, 0]) / 100 * 6)
    shown = numbers(page(rendered))
    assert list(shown) == ["participation ratio", "sign balance", "strength"]
    assert shown["participation ratio"] == f"{record.n_inputs[4]:.1f} of 5"
    assert shown["sign balance"] == f"{record.balance[4]:+.2f}".replace("-", "\N{MINUS SIGN}")
    assert re.fullmatch(rf"{rank}(st|nd|rd|th) of 7", shown["strength"])


def test_without_statistics_others_take_their_place(store: Store, tmp_path: Path) -> None:
    """Coverage each way and the receptive field are known of every neuron."""
    record = store.record(keys.statistics("mixed3b"), LayerStatistics)
    record.l2[4] = 0
    store.put_record(keys.statistics("mixed3b"), record)
    render_site(store, tmp_path / "site")
    shown = numbers(page(tmp_path / "site"))
    assert list(shown) == ["coverage of its inputs", "coverage of its outputs", "receptive field"]
    assert shown["receptive field"] == "25 \N{MULTIPLICATION SIGN} 23 px"


@pytest.mark.parametrize(
    ("rank", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (112, "112th"), (1023, "1,023rd")]
)
def test_ranks_are_words(rank: int, text: str) -> None:
    """As people write them."""
    assert key_numbers._ordinal(rank) == text


def test_the_strongest_lead_to_their_cells(filled: Path, rendered: Path) -> None:
    """Three chips each way, in the order of strength, each a link to a cell with the same strength."""
    html = page(rendered)
    (shown,) = re.findall(r'<div class="ways">.*?</div>\s*</div>', html, re.DOTALL)
    links = re.findall(r'href="#((?:from|to)-\d+)"', shown)
    with Store.open(filled) as store:
        for direction, prefix, at in (("upstream", "from", 0), ("downstream", "to", 3)):
            record = store.record(keys.connections("mixed3b", direction), Connections)
            assert links[at : at + 3] == [f"{prefix}-{n}" for n in record.index[4, :3]]
    for link in links:
        assert f'<li id="{link}"' in html


def test_every_map_has_words(rendered: Path) -> None:
    """Each kernel of each list is a picture whose text tells its strongest weight."""
    html = page(rendered)
    maps = re.findall(r'<li id="(?:from|to|over)[^>]*>.*?</li>', html)
    assert len(maps) == 5 + 6 + 4
    labels = [re.search(r'<i class="k" role="img" aria-label="([^"]*)"></i>', one) for one in maps]
    assert all(labels)
    assert all(re.fullmatch(r"[+\u2212][\d.]+.*", match[1]) for match in labels if match)


def test_terms_lead_to_the_page_on_method(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is such a page each term links to its place, else it stands as a word."""
    for method in ("", "method.html"):
        site = tmp_path / (method or "none")
        monkeypatch.setattr(
            writing, "chrome", lambda of, m=method, **more: replace(chrome(of, **more), method=m)
        )
        render_site(store, site)
        main = page(site).partition("<main")[2].partition("</main>")[0]
        found = set(re.findall(r'class="defined" href="method\.html#([a-z-]+)"', main))
        assert found == (TERMS if method else set())
        assert "Expanded weights</" in main
