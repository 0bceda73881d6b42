"""Strengths of the shown connections -> a curve of the share of squared weights that the strongest hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from atlas.site import wording

# The plot in units of its view box, half a CSS pixel each; text is outside of it.
LEFT, TOP, WIDTH, HEIGHT = 74, 12, 520, 150
# Points closer than this would make the page longer without a visible change.
_STEP = 6


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """The curve for one direction: share of the squared weights against rank, ranks on a log scale."""

    known: str
    """Points of the shown connections, in the format of an SVG polyline."""
    rest: str
    """Points of the line from the last shown connection to the whole, "" where all are shown."""
    x: int
    """End of the shown connections, in units from the left edge of the view box."""
    y: int
    """End of the shown connections, in units from the top of the view box."""
    n_shown: str
    """Number of shown connections."""
    n_all: str
    """Number of all connections."""
    share: str
    """Share of the squared weights that the shown ones hold."""
    label: str
    """Description of the figure, for readers who cannot see it."""
    told: str
    """The shares of the strongest, the ten strongest, and all shown connections, in words."""


def coverage_curve(strengths: Sequence[float], n_candidates: int, share: float) -> CoverageCurve | None:
    """Return the curve for falling strengths, which hold `share` (0 to 1) of all squared weights.

    Returns None where there is only one connection to choose from, or all weights are zero.
    """
    k = len(strengths)
    squares = [strength * strength for strength in strengths]
    total = sum(squares)
    if n_candidates < 2 or total <= 0 or share <= 0:
        return None
    whole = k >= n_candidates
    sums = [s / total * (1.0 if whole else share) for s in accumulate(squares)]
    points = [(_x(rank, n_candidates), _y(held)) for rank, held in enumerate(sums, 1)]
    shares = _shares(sums, n_candidates)
    return CoverageCurve(
        known=line_of(points),
        rest="" if whole else line_of([points[-1], (_x(n_candidates, n_candidates), _y(1.0))]),
        x=points[-1][0],
        y=points[-1][1],
        n_shown=wording.thousands(k),
        n_all=wording.thousands(n_candidates),
        share=wording.percent(sums[-1]),
        label=f"Share of the squared weights held by the strongest connections: {shares}",
        told=shares,
    )


def _shares(sums: Sequence[float], n_candidates: int) -> str:
    """Return the main shares of the curve in words; `sums` are shares by rank, 0 to 1."""
    k = len(sums)
    parts = [f"the strongest alone {wording.percent(sums[0])}"]
    if k > 10:
        parts.append(f"the 10 strongest {wording.percent(sums[9])}")
    if k >= n_candidates:
        return ", ".join(parts)
    if k > 1:
        parts.append(f"the {k} shown {wording.percent(sums[-1])}")
    rest = wording.percent(max(0.0, 1 - sums[-1]))
    return f"{', '.join(parts)}; the other {wording.thousands(n_candidates - k)} together {rest}"


def _x(rank: int, n: int) -> int:
    return LEFT + round(WIDTH * math.log(rank) / math.log(n))


def _y(share: float) -> int:
    return TOP + round(HEIGHT * (1 - share))


def line_of(points: Sequence[tuple[int, int]]) -> str:
    """Return points in the format of an SVG polyline, without those too close to the one before."""
    kept = list(points[:1])
    for at, point in enumerate(points[1:], 2):
        if point[0] - kept[-1][0] >= _STEP or at == len(points):
            kept.append(point)
    return " ".join(f"{x},{y}" for x, y in kept)
