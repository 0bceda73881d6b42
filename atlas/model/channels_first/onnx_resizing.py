"""ONNX's Resize and Upsample: where their many settings mean one of TensorFlow's ways to resize."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.model.channels_first.onnx_call import Call, array_of, input_at
from atlas.model.channels_first.op_tables import ONNX
from atlas.model.channels_first.resampling import resized
from atlas.model.channels_first.values import Value
from atlas.model.channels_first.writer import Writer

# TensorFlow's (align_corners, half_pixel_centers).
_WAYS = ((False, False), (False, True), (True, False))
_REMEDY = "resize with half_pixel or asymmetric coordinates, linear or nearest"


@ONNX.op("Resize", "Upsample")
def _resize(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x: Value = inputs[0]
    if x.rank != 4:
        raise ModelError(f"{call.op} over {x.rank - 2} dimensions cannot be written", expected="two")
    scales, sizes = _factors(call, inputs, x)
    if (sizes[0], sizes[1]) == x.shape[2:]:
        return x
    mode = str(call.get("mode", "nearest"))
    _check(call, mode, scales)
    if mode == "nearest":
        align, half = _nearest(call, x, sizes, scales)
        return resized(x, sizes, scales, method="nearest", align_corners=align, half_pixels=half)
    coordinates = _coordinates(call)
    ways = {"half_pixel": (False, True), "asymmetric": (False, False), "align_corners": (True, False)}
    if coordinates == "pytorch_half_pixel" and 1 not in sizes:
        coordinates = "half_pixel"
    if coordinates not in ways:
        raise ModelError(f"{call.op} with {coordinates} coordinates cannot be written", remedy=_REMEDY)
    align, half = ways[coordinates]
    return resized(x, sizes, scales, method="bilinear", align_corners=align, half_pixels=half)


def _coordinates(call: Call) -> str:
    usual = "half_pixel" if call.op == "Resize" and call.opset > 10 else "asymmetric"
    return str(call.get("coordinate_transformation_mode", usual))


def _check(call: Call, mode: str, scales: Sequence[float]) -> None:
    if mode not in ("nearest", "linear", "bilinear"):
        raise ModelError(f"{call.op} in the mode {mode} cannot be written", remedy=_REMEDY)
    if call.get("antialias", 0) and min(scales) < 1:
        raise ModelError(f"{call.op} with antialias cannot be written", remedy=_REMEDY)
    if call.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ModelError(f"{call.op} that keeps the aspect ratio cannot be written", remedy=_REMEDY)


def _factors(call: Call, inputs: Sequence[Any], x: Value) -> tuple[list[float], list[int]]:
    """Return the factors for h and w, and the sizes that they lead to."""
    old_way = call.op == "Upsample" or call.opset < 11
    scales = array_of(call, inputs, 1 if old_way else 2, "scales")
    if old_way and scales is None and call.get("height_scale") is not None:
        scales = np.array([1, 1, call.get("height_scale"), call.get("width_scale")])
    sizes = None if old_way or input_at(inputs, 3) is None else array_of(call, inputs, 3, "sizes")
    axes = [axis % 4 for axis in call.get("axes") or range(4)]
    if sizes is not None and sizes.size:
        by_axis = dict(zip(axes, (int(size) for size in sizes), strict=True))
        lengths = [by_axis.get(dim, n) for dim, n in enumerate(x.shape)]
        factors = [size / n for size, n in zip(lengths, x.shape, strict=True)]
    else:
        given = scales if scales is not None else np.ones(4)
        by_factor = dict(zip(axes, (float(scale) for scale in given), strict=True))
        factors = [by_factor.get(dim, 1.0) for dim in range(4)]
        # Factors are float32 in the file: 1.4 has to lead to 7 of 5, not to 6.
        lengths = [
            int(np.floor(np.float32(n) * np.float32(f))) for n, f in zip(x.shape, factors, strict=True)
        ]
    if tuple(lengths[:2]) != x.shape[:2]:
        raise ModelError(f"{call.op} of channels cannot be written", remedy=_REMEDY)
    return factors[2:], lengths[2:]


def _nearest(call: Call, x: Value, sizes: Sequence[int], scales: Sequence[float]) -> tuple[bool, bool]:
    """Return the way of TensorFlow that takes the same places as ONNX; raises ModelError where none does."""
    wanted = [
        _places(call, n, size, scale) for n, size, scale in zip(x.shape[2:], sizes, scales, strict=True)
    ]
    for align, half in _WAYS:
        offered = [_offered(n, size, align, half) for n, size in zip(x.shape[2:], sizes, strict=True)]
        if all(np.array_equal(a, b) for a, b in zip(wanted, offered, strict=True)):
            return align, half
    found = f"{_coordinates(call)} coordinates, {call.get('nearest_mode', 'round_prefer_floor')}"
    raise ModelError(f"{call.op} to the nearest places cannot be written", found=found, remedy=_REMEDY)


def _places(call: Call, n: int, size: int, scale: float) -> NDArray[np.int64]:
    """Return the place that ONNX takes each new one from."""
    at = np.arange(size, dtype=np.float64)
    coordinates = _coordinates(call)
    if coordinates == "align_corners":
        old = at * (n - 1) / max(size - 1, 1)
    elif coordinates == "asymmetric":
        old = at / scale
    elif coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and size > 1):
        old = (at + 0.5) / scale - 0.5
    elif coordinates == "pytorch_half_pixel":
        old = at * 0
    else:
        raise ModelError(f"{call.op} with {coordinates} coordinates cannot be written", remedy=_REMEDY)
    # Before opset 11 a larger map took the place below, a smaller one the place above.
    simple = "floor" if scale >= 1 else "ceil"
    usual = simple if call.op == "Upsample" or call.opset < 11 else "round_prefer_floor"
    roundings: dict[str, Callable[..., NDArray[np.float64]]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    }
    rounded = roundings[str(call.get("nearest_mode", usual))](np.round(old, 6))
    return np.asarray(np.clip(rounded, 0, n - 1), np.int64)


def _offered(n: int, size: int, align: bool, half: bool) -> NDArray[np.int64]:
    """Return the place that TensorFlow takes each new one from."""
    at = np.arange(size, dtype=np.float64)
    if align and size > 1:
        old = np.floor(np.round(at * (n - 1) / (size - 1), 6) + 0.5)
    else:
        old = np.floor(np.round((at + (0.5 if half else 0.0)) * n / size, 6))
    return np.asarray(np.clip(old, 0, n - 1), np.int64)
