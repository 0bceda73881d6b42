"""A neuron's page tells positive from negative paths, over one hop and over two."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.core.records import AtlasRecord, Paths
from atlas.drawing.images import signed_colours
from atlas.site import render_site
from atlas.store import Store, keys


def read(store: Path, slug: str, hops: int) -> Paths:
    """Return a table of paths."""
    with Store.open(store) as opened:
        return opened.record(keys.signed_paths(slug, hops), Paths)


def section(html: str, name: str) -> str:
    """Return the HTML of one section of a page."""
    match = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert match, f"no section {name}"
    return match[0].replace("\N{NO-BREAK SPACE}", " ")


def page(site: Path, name: str) -> str:
    """Return the HTML of a page."""
    return (site / f"{name}.html").read_text("utf-8")


class TestWhatCancels:
    def test_a_row_for_each_connection(self, filled: Path, rendered: Path) -> None:
        """Rows stand in the order of rank, each with its share; those above 80 % are marked."""
        record = read(filled, "mixed3b", 1)
        rows = re.findall(r"<tr><td>.*?</tr>", section(page(rendered, "mixed3b_4"), "cancels"))
        assert [int(re.search(r"_(\d+)\.html", row)[1]) for row in rows] == record.index[4].tolist()  # type: ignore[index]
        shares = [re.search(r"(\d+) %", row)[1] for row in rows]  # type: ignore[index]
        assert shares == [f"{100 * ratio:.0f}" for ratio in record.ratio[4]]
        assert ["misleading" in row for row in rows] == (record.ratio[4] > 0.8).tolist()
        assert sum("misleading" in row for row in rows) == 1

    def test_the_maps_are_net_positive_and_negative(self, filled: Path, rendered: Path) -> None:
        """The sheet holds all net maps, then the positive, then the negative ones, on one scale."""
        html = page(rendered, "mixed3b_4")
        uri = re.search(r"#cancels \.k\{[^}]*base64,([^)]*)\)", html)
        assert uri is not None
        sheet = Image.open(BytesIO(base64.b64decode(uri[1])))
        colours = signed_colours(np.linspace(-1, 1, 255, dtype=np.float32), 1.0)
        shades = {tuple(colour): at for at, colour in enumerate(colours.tolist())}
        at = np.array([[shades[tuple(p)] for p in row] for row in np.asarray(sheet.convert("RGB")).tolist()])
        record = read(filled, "mixed3b", 1)
        net, positive = record.kernel[4], record.positive[4]
        maps = np.concatenate([net, positive, net - positive])
        n, h, w = maps.shape
        assert at.shape == (n * (h + 1), w)
        middle = at[h, 0]  # the row between two maps is white, zero
        shown = at.reshape(n, h + 1, w)[:, :h] - middle
        np.testing.assert_allclose(shown, maps / np.abs(maps).max() * middle, atol=0.51)
        styles = re.findall(r'<i class="k" style="--r:(\d+)" role="img"', section(html, "cancels"))
        assert [int(row) for row in styles] == [part * 5 + row for row in range(5) for part in range(3)]

    def test_the_rule_and_the_total(self, filled: Path, rendered: Path) -> None:
        """The caption says what is shown and when a map misleads; the opening how much cancels in all."""
        html = page(rendered, "mixed3b_4").replace("\N{NO-BREAK SPACE}", " ")
        text = section(html, "cancels")
        assert "For all 5 connections from" in text
        assert (
            "above 80 % the net is less than a fifth of all contributions, and the map is misleading" in text
        )
        assert "blue negative, white zero, red positive" in re.sub("</?span[^>]*>", "", text)
        total = f"{100 * read(filled, 'mixed3b', 1).total_ratio[4]:.0f} % cancel."
        assert re.search(rf'class="lead">.*{total}</p>', html)

    def test_where_nothing_cancels(self, rendered: Path) -> None:
        """Over a single convolution a sentence takes the place of the table, and no share is shown."""
        html = page(rendered, "conv1_2")
        text = re.sub("</?a[^>]*>", "", section(html, "cancels"))
        assert "so nothing cancels and the weights can be taken at face value" in text
        assert "<table" not in text
        assert "cancel." not in html.partition('id="upstream"')[0]
        assert not re.search(r"<small>(<b[^>]*>)?\d", section(html, "upstream").partition("<ol")[2])


class TestEveryShownConnection:
    def test_each_has_its_share(self, filled: Path, rendered: Path) -> None:
        """In the list of upstream connections each tells how much cancels, and the caption what that is."""
        text = section(page(rendered, "mixed3b_4"), "upstream")
        shares = re.findall(r'<small>(?:<b class="misleads">)?(\d+) %( · misleading)?', text)
        ratio = read(filled, "mixed3b", 1).ratio[4]
        assert shares == [(f"{100 * r:.0f}", " · misleading" if r > 0.8 else "") for r in ratio]
        assert (
            "Percentages show what share of the contributions cancels; above 80 % the map is misleading."
            in text
        )

    def test_between_far_layers_a_sentence_takes_the_place_of_marks(
        self, store: Store, tmp_path: Path
    ) -> None:
        """Where most maps mislead, the caption says of how many it is true, and no map is marked."""
        key = keys.signed_paths("mixed3b", 1)
        table = store.record(key, Paths)
        table.ratio[4], table.ratio[5] = 0.9, 0.9
        table.ratio[5, 0] = 0.1
        store.put_record(key, table)
        render_site(store, tmp_path / "site")
        n = len(table.ratio[5])
        for neuron, told in ((4, f"as all these {n} are."), (5, f"as {n - 1} of these {n} are.")):
            text = section(page(tmp_path / "site", f"mixed3b_{neuron}"), "upstream")
            assert f"above 80 % the map is misleading, {told}" in text
            assert " · misleading" not in text

    def test_downstream_has_none(self, rendered: Path) -> None:
        """The paths onward are those of other neurons' pages."""
        text = section(page(rendered, "mixed3b_4"), "downstream")
        assert not re.findall(r"<small[^>]*>\d+ %", text)


