"""The tables of PyTorch's and ONNX's ops, which both front ends fill, and the operands of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atlas.core.errors import AtlasError, ModelError, first_line
from atlas.model.channels_first import shaping
from atlas.model.channels_first.values import Value
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

# Takes a Writer and a call; returns a Value, or a list of them for an op with several results.
Handler = Callable[..., Any]


class OpTable(dict[str, Handler]):
    """The ops that can be written, by name, and what writes each."""

    def __setitem__(self, name: str, handler: Handler) -> None:
        """Enter an op; raises ValueError for one that is there already."""
        if name in self:
            raise ValueError(f"{name} stands twice in the table of ops")
        super().__setitem__(name, handler)

    def op(self, *names: str) -> Callable[[Handler], Handler]:
        """Return a decorator that enters a function as what writes these ops."""

        def enter(handler: Handler) -> Handler:
            for name in names:
                self[name] = handler
            return handler

        return enter


def written(writer: Writer, scope: str, handler: Handler, *arguments: Any, **keywords: Any) -> list[Value]:
    """Return the results of an op that is written below a scope; raises ModelError where it cannot be.

    Each tensor is compared with the shape that the source gives it.
    """
    try:
        with writer.scope([scope]):
            made = handler(writer, *arguments, **keywords)
    except AtlasError:
        raise
    except Exception as error:  # TensorFlow and NumPy raise errors of many types where shapes do not fit
        raise ModelError(f"it cannot be written: {first_line(error)}") from error
    results = list(made) if isinstance(made, list) else [made]
    for value in results:
        lengths = [None if length == -1 else length for length in value.lengths()]
        if not value.tensor.shape.is_compatible_with(tf.TensorShape(lengths)):
            raise ModelError("its shape is not what it should be", found=value.tensor.shape, expected=lengths)
    return results


def unreadable(source: str, places: Mapping[str, Sequence[str]]) -> ModelError:
    """Return the error of a network with ops that are in no table; `places` lists where each stands."""
    found = "; ".join(
        f"{op} (in {where[0]})" if len(where) == 1 else f"{op} ({len(where)} times, first in {where[0]})"
        for op, where in places.items()
    )
    return ModelError(
        f"{source} has operations that the atlas cannot read",
        found=found,
        remedy="build an atlas of the part of the network before them",
    )


# Names as an exported program has them, without "aten.": "conv2d.default". Functions take the op's arguments.
TORCH = OpTable()
# Functions take (writer, call, inputs); an input that was left out is None.
ONNX = OpTable()


def as_value(writer: Writer, operand: Value | Fixed) -> Value:
    """Return an operand as a value, also where it depends on no image."""
    return shaping.moved(writer, operand) if isinstance(operand, Fixed) else operand


def as_fixed(operand: Any, what: str) -> Fixed:
    """Return an operand that depends on no image; raises ModelError, naming `what`, for others."""
    if isinstance(operand, Fixed):
        return operand
    raise ModelError(f"{what} depends on the image", expected="a parameter")
