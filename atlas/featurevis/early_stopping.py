"""Which images of a batch still get better: one whose objective has flattened stays as it is from there on.

Each image is judged by its own objectives alone, so that it does not depend on its company. A step's
objective depends on its transform, so means over windows of steps are compared.
"""

from __future__ import annotations

import numpy as np

from atlas.core.records import Floats, Ints

# Several of Lucid's scales and angles fall into a window; their mean still differs by some percent
# from one window to the next, so only what hardly moves at all is flat: mostly neurons that nothing excites.
WINDOW = 32


class EarlyStopping:
    """The objectives of n images so far; `moving` [n] is 1 for those that still change, else 0.

    `steps` [n] counts the steps that each has moved. A `tolerance` of 0 stops none.
    """

    def __init__(self, n_images: int, *, tolerance: float) -> None:
        """Begin with all images moving."""
        self.moving: Floats = np.ones(n_images, np.float32)
        self.steps: Ints = np.zeros(n_images, np.int32)
        self._tolerance = tolerance
        self._values: list[Floats] = []
        self._before: Floats | None = None

    def add(self, values: Floats) -> None:
        """Take the objectives [n] of a step; at the end of a window, stop the images that are flat."""
        self.steps += self.moving.astype(np.int32)
        self._values.append(values)
        if not self._tolerance or len(self._values) < WINDOW:
            return
        mean = np.mean(self._values, 0)
        if self._before is not None:
            flat = np.abs(mean - self._before) <= self._tolerance * np.abs(self._before)
            self.moving[flat] = 0
        self._before, self._values = mean, []
