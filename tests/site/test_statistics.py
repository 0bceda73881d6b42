"""Statistics, similar neurons and sheets on the pages are those of the records."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.core.records import AtlasRecord, Factorization, FirstLayer, LayerStatistics, ModelRecord
from atlas.drawing.images import factor_colours
from atlas.site import render_site
from atlas.store import Store, keys
from atlas.store.index import JOURNAL
from synthetic import LISTS, put_record_at

FIELDS = ("l2", "l1", "crispness", "balance", "n_inputs")
SECTION = r'<section id="{}".*?</section>'


@pytest.fixture(scope="module")
def record(filled: Path) -> LayerStatistics:
    """The statistics of mixed3b, seven neurons in two branches."""
    with Store.open(filled) as store:
        return store.record(keys.statistics("mixed3b"), LayerStatistics)


def section(page: Path, name: str) -> str:
    """Return one section of a page, as it stands in the file."""
    match = re.search(SECTION.format(name), page.read_text(), re.DOTALL)
    assert match, f"no section {name}"
    return match[0]


def number(text: str) -> float:
    """Return a number that a page shows."""
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def table(data: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def pixels_of(picture: Path) -> np.ndarray:
    """Return the colours of a picture, uint8 [h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(picture.read_bytes())).convert("RGB"))


