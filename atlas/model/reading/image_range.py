"""The range of a network's images: as given, as the source states, as the graph implies, or assumed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.cleaning.inputs import PLACEHOLDERS
from atlas.model.graph.backend import tf
from atlas.model.graph.view import node_of
from atlas.model.reading.frozen import PLAIN_RANGE, Frozen
from atlas.model.reading.preprocessing import Preparation
from atlas.model.reading.value_range import Range, Reading, range_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageRange:
    """A network's value range and its origin."""

    value_range: Range
    """The values of black and white."""
    source: str
    """Where the range comes from, in words, like "as given"."""
    notes: tuple[str, ...] = ()
    """What was assumed, or which given range contradicts the graph; () in all other cases."""


def read_range(
    frozen: Frozen, graph_def: Any, entry: str, size: tuple[int, int, int], whole: Reading | None = None
) -> ImageRange:
    """Return the range of the images that a graph reads; a range that the user gave wins.

    `graph_def` is cleaned, and no preprocessing was put in front of it yet. `size` is (h, w, c). `whole` is
    the range that the type of the graph's input implies, None for an input of floats. Raises ModelError
    where a preprocessing was given and the graph has its own.
    """
    preparation = frozen.prepare_for(size[2]) if frozen.prepare_for is not None else None
    stated = preparation.value_range if preparation is not None else frozen.value_range
    if not frozen.range_given and stated is not None:
        return ImageRange(checked_range(stated, frozen.name), frozen.range_source)
    reading = whole or range_of(graph_def, entry, size)
    if preparation is not None and not preparation.is_range:
        return _prepared_range(frozen, preparation, reading)
    if stated is not None:
        given = checked_range(stated, frozen.name)
        return ImageRange(given, "as given", _contradicted(given, reading))
    if reading.value_range is not None:
        log.info("%s: range of images %s", frozen.name, reading.words)
        return ImageRange(reading.value_range, reading.words)
    note = (
        f"the range of images is not given ({reading.words}); 0 to 1 is assumed: give --preprocess, "
        "--value-range, or --mean and --std"
    )
    return ImageRange(PLAIN_RANGE, f"assumed: {reading.words}", (note,))


def range_of_type(graph_def: Any, entry: str) -> Reading | None:
    """Return the range that an input of whole numbers takes, None for an input of floats."""
    node = next(node for node in graph_def.node if node.name == node_of(entry))
    dtype = tf.as_dtype(node.attr["dtype"].type) if node.op in PLACEHOLDERS else tf.float32
    if not dtype.is_integer:
        return None
    return Reading((0.0, 65535.0 if dtype == tf.uint16 else 255.0), f"its input is of {dtype.name}")


def _prepared_range(frozen: Frozen, preparation: Preparation, reading: Reading) -> ImageRange:
    """Return the range of the images that a given preprocessing reads; raises ModelError.

    Where the graph has its own preprocessing, only the order of channels may be given.
    """
    reordered = bool(np.all(preparation.scale == 1) and np.all(preparation.shift == 0))
    if reordered and frozen.value_range is not None:
        given = checked_range(frozen.value_range, frozen.name)
        return ImageRange(given, "as given", _contradicted(given, reading))
    if reading.value_range is None:
        stated = frozen.value_range or preparation.value_range
        return ImageRange(checked_range(stated, frozen.name), "as given")
    if reordered:
        return ImageRange(reading.value_range, reading.words)
    raise ModelError(
        f"{frozen.name} preprocesses its images itself",
        found=reading.words,
        remedy="leave --preprocess, mean and std out",
    )


def _contradicted(given: Range, reading: Reading) -> tuple[str, ...]:
    """Return a note where the given range differs from the one that the graph was written for."""
    implied = reading.value_range
    if implied is None or np.allclose(given, implied, rtol=0.02, atol=0.02):
        return ()
    stated, expected = f"{given[0]:g} to {given[1]:g}", f"{implied[0]:g} to {implied[1]:g}"
    return (
        f"images of {stated}, as given, contradict the graph: it was written for {expected}, {reading.words}",
    )


# Bounds on the difference of black and white, the upper one on each of them too. Below, float32 has no values
# in between; above, products overflow.
_LEAST, _MOST = 1e-6, 1e9


def checked_range(value: Any, model: str) -> Range:
    """Return a range as two floats; raises ModelError unless it is two numbers that differ."""
    try:
        low, high = (float(v) for v in value)
        if _LEAST < abs(high - low) < _MOST and max(abs(low), abs(high)) < _MOST:
            return low, high
    except (TypeError, ValueError):
        pass
    raise ModelError(
        f"the value range of {model} is wrong",
        found=repr(value),
        expected=f"two numbers, the values of black and of white, that differ by {_LEAST:g} to {_MOST:g}",
        remedy="give one like 0,255",
    )
