"""A circuit -> SVG: neurons in columns from left to right, a line for each connection.

Pages and notebooks draw with the same code, which gets pictures, names and addresses as arguments. All
texts are escaped here. Positions are in pixels.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

# Sides of the icons of the ego, of its neighbours, and of all neurons beyond.
SIDES = (104, 60, 46)
# Side of all icons in a circuit without an ego.
EVEN_SIDE = 68
GAP, HEAD, LABEL, THUMB = 180, 30, 24, 26
# Approximate width of a label's character, and the most characters of a label; a longer one is cut.
CHARACTER, LONGEST = 7, 22
THINNEST, WIDEST = 1.2, 7.5
# Distance between the ends of lines that meet at one neuron.
SPREAD = 8
# Characters that XML does not allow, see https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_PLAIN = re.compile("[^ !#-%(-;=?-~\xa0-\xff]")
KINDS = {1: "p", -1: "n", 0: "z"}
VERBS = {1: "excites", -1: "inhibits", 0: "neither excites nor inhibits"}


class Dot(NamedTuple):
    """One neuron of a drawing."""

    name: str
    """Full name, like "mixed3b:379", shown as a tooltip."""
    label: str
    """Short text next to the picture or below it."""
    href: str = ""
    """Address of the neuron's page; "" for no link."""
    image: str = ""
    """Address of the neuron's picture; "" draws a plain square."""
    swatch: str = ""
    """Name of the square's colour for a channel of the image, "" for other neurons."""


class Line(NamedTuple):
    """A connection from one neuron to another."""

    source: tuple[int, int]
    """(column, row) of the neuron where the line starts."""
    target: tuple[int, int]
    """(column, row) of the neuron where the line ends."""
    sign: int
    """1 excites, -1 inhibits, 0 neither."""
    relative: float
    """Relative strength, 0 to 1, which sets the line's width."""
    title: str
    """Text of the tooltip."""
    href: str = ""
    """Address of the connection's kernel; "" for no link."""
    faint: bool = False
    """True for a connection that only joins neurons selected for other connections."""
    thumb: str = ""
    """Trusted markup of THUMB x THUMB pixels to draw on the line, for example from `picture`."""


@dataclass(frozen=True, slots=True)
class CircuitPlan:
    """The positions and sizes of a drawing's parts."""

    width: int
    """Width of the drawing in pixels."""
    height: int
    """Height of the drawing in pixels."""
    sides: tuple[int, ...]
    """Side of the icons of each column, in pixels."""
    centres: Mapping[tuple[int, int], tuple[int, int]]
    """Centre (x, y) of each dot in pixels, by (column, row)."""


def circuit_drawing(
    columns: Sequence[Sequence[Dot]],
    lines: Sequence[Line],
    heads: Sequence[Dot],
    *,
    at: int = -1,
    name: str,
    description: str,
) -> str:
    """Return the <svg> element of a circuit; `heads` name the columns.

    `at` is the ego's column, -1 without an ego. The colours come from the page's style sheet or from
    `standalone`.
    """
    plan = plan_of(columns, at, heads)
    parts = [
        f'<svg class="circuit" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plan.width} {plan.height}" '
        f'width="{plan.width}" height="{plan.height}" role="group" aria-label="{_escaped(name)}">'
        f"<desc>{_escaped(description)}</desc>"
    ]
    parts += [_head(head, plan, column) for column, head in enumerate(heads)]
    parts += _lines(lines, plan)
    last = len(columns) - 1
    for column, dots in enumerate(columns):
        place = _place(column, last, at)
        for row, dot in enumerate(dots):
            x, y = plan.centres[column, row]
            side = plan.sides[column]
            before, after = _face(dot, side, place, column == at)
            parts.append(f"{before}{x - side // 2} {y - side // 2}{after}")
    parts.append("</svg>")
    return "\n".join(parts)


def plan_of(columns: Sequence[Sequence[Dot]], at: int, heads: Sequence[Dot] = ()) -> CircuitPlan:
    """Return the positions of the columns' dots, with room for the outer heads; columns are centred."""
    last = len(columns) - 1
    left, right = (
        max(_beside(columns[column], column, last, at), _half_head(heads, column)) for column in (0, last)
    )
    return _plan(tuple(map(len, columns)), at, left, right)


def _half_head(heads: Sequence[Dot], column: int) -> int:
    """Return the pixels that a head takes on each side of its column's icons, the smallest of which count."""
    if not heads:
        return 0
    return CHARACTER * len(_cut(heads[column].label)) // 2 - min(SIDES) // 2 + 4


@functools.lru_cache(maxsize=1024)
def _plan(counts: tuple[int, ...], at: int, left: int, right: int) -> CircuitPlan:
    """Return the plan of columns with these counts of dots, and room for labels left and right."""
    last = len(counts) - 1
    sides = tuple(EVEN_SIDE if at < 0 else SIDES[min(abs(column - at), 2)] for column in range(len(counts)))
    pitches = [
        side + (LABEL if _place(column, last, at) == "below" else 10) for column, side in enumerate(sides)
    ]
    height = max(pitch * n for pitch, n in zip(pitches, counts, strict=True))
    x, centres = left, {}
    for column, n in enumerate(counts):
        side = sides[column]
        # A short column is spread out, so that its lines do not run together.
        pitch = max(pitches[column], min(height / n, 1.8 * pitches[column]))
        top = HEAD + (height - pitch * n) / 2 + pitch / 2
        lift = LABEL // 2 if _place(column, last, at) == "below" else 0
        for row in range(n):
            centres[column, row] = (round(x + side / 2), round(top + row * pitch) - lift)
        x += side + (GAP if column < last else 0)
    return CircuitPlan(round(x + right) + 12, round(height) + HEAD + 4, sides, centres)


