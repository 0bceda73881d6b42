"""What one image is of, batches of such subjects, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atlas.core.records import FeatureVis, Floats, Ints
from atlas.featurevis.objective import Objective
from atlas.featurevis.optimizer import Flags, Optimizer

Drawn = tuple[int, Floats, FeatureVis]


@dataclass(frozen=True, slots=True)
class Undrawn:
    """One image that could not be drawn: its key among those asked for, and why."""

    key: int
    why: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What one image is of: its key among those asked for, its noise, and what the objective takes for it.

    It stands at place `slot`, modulo the batch's size, in whatever batch draws it: the last bit of a sum
    may depend on the place, as processors work on blocks of numbers.
    """

    objective: Objective
    key: int
    seed: int
    target: Any
    slot: int


@dataclass(frozen=True, slots=True)
class Task:
    """A batch of subjects of one objective, drawn by one optimizer; None where a place is empty."""

    optimizer: Optimizer
    places: tuple[Subject | None, ...]

    @property
    def asked(self) -> list[Subject]:
        """The subjects that are asked for."""
        return [subject for subject in self.places if subject is not None]

    @property
    def subjects(self) -> list[Subject]:
        """One subject for every place: empty ones draw the last once more."""
        last = self.asked[-1]
        return [subject or last for subject in self.places]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch: images [n, h, w, channel], activations [n] and steps [n] of each.

    `moved` [n] is false where no step had a gradient.
    """

    images: Floats
    activations: Floats
    n_steps: Ints
    moved: Flags
