"""A neuron's circuit: the strongest connections of the strongest connections, read off stored lists.

Pages and notebooks select with this one piece of code; it knows tables of connections and nothing of
where they come from. A *spot* is a neuron as (layer's name, index).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from atlas.core.records import CircuitShape, Connections

Spot = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Table:
    """One layer's connections in one direction, strongest first; row i belongs to its neuron i.

    `total` [n] is the L2 norm over all of a neuron's connections, also those that are not listed;
    `ranks` gives for each row the place of an index in it.
    """

    source: str
    target: str
    index: list[list[int]]
    strength: list[list[float]]
    sign: list[list[int]]
    total: list[float]
    ranks: list[dict[int, int]]


def table_of(record: Connections, total: list[float]) -> Table:
    """Return connections as a table; `total` [n] is the L2 norm over all of each neuron's connections."""
    index = record.index.tolist()
    return Table(
        record.source,
        record.target,
        index,
        record.strength.tolist(),
        record.sign.tolist(),
        total,
        [{other: rank for rank, other in enumerate(row)} for row in index],
    )


# The table of a layer in a direction, "upstream" or "downstream"; None where there is none.
Tables = Callable[[str, str], Table | None]


class Edge(NamedTuple):
    """A connection between two spots.

    `relative` is its strength over the strongest of the target's list, or, where there is no such
    list, of the source's; `share` the part of the target's squared mass that it holds, None where there
    is no list. `listed` says whose list holds it, "upstream" the target's, and `row` where.
    """

    source: Spot
    target: Spot
    strength: float
    sign: int
    relative: float
    share: float | None
    chosen: bool
    listed: str
    row: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Spots layer by layer, nearest the image first; the ego stands alone in column `at`.

    `up` and `down` are how many connections of each neuron were followed on each hop.
    """

    columns: tuple[tuple[Spot, ...], ...]
    at: int
    edges: tuple[Edge, ...]
    up: tuple[int, ...]
    down: tuple[int, ...]


def ego_selection(tables: Tables, ego: Spot, shape: CircuitShape) -> Selection:
    """Return the neurons that `shape` reaches from `ego`, and the connections between them.

    Connections without strength are none. Deterministic: equal strengths stand as in the tables.
    """
    followed: set[tuple[Spot, Spot]] = set()
    above, up = _reached(tables, ego, "upstream", shape.up, shape.fan, followed)
    below, down = _reached(tables, ego, "downstream", shape.down, shape.fan, followed)
    columns = (*reversed(above), (ego,), *below)
    edges = [
        edge
        for sources, targets in itertools.pairwise(columns)
        for edge in _between(tables, sources, targets, followed, shape.between)
    ]
    return Selection(columns, len(above), tuple(edges), up, down)


def selection_rule(found: Selection, between: float, name: str) -> str:
    """Say in words what was selected around a neuron."""
    ways = []
    for numbers, first, each in (
        (found.up, "strongest inputs of", "strongest inputs of each of these"),
        (found.down, "strongest outputs of", "strongest outputs of each of these"),
    ):
        if numbers:
            hops = [f"{_the(numbers[0], first)} {name} by L2 norm", *(_the(n, each) for n in numbers[1:])]
            ways.append(", ".join(hops))
    others = (
        f"at least {between * 100:.0f}\N{NO-BREAK SPACE}% as strong as the strongest in its target's list"
        if between
        else "in the list of either neuron"
    )
    return f"{'; '.join(ways)}. Fainter lines: every other connection between them that is {others}.".replace(
        "the", "The", 1
    )


def _the(n: int, what: str) -> str:
    """Return "the 5 strongest inputs", "the strongest input"."""
    return f"the {n} {what}" if n > 1 else f"the {what}".replace("puts", "put", 1)


def _reached(
    tables: Tables,
    ego: Spot,
    direction: str,
    hops: int,
    fan: Sequence[int],
    followed: set[tuple[Spot, Spot]],
) -> tuple[list[tuple[Spot, ...]], tuple[int, ...]]:
    """Return the neurons of each hop in one direction, and how many of each list were followed.

    The pairs that are followed are added to `followed`.
    """
    frontier: tuple[Spot, ...] = (ego,)
    columns: list[tuple[Spot, ...]] = []
    numbers: list[int] = []
    for hop in range(hops):
        table = tables(frontier[0][0], direction)
        if table is None:
            break
        other = table.source if direction == "upstream" else table.target
        n = min(fan[min(hop, len(fan) - 1)], len(table.index[0]))
        column: dict[Spot, None] = {}
        for spot in frontier:
            strengths = table.strength[spot[1]]
            for rank, index in enumerate(table.index[spot[1]][:n]):
                if strengths[rank] > 0:
                    found = (other, index)
                    column[found] = None
                    followed.add((found, spot) if direction == "upstream" else (spot, found))
        if not column:
            break
        frontier = tuple(column)
        columns.append(frontier)
        numbers.append(n)
    return columns, tuple(numbers)


def _between(
    tables: Tables,
    sources: Sequence[Spot],
    targets: Sequence[Spot],
    followed: set[tuple[Spot, Spot]],
    least: float,
) -> Iterator[Edge]:
    """Yield the connections between two neighbouring columns that either side's lists hold."""
    above = tables(targets[0][0], "upstream")
    below = tables(sources[0][0], "downstream")
    if above is not None and above.source != sources[0][0]:
        above = None
    if below is not None and below.target != targets[0][0]:
        below = None
    seen: set[tuple[Spot, Spot]] = set()
    if above is not None:
        yield from _listed_above(above, sources, targets, followed, seen, least)
    if below is not None:
        yield from _listed_below(below, above, sources, targets, followed, seen, least)


def _listed_above(
    table: Table,
    sources: Sequence[Spot],
    targets: Sequence[Spot],
    followed: set[tuple[Spot, Spot]],
    seen: set[tuple[Spot, Spot]],
    least: float,
) -> Iterator[Edge]:
    """Yield the connections that stand in the targets' lists of sources; all pairs listed are `seen`."""
    for target in targets:
        at = target[1]
        ranks, strengths, signs = table.ranks[at], table.strength[at], table.sign[at]
        strongest, squared = strengths[0] or 1.0, table.total[at] ** 2 or 1.0
        for source in sources:
            row = ranks.get(source[1])
            if row is None:
                continue
            pair, strength = (source, target), strengths[row]
            seen.add(pair)
            chosen, relative = pair in followed, strength / strongest
            if strength > 0 and (chosen or relative >= least):
                share = strength * strength / squared
                yield Edge(source, target, strength, signs[row], relative, share, chosen, "upstream", row)


def _listed_below(
    table: Table,
    above: Table | None,
    sources: Sequence[Spot],
    targets: Sequence[Spot],
    followed: set[tuple[Spot, Spot]],
    seen: set[tuple[Spot, Spot]],
    least: float,
) -> Iterator[Edge]:
    """Yield the connections that stand in the sources' lists of targets; `above` has the targets' own."""
    for source in sources:
        at = source[1]
        ranks, strengths, signs = table.ranks[at], table.strength[at], table.sign[at]
        for target in targets:
            row, pair = ranks.get(target[1]), (source, target)
            if row is None or pair in seen:
                continue
            strength, chosen = strengths[row], pair in followed
            relative = strength / ((above.strength[target[1]] if above else strengths)[0] or 1.0)
            if strength > 0 and (chosen or relative >= least):
                share = (strength / (above.total[target[1]] or 1.0)) ** 2 if above else None
                yield Edge(source, target, strength, signs[row], relative, share, chosen, "downstream", row)
