"""The input of an ONNX model that takes images, and its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.channels_first.onnx_folding import onnx_part
from atlas.model.channels_first.values import BATCH

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
    asked = list(size) if size is not None else [None] * 3
    channels, height, width = (a or b for a, b in zip(stated, asked, strict=True))
    if channels is None or height is None or width is None:
        raise ModelError(
            f"{source} leaves the size of its images open",
            found=_described(images[0]),
            expected="three whole numbers above 0",
            remedy="give it with --input-shape, like 224,224,3",
        )
    return Entry(images[0].name, (BATCH if n is None else n, channels, height, width), last)


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
