"""The input of an ONNX model that takes images, and its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.channels_first.onnx_folding import onnx_part
from atlas.model.channels_first.values import BATCH

_REMEDY = "give it with --input-shape (input_shape in Python), channels first, like 3,224,224"
# As many channels as images have: grey, color, and color with transparency.
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Entry:
    """The input that takes images."""

    name: str
    """Its name in the model."""
    shape: tuple[int, int, int, int]
    """(n, c, h, w); n is `BATCH` where any number of images may be given."""
    channels_last: bool = False
    """Whether the model has the channels last, as those that were made from TensorFlow."""


def entry_of(graph: Any, source: str, size: Sequence[int | None] | None = None) -> Entry:
    """Return the input that takes images; raises ModelError where there is none, or several.

    `size` is (c, h, w), for lengths that the model leaves open.
    """
    known = {each.name for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in known]
    images = [each for each in inputs if _may_be_images(each)]
    if len(images) != 1:
        shown = ", ".join(_described(each) for each in (images or inputs))
        raise ModelError(
            f"the input of {source} is not clear" if images else f"{source} does not read images",
            found=shown or "no input",
            expected="one input of floats, (n, c, h, w)",
        )
    lengths = [_length(dim) for dim in images[0].type.tensor_type.shape.dim]
    lengths = lengths or [None] * 4
    last = lengths[3] in _CHANNELS and lengths[1] not in _CHANNELS
    n, *sides = lengths
    stated = [sides[2], sides[0], sides[1]] if last else sides
    channels, height, width = _size(stated, size, f"{source} reads {_described(images[0])}")
    return Entry(images[0].name, (BATCH if n is None else n, channels, height, width), last)


def _size(stated: Sequence[int | None], asked: Sequence[int | None] | None, what: str) -> list[int]:
    """Return (c, h, w), each length as the model states it, or as asked where it leaves it open."""
    given = list(asked) if asked is not None else [None] * 3
    if len(given) != 3:
        raise ModelError("the input shape has other than three lengths", found=tuple(given), remedy=_REMEDY)
    lengths = [a or b for a, b in zip(stated, given, strict=True)]
    known = [length for length in lengths if length is not None and length > 0]
    if len(known) != 3:
        raise ModelError(f"{what}, of a size that is not known", expected="(c, h, w)", remedy=_REMEDY)
    if any(b is not None and a != b for a, b in zip(known, given, strict=True)):
        raise ModelError(
            f"{what}, not images of the size asked for",
            found=tuple(given),
            expected=tuple(known),
            remedy="give it with channels first, or leave it out, or export the model with open sizes",
        )
    return known


def _may_be_images(value: Any) -> bool:
    onnx = onnx_part()
    kinds = onnx.TensorProto
    tensor = value.type.tensor_type
    floats = (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.BFLOAT16)
    return tensor.elem_type in floats and (not tensor.HasField("shape") or len(tensor.shape.dim) == 4)


def _length(dim: Any) -> int | None:
    """Return a length, None for one that is left open."""
    return int(dim.dim_value) if dim.dim_value > 0 else None


def _described(value: Any) -> str:
    """Return an input's name and shape: "images (n, 3, 224, 224)"."""
    dims = value.type.tensor_type.shape.dim
    return f"{value.name} ({', '.join(str(dim.dim_value or dim.dim_param or '?') for dim in dims)})"
