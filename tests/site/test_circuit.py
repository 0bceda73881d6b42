"""A neuron's page shows its circuit, read off the lists of several layers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

from atlas.core.records import AtlasRecord, CircuitShape, Connections
from atlas.site import check_site, render_site
from atlas.store import Store, codec, keys

SVG = "{http://www.w3.org/2000/svg}"


def circuit_of(page: Path) -> ElementTree.Element:
    """Return the drawing on a page, parsed as XML."""
    match = re.search(r'<svg class="circuit".*?</svg>', page.read_text(), re.DOTALL)
    assert match, f"no circuit on {page}"
    return ElementTree.fromstring(match[0])


def reshaped(store: Store, shape: CircuitShape | None) -> None:
    """Put an atlas record that wants other circuits."""
    store.put_record(keys.ATLAS, replace(store.record(keys.ATLAS, AtlasRecord), circuit=shape))


class TestCircuit:
    def test_neurons_and_lines_are_the_strongest_of_the_lists(self, filled: Path, rendered: Path) -> None:
        """The neuron, its five strongest inputs, two of each of these, and its five strongest outputs."""
        with Store.open(filled) as store:
            atlas = store.record(keys.ATLAS, AtlasRecord)
            middle, first = atlas.model.layers[1], atlas.model.layers[0]
            up = store.record(keys.connections("mixed3b", "upstream"), Connections)
            upper = store.record(keys.connections(middle.slug, "upstream"), Connections)
            down = store.record(keys.connections("mixed3b", "downstream"), Connections)
        wanted = {f"{middle.name}:{n}" for n in up.index[4][:5]}
        wanted |= {f"{first.name}:{m}" for n in up.index[4][:5] for m in upper.index[n][:2]}
        wanted |= {atlas.model.labels[n] for n in down.index[4][:5]} | {"mixed3b:4"}
        root = circuit_of(rendered / "mixed3b_4.html")
        dots = [e for e in root if e.tag in (f"{SVG}a", f"{SVG}g") and e.find(f"{SVG}title") is not None]
        titles = [str(dot.findtext(f"{SVG}title")) for dot in dots if dot.find(f"{SVG}path") is None]
        assert len(titles) == len(set(titles))
        assert set(titles) == wanted
        ego = root.find(f"{SVG}a[@class='ego']")
        assert ego is not None
        assert ego.attrib["href"] == "mixed3b_4.html"

    def test_each_line_leads_to_the_cell_of_its_kernel(self, rendered: Path) -> None:
        """Every link of every circuit leads to a cell that is there, and whose number is the line's."""
        assert [p for p in check_site(rendered) if p.severity == "error"] == []
        n_lines = 0
        for page in rendered.glob("*_*.html"):
            for line in circuit_of(page).findall(f"{SVG}a"):
                if line.find(f"{SVG}path") is None:
                    continue
                target, _, cell = line.attrib["href"].partition("#")
                html = (rendered / target).read_text()
                match = re.search(rf'<li id="{cell}".*?</li>', html)
                assert match
                strength = re.search(r"strength ([\d.,]+), ", str(line.findtext(f"{SVG}title")))
                assert strength
                assert strength[1] in match[0]
                n_lines += 1
        assert n_lines > 100

    def test_the_rule_and_the_description_say_what_is_shown(self, rendered: Path) -> None:
        """The caption tells the selection, the drawing its size and layers, and how widths are measured."""
        html = (rendered / "mixed3b_4.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
        assert (
            "The 5 strongest inputs of mixed3b:4 by L2 norm, the 2 strongest inputs of each of these;" in html
        )
        assert "(in its source&#39;s list for lines to logits, which has no list in this atlas)" in html
        root = circuit_of(rendered / "mixed3b_4.html")
        n_dots = sum(1 for e in root.iter(f"{SVG}text")) - 4
        n_lines = sum(1 for _ in root.iter(f"{SVG}path"))
        description = root.findtext(f"{SVG}desc") or ""
        assert description.startswith(f"{n_dots} neurons and {n_lines} connections: conv1, block/one")

    def test_hostile_labels_stay_text(self, rendered: Path) -> None:
        """A class named like a script is a label of a dot."""
        texts = {
            e.text for page in rendered.glob("mixed3b_*.html") for e in circuit_of(page).iter(f"{SVG}text")
        }
        assert any("<script>" in (text or "") for text in texts)

    def test_the_twin_holds_the_circuit(self, rendered: Path) -> None:
        """The JSON file lists neurons and connections; every connection joins two of them."""
        circuit = json.loads((rendered / "data/mixed3b_4.json").read_bytes())["circuit"]
        spots = [spot for column in circuit["columns"] for spot in column]
        assert ["mixed3b", 4] in spots
        root = circuit_of(rendered / "mixed3b_4.html")
        assert len(circuit["edges"]) == sum(1 for _ in root.iter(f"{SVG}path"))
        for edge in circuit["edges"]:
            assert edge["source"] in spots
            assert edge["target"] in spots

    def test_settings_reach_the_pages_through_the_record(self, store: Store, tmp_path: Path) -> None:
        """Another shape is another circuit; no shape, as in an older store, is none."""
        reshaped(store, CircuitShape(up=1, down=0, fan=(2,), between=1.0))
        render_site(store, tmp_path / "site")
        root = circuit_of(tmp_path / "site/mixed3b_4.html")
        assert sum(1 for _ in root.iter(f"{SVG}path")) == 2
        reshaped(store, None)
        render_site(store, tmp_path / "site")
        html = (tmp_path / "site/mixed3b_4.html").read_text()
        assert 'id="circuit"' not in html
        assert json.loads((tmp_path / "site/data/mixed3b_4.json").read_bytes())["circuit"] is None

    def test_a_list_two_hops_away_makes_a_page_stale(self, store: Store, tmp_path: Path) -> None:
        """What changes in a layer further off is drawn on the pages that look so far."""
        render_site(store, tmp_path / "site")
        before = (tmp_path / "site/mixed3b_4.html").read_text()
        middle = store.record(keys.ATLAS, AtlasRecord).model.layers[1]
        key = keys.connections(middle.slug, "upstream")
        record = store.record(key, Connections)
        record.strength[:] *= np.float32(3)
        store.put_record(key, record)
        assert "mixed3b_4.html" in render_site(store, tmp_path / "site").written
        assert (tmp_path / "site/mixed3b_4.html").read_text() != before

    def test_stays_small(self, synthetic: ModuleType, tmp_path: Path) -> None:
        """With lists of 50 among many neurons a drawing takes 12 kB at most."""
        specs = [synthetic.Spec(f"mixed{at}a", 90, (3, 3), neurons=(0, 1, 2)) for at in range(4)]
        synthetic.fill_store(tmp_path / "store", specs)
        with Store.open(tmp_path / "store") as store:
            render_site(store, tmp_path / "site")
        for page in (tmp_path / "site").glob("mixed2a_*.html"):
            match = re.search(r'<svg class="circuit".*?</svg>', page.read_text(), re.DOTALL)
            assert match
            assert 2_000 < len(match[0]) <= 12_000


class TestBranch:
    def test_a_page_tells_the_branch(self, rendered: Path) -> None:
        """Branch and place in it stand at the top, among the aliases and in the twin; others have none."""
        html = (rendered / "mixed3b_3.html").read_text()
        assert "branch 1x1, neuron 1 of 2" in html
        assert "<code>mixed3b_1x1:1</code>" in html
        twin = json.loads((rendered / "data/mixed3b_3.json").read_bytes())
        assert twin["branch"] == {"name": "mixed3b_1x1", "index": 1, "n_channels": 2}
        assert "branch 1x1" not in (rendered / "mixed3b_4.html").read_text()
        assert json.loads((rendered / "data/mixed3b_4.json").read_bytes())["branch"] is None

    def test_a_branch_that_is_shown_keeps_its_name(self, store: Store, tmp_path: Path) -> None:
        """Where the atlas has the branch as a layer, its name is no alias of the whole's neurons."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        shown = replace(atlas.layers[2], layer="mixed3b_1x1", neurons=(0, 1), upstream=None, downstream=None)
        store.put_record(keys.ATLAS, replace(atlas, layers=(*atlas.layers, shown)))
        render_site(store, tmp_path / "site")
        assert "<code>mixed3b_1x1:1</code>" not in (tmp_path / "site/mixed3b_3.html").read_text()
        (script,) = (tmp_path / "site").glob("static/search.*.js")
        assert b'["mixed3b_1x1",2,2]' not in script.read_bytes()


def test_records_of_older_versions_are_read(filled: Path) -> None:
    """A record without branches and circuit is one whose layers have none."""
    with Store.open(filled) as store:
        document = json.loads(codec.encode(store.record(keys.ATLAS, AtlasRecord)))
    del document["circuit"]
    for layer in document["model"]["layers"]:
        del layer["branches"]
    old = codec.decode(AtlasRecord, json.dumps(document).encode())
    assert old.circuit is None
    assert {layer.branches for layer in old.model.layers} == {()}


@pytest.mark.parametrize("name", ["conv1_0", "mixed3b_6"])
def test_two_renders_are_the_same(filled: Path, rendered: Path, tmp_path: Path, name: str) -> None:
    """A circuit is a function of the store."""
    with Store.open(filled) as store:
        render_site(store, tmp_path / "site")
    assert (tmp_path / f"site/{name}.html").read_bytes() == (rendered / f"{name}.html").read_bytes()
