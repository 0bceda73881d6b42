"""A circuit -> SVG: neurons in columns from left to right, a line for each connection.

Pure drawing, the same for a page and for a notebook: it knows pictures, names and addresses, and
nothing of where they come from. All texts are escaped here. Positions are pixels.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

# Icons of the ego, of its neighbours, and of all beyond.
SIDES = (104, 60, 46)
# Of a circuit that has no ego.
EVEN_SIDE = 68
GAP, HEAD, LABEL, THUMB = 180, 30, 24, 26
# A character of a label, about; a longer label is cut.
CHARACTER, LONGEST = 7, 22
THINNEST, WIDEST = 1.2, 7.5
# Lines end beside each other, so far apart.
SPREAD = 8
# https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_PLAIN = re.compile("[^ !#-%(-;=?-~\xa0-\xff]")
KINDS = {1: "p", -1: "n", 0: "z"}
VERBS = {1: "excites", -1: "inhibits", 0: "neither excites nor inhibits"}


class Dot(NamedTuple):
    """One neuron: its full name, a short label, the addresses of its page and picture, "" without.

    `swatch` is a colour's name where it is a channel of the image.
    """

    name: str
    label: str
    href: str = ""
    image: str = ""
    swatch: str = ""


class Line(NamedTuple):
    """A connection from one neuron to another, each as (column, row).

    `relative` is its strength, 0 to 1, `faint` for those that merely join what is there; `href` leads
    to its kernel. `thumb` is markup of THUMB x THUMB pixels to lay upon it, from `picture` or trusted.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    sign: int
    relative: float
    title: str
    href: str = ""
    faint: bool = False
    thumb: str = ""


@dataclass(frozen=True, slots=True)
class CircuitPlan:
    """Where everything stands: each column's side, and each dot's centre by (column, row)."""

    width: int
    height: int
    sides: tuple[int, ...]
    centres: Mapping[tuple[int, int], tuple[int, int]]


def circuit_drawing(
    columns: Sequence[Sequence[Dot]],
    lines: Sequence[Line],
    heads: Sequence[Dot],
    *,
    at: int = -1,
    name: str,
    description: str,
) -> str:
    """Return the <svg> element of a circuit; `heads` name the columns, `at` is the ego's column.

    It takes its colours from the style sheet around it, or from `standalone`.
    """
    plan = plan_of(columns, at)
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


def plan_of(columns: Sequence[Sequence[Dot]], at: int) -> CircuitPlan:
    """Return where the columns' dots stand, each column in the middle of the height."""
    last = len(columns) - 1
    left, right = _beside(columns[0], 0, last, at), _beside(columns[last], last, last, at)
    return _plan(tuple(map(len, columns)), at, left, right)


@functools.lru_cache(maxsize=1024)
def _plan(counts: tuple[int, ...], at: int, left: int, right: int) -> CircuitPlan:
    """Return the plan of columns of so many dots, with room for labels on both sides."""
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
    """Return where a column's labels stand: outside of the outermost columns, else below."""
    if column == at or not last:
        return "below"
    return {0: "left", last: "right"}.get(column, "below")


def _beside(dots: Sequence[Dot], column: int, last: int, at: int) -> int:
    """Return the room that labels beside a column take, and at least half of a head."""
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
    """Return the lines, the faint ones below the others, and over them the thumbs."""
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
    """Return the height at which each line meets the dot `here`, in the order of what it comes from."""
    meeting: dict[tuple[int, int], list[int]] = {}
    for number, dot in enumerate(here):
        meeting.setdefault(dot, []).append(number)
    heights = [0] * len(here)
    for dot, numbers in meeting.items():
        y, n = plan.centres[dot][1], len(numbers)
        step = min(SPREAD, 0.8 * plan.sides[dot[0]] / n)
        numbers.sort(key=lambda number: there[number][1])
        for place, number in enumerate(numbers):
            heights[number] = round(y + (place - (n - 1) / 2) * step)
    return heights


@functools.lru_cache(maxsize=16_384)
def _face(dot: Dot, side: int, place: str, is_ego: bool) -> tuple[str, str]:
    """Return a dot with its label, in two parts: between them its place is to be written."""
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
    """Return a text for markup; what XML cannot hold at all becomes a question mark in a lozenge."""
    # Nearly all texts are plain, and there are a hundred on a page.
    return escape(_FORBIDDEN.sub("\ufffd", text)) if _NOT_PLAIN.search(text) else text