class TestOverTwoHops:
    def test_the_neurons_are_those_of_the_layer_before(self, filled: Path, rendered: Path) -> None:
        """mixed3b's list over two hops leads to conv1, with shares and without marks."""
        record = read(filled, "mixed3b", 2)
        text = section(page(rendered, "mixed3b_4"), "two-hops")
        shown = [int(n) for n in re.findall(r'href="conv1_(\d+)\.html"', text)]
        assert shown == [n for n in record.index[4].tolist() if n in (0, 2, 3)]
        assert "each with its 7 \N{MULTIPLICATION SIGN} 9 weights" in text
        assert f"Over two hops, {100 * record.total_ratio[4]:.0f} % of the contributions cancel." in text
        assert len(re.findall(r"<small>\d+ %</small>", text)) == 4
        assert "mislead" not in text

    def test_the_first_layer_has_none(self, rendered: Path) -> None:
        """Before the layer before the first there is nothing."""
        assert 'id="two-hops"' not in page(rendered, "conv1_2")

    def test_not_shown_when_not_asked_for(self, store: Store, tmp_path: Path) -> None:
        """A table that a former config left in the store is not shown."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        layers = tuple(replace(layer, two_before=None) for layer in atlas.layers)
        store.put_record(keys.ATLAS, replace(atlas, layers=layers))
        render_site(store, tmp_path / "site")
        assert 'id="two-hops"' not in page(tmp_path / "site", "mixed3b_4")
        assert 'id="cancels"' in page(tmp_path / "site", "mixed3b_4")


class TestFiles:
    def test_json_and_arrays(self, filled: Path, rendered: Path) -> None:
        """The twins hold shares, coverage and kernels as the records do."""
        document = json.loads((rendered / "data/mixed3b_4.json").read_bytes())
        one, two = read(filled, "mixed3b", 1), read(filled, "mixed3b", 2)
        assert document["one_hop"]["index"] == one.index[4].tolist()
        np.testing.assert_allclose(document["one_hop"]["cancels"], one.ratio[4], rtol=1e-6)
        assert document["two_hops"]["source"] == "conv1"
        assert document["two_hops"]["coverage"]["l2"] == pytest.approx(float(two.l2[4]))
        with np.load(rendered / "data/mixed3b_4.npz") as arrays:
            np.testing.assert_array_equal(arrays["one_hop_positive"], one.positive[4])
            np.testing.assert_array_equal(arrays["one_hop_ratio"], one.ratio[4])
            np.testing.assert_array_equal(arrays["two_hops_kernel"], two.kernel[4])

    def test_a_change_rewrites_the_layers_pages(self, store: Store, tmp_path: Path) -> None:
        """Other paths of one layer rewrite its neurons' pages, and no other layer's neurons."""
        render_site(store, tmp_path / "site")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "site").glob("*_*.html")}
        key = keys.signed_paths("mixed3b", 2)
        record = store.record(key, Paths)
        store.put_record(key, replace(record, ratio=record.ratio / 2))
        render_site(store, tmp_path / "site")
        changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
        assert changed == {f"mixed3b_{n}.html" for n in range(7)}

    def test_without_tables_there_is_no_section(self, filled: Path, tmp_path: Path) -> None:
        """A store that never held the tables still makes every page."""
        shutil.copytree(filled, tmp_path / "store", ignore=shutil.ignore_patterns("lock*"))
        index = tmp_path / "store" / "index.jsonl"
        lines = index.read_text("utf-8").splitlines(keepends=True)
        index.write_text("".join(line for line in lines if '"paths/mixed3b__' not in line), "utf-8")
        with Store.open(tmp_path / "store") as store:
            render_site(store, tmp_path / "site")
        assert 'id="cancels"' not in page(tmp_path / "site", "mixed3b_4")
