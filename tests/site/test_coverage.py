"""The curve of coverage shows what the shown connections hold, and owns to what is not known."""

from __future__ import annotations

import pytest

from atlas.site.neuron import coverage
from atlas.site.neuron.coverage import HEIGHT, LEFT, TOP, WIDTH, coverage_curve


def points(line: str) -> list[tuple[int, int]]:
    """Return the points of a polyline."""
    return [(int(x), int(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_the_curve_rises_to_the_known_share() -> None:
    """Shares of squares, on a log scale of ranks; what is not shown is one dashed line to the whole."""
    curve = coverage_curve([4.0, 2.0, 2.0, 1.0], 100, 0.5)
    assert curve is not None
    known = points(curve.known)
    assert [x for x, _ in known] == [LEFT, LEFT + 78, LEFT + 124, LEFT + 157]
    held = [0.5 * part / 25 for part in (16, 20, 24, 25)]
    assert [y for _, y in known] == [TOP + round(HEIGHT * (1 - share)) for share in held]
    assert points(curve.rest) == [(curve.x, curve.y), (LEFT + WIDTH, TOP)]
    told = curve.told.replace("\N{NO-BREAK SPACE}", " ")
    assert told == "the strongest alone 32 %, the 4 shown 50 %; the other 96 together 50 %"


def test_all_shown_is_the_whole_curve() -> None:
    """It ends at the whole, and there is no dashed line."""
    curve = coverage_curve([3.0] * 12, 12, 1.0)
    assert curve is not None
    assert curve.rest == ""
    assert points(curve.known)[-1] == (LEFT + WIDTH, TOP)
    assert "the 10 strongest 83" in curve.told
    assert "other" not in curve.told


@pytest.mark.parametrize("case", [([1.0], 1, 1.0), ([0.0, 0.0], 9, 0.0), ([1.0, 1.0], 9, 0.0)])
def test_nothing_to_draw(case: tuple[list[float], int, float]) -> None:
    """One connection, or no weights at all, makes no curve."""
    assert coverage_curve(*case) is None


def test_a_long_list_makes_a_short_line() -> None:
    """Points that fall together are left out, the last one never."""
    curve = coverage_curve([1.0] * 900, 1000, 0.9)
    assert curve is not None
    known = points(curve.known)
    assert len(known) < WIDTH / coverage._STEP + 2
    assert known[-1] == (curve.x, curve.y)
