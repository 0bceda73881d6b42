"""Receptive fields: the pixels that each position of a layer sees, from the layouts of all tensors before it.

A gate or a mean over the image that is broadcast over a map is called held: it has no positions, so no window
describes what it sees. The field is then that of the map alone, and `gated` marks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from atlas.core.neuron import ReceptiveField
from atlas.model.graph.view import node_of
from atlas.model.positions import axes as ax
from atlas.model.positions.layout import Layouts
from atlas.model.positions.steps import Step
from atlas.model.positions.windows import Field, hull

Fields = tuple[Field | None, Field | None]


def receptive_fields(layouts: Layouts) -> dict[str, ReceptiveField]:
    """Return the field, in pixels of the image, of every node whose positions see a part of the image.

    Nodes are left out where each position sees the whole image, and where they have no positions.
    """
    fields = _fields(layouts)
    gated = gated_nodes(layouts)
    records = {}
    for name, (h, w) in fields.items():
        if h is not None and w is not None and len(ax.letters(layouts[name].axes)) == 2:
            records[name] = _record(h, w, gated=name in gated)
    return records


def gated_nodes(layouts: Layouts) -> frozenset[str]:
    """Return the nodes that depend on a held tensor, and so on the whole image besides their field."""
    gated: set[str] = set()
    for name, step in layouts.items():
        if any(read.held or node_of(read.tensor) in gated for read in step.reads):
            gated.add(name)
    return frozenset(gated)


def _fields(layouts: Layouts) -> dict[str, Fields]:
    fields: dict[str, Fields] = {}
    for name, step in layouts.items():
        if not step.reads:
            fields[name] = Field(), Field()
            continue
        fields[name] = _axis(step, fields, 0), _axis(step, fields, 1)
    return fields


def _axis(step: Step, fields: Mapping[str, Fields], at: int) -> Field | None:
    if ax.POSITIONS[at] not in ax.letters(step.axes):
        return None
    return hull(
        _through(read.taps[at], fields[node_of(read.tensor)][at]) for read in step.reads if not read.held
    )


def _through(taps: object, field: Field | None) -> Field | None:
    return field.through(taps) if field is not None and taps is not None else None  # type: ignore[arg-type]


def _record(h: Field, w: Field, *, gated: bool) -> ReceptiveField:
    return ReceptiveField(
        size=(h.size, w.size),
        stride=(_number(h.stride), _number(w.stride)),
        offset=(_number(h.offset), _number(w.offset)),
        gated=gated,
    )


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
