"""The preprocessing that a graph lacks: scale, shift and order of an image's channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import added, reread
from atlas.model.graph.view import GraphView, node_of

# Keras's three kinds of preprocessing: https://keras.io/api/applications/ (imagenet_utils.preprocess_input).
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)
BYTES = (0.0, 255.0)
# A smaller standard deviation of images is a mistake; products with its inverse overflow.
_LEAST_STD = 1e-6


@dataclass(frozen=True)
class Preparation:
    """The preprocessing of an image: output channel i is scale[i] * image[order[i]] + shift[i].

    With equal scales and shifts, in RGB order, it only changes the value range.
    """

    order: tuple[int, ...]
    """Output channel -> channel of the image."""
    scale: NDArray[np.float64]
    """Shape [c], by output channel."""
    shift: NDArray[np.float64]
    """Shape [c], by output channel."""
    image_range: tuple[float, float] = BYTES
    """The values of black and white in the image."""

    @property
    def value_range(self) -> tuple[float, float]:
        """The values of black and white with which images enter the network."""
        if self.is_range:
            black, white = (_exact(self.scale[0] * end + self.shift[0]) for end in self.image_range)
            return black, white
        return self.image_range

    @property
    def is_range(self) -> bool:
        """Whether all channels have the same scale and shift, and keep their order."""
        same = bool(np.all(self.scale == self.scale[0]) and np.all(self.shift == self.shift[0]))
        return same and not self.is_backwards

    @property
    def is_backwards(self) -> bool:
        """Whether the channels change their order."""
        return self.order != tuple(range(len(self.order)))

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from an image's values, by output channel: () for 0, one for all."""
        return _listed(-self.shift / self.scale, 0.0)

    @property
    def std(self) -> tuple[float, ...]:
        """What the difference is divided by, in the same form."""
        return _listed(np.reciprocal(self.scale), 1.0)


def _listed(values: NDArray[Any], none: float) -> tuple[float, ...]:
    numbers = tuple(_exact(value) for value in values)
    return () if set(numbers) == {none} else numbers[:1] if len(set(numbers)) == 1 else numbers


def _exact(value: float) -> float:
    """Return a value without the last digits, in which arithmetic errs; networks compute with eight."""
    return float(f"{value:.9g}")


def _shortest(value: float) -> float:
    """Return the number with fewest digits, up to six, that a measured value may stand for."""
    # `preparation_of` measures 127.5 as 127.5006, 4.6e-6 of it too much; 103.939 is no 103.94, 9.6e-6 more.
    rounded = [float(f"{value:.{digits}g}") for digits in range(1, 7)]
    return next((number for number in rounded if abs(number - value) <= 6e-6 * abs(value)), rounded[-1])


def prepared(graph_def: Any, entry: str, preparation: Preparation) -> Any:
    """Put a preparation behind the input `entry` of a graph, in place, and return the graph.

    A preparation that only changes the range adds nothing: images enter with the values of that range.
    """
    if preparation.is_range:
        return graph_def
    name = node_of(entry)
    view = GraphView(graph_def)
    readers = [view.nodes[reader] for reader in view.consumers(name)]

    def prepare(images: Any) -> Any:
        ordered = tf.reverse(images, [-1]) if preparation.is_backwards else images
        scale, shift = (np.float32(values) for values in (preparation.scale, preparation.shift))
        return ordered * tf.constant(scale) + tf.constant(shift)

    last = added(graph_def, f"{name}_prepared", prepare, (f"{name}:0", tf.float32))
    for node in readers:
        reread(node, name, last)
    return graph_def


def preparation_of(preprocess: Callable[[Any], Any]) -> Preparation:
    """Return what a `preprocess_input` of keras.applications does, measured on four pixels.

    Raises ModelError where it mixes channels.
    """
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32).reshape(4, 1, 1, 3)
    seen = np.asarray(preprocess(probe.copy()), np.float32).reshape(4, 3)
    # Rounded, because subtracting a mean from 255 leaves rounding errors in the slopes.
    slopes = np.round((seen[1:] - seen[0]) / 255, 7)
    order = tuple(int(i) for i in np.abs(slopes).argmax(axis=0))
    scale = slopes[list(order), [0, 1, 2]]
    if order not in ((0, 1, 2), (2, 1, 0)):
        raise ModelError("the model's preprocessing mixes channels", found=order, expected="RGB or BGR")
    deviations = [_shortest(1 / float(slope)) for slope in scale]
    means = [_shortest(-float(start) * d) for start, d in zip(seen[0], deviations, strict=True)]
    return replace(standardized(means, deviations, channels=3, image_range=BYTES), order=order)


def named_preparation(name: str, channels: int) -> Preparation:
    """Return Keras's preprocessing "tf", "torch" or "caffe"; "none" leaves values of 0 to 255 unchanged.

    Raises ModelError for "torch" and "caffe", which have three means, unless images have three channels.
    """
    if name in ("tf", "none"):
        scale, shift = (1 / 127.5, -1.0) if name == "tf" else (1.0, 0.0)
        return Preparation(tuple(range(channels)), np.full(channels, scale), np.full(channels, shift))
    if channels != 3:
        raise ModelError(
            f"--preprocess {name} is for images in colour", found=f"{channels} channels", expected="3"
        )
    if name == "torch":
        return standardized(TORCH_MEAN, TORCH_STD, channels=3, image_range=(0.0, 1.0))
    return standardized(CAFFE_MEAN, (1.0,), channels=3, image_range=BYTES, backwards=True)


def standardized(
    mean: Sequence[float],
    std: Sequence[float],
    *,
    channels: int,
    image_range: tuple[float, float] | None = None,
    backwards: bool = False,
) -> Preparation:
    """Return the preparation (image - mean) / std, in the graph's order of channels.

    `mean` and `std` have one number, or one for each channel; empty ones stand for 0 and 1. Without
    `image_range`, images are 0 to 1 where mean or std is given and no number is above 1, else 0 to 255.
    Raises ModelError.
    """
    means, deviations = (
        _for_each(values, default, channels, what)
        for values, default, what in ((mean, 0.0, "mean"), (std, 1.0, "std"))
    )
    if not np.all(deviations > _LEAST_STD):
        raise ModelError("std does not fit", found=list(std), expected=f"numbers above {_LEAST_STD:g}")
    small = max(np.abs(means).max(), np.abs(deviations).max()) <= 1
    fraction = small and bool(len(mean) or len(std))
    order = tuple(range(channels))
    return Preparation(
        order=order[::-1] if backwards else order,
        scale=1 / deviations,
        shift=-means / deviations,
        image_range=image_range or ((0.0, 1.0) if fraction else BYTES),
    )


def _for_each(values: Sequence[float], default: float, channels: int, what: str) -> NDArray[np.float64]:
    given = np.asarray(list(values) or [default], np.float64)
    if len(given) not in (1, channels) or not np.isfinite(given).all():
        raise ModelError(
            f"{what} does not fit the images", found=list(values), expected=f"1 or {channels} finite numbers"
        )
    return np.array(np.broadcast_to(given, channels))
