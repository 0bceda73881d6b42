"""What a neuron does on images, and how well its weights predict that, as its page and its data tell."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from atlas.core.records import AtlasRecord, Connections, Distribution, Fidelity, RangeTable
from atlas.site import render_site
from atlas.store import Store, keys

LAYER = "mixed3b"


@pytest.fixture(scope="module")
def distribution(filled: Path) -> Distribution:
    """The distribution of mixed3b."""
    with Store.open(filled) as store:
        return store.record(keys.distribution(LAYER), Distribution)


@pytest.fixture(scope="module")
def fidelity(filled: Path) -> Fidelity:
    """The fidelity of the weights to mixed3b."""
    with Store.open(filled) as store:
        return store.record(keys.fidelity(LAYER), Fidelity)


def words(html: str) -> str:
    """Return the words of a part of a page."""
    text = re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub("<[^>]*>", " ", text)).replace("\N{NO-BREAK SPACE}", " ").split())


def section(page: Path, name: str = "on-images") -> str:
    """Return one section of a page, as it stands in the file."""
    match = re.search(rf'<section id="{name}".*?</section>', page.read_text(), re.DOTALL)
    assert match, f"no section {name}"
    return match[0]


def percent(share: float) -> str:
    """Return a share as pages show it, but for those near the ends."""
    return f"{100 * share:.0f} %"


class TestActivity:
    """The distribution on a neuron's page."""

    def test_tells_density_images_and_the_largest(self, rendered: Path, distribution: Distribution) -> None:
        """The numbers of the record, in words."""
        text = words(section(rendered / "mixed3b_3.html"))
        positive, firing = float(distribution.positive[3]), float(distribution.firing[3])
        assert f"above zero at {percent(positive)} of all positions" in text
        assert f"somewhere in {percent(firing)} of the images" in text
        assert f"the largest of all is {distribution.largest[3]:.0f}" in text

    def test_the_figure_has_the_shape_of_the_counts(self, rendered: Path, distribution: Distribution) -> None:
        """The highest bin, by what it holds for its width, reaches the top; the outline ends at the base."""
        path = re.search(r'class="filled" d="([^"]*)"', section(rendered / "mixed3b_3.html"))
        assert path
        assert path[1].startswith("M74 162")
        assert path[1].endswith("V162Z")
        heights = [int(y) for y in re.findall(r"V(\d+)", path[1])]
        assert min(heights) == 12
        counts, edges = distribution.counts[3], distribution.edges
        shown = np.flatnonzero((counts > 0) & (edges[:-1] > 0))
        density = counts[shown] / np.log2(edges[shown + 1] / edges[shown])
        expected = 162 - np.round(150 * density / density.max())
        drawn = [y for y in heights if y != 162]
        changes = [y for at, y in enumerate(expected.tolist()) if at == 0 or y != expected[at - 1]]
        assert [y for y in changes if y != 162] == pytest.approx(drawn)

    def test_a_neuron_that_never_fires_has_a_sentence_and_no_figure(self, rendered: Path) -> None:
        """Zero at every position."""
        part = section(rendered / "mixed3b_0.html")
        assert "It is zero at every position of every image." in words(part)
        assert 'class="filled"' not in part

    def test_data_is_that_of_the_record(self, rendered: Path, distribution: Distribution) -> None:
        """Histograms and quantiles, to seven digits."""
        data = json.loads((rendered / "data" / "mixed3b_3.json").read_bytes())["distribution"]
        assert data["counts"] == distribution.counts[3].tolist()
        assert data["image_counts"] == distribution.image_counts[3].tolist()
        assert data["edges"] == pytest.approx(distribution.edges.tolist())
        assert data["quantile"] == pytest.approx(distribution.quantile[3].tolist())
        assert data["n_images"] == 20


