"""Infer the range of a network's images from the ops before its first layer.

The part of the graph in front of the first convolution or dense layer is run on grey images, each of a
single value. The results give a scale and a shift for each channel: `x / 127.5 - 1` turns 0 to 255 into -1
to 1, so the network was written for images of 0 to 255. The range is chosen from a few common ones: the one
that this part turns into values that networks are trained on.
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
# Common ranges of images: bytes, fractions, centred fractions, counts of satellites and microscopes.
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
# Ranges that networks are trained on after a plain scaling; to the last, scaling only changes the unit.
_FORMS: tuple[Range, ...] = ((0, 1), (-1, 1), (-0.5, 0.5), (0, 255))
# The difference of white and black where a mean was subtracted: from 0 to 1, from -1 to 1, from 0 to 1 and
# divided by ImageNet's standard deviations (1 / 0.229), from 0 to 255.
_SPANS = (1.0, 2.0, 4.4, 255.0)
# Relative tolerance: networks that rescale by 1/256 or 1/127 mean 1/255 and 1/127.5.
_CLOSE = 0.012
# Graphs that standardize images rarely take centred ones; with a low mean, both ranges fit equally well.
_CENTRED_COST = 0.3
# If the costs of the two best ranges differ by less, neither is chosen.
_AMBIGUOUS = 0.05


@dataclass(frozen=True)
class Reading:
    """The range of images that a graph implies."""

    value_range: Range | None
    """The values of black and white; None where the graph implies none."""
    words: str
    """How the graph implies it, or why it does not, for notes and pages."""


def range_of(graph_def: Any, entry: str, size: tuple[int, int, int]) -> Reading:
    """Return the range of the images, of `size` (h, w, c), that a graph was written for."""
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
    """Return the names of the first few layers that nodes belong to, joined by commas."""
    scopes = list(dict.fromkeys(name.rpartition("/")[0] or name for name in names))
    return ", ".join(scopes[:4]) + (", …" if len(scopes) > 4 else "")


def _probe(
    part: Any, entry: str, tensor: str, size: tuple[int, int, int]
) -> Callable[[float, int | None], Floats]:
    """Return a function (grey, channel) -> values [c] in the middle of `tensor`.

    The image is `grey` in this channel and 0 in all others; for the channel None it is grey in all.
    """
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, *size])
        last = import_exactly(part, entry, images)(tensor)
    session = tf.compat.v1.Session(graph=graph)

    def run(grey: float, channel: int | None) -> Floats:
        image = np.zeros([1, *size], np.float32)
        image[..., slice(None) if channel is None else channel] = grey
        value = np.asarray(session.run(last, {images: image}), np.float64)
        if value.ndim == 4:  # the middle is away from padding
            return np.asarray(value[0, value.shape[1] // 2, value.shape[2] // 2])
        return np.asarray(np.median(value.reshape(-1, value.shape[-1]), axis=0))

    return run


def _judged(probe: Callable[[float, int | None], Floats], where: str) -> Reading:
    """Return the range that fits best, or the reason why none is chosen; `where` names the ops."""
    fits = sorted(_fits(probe))
    if not fits:
        reason = f"{where} is no scaling of known images"
        if all(np.array_equal(probe(low, None), probe(high, None)) for low, high in _USUAL):
            reason = f"{where} gives the same result for black and for white images"
        elif _is_same(probe):
            reason = f"{where} leaves the values of images as they are"
        return Reading(None, reason)
    (cost, best, black, white), *others = fits
    if others and others[0][0] - cost < _AMBIGUOUS:
        return Reading(None, f"{where} fits {_words(best)} and {_words(others[0][1])}")
    swapped = "; channels are reversed" if _is_reversed(probe, best) else ""
    return Reading(
        best, f"read from the graph: {where} makes {black:.4g} to {white:.4g} of {_words(best)}{swapped}"
    )


def _fits(probe: Callable[[float, int | None], Floats]) -> Iterator[tuple[float, Range, float, float]]:
    """Yield (cost, range, black, white) for each range that the graph turns into plausible values.

    `black` and `white` are the results for black and for white images, the median over channels.
    """
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
    """Return whether results are linear in grey from black to white: neither clipped nor curved."""
    span = np.abs(white - black).max()
    return span > 0 and all(
        np.abs(probe(low + part * (high - low), None) - (black + part * (white - black))).max() < 0.01 * span
        for part in (0.25, 0.5)
    )


def _cost(black: Floats, white: Floats, *, usual: bool) -> float | None:
    """Return how much values differ from a network's usual input; None where they cannot be its input."""
    low, high = np.minimum(black, white), np.maximum(black, white)
    for form in _FORMS if usual else _FORMS[:3]:
        reach = _CLOSE * (form[1] - form[0])
        # At most 0.1: a mean of 0.5 is small compared with 255, but shows that images are 0 to 1.
        if np.abs(low - form[0]).max() < min(reach, 0.1) and np.abs(high - form[1]).max() < reach:
            return 0.0
    gain = white - black
    live = np.abs(gain) > 1e-6 * np.abs(gain).max()
    span, zero = float(np.median(np.abs(gain[live]))), float(np.median(-black[live] / gain[live]))
    near = min(abs(math.log(span / each)) for each in _SPANS)
    if not usual or near > (0.1 if span > 20 else 0.75) or not -1e-3 < zero < 0.85:
        return None
    # `zero` is where the mean lies from black (0) to white (1): a grey mean, as of photographs, costs least.
    return 0.5 + near + (abs(zero - 0.45) if zero > 0.08 else 0.5)


def _is_same(probe: Callable[[float, int | None], Floats]) -> bool:
    return all(np.allclose(probe(grey, None), grey, rtol=_CLOSE, atol=1e-3) for grey in (0, 1, 255))


def _is_reversed(probe: Callable[[float, int | None], Floats], images: Range) -> bool:
    """Return whether the first channel of an image, with the range `images`, is the network's last."""
    moved = np.abs(probe(images[1], 0) - probe(images[0], 0))
    return len(moved) == 3 and int(np.argmax(moved)) == 2


def _words(images: Range) -> str:
    return f"{images[0]:g} to {images[1]:g}"