def sheet_tile(picture: Path, at: int, size: tuple[int, int], n: int) -> np.ndarray:
    """Return the tile `at` of a sheet of n tiles of `size` (h, w), cut as the page's style says."""
    pixels = pixels_of(picture)
    h, w = size
    assert pixels.shape == (-(-n // 32) * (h + 1), min(n, 32) * (w + 1), 3)
    y, x = at // 32 * (h + 1), at % 32 * (w + 1)
    return pixels[y : y + h, x : x + w]


class TestNeuronPage:
    def test_numbers_with_their_ranks(self, rendered: Path, record: LayerStatistics) -> None:
        """Each statistic stands with its percentile among the layer's neurons, and its formula."""
        html = section(rendered / "mixed3b_4.html", "numbers")
        rows = re.findall(r"--b:(\d+)\"><dt>([^<]+)</dt><dd><b>([^<]+)</b> <small>([^<]+)</small>", html)
        assert [row[1] for row in rows] == [
            "L2 norm",
            "L1 norm",
            "L2/L1 ratio",
            "sign balance",
            "participation ratio",
        ]
        for (bar, _, value, rank), name, share in zip(rows, FIELDS, record.percentile[4], strict=True):
            assert number(value) == pytest.approx(float(getattr(record, name)[4]), rel=0.05, abs=0.005)
            assert int(bar) == round(float(share))
            assert rank.startswith("higher than ")
        assert html.count('class="formula"') == 5

    def test_the_ends_are_told_in_words(self, store: Store, record: LayerStatistics, tmp_path: Path) -> None:
        """Nobody is larger than the whole layer: the largest and the smallest say what they are."""
        percentile = record.percentile.copy()
        percentile[4, :2] = 0, 100
        put_record_at(store, keys.statistics("mixed3b"), replace(record, percentile=percentile))
        render_site(store, tmp_path / "site")
        ranks = re.findall(r"<small>([^<]+)</small>", section(tmp_path / "site/mixed3b_4.html", "numbers"))
        assert ranks[:2] == ["the smallest in the layer", "the largest in the layer"]

    def test_the_branch_is_told_where_there_is_one(self, rendered: Path) -> None:
        """A neuron of a concatenation names its branch and its number in it."""
        assert "Within its branch it is 3x3:2." in section(rendered / "mixed3b_4.html", "numbers")
        assert "branch" not in section(rendered / "conv1_2.html", "numbers")

    def test_lookalikes_are_the_record_s(self, rendered: Path, record: LayerStatistics) -> None:
        """Icons link to the nearest neurons, best first, each with its cosine."""
        html = section(rendered / "mixed3b_4.html", "lookalikes")
        links = re.findall(r'<li><a href="([^"]+)"', html)
        assert links == [f"mixed3b_{n}.html" for n in record.nearest[4]]
        cosines = [number(text) for text in re.findall(r"<em>([^<]+)</em>", html)]
        np.testing.assert_allclose(cosines, record.similarity[4], atol=0.005)
        assert "The 6 most similar of the 6 other neurons of mixed3b" in html

    def test_a_neuron_without_weights_has_no_lookalikes(
        self, store: Store, record: LayerStatistics, tmp_path: Path
    ) -> None:
        """Cosines of nothing are not shown; neurons of weights keep theirs."""
        l2 = record.l2.copy()
        l2[4] = 0
        put_record_at(store, keys.statistics("mixed3b"), replace(record, l2=l2))
        render_site(store, tmp_path / "site")
        assert "Most similar neurons" not in (tmp_path / "site/mixed3b_4.html").read_text()
        assert "Most similar neurons" in (tmp_path / "site/mixed3b_3.html").read_text()

    def test_json_holds_them(self, rendered: Path, record: LayerStatistics) -> None:
        """The page's JSON has the same numbers, percentiles and similar neurons."""
        document = json.loads((rendered / "data/mixed3b_4.json").read_bytes())
        for at, name in enumerate(FIELDS):
            found = document["statistics"][name], document["statistics"]["percentile"][name]
            expected = getattr(record, name)[4], record.percentile[4, at]
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert document["lookalikes"]["index"] == record.nearest[4].tolist()
        np.testing.assert_allclose(document["lookalikes"]["similarity"], record.similarity[4], rtol=1e-6)
        assert (document["statistics"]["branch"], document["statistics"]["branch_index"]) == ("3x3", 2)


class TestTable:
    def test_every_shown_neuron_is_a_row(self, rendered: Path, record: LayerStatistics) -> None:
        """Complete without a script: name, branch and seven numbers, in the order of the index."""
        html = section(rendered / "mixed3b.html", "statistics")
        rows = re.findall(r'<tr><th scope="row"><a href="mixed3b_(\d+)\.html">\d+</a></th>(.*?)</tr>', html)
        assert [int(row[0]) for row in rows] == list(range(7))
        for index, cells in rows:
            texts = re.findall(r"<td[^>]*>([^<]*)</td>", cells)
            assert texts[0].endswith(f":{record.branch_index[int(index)]}")
            # The last three are of images: tests/site/test_on_images.py.
            shown = [number(text) for text in texts[1:-3]]
            expected = [getattr(record, name)[int(index)] for name in FIELDS]
            np.testing.assert_allclose(shown[:1] + shown[2:6], expected, rtol=0.05, atol=0.005)
            assert shown[1] == round(float(record.percentile[int(index), 0]))
            assert shown[6] == pytest.approx(float(record.similarity[int(index), 0]), abs=0.005)
        assert [len(re.findall(p, html)) for p in (r'<th scope="col"', "data/mixed3b.csv")] == [12, 1]

    def test_a_layer_without_branches_has_no_such_column(self, rendered: Path) -> None:
        """conv1 is no concatenation, and shows three of its four neurons."""
        html = section(rendered / "conv1.html", "statistics")
        assert html.count('<th scope="col"') == 11
        assert re.findall(r'"conv1_(\d)\.html"', html) == ["0", "2", "3"]

    def test_the_wall_is_sorted_by_them_too(self, rendered: Path, record: LayerStatistics) -> None:
        """L2/L1 ratio, sign balance, participation ratio and the place by similarity are ways to sort."""
        html = (rendered / "mixed3b.html").read_text()
        rows = [value.split() for value in re.findall(r'data-v="([^"]*)"', html)]
        np.testing.assert_allclose([float(row[5]) for row in rows], record.crispness, rtol=1e-3)
        np.testing.assert_allclose([float(row[7]) for row in rows], record.n_inputs, rtol=1e-3)
        assert [int(row[0]) for row in sorted(rows, key=lambda row: float(row[8]))] == record.order.tolist()


class TestCsv:
    def test_it_reads_back_the_record(self, rendered: Path, record: LayerStatistics) -> None:
        """Read as float32, every number is the store's, bit by bit; headers say what it is."""
        rows = table((rendered / "data/mixed3b.csv").read_bytes())
        names = list(rows[0])
        for at, name in enumerate(FIELDS):
            column = np.array([row[names[5 + at]] for row in rows], np.float32)
            assert np.array_equal(column, getattr(record, name))
            ranks = np.array([row[names[10 + at]] for row in rows], np.float32)
            assert np.array_equal(ranks, record.percentile[:, at])
        assert [int(row["index"]) for row in rows] == list(range(7))
        assert [int(row["most similar neuron (index)"]) for row in rows] == record.nearest[:, 0].tolist()
        cosine = np.array([row[names[-4]] for row in rows], np.float32)
        assert np.array_equal(cosine, record.similarity[:, 0])
        assert "root of the sum of the squared weights" in names[5]
        # Programs find columns by their heads: pages may be reworded, these not.
        assert (
            names[7]
            == f"crispness of the weights from {record.source} (L2 / L1; large where few weights hold all)"
        )
        assert names[14] == "effective inputs percentile (0-100, share of the layer's others below)"
        assert all(name.isascii() for name in names)

    def test_branches_cannot_be_formulas(self, rendered: Path) -> None:
        """A text that a spreadsheet would calculate begins with an apostrophe, numbers do not."""
        rows = table((rendered / "data/mixed3b.csv").read_bytes())
        assert {row["branch"] for row in rows} == {"'=1x1", "3x3"}
        assert [int(row["index in branch (from 0)"]) for row in rows] == [0, 1, 0, 1, 2, 3, 4]

    @pytest.mark.parametrize("label", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\uff1d1"])
    def test_labels_cannot_be_formulas(self, store: Store, tmp_path: Path, label: str) -> None:
        """Class labels are untrusted; quotes and line breaks in them stay inside of their field."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        labels = (label, 'a "b", c', "two\nlines", "x", "y", "z", "w")
        model: ModelRecord = atlas.model
        layers = tuple(replace(x, kind="dense") if x.name == "mixed3b" else x for x in model.layers)
        model = replace(model, labels=labels, layers=layers)
        put_record_at(store, keys.ATLAS, replace(atlas, model=model))
        render_site(store, tmp_path / "site")
        rows = table((tmp_path / "site/data/mixed3b.csv").read_bytes())
        assert [row["label"] for row in rows] == [f"'{label}", *labels[1:]]


class TestSheets:
    def test_each_tile_is_its_neuron_s_factors(
        self, filled: Path, rendered: Path, record: LayerStatistics
    ) -> None:
        """Tiles link to their neurons in the order of similarity; the picture holds their maps' colours."""
        html = section(rendered / "mixed3b.html", "sheet")
        tiles = re.findall(r'--x:(\d+);--y:(\d+)"><a href="mixed3b_(\d+)\.html"', html)
        assert [int(tile[2]) for tile in tiles] == record.order.tolist()
        with Store.open(filled) as store:
            for x, y, index in tiles:
                factors = store.record(keys.factorization("mixed3b", int(index)), Factorization).factors
                maps = np.stack([np.array(factor.map, np.float32) for factor in factors], -1)
                picture = rendered / "images/sheet/mixed3b.png"
                found = sheet_tile(picture, 32 * int(y) + int(x), (5, 4), 7)
                assert np.array_equal(found, factor_colours(maps))

    def test_the_style_cuts_whole_tiles(self, rendered: Path) -> None:
        """Sizes and steps of the style sheet are the picture's, times one scale."""
        html = (rendered / "mixed3b.html").read_text()
        rule = re.search(r"#sheet i\{width:(\d+)px;height:(\d+)px;.*?background-size:(\d+)px (\d+)px", html)
        assert rule
        w, h, sheet_w, sheet_h = map(int, rule.groups())
        assert (w / 4, h / 5) == (9, 9)
        height, width = pixels_of(rendered / "images/sheet/mixed3b.png").shape[:2]
        assert (sheet_w, sheet_h) == (9 * width, 9 * height)
        assert "calc(var(--x)*-45px) calc(var(--y)*-54px)" in html

    def test_neurons_without_factors_are_black(self, rendered: Path) -> None:
        """A layer whose neurons have no factor has a sheet of nothing, and it still links."""
        (page,) = (p for p in rendered.glob("block-*.html") if "_" not in p.stem)
        assert len(re.findall(r"--x:", section(page, "sheet"))) == 5
        pixels = pixels_of(rendered / f"images/sheet/{page.stem}.png")
        assert not pixels.any()

    def test_filters_stand_on_the_first_layer_s_page(self, filled: Path, rendered: Path) -> None:
        """Shown neurons in the filters' order, their pictures as in the record; no other layer has any."""
        with Store.open(filled) as store:
            record = store.record(keys.filters("conv1"), FirstLayer)
        html = section(rendered / "conv1.html", "filters")
        tiles = [int(n) for n in re.findall(r'href="conv1_(\d+)\.html"', html)]
        assert tiles == [n for n in record.order.tolist() if n != 1]
        for at, index in enumerate(tiles):
            found = sheet_tile(rendered / "images/filters/conv1.png", at, (3, 5), 3)
            np.testing.assert_allclose(found, record.filters[index] * 255, atol=0.51)
        assert "62 % of the variance" in html.replace("\N{NO-BREAK SPACE}", " ")
        assert 'id="filters"' not in (rendered / "mixed3b.html").read_text()

    def test_grey_filters(self, store: Store, tmp_path: Path) -> None:
        """A network of one colour has grey pictures."""
        record = store.record(keys.filters("conv1"), FirstLayer)
        put_record_at(store, keys.filters("conv1"), replace(record, filters=record.filters[..., :1].copy()))
        render_site(store, tmp_path / "site")
        pixels = pixels_of(tmp_path / "site/images/filters/conv1.png")
        assert np.ptp(pixels, axis=2).max() == 0

    def test_large_maps_are_shrunk(self, store: Store, tmp_path: Path) -> None:
        """A neuron's tile of a wide window stays small."""
        key = keys.factorization("mixed3b", 0)
        record = store.record(key, Factorization)
        wide = tuple((0.5,) * 90 for _ in range(70))
        for index in range(7):
            factors = tuple(replace(factor, map=wide) for factor in record.factors)
            put_record_at(store, keys.factorization("mixed3b", index), replace(record, factors=factors))
        render_site(store, tmp_path / "site")
        assert pixels_of(tmp_path / "site/images/sheet/mixed3b.png").shape == (25, 7 * 31, 3)


class TestStaleness:
    def test_other_statistics_rewrite_their_layer_alone(
        self, store: Store, record: LayerStatistics, tmp_path: Path
    ) -> None:
        """The layer's page, its table and its neurons' pages are written again, and no other layer's."""
        render_site(store, tmp_path / "site")
        changed = replace(record, l2=record.l2 * 2, order=record.order[::-1].copy())
        put_record_at(store, keys.statistics("mixed3b"), changed)
        written = set(render_site(store, tmp_path / "site").written)
        expected = {"mixed3b.html", "data/mixed3b.csv", "images/sheet/mixed3b.png"}
        expected |= {f"mixed3b_{n}.html" for n in range(7)} | {f"data/mixed3b_{n}.json" for n in range(7)}
        assert written - LISTS == expected

    def test_other_filters_rewrite_the_layer_s_page_alone(self, store: Store, tmp_path: Path) -> None:
        """Neurons' pages do not show the sheet of filters."""
        render_site(store, tmp_path / "site")
        record = store.record(keys.filters("conv1"), FirstLayer)
        put_record_at(store, keys.filters("conv1"), replace(record, order=record.order[::-1].copy()))
        written = set(render_site(store, tmp_path / "site").written)
        assert written - LISTS == {"conv1.html", "images/filters/conv1.png"}

    def test_a_store_without_them_still_renders(self, store: Store, tmp_path: Path) -> None:
        """What a store does not hold is left out: sections, files, entries."""
        whole = tmp_path / "whole"
        render_site(store, whole)
        journal = store.folder / JOURNAL
        lines = journal.read_text().splitlines(keepends=True)
        left = [line for line in lines if not re.search(r'"key": ?"(statistics|filters)/', line)]
        assert len(left) < len(lines)
        journal.write_text("".join(left))
        with Store.open(store.folder) as former:
            render_site(former, whole)
        html = (whole / "mixed3b.html").read_text()
        assert not any(f'id="{name}"' in html for name in ("sheet", "statistics", "filters"))
        assert not list(whole.glob("data/*.csv"))
        assert not (whole / "images/sheet").exists()
        assert json.loads((whole / "data/mixed3b_4.json").read_bytes())["statistics"] is None
        assert 'id="numbers"' not in (whole / "mixed3b_4.html").read_text()