class TestRanges:
    """Images from the whole range, below the examples."""

    def test_each_level_has_its_images(self, rendered: Path, filled: Path) -> None:
        """Levels without images are left out; tiles are cut from the second row of the strip, in order."""
        with Store.open(filled) as store:
            table = store.record(keys.ranges(LAYER), RangeTable)
        part = section(rendered / "mixed3b_3.html", "examples")
        assert re.findall(r"<li>([^<]+)<span>", part) == ["75\N{NO-BREAK SPACE}%", "50\N{NO-BREAK SPACE}%"]
        offsets = re.findall(r'width="64".*?object-position:-(\d+)px -96px', part)
        assert [int(x) for x in offsets] == [64 * at for at in range(3, 9)]
        shown = [float(x) for x in re.findall(r"-96px\">([\d.]+)</span>", part)]
        assert shown == pytest.approx(table.activation[3, 1:].ravel().tolist(), rel=6e-3)
        assert f"of the {table.n_positive[3]} images with an activation above zero" in words(part)

    def test_a_neuron_without_has_no_heading(self, rendered: Path) -> None:
        """Nothing was drawn of neuron 0."""
        assert "Across the range" not in section(rendered / "mixed3b_0.html", "examples")

    def test_data_is_that_of_the_record(self, rendered: Path, filled: Path) -> None:
        """Files, activations, positions and boxes by level."""
        with Store.open(filled) as store:
            table = store.record(keys.ranges(LAYER), RangeTable)
        data = json.loads((rendered / "data" / "mixed3b_3.json").read_bytes())["ranges"]
        assert [part["level"] for part in data] == [0.75, 0.5]
        for row, part in enumerate(data, 1):
            assert part["image"] == [table.images[i] for i in table.image[3, row]]
            assert part["activation"] == pytest.approx(table.activation[3, row].tolist())
            assert part["box"] == table.box[3, row].tolist()


class TestPrediction:
    """How much the weights explain."""

    def test_tells_how_much_all_and_the_strongest_explain(self, rendered: Path, fidelity: Fidelity) -> None:
        """Squared correlations, of all inputs and of the strongest, here and above the list of inputs."""
        shares = fidelity.correlation[3].astype(np.float64) ** 2
        claim = (
            f"These weights explain {percent(shares[-1])} of the variance of its value before the activation"
        )
        for name in ("on-images", "upstream"):
            text = words(section(rendered / "mixed3b_3.html", name))
            assert claim in text
            assert f"the strongest alone {percent(shares[0])}" in text
        after = float(fidelity.correlation_after[3, -1]) ** 2
        text = words(section(rendered / "mixed3b_3.html"))
        assert f"Of the variance of its activation they explain {percent(after)}." in text
        assert "Measured at 320 positions of 20 images: random positions" in text

    def test_warns_where_the_weights_explain_less_than_a_third(self, rendered: Path) -> None:
        """Neuron 1 is explained badly, and 3 well."""
        warning = "Weights say little here."
        assert warning in words(section(rendered / "mixed3b_1.html"))
        assert warning in words(section(rendered / "mixed3b_1.html", "upstream"))
        assert warning not in words(section(rendered / "mixed3b_3.html"))

    def test_says_nothing_of_a_constant_neuron(self, rendered: Path) -> None:
        """Neither a number nor a warning."""
        text = words(section(rendered / "mixed3b_0.html"))
        assert "Nothing can be said of these weights on images: it is the same everywhere." in text
        assert "explain" not in text
        data = json.loads((rendered / "data" / "mixed3b_0.json").read_bytes())["fidelity"]
        assert set(data["correlation"]) == {None}

    def test_a_negative_correlation_explains_nothing(self, store: Store, tmp_path: Path) -> None:
        """Its square would be a claim."""
        record = store.record(keys.fidelity(LAYER), Fidelity)
        store.put_record(keys.fidelity(LAYER), replace(record, correlation=-np.abs(record.correlation)))
        render_site(store, tmp_path / "site")
        assert "These weights explain 0 %" in words(section(tmp_path / "site" / "mixed3b_3.html"))

    def test_data_is_that_of_the_record(self, rendered: Path, fidelity: Fidelity) -> None:
        """Numbers of predictions, and what each listed input contributes."""
        document = json.loads((rendered / "data" / "mixed3b_3.json").read_bytes())
        data, listed = document["fidelity"], document["upstream"]["index"]
        assert data["kept"] == list(fidelity.kept)
        assert data["correlation"] == pytest.approx(fidelity.correlation[3].tolist())
        assert data["r2_after"] == pytest.approx(fidelity.r2_after[3].tolist())
        assert data["contribution"] == pytest.approx(fidelity.contribution[listed, 3].tolist())
        magnitude = fidelity.magnitude[:, 3] / fidelity.magnitude[:, 3].sum()
        share = magnitude[listed] * np.sign(fidelity.contribution[listed, 3])
        assert data["share"] == pytest.approx(share.tolist(), rel=1e-5)