def _place(column: int, last: int, at: int) -> str:
    """Return the place of a column's labels: outside the first and last column, else below the dots."""
    if column == at or not last:
        return "below"
    return {0: "left", last: "right"}.get(column, "below")


def _beside(dots: Sequence[Dot], column: int, last: int, at: int) -> int:
    """Return the pixels that labels next to a column need."""
    return (
        24
        if _place(column, last, at) == "below"
        else max(24, 12 + CHARACTER * max(len(_cut(dot.label)) for dot in dots))
    )


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"


def _head(head: Dot, plan: CircuitPlan, column: int) -> str:
    x, label = plan.centres[column, 0][0], _escaped(_cut(head.label))
    text = f'<text x="{x}" y="16" text-anchor="middle">{label}</text>'
    return f'<a class="head" href="{_escaped(head.href)}">{text}</a>' if head.href else text


def _lines(lines: Sequence[Line], plan: CircuitPlan) -> list[str]:
    """Return the markup of the lines: faint lines at the bottom, then the others, then the thumbs."""
    starts = _ends(plan, [line.source for line in lines], [line.target for line in lines])
    ends = _ends(plan, [line.target for line in lines], [line.source for line in lines])
    drawn: dict[bool, list[str]] = {True: [], False: []}
    thumbs = []
    for line, y1, y2 in zip(lines, starts, ends, strict=True):
        x1 = plan.centres[line.source][0] + plan.sides[line.source[0]] // 2 + 3
        x2 = plan.centres[line.target][0] - plan.sides[line.target[0]] // 2 - 3
        middle = (x1 + x2) // 2
        kind = KINDS[line.sign] + (" faint" if line.faint else "")
        tag = "a" if line.href else "g"
        start = f'<a class="{kind}" href="{_escaped(line.href)}">' if line.href else f'<g class="{kind}">'
        width = THINNEST + (WIDEST - THINNEST) * line.relative
        drawn[line.faint].append(
            f'{start}<path d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}" stroke-width="{width:.1f}"/>'
            f"<title>{_escaped(line.title)}</title></{tag}>"
        )
        if line.thumb:
            half = THUMB // 2
            thumbs.append(
                f'<g transform="translate({middle - half} {(y1 + y2) // 2 - half})">{line.thumb}</g>'
            )
    return drawn[True] + drawn[False] + thumbs


def _ends(plan: CircuitPlan, here: Sequence[tuple[int, int]], there: Sequence[tuple[int, int]]) -> list[int]:
    """Return the y of each line at its dot in `here`; lines of one dot are ordered by their other ends."""
    by_dot: dict[tuple[int, int], list[int]] = {}
    for number, dot in enumerate(here):
        by_dot.setdefault(dot, []).append(number)
    heights = [0] * len(here)
    for dot, numbers in by_dot.items():
        y, n = plan.centres[dot][1], len(numbers)
        step = min(SPREAD, 0.8 * plan.sides[dot[0]] / n)
        numbers.sort(key=lambda number: there[number][1])
        for place, number in enumerate(numbers):
            heights[number] = round(y + (place - (n - 1) / 2) * step)
    return heights


@functools.lru_cache(maxsize=16_384)
def _face(dot: Dot, side: int, place: str, is_ego: bool) -> tuple[str, str]:
    """Return a dot with its label, in two parts; the caller writes its position between them."""
    picture = (
        f'<image href="{_escaped(dot.image)}" width="{side}" height="{side}"/>'
        if dot.image
        else f'<rect class="chip {_escaped(dot.swatch)}" width="{side}" height="{side}" rx="5"/>'
    )
    ring = f'<rect x="-4" y="-4" width="{side + 8}" height="{side + 8}" rx="9"/>' if is_ego else ""
    where = {
        "left": f'x="-7" y="{side // 2 + 4}" text-anchor="end"',
        "right": f'x="{side + 7}" y="{side // 2 + 4}"',
        "below": f'x="{side // 2}" y="{side + (19 if is_ego else 15)}" text-anchor="middle"',
    }[place]
    inner = (
        f"<title>{_escaped(dot.name)}</title>{picture}{ring}<text {where}>{_escaped(_cut(dot.label))}</text>"
    )
    kind = ' class="ego"' if is_ego else ""
    tag = f'a{kind} href="{_escaped(dot.href)}"' if dot.href else f"g{kind}"
    return f'<{tag} transform="translate(', f')">{inner}</{tag[0]}>'


def _escaped(text: str) -> str:
    """Return a text escaped for markup; U+FFFD replaces characters that XML does not allow."""
    # The check saves time: a page has a hundred texts, and nearly all of them are plain.
    return escape(_FORBIDDEN.sub("\ufffd", text)) if _NOT_PLAIN.search(text) else text
