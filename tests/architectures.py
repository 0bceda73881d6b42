"""Small convolutional networks drawn at random, as plain descriptions: no TensorFlow here.

`architecture_pen` draws them, `architecture_models` makes Keras models of a description, `oracles` says
what is right for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

# Height, width, channels.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Step:
    """One part of a network: its kind, its settings, the parts inside it, and what it yields, (h, w, c).

    `branches` hold the chains of a part that has several, or the one chain of a nested model.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    out: Shape
    branches: tuple[tuple[Step, ...], ...] = ()

    def __str__(self) -> str:
        """Return the step as one readable line."""
        settings = " ".join(
            f"{key}={value}" for key, value in self.settings.items() if value not in ("", None)
        )
        inner = " | ".join("; ".join(map(str, branch)) or "-" for branch in self.branches)
        return f"{self.name}({settings})" + (f"[{inner}]" if self.branches else "")


@dataclass(frozen=True)
class Architecture:
    """A network's description: the size of its images, its steps in order, and how images enter."""

    shape: Shape
    steps: tuple[Step, ...]
    entry: str = ""

    def __str__(self) -> str:
        """Return the description as one line for a failure's message."""
        return f"{self.shape} {self.entry} " + "; ".join(map(str, self.steps))

    @property
    def period(self) -> tuple[int, int]:
        """How many pixels the image may be shifted by, so that no step sees another phase; (h, w)."""
        return _period(self.steps)


def _period(steps: tuple[Step, ...]) -> tuple[int, int]:
    h = w = 1
    for step in steps:
        inner = [_period(branch) for branch in step.branches]
        sh, sw = step.settings.get("strides", (1, 1))
        factor, times = step.settings.get("factor", 1), step.settings.get("times", 1)
        h *= sh * factor * math.lcm(*(one[0] for one in inner)) ** times
        w *= sw * factor * math.lcm(*(one[1] for one in inner)) ** times
    return h, w


def slid(
    before: Shape, size: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int], padding: str
) -> tuple[int, int]:
    """Return the (h, w) after a kernel that slides, as Keras pads it."""
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if padding == "same":
        h, w = (-(-n // s) for n, s in zip(before[:2], strides, strict=True))
    else:
        h, w = ((n - k) // s + 1 for n, k, s in zip(before[:2], reach, strides, strict=True))
    return h, w
