"""The table of PyTorch's ops, which the modules next to this one fill, and the operands of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.values import Value
from atlas.model.channels_first.writer import Fixed, Writer

# Takes (writer, *arguments of the op); returns a Value, or a list of them for an op with several results.
Handler = Callable[..., Any]
# Names as an exported program has them, without "aten.": "conv2d.default".
TABLE: dict[str, Handler] = {}


def op(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that enters a function into the table as what writes these ops."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def as_value(writer: Writer, operand: Value | Fixed) -> Value:
    """Return an operand as a value, also where it depends on no image."""
    return shaping.moved(writer, operand) if isinstance(operand, Fixed) else operand


def parameter(operand: Any, what: str) -> Fixed:
    """Return an operand that depends on no image; raises ModelError for one that does."""
    if isinstance(operand, Fixed):
        return operand
    raise ModelError(f"{what} depends on the image", expected="a parameter")
