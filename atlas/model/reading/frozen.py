"""Frozen: what a reader found in a source, before it is a Network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atlas.model.cleaning.inputs import Held
from atlas.model.reading.preprocessing import Preparation

# What an image without any preprocessing has.
PLAIN_RANGE = (0.0, 1.0)


@dataclass(frozen=True)
class Frozen:
    """What a reader found in a source; None where the source does not say.

    `input_shape` is (h, w, c) with None for an unknown length; `labels` one line a class. `range_source`
    says from what the range is known, `range_given` that the user gave it or the preprocessing. `aliases`
    are other names of inputs, with their tensors; `held` the values of the inputs beside the image;
    `prepare_for` returns what images of so many channels need before the graph.
    """

    name: str
    sha256: str
    graph_def: Any
    input_tensor: str | None = None
    input_shape: tuple[int | None, ...] | None = None
    value_range: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()
    range_source: str = ""
    range_given: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    held: Held | None = None
    prepare_for: Callable[[int], Preparation] | None = None
    notes: tuple[str, ...] = ()
