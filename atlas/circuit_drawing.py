"""A circuit -> SVG: neurons in columns from left to right, a line for each connection.

Pure drawing, the same for a page and for a notebook: it knows pictures, names and addresses, and
nothing of where they come from. All texts are escaped here. Positions are pixels.
"""

from __future__ import annotations

import base64
import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np

from atlas.images import png, signed_colours
from atlas.neuron import Neuron
from atlas.records import Circuit, Floats

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
class Plan:
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


def plan_of(columns: Sequence[Sequence[Dot]], at: int) -> Plan:
    """Return where the columns' dots stand, each column in the middle of the height."""
    last = len(columns) - 1
    left, right = _beside(columns[0], 0, last, at), _beside(columns[last], last, last, at)
    return _plan(tuple(map(len, columns)), at, left, right)


@functools.lru_cache(maxsize=1024)
def _plan(counts: tuple[int, ...], at: int, left: int, right: int) -> Plan:
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
    return Plan(round(x + right) + 12, round(height) + HEAD + 4, sides, centres)


def picture(kernel: Floats, peak: float) -> str:
    """Return the thumb of a kernel as a picture of its own, coloured from -peak to +peak."""
    data = base64.b64encode(png(signed_colours(kernel, peak))).decode()
    start = f'<image class="kernel" href="data:image/png;base64,{data}"'
    return f'{start} width="{THUMB}" height="{THUMB}" preserveAspectRatio="none"/>'


def circuit_svg(circuit: Circuit, *, images: Mapping[str, str] | None = None) -> str:
    """Return a circuit as an SVG file's text: neurons in columns by layer, kernels on the lines.

    `images` maps names of neurons ("mixed3b:379") to addresses of pictures; the others are empty
    squares. Each kernel is coloured from minus to plus the largest weight of those that lead to its
    target: blue negative, white zero, red positive.
    """
    columns = [list(nodes) for _, nodes in itertools.groupby(circuit.nodes, lambda node: node.layer)]
    places = {node: (c, r) for c, nodes in enumerate(columns) for r, node in enumerate(nodes)}
    at = next((c for c, nodes in enumerate(columns) if nodes == [circuit.ego]), -1)
    known = images or {}
    dots = [[Dot(n.name, str(n.index), image=known.get(n.name, "")) for n in nodes] for nodes in columns]
    svg = circuit_drawing(
        dots,
        _lines_of(circuit, places),
        [Dot(nodes[0].layer, nodes[0].layer) for nodes in columns],
        at=at,
        name="A circuit of " + ", ".join(nodes[0].layer for nodes in columns),
        description=circuit.rule,
    )
    return standalone(svg)


def _lines_of(circuit: Circuit, places: Mapping[Neuron, tuple[int, int]]) -> list[Line]:
    peaks: dict[Neuron, float] = {}
    for edge in circuit.edges:
        peaks[edge.target] = max(peaks.get(edge.target, 0.0), float(np.abs(edge.kernel).max(initial=0)))
    return [
        Line(
            places[edge.source],
            places[edge.target],
            edge.sign,
            edge.relative,
            f"{edge.source.name} {VERBS[edge.sign]} {edge.target.name}: strength {edge.strength:.3g}, "
            f"{100 * edge.relative:.0f} % of the strongest",
            faint=not edge.chosen,
            # Around an ego, the far lines stand too close for their kernels.
            thumb=picture(edge.kernel, peaks[edge.target])
            if circuit.ego in (None, edge.source, edge.target)
            else "",
        )
        for edge in circuit.edges
    ]


def standalone(svg: str) -> str:
    """Return a drawing that stands on its own: colours and type with it, for a file or a notebook."""
    start, _, rest = svg.partition("<desc>")
    return f"{start}<style>{_STYLE}</style><desc>{rest}"


# Of this drawing alone: in a notebook a style holds for the whole page.
_STYLE = "".join(
    f"svg.circuit {rule}"
    for rule in (
        "text{font:13px sans-serif;fill:currentColor}",
        ".p{color:#ca0020}",
        ".n{color:#0571b0}",
        ".z{color:#888}",
        "path{fill:none;stroke:currentColor;stroke-opacity:.8}",
        ".n path{stroke-dasharray:9 5}",
        ".faint path{stroke-opacity:.3}",
        ".chip{fill:#8884;stroke:#888}",
        ".ego rect{fill:none;stroke:currentColor;stroke-width:2}",
        ".kernel{image-rendering:pixelated}",
        ".red{fill:#d84a3f}",
        ".green{fill:#4c9f57}",
        ".blue{fill:#4476c4}",
    )
)


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


def _head(head: Dot, plan: Plan, column: int) -> str:
    x, label = plan.centres[column, 0][0], _escaped(_cut(head.label))
    text = f'<text x="{x}" y="16" text-anchor="middle">{label}</text>'
    return f'<a class="head" href="{_escaped(head.href)}">{text}</a>' if head.href else text


def _lines(lines: Sequence[Line], plan: Plan) -> list[str]:
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


def _ends(plan: Plan, here: Sequence[tuple[int, int]], there: Sequence[tuple[int, int]]) -> list[int]:
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
    return escape(_FORBIDDEN.sub("\ufffd", text))
