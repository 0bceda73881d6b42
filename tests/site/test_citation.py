"""A citation names the neuron, the model's bytes and the program, and never ends early."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from atlas.core.records import AtlasRecord
from atlas.site import Web, render_site
from atlas.site.neuron.citation import citation
from atlas.site.reading.catalogue import Catalogue
from atlas.store import Store, keys


@pytest.fixture
def catalogue(store: Store) -> Catalogue:
    """An atlas of a model whose name TeX would read."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    model = replace(atlas.model, name="net_{1}", sha256="ab" * 32)
    return Catalogue(replace(atlas, model=model, versions={"circuit-atlas": "0.9"}), store.has)


def test_bibtex_escapes_what_tex_would_read(catalogue: Catalogue) -> None:
    """A name's braces, backslashes and percent signs do not end the entry."""
    entry = citation(catalogue, r"Neuron a}%\b:3", "a-x12_3.html").bibtex
    assert r"Neuron a\}\%\textbackslash{}b:3 of net\_\{1\}" in entry
    assert entry.startswith("@misc{a-x12_3,")
    plain = re.sub(r"\\[{}]", "", entry)
    assert plain.count("{") == plain.count("}")


def test_model_and_program_are_told(catalogue: Catalogue) -> None:
    """Both ways: the hash of the model's bytes and the version of the program."""
    cited = citation(catalogue, "Neuron a:3", "a_3.html")
    for text in (cited.bibtex, cited.plain):
        assert f"model SHA-256 {'ab' * 8}" in text
        assert "circuit-atlas 0.9" in text
    assert "url" not in cited.bibtex


def test_an_address_that_is_known_is_told(store: Store, tmp_path: Path) -> None:
    """With the site's address the entry is whole without a script."""
    render_site(store, tmp_path / "site", web=Web("https://a.org/x/"))
    page = unescape((tmp_path / "site/mixed3b_4.html").read_text())
    assert "  howpublished = {\\url{https://a.org/x/mixed3b_4.html}},\n}</pre>" in page
    assert '<span data-href="mixed3b_4.html">https://a.org/x/mixed3b_4.html</span>' in page
    assert '<iframe src="<span data-href="embed/mixed3b_4.html">https://a.org/x/embed/mixed3b_4.html<' in page


def test_a_layer_can_be_cited(store: Store, tmp_path: Path) -> None:
    """By its own address, with the script that fills in where it is read."""
    render_site(store, tmp_path / "site", web=Web("https://a.org/x/"))
    page = unescape((tmp_path / "site/mixed3b.html").read_text())
    assert "@misc{mixed3b,\n  title  = {Layer mixed3b of " in page
    assert "howpublished = {\\url{https://a.org/x/mixed3b.html}}" in page
    assert "/cite." in page
