"""Every result's figure in a notebook: whole HTML, legend and rule, names escaped, the same each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlas.notebook  # noqa: F401  (importing it gives every result its figure)
import synthetic
from atlas.analysis.cancellation import Cancellation
from atlas.analysis.circuits import circuit as circuit_of
from atlas.analysis.connections import upstream
from atlas.analysis.families import factorized
from atlas.analysis.filters import first_layer_of
from atlas.analysis.neighbours import Kernel, NeuronRow, PictureRow, kernel
from atlas.analysis.nmf import solve
from atlas.analysis.sheets import NmfSheet
from atlas.analysis.statistics import Lookalikes, layer_statistics
from atlas.core import notebook_registry
from atlas.core.neuron import Layer, Neuron
from atlas.core.records import Circuit, CircuitEdge, Connections
from atlas.featurevis.directions import FactorPictures, Factors, FamilyPictures, Positions
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from atlas.model.reading.load import load_model
from atlas.notebook.album import illustrate
from toys import kernel as random_kernel

HOSTILE = "<script>alert('1')</script>&\"x\""
RNG = np.random.default_rng(5)
H, W, SOURCE, TARGET = 3, 4, 5, 6
WEIGHTS = RNG.normal(size=(H, W, SOURCE, TARGET)).astype(np.float32)
# Elements that have no end tag.
VOID = {"img", "br", "hr", "rect", "path", "image"}
SIGNED = "blue negative, white zero, red positive"


def noise(*shape: int) -> np.ndarray:
    return RNG.random(shape).astype(np.float32)


def neuron(index: int, layer: str = HOSTILE) -> Neuron:
    return Neuron(layer, "slug", index)


def toy() -> Network:
    """Return a network with a name that means something to a browser."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 20, 24, 3], name="input")
        x = tf.nn.conv2d(x, random_kernel(3, 3, 3, 4), 1, "SAME", name="first/conv")
        tf.nn.relu(x, name="first/relu")
    frozen = Frozen(HOSTILE, "0" * 64, graph.as_graph_def(), value_range=(0.0, 1.0), input_shape=(20, 24, 3))
    return network_of(frozen)


def results() -> Iterator[tuple[Any, str]]:
    """Yield a result of every class that has a figure, and what its legend says."""
    layer = Layer(HOSTILE, "slug", "conv", "t:0", TARGET, (5, 7), None)
    kernels, strength = noise(3, H, W) - 0.5, np.array([3, 2, 1], np.float32)
    three = tuple(map(neuron, range(3)))
    solved = solve(WEIGHTS[..., 0], source=HOSTILE, n_factors=3)
    factors = Factors(HOSTILE, HOSTILE, solved.record, solved.maps, solved.loadings)
    family = factorized(
        WEIGHTS,
        (1, 4),
        n_factors=2,
        name=HOSTILE,
        layer=HOSTILE,
        source=HOSTILE,
        carrier=HOSTILE,
        note=HOSTILE,
    )
    ratio = noise(SOURCE, TARGET)
    edge = CircuitEdge(neuron(0), neuron(1, "after"), kernels[0], 1.0, -1, 1.0, 0.5)
    yield toy(), "layer"
    yield neuron(3), ""
    yield Kernel(neuron(0), neuron(1), HOSTILE, kernels[0], 1.5, -1, 0.5, 0.25), SIGNED
    yield (
        NeuronRow(
            neuron(0), "upstream", HOSTILE, HOSTILE, three, kernels, strength, np.array([1, -1, 0], np.int32),
            0.5, 0.4, 0.3, 9,
        ),
        SIGNED,
    )  # fmt: skip
    yield PictureRow(three, kernels, 0.5, HOSTILE), SIGNED
    yield upstream(WEIGHTS, source=HOSTILE, target=HOSTILE, carrier=HOSTILE, k=4), SIGNED
    yield solved.record, "black nothing"
    yield factors, "black nothing"
    yield FactorPictures(factors, noise(3, 8, 8, 3), 1.0), "black nothing"
    yield Positions(HOSTILE, HOSTILE, noise(H, W, 8, 8, 3), noise(H, W), (2, 1), 1.0), "the paler"
    tiles = np.full((2, H, W, 3), 9, np.uint8)
    yield NmfSheet(HOSTILE, HOSTILE, np.array([4, 1], np.int32), tiles, (0.5, 0.25)), "black nothing"
    yield family, SIGNED
    yield FamilyPictures(family, noise(2, 8, 8, 3), 1.0), SIGNED
    yield layer_statistics(WEIGHTS, layer, source=HOSTILE, carrier=HOSTILE), "Sign balance"
    yield (
        Lookalikes(neuron(0), HOSTILE, three, np.array([0.5, 0.25, -0.5], np.float32)),
        "1 is the same pattern",
    )
    yield first_layer_of(noise(5, 3, 3, 6) - 0.5, None, layer=HOSTILE, downstream=""), "zero is mid-grey"
    positive, negative = np.maximum(WEIGHTS, 0), np.maximum(-WEIGHTS, 0)
    yield (
        Cancellation(HOSTILE, HOSTILE, WEIGHTS, positive, negative, ratio, ratio[0], 0.0, ()),
        SIGNED,
    )
    yield synthetic.distribution(RNG, layer), "above zero at the most of"
    yield synthetic.fidelity(RNG, HOSTILE, HOSTILE, 30, TARGET), "share of variance"
    yield Circuit((neuron(0), neuron(1, "after")), (edge,), HOSTILE, neuron(1, "after")), SIGNED


