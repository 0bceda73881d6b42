"""Subjects, each for one image to draw; batches of subjects, and the results of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atlas.core.records import FeatureVis, Floats, Ints
from atlas.featurevis.objective import Objective
from atlas.featurevis.optimizer import Flags, Optimizer

Drawn = tuple[int, Floats, FeatureVis]


@dataclass(frozen=True, slots=True)
class Undrawn:
    """One image that could not be drawn."""

    key: int
    """The neuron, or the row of the direction, in the request."""
    why: str
    """Reason in words."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One image to draw.

    It has the same place in every batch that may draw it: the last bit of a sum may depend on the place,
    because processors work on blocks of numbers.
    """

    objective: Objective
    """The objective of the image, the same for all subjects of a batch."""
    key: int
    """The neuron, or the row of the direction, in the request."""
    seed: int
    """Seed of the noise that the image starts from."""
    target: Any
    """Value for the objective's placeholder: a channel, or a direction float32 [channel]."""
    slot: int
    """Place in a batch, modulo the batch's size."""


@dataclass(frozen=True, slots=True)
class Task:
    """A batch of subjects that one optimizer draws."""

    optimizer: Optimizer
    """The optimizer for the objective of all subjects."""
    places: tuple[Subject | None, ...]
    """Subjects by place, as many as the optimizer draws; None where a place is empty."""

    @property
    def asked(self) -> list[Subject]:
        """The subjects without empty places."""
        return [subject for subject in self.places if subject is not None]

    @property
    def subjects(self) -> list[Subject]:
        """One subject for every place: empty places repeat the last subject."""
        last = self.asked[-1]
        return [subject or last for subject in self.places]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a batch of n images."""

    images: Floats
    """[n, h, w, channel] in [0, 1]."""
    activations: Floats
    """[n], the network's values for the images without transforms."""
    n_steps: Ints
    """[n], the steps in which each image changed."""
    moved: Flags
    """[n], false where the gradient was zero in every step."""
