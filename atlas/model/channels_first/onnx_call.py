"""A call of an ONNX op, and how its settings are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.channels_first.op_tables import as_fixed


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


def input_at(inputs: Sequence[Any], index: int) -> Any:
    """Return an input, None where it was left out."""
    return inputs[index] if index < len(inputs) else None


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