class TestContributions:
    """What each input contributes, at its map."""

    def test_each_cell_has_its_share(self, rendered: Path, fidelity: Fidelity, filled: Path) -> None:
        """With the sign of the contribution; sorted by in the page's own script."""
        part = section(rendered / "mixed3b_3.html", "upstream")
        with Store.open(filled) as store:
            listed = store.record(keys.connections(LAYER, "upstream"), Connections).index[3]
        shares = fidelity.magnitude[:, 3] / fidelity.magnitude[:, 3].sum()
        gives = re.search('data-gives="([^"]*)"', part)
        assert gives
        expected = 100 * shares[listed] * np.sign(fidelity.contribution[listed, 3])
        assert [float(x) for x in gives[1].split()] == pytest.approx(expected.tolist(), rel=0.05)
        smalls = [words(small) for small in re.findall("<small>.*?</small>", part.partition("<ol")[2])]
        for text, share in zip(smalls, expected.tolist(), strict=True):
            mark = "+" if share > 0 else "\N{MINUS SIGN}"
            assert f"{mark}{abs(share):.{1 if abs(share) < 9.95 else 0}f} %" in text

    def test_strong_inputs_that_give_nothing_are_silent(self, store: Store, tmp_path: Path) -> None:
        """And those not shown that give most are named."""
        connections = store.record(keys.connections(LAYER, "upstream"), Connections)
        record = store.record(keys.fidelity(LAYER), Fidelity)
        quiet = int(connections.index[3, 0])
        magnitude = np.ones_like(record.magnitude)
        magnitude[quiet] = 1e-4
        store.put_record(keys.fidelity(LAYER), replace(record, magnitude=magnitude))
        render_site(store, tmp_path / "site")
        part = section(tmp_path / "site" / "mixed3b_3.html", "upstream")
        cell = re.search(rf'<li id="up-{quiet}".*?</li>|<li id="[^"]*-{quiet}".*?</li>', part, re.DOTALL)
        assert cell
        assert "silent" in words(cell[0])
        assert words(part).count("· silent") == 1

    def test_hardly_any_samples_claim_nothing(self, store: Store, tmp_path: Path) -> None:
        """Below ten positions where it fires, no percentages."""
        record = store.record(keys.fidelity(LAYER), Fidelity)
        store.put_record(keys.fidelity(LAYER), replace(record, n_firing=np.minimum(record.n_firing, 9)))
        render_site(store, tmp_path / "site")
        assert "data-gives" not in section(tmp_path / "site" / "mixed3b_3.html", "upstream")


class TestLayer:
    """The layer's page and its table."""

    def test_the_table_and_its_csv_have_the_shares(
        self, rendered: Path, fidelity: Fidelity, distribution: Distribution
    ) -> None:
        """Explained, density, images in which it fires; empty for a constant neuron."""
        rows = list(
            csv.DictReader(io.StringIO((rendered / "data" / "mixed3b.csv").read_bytes().decode(), newline=""))
        )
        heads = [head for head in rows[0] if head.startswith(("explained", "density", "fires"))]
        assert len(heads) == 3
        assert rows[0][heads[0]] == ""
        assert float(rows[3][heads[0]]) == pytest.approx(float(fidelity.correlation[3, -1]) ** 2, rel=1e-5)
        assert float(rows[3][heads[1]]) == pytest.approx(float(distribution.positive[3]))
        assert float(rows[3][heads[2]]) == pytest.approx(float(distribution.firing[3]))

    def test_the_layer_has_a_sentence(self, rendered: Path, fidelity: Fidelity) -> None:
        """The median of those that are known."""
        text = words(section(rendered / "mixed3b.html"))
        known = fidelity.correlation[1:, -1].astype(np.float64) ** 2
        assert f"explain {percent(float(np.median(known)))} of the variance of a neuron" in text


class TestWithout:
    """Atlases without images, and stores that still hold what is not asked for."""

    def test_nothing_is_shown_that_the_atlas_does_not_ask_for(self, store: Store, tmp_path: Path) -> None:
        """The store has both, from a build before."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        nothing = {"ranges": False, "distribution": False, "fidelity": False}
        layers = tuple(replace(layer, **nothing) for layer in atlas.layers)
        store.put_record(keys.ATLAS, replace(atlas, layers=layers))
        render_site(store, tmp_path / "site")
        page = (tmp_path / "site" / "mixed3b_3.html").read_text()
        assert "on-images" not in page
        assert "Across the range" not in page
        assert "data-gives" not in page
        document = json.loads((tmp_path / "site" / "data" / "mixed3b_3.json").read_bytes())
        assert [document[name] for name in ("ranges", "distribution", "fidelity")] == [None] * 3

    def test_one_without_the_other(self, store: Store, tmp_path: Path) -> None:
        """The section has one figure then."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        layers = tuple(replace(layer, fidelity=False) for layer in atlas.layers)
        store.put_record(keys.ATLAS, replace(atlas, layers=layers))
        render_site(store, tmp_path / "site")
        assert section(tmp_path / "site" / "mixed3b_3.html").count("<figure") == 1
