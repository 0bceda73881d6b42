"""A neuron's page shows what its records hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from atlas.core.records import AtlasRecord, Connections, ExampleTable, Factorization
from atlas.site import render_site
from atlas.store import Store, keys


class Text(HTMLParser):
    """The words of a page, its links, and its pictures with their alt texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect links and pictures."""
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        """Collect words."""
        self.words.append(data.strip())

    @property
    def text(self) -> str:
        """All words in a row."""
        return " ".join(filter(None, self.words)).replace("\N{NO-BREAK SPACE}", " ")


def section(html: str, name: str) -> Text:
    """Return one section of a page."""
    match = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert match, f"no section {name}"
    return Text(match[0])


@pytest.fixture(scope="module")
def strange(filled: Path) -> str:
    """The slug of the layer whose name no file could have."""
    with Store.open(filled) as store:
        return store.record(keys.ATLAS, AtlasRecord).model.layers[1].slug


class TestConnections:
    def test_every_shown_connection_is_a_cell(self, filled: Path, rendered: Path, strange: str) -> None:
        """Links stand in the order of rank, numbers are the kernels' norms with their signs."""
        with Store.open(filled) as store:
            record = store.record(keys.connections("mixed3b", "upstream"), Connections)
        shown = section((rendered / "mixed3b_4.html").read_text(), "upstream")
        wanted = [f"{strange}_{n}.html" for n in record.index[4]]
        assert [link for link in shown.links if "_" in link] == wanted
        marks = {1: "+", -1: "\N{MINUS SIGN}", 0: ""}
        for strength, sign in zip(record.strength[4], record.sign[4], strict=True):
            digits = f"{float(strength):#.3g}".removesuffix(".")
            assert marks[int(sign)] + digits in shown.words

    def test_the_selection_rule_is_told(self, store: Store, tmp_path: Path) -> None:
        """A list that is cut says how many there were and what share it holds."""
        key = keys.connections("mixed3b", "upstream")
        record = store.record(key, Connections)
        record.l2[4], record.l1[4] = 0.834, 0.61
        values = {name: getattr(record, name) for name in record.__dataclass_fields__}
        store.put_record(key, Connections(**{**values, "n_candidates": 480}))
        render_site(store, tmp_path / "site")
        shown = section((tmp_path / "site/mixed3b_4.html").read_text(), "upstream").text
        assert (
            "Top 5 of 480 by L2 norm: 83 % of the squared L2 norm and 61 % of the L1 norm of all weights."
            in shown
        )
        assert "The window cuts off 2 % of the L1 norm." in shown

    def test_connections_of_weight_zero_are_none(self, store: Store, tmp_path: Path) -> None:
        """A neuron of a depthwise convolution has one source: the places of the others are not shown."""
        key = keys.connections("mixed3b", "upstream")
        record = store.record(key, Connections)
        for values in (record.strength, record.sign, record.kernel):
            values[4, 1:], values[5, 3:] = 0, 0
        record.l2[4:6] = record.l1[4:6] = 1
        store.put_record(key, record)
        render_site(store, tmp_path / "site")
        for neuron, count, told in ((4, 1, "only this one has"), (5, 3, "only these 3 have")):
            html = (tmp_path / f"site/mixed3b_{neuron}.html").read_text()
            shown = section(html, "upstream")
            cells = [link for link in shown.links if "_" in link]
            assert len(cells) == count
            assert f"Of {record.n_candidates} {told} weights; the others are zero." in shown.text

    def test_the_legend_states_the_peak(self, filled: Path, rendered: Path) -> None:
        """Every list carries its colours' scale."""
        with Store.open(filled) as store:
            peak = store.record(keys.connections("mixed3b", "upstream"), Connections).peak[4]
        words = section((rendered / "mixed3b_4.html").read_text(), "upstream").words
        assert {f"+{float(peak):#.3g}", f"\N{MINUS SIGN}{float(peak):#.3g}"} <= set(words)

    def test_the_image_is_told_by_colours(self, rendered: Path) -> None:
        """The first layer is built from red, green and blue, and shows its filter as a colour image."""
        html = (rendered / "conv1_2.html").read_text()
        words = section(html, "upstream").words
        assert {"red", "green", "blue"} <= set(words)
        assert "The weights as a colour image" in html

    def test_classes_are_told_by_labels(self, rendered: Path) -> None:
        """The last layer is used by classes, each with its label; their weights come from the carrier."""
        text = section((rendered / "mixed3b_4.html").read_text(), "downstream").text
        assert "great white shark" in text
        assert "<script>alert(1)</script>" in text
        assert "Weights are taken from pool/max." in text

    def test_a_neuron_without_a_page_is_no_link(self, rendered: Path, strange: str) -> None:
        """conv1's neuron 1 is not in the atlas: it stands as a plain chip."""
        shown = section((rendered / f"{strange}_0.html").read_text(), "upstream")
        assert sorted(link for link in shown.links if "_" in link) == [f"conv1_{n}.html" for n in (0, 2, 3)]
        assert "1" in shown.words


