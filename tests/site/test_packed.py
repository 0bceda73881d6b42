"""A packed site has two files a neuron; its zip files hold what an unpacked site has as files."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.core.records import Factorization
from atlas.site import check_site, render_site
from atlas.site.folder import status
from atlas.site.web import MOST_UNPACKED, Web
from atlas.store import Store, keys
from trees import tree
from whole_store import add_families

PACKED = Web(packed="always")


@pytest.fixture(scope="module")
def packed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed site that no test changes."""
    site = tmp_path_factory.mktemp("packed") / "site"
    with Store.open(filled) as store:
        render_site(store, site, web=PACKED)
    return site


def unpacked(site: Path) -> dict[str, bytes]:
    """Return the files in a site's zip files, each in the folder of its zip file."""
    members = {}
    for path in sorted((site / "data").glob("*.zip")):
        with zipfile.ZipFile(path) as pack:
            assert pack.testzip() is None
            members |= {f"data/{name}": pack.read(name) for name in pack.namelist()}
    return members


def test_a_neuron_has_a_page_and_its_pictures(packed: Path, rendered: Path) -> None:
    """Pages and feature visualizations keep their addresses; data, strips and short pages are no files."""
    names, before = tree(packed).keys(), tree(rendered).keys()
    pages = {name for name in before if name.endswith(".html") and not name.startswith("embed/")}
    pictures = {name for name in before if name.startswith("images/") and "/examples/" not in name}
    assert names >= pages | pictures
    left_out = before - names
    assert {
        re.sub(r"^(data|embed|images/examples)/.*_\d+\.(json|npz|html|jpg)$|^data/family_.*json$", "", n)
        for n in left_out
    } == {""}
    assert check_site(packed) == ()


def test_zip_files_hold_the_same_data(packed: Path, rendered: Path) -> None:
    """Unpacked, a neuron's two files are those of a site that is not packed, but for the strip's address."""
    files = unpacked(packed)
    wanted = {
        path.relative_to(rendered).as_posix(): path.read_bytes()
        for path in (rendered / "data").iterdir()
        if re.search(r"_\d+\.(json|npz)$", path.name) and not path.name.startswith("family_")
    }
    assert files.keys() == wanted.keys()
    for name, data in wanted.items():
        if name.endswith(".npz"):
            assert files[name] == data
        else:
            document, other = json.loads(files[name]), json.loads(data)
            if other["examples"]:
                assert other["examples"].pop("strip")
                assert document["examples"].pop("strip") is None
            assert document == other


def test_families_share_a_zip_file(store: Store, tmp_path: Path) -> None:
    """It holds the JSON of each family, and their pages link to it."""
    add_families(store)
    render_site(store, tmp_path / "a", web=PACKED)
    render_site(store, tmp_path / "b")
    files = unpacked(tmp_path / "a")
    wanted = list((tmp_path / "b" / "data").glob("family_*.json"))
    assert len(wanted) > 1
    for path in wanted:
        assert files[f"data/{path.name}"] == path.read_bytes()
        assert not (tmp_path / "a" / "data" / path.name).exists()
        page = (tmp_path / "a" / path.with_suffix(".html").name).read_text("utf-8")
        assert '<a href="data/families.zip">JSON</a>' in page
    assert [problem for problem in check_site(tmp_path / "a") if problem.severity == "error"] == []


def test_the_index_tells_where_data_is(packed: Path) -> None:
    """The addresses of atlas.json lead to each neuron's files by the rule that it states."""
    atlas = json.loads((packed / "data/atlas.json").read_bytes())
    channels = {layer["name"]: layer["n_channels"] for layer in atlas["network"]}
    assert "examples" not in atlas["addresses"]
    for layer in atlas["layers"]:
        for n in layer["neurons"]:
            first = n - n % 64
            last = min(first + 63, channels[layer["name"]] - 1)
            address = atlas["addresses"]["npz"].format(layer=layer["slug"], n=n, first=first, last=last)
            file, _, member = address.rpartition("/")
            with zipfile.ZipFile(packed / file) as pack, np.load(io.BytesIO(pack.read(member))) as arrays:
                assert json.loads(arrays["meta.json"])["neuron"] == f"{layer['name']}:{n}"


def test_the_page_holds_its_examples(packed: Path, store: Store) -> None:
    """The strip is in the page, smaller but looking the same, and each tile shows its part of it."""
    slug = next(p.name for p in packed.glob("*_4.html")).removesuffix("_4.html")
    html = (packed / f"{slug}_4.html").read_text("utf-8")
    (strip,) = re.findall(r"background-image:url\(data:image/webp;base64,([^)]*)\)", html)
    shown, stored = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)
        for data in (base64.b64decode(strip), store.read(keys.example_strip(slug, 4)))
    )
    assert shown.shape == stored.shape
    # The made-up pictures are noise, which compresses worst.
    assert np.corrcoef(shown.ravel(), stored.ravel())[0, 1] > 0.8
    tiles = re.findall(
        r'<li><b role="img" aria-label="[^"]*" title="[^"]*" style="background-position:-(\d+)px 0">', html
    )
    assert [int(at) for at in tiles] == [96 * at for at in range(len(tiles))]
    assert f'<a href="data/{slug}_0-' in html
    assert "<iframe" not in html
    assert "&lt;iframe" not in html


def test_only_the_packs_that_changed_are_written(store: Store, tmp_path: Path) -> None:
    """Another factorization of one neuron changes its page, its zip file and the lists, and nothing else."""
    site = tmp_path / "site"
    render_site(store, site, web=PACKED)
    assert render_site(store, site, web=PACKED).n_written == 0
    before = tree(site)
    slug = next(p.name for p in site.glob("*_4.html")).removesuffix("_4.html")
    key = keys.factorization(slug, 4)
    store.put_record(key, replace(store.record(key, Factorization), error=0.7))
    written = set(render_site(store, site, web=PACKED).written)
    after = tree(site)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {status.NAME} <= written
    assert {name for name in written if name.endswith(".zip")} == {
        name for name in after if name.startswith(f"data/{slug}_") and name.endswith(".zip")
    }


def test_the_form_may_change(store: Store, tmp_path: Path) -> None:
    """A site that is packed later is that of a first render, and one that is unpacked again, too."""
    site = tmp_path / "site"
    render_site(store, site)
    unpacked_first = tree(site)
    render_site(store, site, web=PACKED)
    render_site(store, tmp_path / "other", web=PACKED)
    assert tree(site) == tree(tmp_path / "other")
    render_site(store, site)
    assert tree(site) == unpacked_first


@pytest.mark.parametrize(
    ("packed", "n_neurons", "wanted"),
    [
        ("auto", MOST_UNPACKED, False),
        ("auto", MOST_UNPACKED + 1, True),
        ("never", 10**6, False),
        ("always", 1, True),
    ],
)
def test_large_sites_are_packed(packed: str, n_neurons: int, wanted: bool) -> None:
    """Left alone, a site is packed where its files would be too many for hosts."""
    assert Web(packed=packed).is_packed(n_neurons) is wanted
