"""Values as they stand in JSON: with the digits they have, and as plain dicts and lists."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.core.records import Floats


def short(value: float) -> float:
    """Return a float32's value with the digits it has: 0.1 and not 0.10000000149."""
    return float(f"{value:.7g}")


def short_list(values: Floats) -> list[float]:
    """Return float32 values with the digits they have."""
    return [short(value) for value in values.tolist()]


def plain(record: Any) -> Any:
    """Return a record as dicts, lists, texts and numbers."""
    return msgspec.to_builtins(record)


def shortened(array: Floats) -> Any:
    """Return an array as lists of numbers of five digits."""
    return [shortened(row) for row in array] if array.ndim > 1 else [float(f"{x:.5g}") for x in array]