class TestFactors:
    def test_each_factor_is_an_equation(self, filled: Path, rendered: Path) -> None:
        """A row tells the sign and the strongest source neurons with their loadings."""
        with Store.open(filled) as store:
            record = store.record(keys.factorization("mixed3b", 4), Factorization)
        shown = section((rendered / "mixed3b_4.html").read_text(), "factors")
        assert "42 % (relative L2 error)" in shown.text
        assert [w for w in shown.words if w in ("excites", "inhibits")] == ["excites", "inhibits", "excites"]
        for factor in record.factors:
            assert f"{factor.loadings[0]:.2f} ·" in shown.words

    def test_a_degenerate_case_is_a_sentence(self, rendered: Path, strange: str) -> None:
        """Without factors the note stands alone."""
        shown = section((rendered / f"{strange}_1.html").read_text(), "factors")
        assert "All weights are zero, so there is nothing to factor." in shown.text
        assert not shown.pictures


class TestExamples:
    def test_each_image_is_a_tile_with_its_label(self, filled: Path, rendered: Path) -> None:
        """Tiles move the one strip by whole tiles; labels come from the files' names."""
        with Store.open(filled) as store:
            table = store.record(keys.examples("mixed3b"), ExampleTable)
        shown = section((rendered / "mixed3b_4.html").read_text(), "examples")
        files = [table.images[i] for i in table.image[4]]
        # Below them stand smaller ones, from the whole range.
        strongest = [p for p in shown.pictures if p["width"] == "96"]
        assert [p["title"] for p in strongest] == files
        assert [p["style"] for p in strongest] == [f"object-position:-{96 * n}px 0" for n in range(12)]
        assert {p["alt"] for p in strongest} <= {f"tench {n}" for n in range(20)} | {
            f"great white shark {n}" for n in range(20)
        }
        assert "1 file could not be read: broken <b>.jpg." in shown.text

    def test_fewer_images_are_fewer_tiles(self, rendered: Path) -> None:
        """Neuron 0 has nine examples."""
        assert len(section((rendered / "mixed3b_0.html").read_text(), "examples").pictures) == 9


class TestWays:
    def test_previous_and_next_skip_what_is_not_shown(self, rendered: Path) -> None:
        """conv1 shows 0, 2 and 3."""
        html = (rendered / "conv1_2.html").read_text()
        assert '<a rel="prev" href="conv1_0.html">' in html
        assert '<a rel="next" href="conv1_3.html">' in html
        assert 'rel="prev"' not in (rendered / "conv1_0.html").read_text()
        assert 'rel="next"' not in (rendered / "conv1_3.html").read_text()

    def test_aliases(self, rendered: Path) -> None:
        """The short name is offered where it names one layer alone."""
        assert "<code>3b:4</code>" in (rendered / "mixed3b_4.html").read_text()

    def test_head_is_for_readers_and_robots(self, rendered: Path) -> None:
        """Title, description and preview picture name the neuron."""
        head = (rendered / "mixed3b_4.html").read_text().partition("<body>")[0]
        assert "<title>mixed3b:4 · A made-up atlas</title>" in head
        assert '<meta property="og:image" content="images/neuron/mixed3b_4.jpg">' in head
        assert '<meta name="description" content="Neuron 4 of mixed3b in' in head


