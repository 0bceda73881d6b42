"""The range of images, read from what a graph does to them before its first layer.

The part of the graph in front of the first convolution or dense layer is run on images of one colour. What
it makes of grey gives a scale and a shift for each channel: `x / 127.5 - 1` turns 0 to 255 into -1 to 1, so
the network was written for images of 0 to 255. Of a few ranges that images have, the one is chosen from
which it makes values that networks are trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.cleaning.importing import import_exactly
from atlas.model.cleaning.inference import keep
from atlas.model.graph.backend import tf
from atlas.model.graph.ops import PASSES
from atlas.model.graph.view import GraphView, node_of

Range = tuple[float, float]
Floats = NDArray[np.float64]

_FIRST = frozenset(
    """Conv2D DepthwiseConv2dNative Conv2DBackpropInput Conv3D MatMul BatchMatMul BatchMatMulV2
    BatchMatMulV3 Einsum""".split()
)
# What images are written in: bytes, fractions, centred fractions; then satellites' and microscopes' counts.
_RANGES: tuple[Range, ...] = (
    (0.0, 255.0),
    (0.0, 1.0),
    (-1.0, 1.0),
    (0.0, 65535.0),
    (0.0, 10000.0),
    (0.0, 4095.0),
    (0.0, 1023.0),
)
_USUAL = _RANGES[:3]
# What networks are trained on, where preprocessing is a plain scaling; the last is only a change of unit.
_FORMS: tuple[Range, ...] = ((0, 1), (-1, 1), (-0.5, 0.5), (0, 255))
# From black to white after the mean was subtracted: of 0 to 1, of -1 to 1, divided by ImageNet's standard
# deviations (1 / 0.229), of 0 to 255.
_SPANS = (1.0, 2.0, 4.4, 255.0)
# Rescaling by 1/256 or 1/127 is meant as by 1/255 and 1/127.5.
_CLOSE = 0.012
# A graph that standardizes images rarely takes centred ones; both read the same where the mean is low.
_CENTRED_COST = 0.3
_AMBIGUOUS = 0.05


@dataclass(frozen=True)
class Reading:
    """The range that a graph implies: None and the reason where it implies none."""

    value_range: Range | None
    words: str


def range_of(graph_def: Any, entry: str, size: tuple[int, int, int]) -> Reading:
    """Return the range of images that a graph was written for; images are [h, w, c] = `size`."""
    view = GraphView(graph_def)
    first, tensor = _first_layer(view, entry)
    between = [n for n in view.between(entry, tensor) if view.op(n) not in PASSES] if first else []
    if len(between) < 2:
        return Reading(None, "nothing precedes its first layer")
    probe = _probe(keep(graph_def, [entry, tensor]), entry, tensor, size)
    where = f"{_scopes(between[1:])} before {first}"
    try:
        return _judged(probe, where)
    except tf.errors.OpError:
        return Reading(None, f"what precedes {first} cannot be run by itself")


def _first_layer(view: GraphView, entry: str) -> tuple[str, str]:
    """Return the first layer's node and the tensor that it reads; empty names where there is none."""
    moving = view.descendants(entry)
    for name in view.order:
        if name in moving and view.op(name) in _FIRST:
            read = [tensor for tensor in view.inputs(name) if node_of(tensor) in moving]
            if len(read) == 1:
                return name, read[0]
    return "", ""


def _scopes(names: list[str]) -> str:
    """Return the layers that nodes belong to, the first few."""
    scopes = list(dict.fromkeys(name.rpartition("/")[0] or name for name in names))
    return ", ".join(scopes[:4]) + (", …" if len(scopes) > 4 else "")


