"""Early stopping: an image of a batch stays as it is once its objective no longer changes.

The decision depends on the image's own objectives alone, so an image does not depend on the others in its
batch. A step's objective depends on its transform, so means over windows of steps are compared.
"""

from __future__ import annotations

import numpy as np

from atlas.core.records import Floats, Ints

# A window holds several of Lucid's scales and angles. Its mean still differs by some percent from the next
# one's, so only images that hardly change at all are stopped: mostly of neurons that nothing excites.
WINDOW = 32


class EarlyStopping:
    """Watches the objectives of n images; `moving` [n] is 1 for those that still change, else 0.

    `steps` [n] counts the steps in which each has moved. A `tolerance` of 0 stops none.
    """

    def __init__(self, n_images: int, *, tolerance: float) -> None:
        """Start with all images moving."""
        self.moving: Floats = np.ones(n_images, np.float32)
        self.steps: Ints = np.zeros(n_images, np.int32)
        self._tolerance = tolerance
        self._values: list[Floats] = []
        self._before: Floats | None = None

    def add(self, values: Floats) -> None:
        """Add the objectives [n] of a step; at the end of a window, stop the images that no longer change."""
        self.steps += self.moving.astype(np.int32)
        self._values.append(values)
        if not self._tolerance or len(self._values) < WINDOW:
            return
        mean = np.mean(self._values, 0)
        if self._before is not None:
            flat = np.abs(mean - self._before) <= self._tolerance * np.abs(self._before)
            self.moving[flat] = 0
        self._before, self._values = mean, []
