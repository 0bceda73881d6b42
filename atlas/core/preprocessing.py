"""How a photograph becomes a network's input: its size, its values, and the order of its channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


@dataclass(frozen=True, slots=True)
class Resizing:
    """How a photograph gets the size of the input; one that has this size is taken as it is."""

    interpolation: Interpolation = "bilinear"
    """The filter of the resizing, by Pillow's name."""
    crop: float | None = None
    """The share of the shorter side that remains after cropping around the centre; None to resize only what
    covers the input."""
    squash: bool = False
    """Whether both sides are resized, whatever their ratio."""

    def before_crop(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (h, w) that a photograph is resized to, or made to cover, before (h, w) are cropped."""
        # A little more, because 224 / (224 / 232) may be less than 232.
        h, w = (math.floor(side / (self.crop or 1) + 1e-6) for side in size)
        return h, w

    def words(self, size: tuple[int, int], times: str = "x") -> str:
        """Return in words how photographs get the size (h, w); `times` stands between width and height."""
        h, w = self.before_crop(size)
        inner, outer = f"{size[1]}{times}{size[0]}", f"{w}{times}{h}"
        if self == replace(COVER, interpolation=self.interpolation):
            return f"resized to cover {inner} px ({self.interpolation}), the centre cropped"
        if self.squash:
            how = f"resized to {outer} px ({self.interpolation}), whatever their shape"
        elif h == w:
            how = f"resized to {h} px on the shorter side ({self.interpolation})"
        else:
            how = f"resized to cover {outer} px ({self.interpolation})"
        cropped = f", the centre {inner} cropped" if self.crop != 1 or not self.squash else ""
        return f"{how}{cropped}; those of {inner} px stay as they are"


# For networks that do not say how their photographs are resized.
COVER = Resizing()


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a photograph becomes a network's input: (value - mean) / std of its values in `value_range`."""

    resizing: Resizing = COVER
    """How it gets the size of the input."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """The values of black and white before mean and std."""
    mean: tuple[float, ...] = ()
    """What is subtracted: nothing, one number, or one for each channel in the order of `channels`."""
    std: tuple[float, ...] = ()
    """What is divided by, in the same form."""
    channels: Literal["rgb", "bgr", ""] = "rgb"
    """The order of the channels; "" for images of other than three."""

    def words(self) -> str:
        """Return the values and the order of channels in words."""
        low, high = self.value_range
        parts = [f"values {low:g} to {high:g}"]
        parts += [f"minus mean {_listed(self.mean)}"] if self.mean else []
        parts += [f"over std {_listed(self.std)}"] if self.std else []
        if len(parts) > 1 and len(self.mean) < 2 and len(self.std) < 2:
            (mean,), (std,) = self.mean or (0.0,), self.std or (1.0,)
            parts.append(f"which is {(low - mean) / std:.4g} to {(high - mean) / std:.4g}")
        return ", ".join(parts) + (f"; channels {self.channels.upper()}" if self.channels else "")


PLAIN = Preprocessing()


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