def _probe(
    part: Any, entry: str, tensor: str, size: tuple[int, int, int]
) -> Callable[[float, int | None], Floats]:
    """Return a function from grey, of one channel or of all, to the values in the middle of `tensor`."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, *size])
        last = import_exactly(part, entry, images)(tensor)
    session = tf.compat.v1.Session(graph=graph)

    def run(grey: float, channel: int | None) -> Floats:
        image = np.zeros([1, *size], np.float32)
        image[..., slice(None) if channel is None else channel] = grey
        value = np.asarray(session.run(last, {images: image}), np.float64)
        if value.ndim == 4:  # away from padding
            return np.asarray(value[0, value.shape[1] // 2, value.shape[2] // 2])
        return np.asarray(np.median(value.reshape(-1, value.shape[-1]), axis=0))

    return run


def _judged(probe: Callable[[float, int | None], Floats], where: str) -> Reading:
    fits = sorted(_fits(probe))
    if not fits:
        reason = f"{where} is no scaling of known images"
        if all(np.array_equal(probe(low, None), probe(high, None)) for low, high in _USUAL):
            reason = f"{where} makes all images of one colour alike"
        elif _is_same(probe):
            reason = f"{where} leaves the values of images as they are"
        return Reading(None, reason)
    (cost, found, black, white), *others = fits
    if others and others[0][0] - cost < _AMBIGUOUS:
        return Reading(None, f"{where} fits {_told(found)} and {_told(others[0][1])}")
    swapped = "; channels are reversed" if _is_reversed(probe, found) else ""
    return Reading(
        found, f"read from the graph: {where} makes {black:.4g} to {white:.4g} of {_told(found)}{swapped}"
    )


def _fits(probe: Callable[[float, int | None], Floats]) -> Iterator[tuple[float, Range, float, float]]:
    """Yield (cost, range, black, white) of each range that the graph makes good values of."""
    for low, high in _RANGES:
        black, white = probe(low, None), probe(high, None)
        ends = float(np.median(black)), float(np.median(white))
        if not _is_straight(probe, low, high, black, white) or not np.isfinite([*black, *white]).all():
            continue
        if np.allclose(black, low, atol=_CLOSE) and np.allclose(white, high, rtol=_CLOSE):
            clipped = np.allclose(probe(high + (high - low), None), white, rtol=_CLOSE)
            cost = 0.0 if clipped else None
        else:
            cost = _cost(black, white, usual=(low, high) in _USUAL)
        if cost is not None:
            yield cost + (_CENTRED_COST if low < 0 and cost else 0), (low, high), *ends


def _is_straight(
    probe: Callable[[float, int | None], Floats], low: float, high: float, black: Floats, white: Floats
) -> bool:
    """Return whether grey goes straight from black to white: it is not clipped, and no curve."""
    span = np.abs(white - black).max()
    return span > 0 and all(
        np.abs(probe(low + part * (high - low), None) - (black + part * (white - black))).max() < 0.01 * span
        for part in (0.25, 0.5)
    )


def _cost(black: Floats, white: Floats, *, usual: bool) -> float | None:
    """Return how unlike the usual input of a network values are; None where nobody would train on them."""
    low, high = np.minimum(black, white), np.maximum(black, white)
    for form in _FORMS if usual else _FORMS[:3]:
        reach = _CLOSE * (form[1] - form[0])
        # A mean of 0.5 is little beside 255, and says that images are 0 to 1.
        if np.abs(low - form[0]).max() < min(reach, 0.1) and np.abs(high - form[1]).max() < reach:
            return 0.0
    gain = white - black
    live = np.abs(gain) > 1e-6 * np.abs(gain).max()
    span, zero = float(np.median(np.abs(gain[live]))), float(np.median(-black[live] / gain[live]))
    near = min(abs(math.log(span / each)) for each in _SPANS)
    if not usual or near > (0.1 if span > 20 else 0.75) or not -1e-3 < zero < 0.85:
        return None
    # A mean of zero says less than one of grey, and a scale of one that is not the unit's nothing.
    return 0.5 + near + (abs(zero - 0.45) if zero > 0.08 else 0.5)


def _is_same(probe: Callable[[float, int | None], Floats]) -> bool:
    return all(np.allclose(probe(grey, None), grey, rtol=_CLOSE, atol=1e-3) for grey in (0, 1, 255))


def _is_reversed(probe: Callable[[float, int | None], Floats], found: Range) -> bool:
    """Return whether the first channel of an image is the last of the network's."""
    moved = np.abs(probe(found[1], 0) - probe(found[0], 0))
    return len(moved) == 3 and int(np.argmax(moved)) == 2


def _told(found: Range) -> str:
    return f"{found[0]:g} to {found[1]:g}"
