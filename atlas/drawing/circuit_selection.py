"""A neuron's circuit: its strongest connections, and theirs, hop by hop, read from tables of connections.

Pages and notebooks select with the same code, wherever their tables come from. A *spot* is a neuron as
(layer's name, index).
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
    """One layer's connections in one direction, strongest first; row i belongs to its neuron i."""

    source: str
    """Name of the layer nearer the image, or "input"."""
    target: str
    """Name of the layer farther from the image."""
    index: list[list[int]]
    """[n][k], the neurons of the other layer."""
    strength: list[list[float]]
    """[n][k], L2 norms of the kernels."""
    sign: list[list[int]]
    """[n][k], signs of the kernels' sums: 1, -1 or 0."""
    total: list[float]
    """[n], L2 norm over all of a neuron's connections, including those that are not listed."""
    ranks: list[dict[int, int]]
    """[n], for each row the place of an index in it."""


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


# Returns the table of a layer in a direction, "upstream" or "downstream", or None if there is none.
Tables = Callable[[str, str], Table | None]


class Edge(NamedTuple):
    """A connection between two spots."""

    source: Spot
    """Neuron nearer the image."""
    target: Spot
    """Neuron farther from the image."""
    strength: float
    """L2 norm of the kernel."""
    sign: int
    """Sign of the kernel's sum: 1, -1 or 0."""
    relative: float
    """Strength over the strongest in the target's list, or in the source's if the target has no list."""
    share: float | None
    """Share of the target's squared L2 norm, 0 to 1; None if the target has no list."""
    chosen: bool
    """True if a hop followed it, false if it only joins selected neurons."""
    listed: str
    """The list that holds it: "upstream" is the target's, "downstream" the source's."""
    row: int
    """Place in that list, from 0."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The neurons and connections of the circuit around one neuron, the ego."""

    columns: tuple[tuple[Spot, ...], ...]
    """Neurons layer by layer, nearest the image first."""
    at: int
    """Column that holds the ego alone."""
    edges: tuple[Edge, ...]
    """Connections between neighbouring columns."""
    up: tuple[int, ...]
    """Connections that each hop upstream followed from each neuron."""
    down: tuple[int, ...]
    """Connections that each hop downstream followed from each neuron."""


def ego_selection(tables: Tables, ego: Spot, shape: CircuitShape) -> Selection:
    """Return the neurons that `shape` reaches from `ego`, and the connections between them.

    Connections of strength zero are left out. Those of equal strength keep the order of the tables, so the
    result is deterministic.
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


def selection_rule(selection: Selection, between: float, name: str) -> str:
    """Return a sentence that says what was selected around a neuron."""
    both = []
    for numbers, first, each in (
        (selection.up, "strongest inputs of", "strongest inputs of each of these"),
        (selection.down, "strongest outputs of", "strongest outputs of each of these"),
    ):
        if numbers:
            hops = [f"{_the(numbers[0], first)} {name} by L2 norm", *(_the(n, each) for n in numbers[1:])]
            both.append(", ".join(hops))
    others = (
        f"at least {between * 100:.0f}\N{NO-BREAK SPACE}% as strong as the strongest in its target's list"
        if between
        else "in the list of either neuron"
    )
    return f"{'; '.join(both)}. Fainter lines: every other connection between them that is {others}.".replace(
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
    branching: Sequence[int],
    followed: set[tuple[Spot, Spot]],
) -> tuple[list[tuple[Spot, ...]], tuple[int, ...]]:
    """Return the neurons of each hop in one direction, and how many connections of each neuron were followed.

    Adds the followed pairs to `followed`.
    """
    frontier: tuple[Spot, ...] = (ego,)
    columns: list[tuple[Spot, ...]] = []
    numbers: list[int] = []
    for hop in range(hops):
        table = tables(frontier[0][0], direction)
        if table is None:
            break
        other = table.source if direction == "upstream" else table.target
        n = min(branching[min(hop, len(branching) - 1)], max(map(len, table.index)))
        column: dict[Spot, None] = {}
        for spot in frontier:
            strengths = table.strength[spot[1]]
            for rank, index in enumerate(table.index[spot[1]][:n]):
                if strengths[rank] > 0:
                    neighbour = (other, index)
                    column[neighbour] = None
                    followed.add((neighbour, spot) if direction == "upstream" else (spot, neighbour))
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
    """Yield the connections between two neighbouring columns that are in the lists of either column."""
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
    """Yield the connections in the targets' lists of sources; add all listed pairs to `seen`."""
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
    """Yield the connections in the sources' lists of targets; `above` holds the lists of the targets."""
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
