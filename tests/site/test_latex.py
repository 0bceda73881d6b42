"""The macros for papers can be read by TeX, and call every layer by its name."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.core.records import AtlasRecord
from atlas.core.slugs import layer_slugs
from atlas.site import Web, render_site
from atlas.site.neuron.latex import chip, neurons_sty
from atlas.site.reading.catalogue import Catalogue
from atlas.store import Store, keys

PAPER = r"""\documentclass{article}
\pdfcompresslevel=0\pdfobjcompresslevel=0
\usepackage{neurons}
\atlasurl{https://a.org/~ann/50%25_x/}\atlasfolder{atlas}
\begin{document}
\section{On \neuron{mixed3b}{4}}
Chips: \neuron{mixed3b}{4}, \neuron*{mixed3b}{5}, \neuron{block/one two:three}{0}, without a picture
\neuron{mixed9z_pre}{7}.
\atlasurl{https://a.org/b}\neuron{conv1}{2}
\end{document}
"""


def with_names(store: Store, *names: str) -> Catalogue:
    """Return an atlas whose layers have other names, the pictures those of a variant."""
    atlas = store.record(keys.ATLAS, AtlasRecord)
    slugs = layer_slugs(names)
    layers = tuple(
        replace(layer, name=name, slug=slugs[name])
        for layer, name in zip(atlas.model.layers, names, strict=False)
    )
    records = tuple(
        replace(record, layer=name, featurevis=("channel",))
        for record, name in zip(atlas.layers, names, strict=True)
    )
    model = replace(atlas.model, layers=layers)
    return Catalogue(replace(atlas, model=model, layers=records), store.has)


def layers_of(sty: str) -> dict[str, tuple[str, str]]:
    """Return what a package says of layers: name -> slug and folder of pictures."""
    found = re.findall(r"^\\neurons@layer\{([^}]*)\}\{([^}]*)\}\{([^}]*)\}$", sty, re.M)
    return {name: (slug, folder) for name, slug, folder in found}


def test_layers_are_called_by_name_and_slug(store: Store) -> None:
    """A name that TeX would read is left to its slug; the folder is that of the layer's pictures."""
    catalogue = with_names(store, "conv2d_3", r"a}\b%", "mixed3b")
    odd = catalogue.model.layers[1].slug
    assert layers_of(neurons_sty(catalogue).decode()) == {
        "conv2d_3": ("conv2d-3", "channel"),
        "conv2d-3": ("conv2d-3", "channel"),
        odd: (odd, "channel"),
        "mixed3b": ("mixed3b", "channel"),
    }
    assert chip(catalogue.model.layers[0], 7) == r"\neuron{conv2d_3}{7}"
    assert chip(catalogue.model.layers[1], 7) == rf"\neuron{{{odd}}}{{7}}"


def test_it_is_one_small_file(rendered: Path) -> None:
    """Layers whose files are called like themselves take no line, neurons none at all; it is plain ASCII."""
    sty = (rendered / "data/neurons.sty").read_bytes()
    assert len(sty) < 4_000
    assert sty.isascii()
    assert set(layers_of(sty.decode())) == {
        "block/one two:three",
        *(slug for slug, _ in layers_of(sty.decode()).values()),
    }


def test_groups_are_closed(rendered: Path) -> None:
    """Braces and groups are balanced in every macro."""
    text = re.sub(r"(?<!\\)%.*", "", (rendered / "data/neurons.sty").read_text())
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\begingroup") == text.count(r"\endgroup")


def test_the_address_is_the_config_s(store: Store, tmp_path: Path) -> None:
    """A site that knows where it will lie tells its macros."""
    render_site(store, tmp_path / "site", web=Web("https://a.org/x/"))
    assert r"\atlasurl{https://a.org/x/}" in (tmp_path / "site/data/neurons.sty").read_text()


def test_tex_reads_it(rendered: Path, tmp_path: Path) -> None:
    """A paper of chips becomes a PDF whose links lead to the neurons' pages."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex; install TeX Live to set a paper with the macros")
    (tmp_path / "paper.tex").write_text(PAPER)
    (tmp_path / "neurons.sty").write_bytes((rendered / "data/neurons.sty").read_bytes())
    shutil.copytree(rendered / "images", tmp_path / "atlas/images")
    done = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    pdf = (tmp_path / "paper.pdf").read_bytes()
    links = re.findall(rb"/URI\((.*?)\)\s*>>", pdf)
    slug = layers_of((tmp_path / "neurons.sty").read_text())["block/one two:three"][0].encode()
    assert set(links) == {
        b"https://a.org/~ann/50%25_x/mixed3b_4.html",
        b"https://a.org/~ann/50%25_x/mixed3b_5.html",
        b"https://a.org/~ann/50%25_x/" + slug + b"_0.html",
        b"https://a.org/~ann/50%25_x/mixed9z_pre_7.html",
        b"https://a.org/b/conv1_2.html",
    }
    assert pdf.count(b"/Subtype /Image") + pdf.count(b"/Subtype/Image") == 4
