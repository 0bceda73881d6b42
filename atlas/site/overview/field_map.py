"""EffectiveField -> the map on a layer's page of where its gradient lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atlas.core.records import EffectiveField
from atlas.site import wording
from atlas.site.neuron.heatmaps import kernel_picture


@dataclass(frozen=True, slots=True)
class FieldFrame:
    """A rectangle over the map; lengths are parts of the map's sides, in percent."""

    left: str
    """Distance from the left edge."""
    top: str
    """Distance from the top."""
    width: str
    """Its width."""
    height: str
    """Its height."""


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The map of an effective field, with frames around most of its energy."""

    size: str
    """Width and height of the effective field in pixels."""
    outer: str
    """Width and height of the square with 99 % of the energy, "" where no square has it."""
    window: str
    """Width and height of the map in pixels."""
    height: str
    """Height of the map where it is 1 wide."""
    what: str
    """The images that it was measured on."""
    uri: str
    """Data URI of the map: the root of the energy, white where there is none."""
    frames: tuple[FieldFrame, ...]
    """The squares with 99 % and 95 % of the energy."""


def field_map(field: EffectiveField | None) -> FieldMap | None:
    """Return the map of a layer's effective field, None where it is not known."""
    size = wording.effective_field(field)
    if field is None or not size:
        return None
    roots = np.sqrt(field.energy)
    h, w = field.window
    return FieldMap(
        size=size,
        outer=f"{wording.times(field.outer[1], field.outer[0])} px" if field.has_outer else "",
        window=f"{wording.times(w, h)} px",
        height=f"{h / w:.3f}",
        what=field.what,
        uri=kernel_picture(roots, float(roots.max())),
        frames=tuple(_frame(side, field.window) for side in (field.outer, field.inner)),
    )


def _frame(side: tuple[int, int], window: tuple[int, int]) -> FieldFrame:
    h, w = (100 * inner / whole for inner, whole in zip(side, window, strict=True))
    return FieldFrame(*(f"{length:.2f}" for length in ((100 - w) / 2, (100 - h) / 2, w, h)))
