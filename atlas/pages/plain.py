"""Values as they stand in JSON: with the digits they have, and as plain dicts and lists."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.neuron import Layer
from atlas.records import Floats


def short(value: float) -> float:
    """Return a float32's value with the digits it has: 0.1 and not 0.10000000149."""
    return float(f"{value:.7g}")


def plain(record: Any) -> Any:
    """Return a record as dicts, lists, texts and numbers."""
    return msgspec.to_builtins(record)


def field_data(layer: Layer) -> dict[str, Any] | None:
    """Return a layer's receptive field; `gated` stands there only where it is so."""
    known: dict[str, Any] | None = plain(layer.receptive_field)
    if known and not known["gated"]:
        del known["gated"]
    return known


def shortened(array: Floats) -> Any:
    """Return an array as lists of numbers of five digits."""
    return [shortened(row) for row in array] if array.ndim > 1 else [float(f"{x:.5g}") for x in array]