RESULTS = list(results())
EACH = pytest.mark.parametrize(("result", "legend"), RESULTS, ids=[type(r).__name__ for r, _ in RESULTS])


class Strict(HTMLParser):
    """Reads HTML, and fails where an element is not closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        """Check that the last element opened ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text.append(data)


def read(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(autouse=True)
def _names_alone() -> Iterator[None]:
    """Let figures name neurons, whatever ran before."""
    illustrate(None)
    yield
    illustrate(None)


class TestEveryResult:
    def test_none_is_left_out(self) -> None:
        """Each class that has a figure is tested here."""
        assert {type(result) for result, _ in RESULTS} == notebook_registry.registered()

    @EACH
    def test_is_whole_html(self, result: Any, legend: str) -> None:
        """A figure's elements are all closed, it has a title, a rule in words, and its legend."""
        page = read(result._repr_html_())
        text = " ".join(page.text)
        assert legend in text
        assert page.tags[:3] == ["div", "style", "p"]
        assert 'class="rule"' in result._repr_html_()
        assert len(re.sub(r"\s+", " ", text.rsplit("}", 1)[1]).split()) > 5

    @EACH
    def test_names_are_escaped(self, result: Any, legend: str) -> None:
        """A name that is markup is shown as text, in texts and in attributes."""
        html = result._repr_html_()
        page = read(html)
        assert "script" not in page.tags
        assert "<script" not in html
        assert "alert('1')" in "".join(page.text)

    @EACH
    def test_stands_alone(self, result: Any, legend: str) -> None:
        """All pictures are in the figure itself, and nothing is fetched."""
        for source in read(result._repr_html_()).sources:
            assert source.startswith("data:image/")
        assert "url(" not in result._repr_html_()

    @EACH
    def test_is_the_same_each_time(self, result: Any, legend: str) -> None:
        """The same result gives the same bytes."""
        assert result._repr_html_() == result._repr_html_()

    @EACH
    def test_styles_itself_alone(self, result: Any, legend: str) -> None:
        """No rule of style reaches beyond figures: a notebook is one page."""
        for style in re.findall(r"<style>(.*?)</style>", result._repr_html_(), re.S):
            for selectors in re.findall(r"([^{}]+)\{[^}]*\}", style):
                for selector in selectors.split(","):
                    assert selector.strip().startswith((".circuit-atlas", "svg.circuit")), selector


class TestContent:
    def test_pictures_stand_in_for_names(self, toy_graph: Path, toy_store: Path) -> None:
        """Once an album is chosen, the names give way to pictures, at both ends of a kernel."""
        network = load_model(str(toy_graph))
        first, second = (layer.name for layer in network.trunk[:2])
        found = kernel(network, f"{first}:0", f"{second}:1")
        assert 'class="named"' in (found._repr_html_() or "")
        illustrate(network, toy_store)
        html = found._repr_html_() or ""
        assert html.count("data:image/jpeg") == 2
        assert 'class="named"' not in html

    def test_drawings_are_not_styled_by_cells(self) -> None:
        """A circuit is drawn with classes of its own, which no rule for cells meets."""
        html = RESULTS[-1][0]._repr_html_()
        style, drawing = html.split("</style>", 1)[0], html.split("<svg", 1)[1].split("</svg>", 1)[0]
        cells = set(re.findall(r"\.circuit-atlas(?: table)? ?\.([a-z]+)", style))
        assert cells.isdisjoint(re.findall(r'class="([a-z]+)', drawing))

    def test_more_rows_than_fit_are_told(self) -> None:
        """Of a whole layer's connections the first are shown, and the caption says of how many."""
        found: Connections = upstream(WEIGHTS, source="a", target="b", carrier="a", k=4)
        text = " ".join(read(found._repr_html_() or "").text)
        assert f"each of {TARGET} neurons of b" in text
        assert "the first 4 of the first 3 neurons" in text

    def test_large_kernels_say_what_squares_are(self) -> None:
        """Where squares are means of weights, the caption says of how many."""
        large = Kernel(neuron(0), neuron(1), "", noise(70, 50), 1.0, 1, 1.0, 0.5)
        assert "mean of 3 \N{MULTIPLICATION SIGN} 3 weights" in large._repr_html_()

    def test_an_empty_circuit_or_row_is_still_a_figure(self) -> None:
        """Without edges, neurons stand alone."""
        read(Circuit((neuron(0),), (), "none")._repr_html_() or "")
        read(PictureRow((), noise(0, 2, 2), 0.0, "none")._repr_html_() or "")

    def test_a_class_without_figure_keeps_its_repr(self) -> None:
        """What nothing is registered for gives None, so that a notebook falls back to the repr."""

        class Plain(notebook_registry.Displayed):
            pass

        assert Plain()._repr_html_() is None

    def test_circuits_of_a_network_show_themselves(self) -> None:
        """What `circuit` returns has its figure without more ado."""
        network = toy()
        found = circuit_of(network, [f"{network.trunk[0].name}:0"])
        assert "<svg" in (found._repr_html_() or "")
