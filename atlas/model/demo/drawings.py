"""Drawings to train and test the demo network on: 32 classes, made from a seed, without any download.

A drawing is a mask, which separates figure and ground, painted in two colours over a slightly uneven ground.
Many classes differ only in a direction, a frequency or a side, so that a network must learn oriented
detectors to distinguish them.

    images, labels = drawings(300, seed=7)      uint8 [300, SIZE, SIZE, 3] in RGB, int32 [300]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from atlas.model.demo import masks
from atlas.model.demo.fields import SIZE, Field, Generator, grid, smooth_noise, turned

# The least difference of figure and ground, so that both are visible (Euclidean, channels in 0 to 1).
_LEAST_CONTRAST = 0.45

# In most drawings, channels differ from grey by this standard deviation. As in photographs, brightness then
# varies more than colour, and the network learns edge detectors as well as colour detectors.
_GREYISH_SPREAD = 0.12
_GREYISH_SHARE = 0.65

# The four colours of the colour classes, RGB in 0 to 1; each channel varies by up to _COLOUR_SPREAD.
_COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.70, 0.20),
    "blue": (0.15, 0.25, 0.85),
    "yellow": (0.90, 0.85, 0.15),
}
_COLOUR_SPREAD = 0.12

Palette = Callable[[Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Kind:
    """One class of drawings."""

    label: str
    """The class's name, like "red left of green"."""
    mask: masks.Mask
    """Generator -> mask [SIZE, SIZE] in 0 (ground) to 1 (figure)."""
    palette: Palette
    """Generator -> the colours of figure and ground, each [3] in 0 to 1."""


def any_colours(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two random colours with enough contrast, figure and ground, each [3] in 0 to 1."""
    greyish = rng.uniform() < _GREYISH_SHARE
    while True:
        figure, ground = _greyish(rng) if greyish else rng.uniform(0, 1, (2, 3))
        if np.linalg.norm(figure - ground) >= _LEAST_CONTRAST:
            return figure, ground


def _greyish(rng: Generator) -> np.ndarray:
    """Return two slightly tinted greys, [2, 3] in 0 to 1."""
    return np.clip(rng.uniform(0, 1, (2, 1)) + rng.normal(0, _GREYISH_SPREAD, (2, 3)), 0, 1)


def named_colours(figure: str, ground: str) -> Palette:
    """Return the palette of two named colours, each varied a little."""

    def palette(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        pair = np.array([_COLOURS[figure], _COLOURS[ground]])
        first, second = np.clip(pair + rng.uniform(-_COLOUR_SPREAD, _COLOUR_SPREAD, (2, 3)), 0, 1)
        return first, second

    return palette


def _kinds() -> tuple[Kind, ...]:
    """Return all classes; a class's index is its label's number."""
    plain = [(label, mask, any_colours) for label, mask in masks.ALL.items()]
    colours = [
        (f"{left} left of {right}", masks.left_half, named_colours(left, right))
        for left, right in [("red", "green"), ("green", "red"), ("blue", "yellow"), ("yellow", "blue")]
    ]
    return tuple(Kind(*parts) for parts in plain + colours)


KINDS = _kinds()
LABELS = tuple(kind.label for kind in KINDS)


def draw(kind: Kind, rng: Generator) -> np.ndarray:
    """Return one drawing of a class, uint8 [SIZE, SIZE, 3] in RGB."""
    figure, ground = kind.palette(rng)
    mask = kind.mask(rng)[..., None]
    picture = ground + mask * (figure - ground)
    picture = picture + _unevenness(rng)[..., None] * rng.uniform(0.5, 1, 3)
    picture = picture + rng.normal(0, rng.uniform(0, 0.04), picture.shape)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _unevenness(rng: Generator) -> Field:
    """Return a faint gradient of brightness plus faint clouds, about -0.2 to 0.2."""
    x, y = grid()
    slope = turned(x, y, rng.uniform(0, 2 * np.pi))[0] / SIZE * rng.uniform(0, 0.25)
    scale = rng.uniform(4, 30)
    return slope + smooth_noise(rng, x / scale, y / scale) * rng.uniform(0, 0.1)


def drawings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return drawings of every class in turn, uint8 [count, SIZE, SIZE, 3], and labels, int32 [count].

    Drawing i depends on the seed and i alone, so a longer set begins with the shorter one.
    """
    labels = np.arange(count, dtype=np.int32) % len(KINDS)
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i] = draw(KINDS[label], np.random.default_rng((seed, i)))
    return images, labels
