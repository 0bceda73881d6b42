"""A call of an ONNX op, and the table of what writes each op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.values import Value
from atlas.model.channels_first.writer import Fixed, Writer

Operand = Value | Fixed
# Reads (writer, call, inputs); an input that was left out is None.
Handler = Callable[[Writer, "Call", Sequence[Any]], "Value | list[Value]"]
TABLE: dict[str, Handler] = {}


@dataclass(frozen=True)
class Call:
    """What an ONNX node says besides its inputs."""

    op: str
    """The op: "Conv"; of another domain than ONNX's own, "domain.Op"."""
    attributes: Mapping[str, Any]
    """The attributes that the node states."""
    opset: int
    """The version of ONNX's ops that the model was written for."""
    n_outputs: int = 1
    """How many outputs the node has; outputs without a name count."""
    used: tuple[bool, ...] = (True,)
    """For each output, whether anything may read it."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, `default` where the node does not state it."""
        return self.attributes.get(name, default)


def op(*names: str) -> Callable[[Handler], Handler]:
    """Return a decorator that enters a function into the table as what writes these ops."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def input_at(inputs: Sequence[Any], index: int) -> Any:
    """Return an input, None where it was left out."""
    return inputs[index] if index < len(inputs) else None


def as_value(writer: Writer, operand: Operand) -> Value:
    """Return an operand as a value, also where it depends on no image."""
    return shaping.moved(writer, operand) if isinstance(operand, Fixed) else operand


def as_fixed(operand: Any, what: str) -> Fixed:
    """Return an operand that depends on no image; raises ModelError, naming `what`, for others."""
    if isinstance(operand, Fixed):
        return operand
    raise ModelError(f"{what} depends on the image", expected="a parameter")


def array_of(call: Call, inputs: Sequence[Any], index: int, attribute: str = "") -> NDArray[Any] | None:
    """Return a setting that newer ops read and older ones state as an attribute; None for neither."""
    given = input_at(inputs, index)
    if given is not None:
        return as_fixed(given, f"the {attribute or 'setting'} of {call.op}").array
    stated = call.get(attribute)
    return None if stated is None else np.asarray(stated)


def integers_of(call: Call, inputs: Sequence[Any], index: int, attribute: str) -> list[int] | None:
    """Return a setting of whole numbers, read as `array_of` does."""
    array = array_of(call, inputs, index, attribute)
    return None if array is None else [int(number) for number in array.ravel()]


def number_of(call: Call, inputs: Sequence[Any], index: int, attribute: str) -> float | None:
    """Return a setting of one number, read as `array_of` does."""
    array = array_of(call, inputs, index, attribute)
    return None if array is None or not array.size else float(array.ravel()[0])
