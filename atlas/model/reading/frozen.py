"""Frozen: the contents of a source as a reader returns them, before they become a Network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atlas.core.preprocessing import COVER, Resizing
from atlas.model.cleaning.inputs import Held
from atlas.model.reading.preprocessing import Preparation

# The values of black and white in an image without any preprocessing.
PLAIN_RANGE = (0.0, 1.0)


@dataclass(frozen=True)
class Frozen:
    """A frozen graph and everything that its source states; None where the source does not say."""

    name: str
    """The model's name, as pages show it."""
    sha256: str
    """The digest of the source's bytes: of a file, of a folder's files, or of the graph."""
    graph_def: Any
    """A GraphDef whose weights are constants."""
    input_tensor: str | None = None
    """The tensor that images enter by."""
    input_shape: tuple[int | None, ...] | None = None
    """(h, w, c), with None for an unknown length."""
    value_range: tuple[float, float] | None = None
    """The values that the graph expects for black and white."""
    labels: tuple[str, ...] = ()
    """The classes' names, in order; () where they are unknown."""
    range_source: str = ""
    """Where the value range comes from, in words."""
    range_given: bool = False
    """Whether the user gave the value range or the preprocessing."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Another name of an input -> its tensor."""
    held: Held | None = None
    """The values of the inputs besides the image; None where the user named neither inputs nor values."""
    prepare_for: Callable[[int], Preparation] | None = None
    """Number of channels -> the preprocessing of images, put in front of the graph unless it is a range;
    None for none."""
    resizing: Resizing = COVER
    """How photographs get the size of the input."""
    notes: tuple[str, ...] = ()
    """Sentences on what the reader assumed."""
    is_sized: bool = False
    """Whether `input_shape` is what the user asked for, where the user did."""
