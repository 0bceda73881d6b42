"""What is right for a drawn architecture, from Keras and automatic differentiation alone.

Windows and fields are read off gradients in copies for larger images, in which no border is near. The larger
image begins `around` pixels before the network's own and ends as many after it, a multiple of the period of
all strides: so every step sees the same phases as before, at positions that are as many steps further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from architecture_layers import FLAT, LINEAR, REAL, SUPPORT
from architecture_models import RANGES, Built
from architectures import Architecture, Shape
from atlas.core.neuron import INPUT
from atlas.model.graph.backend import tf

Array = NDArray[Any]
# The (first, last) pixels that positions of one axis depend on, by position; none for one that sees nothing.
Boxes = dict[int, tuple[int, int]]
# Pixels around the network's own image: the first that keeps the borders out of sight.
MARGINS = (32, 80, 160)
# Differences that count, as parts of the largest value.
CLOSE, ZERO, ROUNDING = 1e-4, 1e-7, 1e-13
# Steps from which on a position may see the whole image.
WHOLE = ("attention", "end")
MOST_PHASES = 12


@dataclass(frozen=True)
class Copy:
    """A model for images that are `around` (h, w) pixels longer at either end; (0, 0) is the own size."""

    built: Built
    around: tuple[int, int] = (0, 0)

    def moved(self, name: str, own: Shape) -> tuple[int, int]:
        """Return by how many positions (h, w) a tensor of `own` shape is longer at either end."""
        size = self.built.tensors[name].shape[1:3]
        found = [divmod(big - n, 2) for big, n in zip(size, own[1:3], strict=True)]
        assert not any(odd for _, odd in found), f"{name}: {size} is no larger copy of {own}"
        return found[0][0], found[1][0]


class Oracle:
    """Keras models of one architecture, with the same weights, and what follows from them."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        """Build the real model and the flat one; the others are built when they are needed."""
        self.architecture, self.seed = architecture, seed
        self.real = Built(architecture, REAL)
        self.weights = self.real.draw_weights(seed)
        self.flat = Built(architecture, FLAT, weights=self.weights)
        self.low, self.high = RANGES[architecture.entry]
        self.images = np.random.default_rng(seed).random((3, *architecture.shape), np.float32)

    def scaled(self, images: Array) -> Array:
        """Return images in 0 to 1 as the network reads them."""
        return np.asarray(self.low + images * (self.high - self.low), np.float32)

    @cached_property
    def values(self) -> dict[str, Array]:
        """Every tensor of the flat model on three images, by name."""
        names = list(self.flat.tensors)
        return dict(zip(names, map(np.asarray, self.flat.run(self.scaled(self.images), names)), strict=True))

    def named(self, value: Array) -> list[str]:
        """Return the tensors of the flat model that have this value on three images, in order."""
        found = []
        for name, known in self.values.items():
            if known.size == value.size and known.shape[-1] == value.shape[-1]:
                largest = max(float(np.abs(known).max()), 1e-3)
                if np.allclose(value, known.reshape(value.shape), rtol=0, atol=CLOSE * largest):
                    found.append(name)
        return found

    def held(self, images: Array) -> dict[str, Array]:
        """Return the mean of every factor over images, and over positions where it has any."""
        factors = self.flat.factors
        if not factors:
            return {}
        found = tf.keras.Model(self.flat.entry, dict(factors))(self.scaled(images), training=False)
        means = [np.asarray(found[name]).mean(0) for name in factors]
        attention = {step.name for step in self.architecture.steps if step.kind == "attention"}
        return {
            name: mean if name in attention else mean.mean((0, 1), keepdims=True)[None]
            for name, mean in zip(factors, means, strict=True)
        }

    @cached_property
    def local(self) -> Architecture:
        """The part whose positions see windows: up to attention, or to an end without positions."""
        steps = self.architecture.steps
        at = next((i for i, step in enumerate(steps) if step.kind in WHOLE), len(steps))
        return replace(self.architecture, steps=steps[:at])

    def _larger(self, mode: str, around: tuple[int, int], held: dict[str, Array] | None = None) -> Copy:
        h, w = (n + 2 * s for n, s in zip(self.architecture.shape[:2], around, strict=True))
        return Copy(Built(self.local, mode, size=(h, w), weights=self.weights, held=held), around)

    @cached_property
    def support(self) -> Copy:
        """The local part for larger images, with positive weights and no border in sight."""
        copy = None
        for margin in MARGINS:
            h, w = (p * -(-margin // p) for p in self.local.period)
            copy = self._larger(SUPPORT, (h, w))
            name = list(copy.built.tensors)[-1]
            if self._clear(copy, self.fields([name], copy)[name]):
                return copy
        assert copy is not None
        return copy

    def _clear(self, copy: Copy, boxes: tuple[Boxes, Boxes]) -> bool:
        """Return whether no field comes near to the border of the larger image."""
        axes = zip(boxes, copy.around, self.architecture.shape[:2], self.local.period, strict=True)
        return all(
            p - a <= first and last < n + a - p for axis, a, n, p in axes for first, last in axis.values()
        )

    def linear(self, images: Array) -> tuple[Copy, Copy]:
        """Return the linear copies for larger images and for the own size, factors held as of `images`."""
        held = self.held(images)
        own = Built(self.architecture, LINEAR, weights=self.weights, held=held)
        return self._larger(LINEAR, self.support.around, held), Copy(own)

    def fields(self, names: Sequence[str], copy: Copy | None = None) -> dict[str, tuple[Boxes, Boxes]]:
        """Return for tensors the pixels that positions around the middle depend on, along h and along w.

        There are as many positions as there are phases, three at least. Pixels and positions are counted
        from the first of the network's own image and map.
        """
        if not names:
            return {}
        copy = copy or self.support
        size = copy.built.entry.shape[1:3]
        images = tf.ones((MOST_PHASES, *size, self.architecture.shape[2]), tf.float64)

        def units(tensors: dict[str, Any]) -> list[Any]:
            return [self._unit(copy, name, tensors[name]) for name in names]

        slopes = [np.abs(slope) for slope in _gradients(copy.built, images, names, units, INPUT)]
        found = {}
        for name, seen in zip(names, slopes, strict=True):
            places = self._places(copy, name)
            ys, xs = ([p[axis] for p in places] for axis in (0, 1))
            found[name] = (
                _boxes(seen.max((2, 3)), ys, copy.around[0]),
                _boxes(seen.max((1, 3)), xs, copy.around[1]),
            )
        return found

    def _unit(self, copy: Copy, name: str, tensor: Any) -> Any:
        by = copy.moved(name, self.values[name].shape)
        places = [(d, y + by[0], x + by[1]) for d, (y, x) in enumerate(self._places(copy, name))]
        return tf.reduce_sum(tf.gather_nd(tensor, places))

    def _places(self, copy: Copy, name: str) -> list[tuple[int, int]]:
        """Return positions along the diagonal around the middle, one a phase and three at least."""
        own = self.values[name].shape
        by = copy.moved(name, own)
        axes = zip(self.local.period, by, copy.around, strict=True)
        phases = max(3, *(-(-p * b // a) for p, b, a in axes))
        n = min(MOST_PHASES, phases)
        return [(own[1] // 2 + d - n // 2, own[2] // 2 + d - n // 2) for d in range(n)]

    def slopes(self, copy: Copy, source: str, target: str, channels: Sequence[int]) -> Array:
        """Return the gradient of the target's middle position by the source, [h, w, source, channel]."""
        images = tf.zeros((len(channels), *copy.built.entry.shape[1:]))
        middles = self._middles(copy, target, channels)

        def units(tensors: dict[str, Any]) -> list[Any]:
            return [tf.reduce_sum(tf.gather_nd(tensors[target], middles))]

        found = _gradients(copy.built, images, [source, target], units, source)[0]
        found = found if found.ndim == 4 else found[:, None, None, :]
        return np.moveaxis(found, 0, -1)

    def _middles(self, copy: Copy, target: str, channels: Sequence[int]) -> list[tuple[int, ...]]:
        own = self.values[target].shape
        if len(own) == 2:
            return list(enumerate(channels))
        if len(own) == 3:  # tokens, a row of the map after another
            h, w = next(s.out[:2] for s in self.architecture.steps if target.startswith(f"{s.name}_"))
            return [(i, h // 2 * w + w // 2, c) for i, c in enumerate(channels)]
        by = copy.moved(target, own)
        return [(i, own[1] // 2 + by[0], own[2] // 2 + by[1], c) for i, c in enumerate(channels)]


def _gradients(
    built: Built, images: Any, names: Sequence[str], units: Callable[[dict[str, Any]], list[Any]], by: str
) -> list[Array]:
    """Return the gradient of each unit, a number made of tensors, by one tensor; zeros where there is none.

    In a graph: outside of one TensorFlow works out gradients by the kernels too, and its
    Conv2DBackpropFilter writes beyond its memory for kernels of 1 x 1 with strides.
    """

    @tf.function(autograph=False)
    def traced(images: Any) -> list[Any]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            asked = [name for name in names if name != INPUT]
            tensors = dict(zip(asked, built.run(images, asked), strict=True)) | {INPUT: images}
            made = units(tensors)
        none = tf.UnconnectedGradients.ZERO
        return [tape.gradient(unit, tensors[by], unconnected_gradients=none) for unit in made]

    return [np.asarray(slope) for slope in traced(images)]


def trimmed(window: Array) -> Array:
    """Return a window [h, w, …] without the rows and columns at its ends that hold nothing."""
    size = np.abs(window).max(tuple(range(2, window.ndim)))
    rows, columns = (np.flatnonzero(size.max(axis) > ZERO * size.max()) for axis in (1, 0))
    if not rows.size:
        return window[:0, :0]
    return np.asarray(window[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _boxes(seen: Array, positions: Sequence[int], around: int) -> Boxes:
    """Return the (first, last) of what is not zero in the rows of `seen`, by position."""
    found = {}
    for row, position in zip(seen, positions, strict=False):
        places = np.flatnonzero(row > ROUNDING * row.max())
        if places.size:
            found[position] = int(places[0]) - around, int(places[-1]) - around
    return found