class TestLayerPage:
    def test_every_neuron_is_on_the_wall_with_its_values(self, filled: Path, rendered: Path) -> None:
        """Index, activation, input weights over all connections, output weights, factor error."""
        html = (rendered / "mixed3b.html").read_text()
        rows = [value.split() for value in re.findall(r'data-v="([^"]*)"', html)]
        assert [int(row[0]) for row in rows] == list(range(7))
        assert [float(row[1]) for row in rows] == [12.5 + n for n in range(7)]
        with Store.open(filled) as store:
            record = store.record(keys.connections("mixed3b", "upstream"), Connections)
        # All 5 connections are shown, so the norm of all is the norm of those.
        norms = np.sqrt(np.square(record.kernel).sum((1, 2, 3)))
        np.testing.assert_allclose([float(row[2]) for row in rows], norms, rtol=2e-3)
        assert [float(row[4]) for row in rows] == [0.418] * 7


class TestData:
    def test_json_is_the_page_s_twin(self, filled: Path, rendered: Path) -> None:
        """It holds the same connections, addresses and examples as the records."""
        document = json.loads((rendered / "data/mixed3b_4.json").read_bytes())
        with Store.open(filled) as store:
            record = store.record(keys.connections("mixed3b", "upstream"), Connections)
        assert document["neuron"] == "mixed3b:4"
        assert document["upstream"]["index"] == record.index[4].tolist()
        np.testing.assert_allclose(document["upstream"]["strength"], record.strength[4], rtol=1e-6)
        assert document["upstream"]["kernel_size"] == [5, 4]
        assert document["featurevis"][0]["image"] == "images/neuron/mixed3b_4.jpg"
        assert len(document["examples"]["image"]) == 12
        assert (rendered / document["page"]).exists()
        assert (rendered / document["npz"]).exists()

    def test_npz_holds_the_kernels(self, filled: Path, rendered: Path) -> None:
        """Plain NumPy reads them back, bit by bit."""
        with Store.open(filled) as store:
            records = {
                d: store.record(keys.connections("mixed3b", d), Connections)
                for d in ("upstream", "downstream")
            }
        with np.load(rendered / "data/mixed3b_4.npz", allow_pickle=False) as arrays:
            assert len([name for name in arrays.files if "stream" in name]) == 10
            for direction, record in records.items():
                for name in ("index", "strength", "sign", "kernel"):
                    found = arrays[f"{direction}_{name}"]
                    assert found.dtype == getattr(record, name).dtype
                    assert np.array_equal(found, getattr(record, name)[4])

    def test_atlas_json_lists_every_neuron(self, rendered: Path) -> None:
        """Every address that it spells exists."""
        document = json.loads((rendered / "data/atlas.json").read_bytes())
        assert [layer["name"] for layer in document["layers"]] == ["conv1", "block/one two:three", "mixed3b"]
        for layer in document["layers"]:
            assert (rendered / layer["page"]).exists()
            for n in layer["neurons"]:
                for kind in ("neuron", "json", "npz", "examples"):
                    address = document["addresses"][kind].format(layer=layer["slug"], n=n)
                    assert (rendered / address).exists()

    def test_search_records_cannot_end_their_script(self, rendered: Path) -> None:
        """No label or name closes the script element it may stand in."""
        (script,) = rendered.glob("static/search.*.js")
        assert b"<" not in script.read_bytes()


def test_page_budget(synthetic: object, tmp_path: Path) -> None:
    """Pages with 50 + 50 connections of 11 x 11 kernels, each a link with a picture, stay within 100 kB."""
    # GoogLeNet's windows are 5 x 5.
    specs = [synthetic.Spec(f"mixed{at}a", 60, (11, 11), kind="concat") for at in range(3)]  # type: ignore[attr-defined]
    synthetic.fill_store(tmp_path / "store", specs)  # type: ignore[attr-defined]
    with Store.open(tmp_path / "store") as store:
        render_site(store, tmp_path / "site")
    page = tmp_path / "site/mixed1a_0.html"
    assert len(re.findall(r'<li id="(?:from|to)-\d+"[^>]*><a href="\w+.html"><img ', page.read_text())) == 100
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("site/mixed*_*.html")}
    assert len(sizes) == 180
    assert max(sizes.values()) <= 100_000
