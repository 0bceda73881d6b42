"""Values in the form that JSON needs: floats without false digits, records as plain dicts and lists."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.core.records import Floats


def short(value: float) -> float:
    """Return a float32's value rounded to the 7 digits that it holds: 0.1 and not 0.10000000149."""
    return float(f"{value:.7g}")


def short_list(values: Floats) -> list[float]:
    """Return float32 values as floats of 7 digits."""
    return [short(value) for value in values.tolist()]


def plain(record: Any) -> Any:
    """Return a record as dicts, lists, texts and numbers."""
    return msgspec.to_builtins(record)


def shortened(array: Floats) -> Any:
    """Return an array of any shape as nested lists of numbers with five digits."""
    return [shortened(row) for row in array] if array.ndim > 1 else [float(f"{x:.5g}") for x in array]
