"""The light page of a neuron, for an iframe on another site."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from atlas.core.records import Connections
from atlas.site import check_site, render_site
from atlas.store import Store, keys


@pytest.fixture(scope="module")
def embed(rendered: Path) -> str:
    """The light page of a neuron."""
    return (rendered / "embed/mixed3b_4.html").read_text()


def test_it_shows_the_strongest_of_each_direction(filled: Path, embed: str) -> None:
    """Five at most, the strongest first, each with its strength, and the rule by which they were chosen."""
    with Store.open(filled) as store:
        record = store.record(keys.connections("mixed3b", "downstream"), Connections)
    section = re.search(r'<div id="downstream".*?</ol>.*?</div>', embed, re.S)
    assert section
    found = re.findall(r'<em class="[pnz]">(.*?)</em>', section[0])
    assert len(found) == 5
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in found]
    np.testing.assert_allclose(np.abs(numbers), record.strength[4][:5], rtol=6e-3)
    assert "Strongest 5 of 6 by L2 norm." in section[0]


def test_every_page_of_a_neuron_has_one(rendered: Path) -> None:
    """And links to it, with a snippet to copy."""
    pages = [page.name for page in rendered.glob("*_*.html")]
    assert sorted(page.name for page in rendered.glob("embed/*.html")) == sorted(pages)
    for name in pages:
        html = (rendered / name).read_text()
        assert f'<a href="embed/{name}">' in html
        assert f'&lt;iframe src="<span data-href="embed/{name}">embed/{name}</span>"' in html


def test_links_leave_the_frame(embed: str) -> None:
    """Every link opens outside of it, and gives the opened page no hold of it."""
    links = re.findall(r"<a [^>]*>", embed)
    assert len(links) > 3
    for link in links:
        assert 'href="../' in link
        assert 'target="_blank" rel="noopener"' in link


def test_it_is_no_page_to_be_found(embed: str) -> None:
    """Search engines are sent to the whole page."""
    assert '<meta name="robots" content="noindex">' in embed
    assert '<link rel="canonical" href="../mixed3b_4.html">' in embed
    assert "<script" not in embed


def test_hostile_text_is_text(rendered: Path) -> None:
    """Names and labels of a model become no tags."""
    pages = [page.read_text() for page in rendered.glob("embed/*.html")]
    assert all("<script" not in page for page in pages)
    assert any("&lt;script&gt;alert(1)" in page for page in pages)


def test_it_is_light(synthetic: object, tmp_path: Path) -> None:
    """With 15 x 15 kernels in both directions it stays within 25 kB."""
    specs = [synthetic.Spec(f"mixed{at}a", 60, (15, 15), neurons=(0, 1)) for at in range(3)]  # type: ignore[attr-defined]
    synthetic.fill_store(tmp_path / "store", specs)  # type: ignore[attr-defined]
    with Store.open(tmp_path / "store") as store:
        render_site(store, tmp_path / "site")
    sizes = [page.stat().st_size for page in (tmp_path / "site/embed").iterdir()]
    assert len(sizes) == 6
    assert max(sizes) <= 25_000
    assert check_site(tmp_path / "site") == ()
