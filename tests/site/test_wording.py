"""Numbers and names read well and are never wrong."""

from __future__ import annotations

import pytest

from atlas.core.neuron import Layer, ReceptiveField
from atlas.site import wording


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0312345, "0.0312"),
        (1.2, "1.20"),
        (123.4, "123"),
        (999.6, "1,000"),
        (1543.2, "1,543"),
        (-123456.0, "\N{MINUS SIGN}123,456"),
        (2.5e9, "2.50e+09"),
        (-2.0, "\N{MINUS SIGN}2.00"),
        (0.0, "0.00"),
        (1e-7, "1.00e\N{MINUS SIGN}07"),
    ],
)
def test_number(value: float, expected: str) -> None:
    """Three significant digits; thousands are written out, only very large or small ones have exponents."""
    assert wording.number(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.834, "83 %"), (0.0, "0 %"), (1.0, "100 %"), (0.004, "< 1 %"), (0.9951, "99.5 %"), (0.9994, "99.9 %")],
)
def test_percent(share: float, expected: str) -> None:
    """A share is never rounded to none or to all."""
    assert wording.percent(share).replace("\N{NO-BREAK SPACE}", " ").replace("<1", "< 1") == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("n01440764_tench.jpg", "tench"),
        ("n01484850_great_white_shark.jpg", "great white shark"),
        ("cats/0001.png", "cats"),
        ("n02123045_tabby/17.jpg", "tabby"),
        ("cat.1234.jpg", "cat.1234"),
        ("0001.png", "0001"),
        ("noending", "noending"),
        ("n01440764.jpg", "n01440764"),
        (".jpg", ".jpg"),
    ],
)
def test_image_label(file: str, expected: str) -> None:
    """What an image shows is read off its file's name, or its folder's."""
    assert wording.image_label(file) == expected


def test_receptive_field_tells_the_width_first() -> None:
    """A window that is 7 high and 9 wide is told as 9 by 7."""
    field = ReceptiveField((7, 9), (1, 1), (0, 0))
    layer = Layer("a", "a", "conv", "a:0", 3, (4, 5), field)
    assert wording.receptive_field(layer) == "9 \N{MULTIPLICATION SIGN} 7 px"


def test_a_title_that_says_it_all_stands_alone() -> None:
    """No "a circuit atlas, a circuit atlas of" below every page."""
    assert wording.described("Net: a circuit atlas", "Net") == "Net: a circuit atlas"
    assert wording.described("Curves", "Net") == "Curves, a circuit atlas of Net"
