"""The drawing of a circuit: well-formed, escaped, and with everything in its place."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.core.neuron import Neuron
from atlas.core.records import Circuit, CircuitEdge
from atlas.drawing.circuit_layout import Dot, Line, circuit_drawing, plan_of
from atlas.drawing.circuit_svg import circuit_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(\"1\")</script> & 'x'"
# What XML can hold at all: no control characters, no halves of a pair.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=60)


def drawn(columns: list[list[Dot]], lines: list[Line], at: int = -1, text: str = "") -> ElementTree.Element:
    """Return a drawing, parsed."""
    heads = [Dot(text, text, "layer.html") for _ in columns]
    return ElementTree.fromstring(circuit_drawing(columns, lines, heads, at=at, name=text, description=text))


class TestCircuitDrawing:
    @given(TEXT)
    def test_is_well_formed_whatever_the_names(self, text: str) -> None:
        """Names, labels and addresses are text: parsed back they are what they were."""
        dot = Dot(text, text[:20], text, text)
        line = Line((0, 0), (1, 0), 1, 0.5, text, text)
        root = drawn([[dot], [dot]], [line], 1, text)
        assert root.attrib["aria-label"] == text
        assert [title.text or "" for title in root.iter(f"{SVG}title")] == [text] * 3
        if text:
            assert [a.attrib["href"] for a in root.findall(f"{SVG}a")][2:] == [text] * 3

    def test_what_xml_cannot_hold_is_replaced(self) -> None:
        """Control characters in a label leave the drawing well-formed."""
        root = drawn([[Dot("a\0b\x1b", "a\ud800")], [Dot("b", "b")]], [])
        assert [title.text for title in root.iter(f"{SVG}title")] == ["a\ufffdb\ufffd", "b"]

    def test_hostile_names_stay_text(self) -> None:
        """No name opens an element."""
        root = drawn([[Dot(HOSTILE, HOSTILE)], [Dot("b", "b")]], [], text=HOSTILE)
        assert not list(root.iter(f"{SVG}script"))

    def test_signs_are_told_by_class_and_strength_by_width(self) -> None:
        """Red, blue and neither are classes; the strongest line is the widest."""
        lines = [Line((0, n), (1, 0), sign, share, "") for n, (sign, share) in enumerate(SIGNS)]
        root = drawn([[Dot("a", "a")] * 3, [Dot("b", "b")]], lines, 1)
        groups = [group for group in root.findall(f"{SVG}g") if group.find(f"{SVG}path") is not None]
        assert [group.attrib["class"] for group in groups] == ["p", "n", "z"]
        widths = [float(path.attrib["stroke-width"]) for path in root.iter(f"{SVG}path")]
        assert widths == [7.5, pytest.approx(4.35, abs=0.06), pytest.approx(1.2)]

    def test_lines_run_from_left_to_right_between_their_dots(self) -> None:
        """A line starts right of its source and ends left of its target."""
        columns = [[Dot("a", "a")] * 4, [Dot("b", "b")], [Dot("c", "c")] * 2]
        plan = plan_of(columns, 1)
        root = drawn(columns, [Line((0, 2), (1, 0), 1, 1, ""), Line((1, 0), (2, 1), -1, 1, "")], 1)
        for path, start, end in zip(root.iter(f"{SVG}path"), [(0, 2), (1, 0)], [(1, 0), (2, 1)], strict=True):
            x1, y1, x2, y2 = (
                int(n) for n in np.take(path.attrib["d"][1:].replace("C", " ").split(), [0, 1, 6, 7])
            )
            assert plan.centres[start][0] < x1 < x2 < plan.centres[end][0]
            assert abs(y1 - plan.centres[start][1]) <= plan.sides[start[0]] / 2
            assert abs(y2 - plan.centres[end][1]) <= plan.sides[end[0]] / 2

    @pytest.mark.parametrize("at", [-1, 0, 1, 2])
    def test_no_two_neurons_overlap_and_none_is_cut(self, at: int) -> None:
        """Each icon has its own place within the drawing."""
        columns = [[Dot("a", "a" * 40)] * 9, [Dot("b", "b")] * (1 if at == 1 else 4), [Dot("c", "c")] * 2]
        plan = plan_of(columns, at)
        for (column, row), (x, y) in plan.centres.items():
            half = plan.sides[column] / 2
            assert half <= x <= plan.width - half
            assert half <= y <= plan.height - half
            below = plan.centres.get((column, row + 1))
            assert below is None or below[1] - y > plan.sides[column]

    @pytest.mark.parametrize("at", [-1, 0, 1, 2])
    def test_no_head_is_cut(self, at: int) -> None:
        """A long name of an outer layer has room above its icons, whatever stands beside these."""
        columns = [[Dot("a", "1")], [Dot("b", "b")], [Dot("c", "2")]]
        root = drawn(columns, [], at, "_blocks.3._project_conv.out")
        half = 7 * 22 / 2
        texts = [text for text in root.iter(f"{SVG}text") if text.attrib.get("y") == "16"]
        assert len(texts) == 3
        for text in (texts[0], texts[2]):
            assert half <= float(text.attrib["x"]) <= float(root.attrib["width"]) - half


SIGNS = ((1, 1.0), (-1, 0.5), (0, 0.0))


class TestCircuitSvg:
    def test_a_circuit_is_a_file_of_its_own(self) -> None:
        """It carries its colours, its kernels and the pictures that it is given, and parses as XML."""
        a, b = Neuron(HOSTILE, "x", 1), Neuron("b&b", "b", 2)
        edge = CircuitEdge(a, b, np.ones((2, 3), np.float32), 2.4, 1, 1.0, 0.3)
        svg = circuit_svg(Circuit((a, b), (edge,), "rule <&>"), images={b.name: "b.jpg"})
        root = ElementTree.fromstring(svg)
        assert root.findtext(f"{SVG}desc") == "rule <&>"
        hrefs = [image.attrib["href"] for image in root.iter(f"{SVG}image")]
        assert [href[:10] for href in hrefs] == ["data:image", "b.jpg"]
        assert ".p{color:#ca0020}" in (root.findtext(f"{SVG}style") or "")
        assert svg == circuit_svg(Circuit((a, b), (edge,), "rule <&>"), images={b.name: "b.jpg"})
