"""The batched optimizer: one graph draws the neurons of a layer, many at a time and in several sessions.

1. Sort the neurons by the tensor that holds them: one `Optimizer` (the graph and its steps) for each.
2. Give each its own place in a batch; all batches have the same shape, filled up by repeating an item.
3. Each session takes a batch through all steps, and stops its images one by one when they no longer change.
4. When memory runs out, go on with one session, then with half the batch; draw a failed batch one by one.

Noise depends on the item alone, so an image is the same in every batch and session.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from atlas.core.errors import ConfigError, LayerError, why_not_made
from atlas.core.neuron import Layer, neuron_of
from atlas.core.records import FeatureVis, Floats
from atlas.featurevis import crops
from atlas.featurevis.early_stopping import EarlyStopping
from atlas.featurevis.memory import batch_size, on_gpu
from atlas.featurevis.objective import ChannelObjective, DirectionObjective, Objective, branches
from atlas.featurevis.optimizer import Optimizer
from atlas.featurevis.recipe import Recipe, fastest_precision
from atlas.featurevis.sessions import Sessions, default_sessions
from atlas.featurevis.subject import Drawn, Outcome, Subject, Task, Undrawn
from atlas.featurevis.transforms import GREY, Frame, frames
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.branches import ChannelRange
from atlas.model.graph.fusions import remapping
from atlas.model.network import Network

tf = tensorflow.compat.v1

logger = logging.getLogger(__name__)

# After this many images that fail alone for the same reason as their batch, the others are not tried.
_ALIKE = 2


class Renderer:
    """Draws feature visualizations of one layer; close it, or use it in a `with` statement."""

    def __init__(
        self,
        network: Network,
        layer: Layer,
        recipe: Recipe,
        *,
        batch: int | None = None,
        sessions: int | None = None,
    ) -> None:
        """Open the sessions; graphs are built when first needed.

        `batch` is the number of neurons that a session draws at a time, `sessions` the number of sessions.
        Raises LayerError for a layer that cannot be drawn, ConfigError for fixed bands beyond the input's.
        """
        beyond = [band for band, _ in recipe.fixed if band > network.input_shape[2]]
        if beyond:
            raise ConfigError(
                "featurevis.fixed", found=f"band {beyond[0]}", expected=f"1 to {network.input_shape[2]}"
            )
        if recipe.precision == "auto":
            recipe = replace(recipe, precision="float32" if on_gpu() else fastest_precision())
        self.network, self.layer, self.recipe = network, layer, recipe
        self._branches = self._together(branches(network.view, layer, positive=recipe.positive))
        self._n_sessions = sessions or default_sessions()
        self.batch = batch or batch_size(network, layer.tensor, recipe, n_sessions=self._n_sessions)
        logger.info(
            "%s: %d sessions of %d images, %s, on the %s",
            layer.name,
            self._n_sessions,
            self.batch,
            recipe.precision,
            "GPU" if on_gpu() else "CPU: TensorFlow lists no GPU",
        )
        self._open()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the sessions and their memory."""
        self.sessions.close()

    def render(self, neurons: Sequence[int]) -> Iterator[Drawn]:
        """Yield (neuron, image [h, w, channel] in [0, 1], record) for each neuron, batch by batch.

        A neuron's bytes do not depend on the other neurons. Raises NeuronError for a neuron that the layer
        does not have, LayerError for one that cannot be drawn.
        """
        yield from self._all(self.attempts(neurons))

    def attempts(self, neurons: Sequence[int]) -> Iterator[Drawn | Undrawn]:
        """Yield as `render` does, and Undrawn for a neuron that cannot be drawn."""
        for neuron in neurons:
            neuron_of(self.layer, neuron)
        yield from self._render(self.subjects(neurons))

    def subjects(self, neurons: Sequence[int]) -> list[Subject]:
        """Return the subjects for neurons of the layer, each once, branch by branch."""
        wanted = dict.fromkeys(neurons)
        subjects = []
        for branch in self._branches:
            objective = ChannelObjective(branch)
            members = [n for n in wanted if 0 <= n - branch.first < branch.n_channels]
            subjects += [
                Subject(objective, n, n, channel, n - branch.first)
                for n, channel in zip(members, objective.channels(members), strict=True)
            ]
        return subjects

    def render_directions(
        self, vectors: Floats, seeds: Sequence[int], *, cosine_power: float = 0.0
    ) -> Iterator[Drawn]:
        """Yield (row, image, record) for each row of `vectors` [n, channel], a direction of the layer.

        A row starts from the noise of its seed, which also determines its place in a batch. For
        `cosine_power` see `DirectionObjective`. Raises LayerError for vectors of the wrong length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.layer.n_channels:
            raise LayerError(
                f"directions of {self.layer.name}",
                found=f"an array {vectors.shape}",
                expected=f"(n, {self.layer.n_channels})",
            )
        objective = DirectionObjective(self.layer.tensor, self.layer.n_channels, cosine_power)
        rows = zip(seeds, vectors.astype(np.float32), strict=True)
        subjects = [Subject(objective, i, seed, vector, seed) for i, (seed, vector) in enumerate(rows)]
        yield from self._all(self._render(subjects))

    def _all(self, attempts: Iterator[Drawn | Undrawn]) -> Iterator[Drawn]:
        for drawn in attempts:
            if isinstance(drawn, Undrawn):
                raise LayerError(f"{self.layer.name}: {drawn.key} cannot be drawn: {drawn.why}")
            yield drawn

    def _render(self, subjects: list[Subject]) -> Iterator[Drawn | Undrawn]:
        while subjects:
            done: set[int] = set()
            failed: list[tuple[Task, str]] = []
            try:
                for task, outcome in self.sessions.run(self._tried, self.tasks(subjects)):
                    done.update(subject.key for subject in task.asked)
                    if isinstance(outcome, str):
                        failed.append((task, outcome))
                    else:
                        yield from _results(task, outcome, self._record)
            except tf.errors.ResourceExhaustedError:
                self._shrink()
            except Exception as error:  # a graph that cannot be built
                left = [subject for subject in subjects if subject.key not in done]
                yield from self._objective_by_objective(left, why_not_made(error))
                done.update(subject.key for subject in left)
            for task, why in failed:
                yield from self._one_by_one(task, why)
            subjects = [subject for subject in subjects if subject.key not in done]

    def _objective_by_objective(self, subjects: list[Subject], why: str) -> Iterator[Drawn | Undrawn]:
        objectives = list(dict.fromkeys(subject.objective for subject in subjects))
        if len(objectives) == 1:
            yield from (Undrawn(subject.key, why) for subject in subjects)
            return
        for objective in objectives:
            yield from self._render([subject for subject in subjects if subject.objective == objective])

    def _one_by_one(self, failed: Task, why: str) -> Iterator[Drawn | Undrawn]:
        """Draw each image of a failed batch alone; give up the rest after _ALIKE that fail like the batch."""
        n_alike = 0
        for subject in failed.asked:
            if len(failed.asked) == 1 or n_alike == _ALIKE:
                yield Undrawn(subject.key, why)
                continue
            ((task, outcome),) = self.sessions.run(self._tried, self.tasks([subject]))
            if isinstance(outcome, str):
                n_alike += outcome == why
                yield Undrawn(subject.key, outcome)
            else:
                yield from _results(task, outcome, self._record)

    def tasks(self, subjects: Sequence[Subject]) -> list[Task]:
        """Return the batches that draw subjects; those of one objective must be adjacent."""
        return [Task(self._optimizer(objective), places) for objective, places in self.batches(subjects)]

    def batches(self, subjects: Sequence[Subject]) -> Iterator[tuple[Objective, tuple[Subject | None, ...]]]:
        """Yield the batches of `tasks` with their objectives, without building graphs."""
        for objective, group in itertools.groupby(subjects, key=lambda subject: subject.objective):
            yield from ((objective, places) for places in self._placed(list(group)))

    def _placed(self, subjects: Sequence[Subject]) -> Iterator[tuple[Subject | None, ...]]:
        """Yield batches with each subject at its own place; empty places are None."""
        waiting: list[deque[Subject]] = [deque() for _ in range(self.batch)]
        for subject in subjects:
            waiting[subject.slot % self.batch].append(subject)
        while any(waiting):
            yield tuple(line.popleft() if line else None for line in waiting)

    def _tried(self, session: Any, task: Task) -> tuple[Task, Outcome | str]:
        """Return the task with its result, or with the reason why it failed."""
        try:
            return task, self._draw(session, task)
        except tf.errors.ResourceExhaustedError:
            raise
        except Exception as error:
            return task, why_not_made(error)

    def _draw(self, session: Any, task: Task) -> Outcome:
        optimizer, full = task.optimizer, task.subjects
        targets = np.stack([subject.target for subject in full])
        optimizer.begin(session, [subject.seed for subject in full])
        early_stopping = EarlyStopping(optimizer.batch, tolerance=self.recipe.preset.flat)
        for step in range(self.recipe.preset.n_steps):
            if self.sessions.stopping.is_set() or not early_stopping.moving.any():
                break
            early_stopping.add(optimizer.step(session, step, targets, early_stopping.moving))
        images, activations, moved = optimizer.finish(session, targets)
        (top, left), (h, w) = self.recipe.margin, self.recipe.size
        shown = images[:, top : top + h, left : left + w]
        return Outcome(shown, activations, early_stopping.steps, moved)

    def _record(self, activation: float, n_steps: int) -> FeatureVis:
        h, w = self.recipe.size
        return FeatureVis(self.recipe.variant, h, w, n_steps, activation, self.recipe.precision)

    def _optimizer(self, objective: Objective) -> Optimizer:
        if objective not in self._optimizers:
            with self.sessions.graph.as_default():
                self._optimizers[objective] = Optimizer(
                    self.network, objective, recipe=self.recipe, frames=self._frames(), batch=self.batch
                )
        return self._optimizers[objective]

    def _together(self, apart: tuple[ChannelRange, ...]) -> tuple[ChannelRange, ...]:
        """Return the whole layer as one branch if its branches need the same pixels of the image.

        Then nearly all work is done before the branches, and one graph is built instead of four.
        """
        whole = ChannelRange(self.layer.tensor, 0, self.layer.n_channels)
        tensors = [branch.tensor for branch in apart]
        if len(apart) == 1 or not (self.recipe.positive and self.recipe.centre_only):
            return apart
        same = all(
            crops.same_window(self.network, self.layer.tensor, tensors, frame.net) for frame in self._frames()
        )
        return (whole,) if same else apart

    def _frames(self) -> tuple[Frame, ...]:
        size = self.recipe.drawn
        if self.layer.shape is None or self.layer.receptive_field is None:
            return (Frame(size, net=size, view=size),)
        return frames(size, self.layer.receptive_field.stride if self.recipe.centre_only else None)

    def _open(self) -> None:
        self.sessions = Sessions(self._n_sessions, remapping(self.network.view))
        self._optimizers: dict[Objective, Optimizer] = {}

    def _shrink(self) -> None:
        """Reopen with one session, then with half the batch. Raises LayerError if one neuron does not fit."""
        if (self.batch, self._n_sessions) == (1, 1):
            raise LayerError(
                f"{self.layer.name}: no memory for one feature visualization of {self.recipe.drawn} px",
                remedy="choose a smaller size",
            )
        self.close()
        if self._n_sessions > 1:
            self._n_sessions = 1
        else:
            self.batch //= 2
        logger.warning("out of memory: %s goes on with %d neurons at a time", self.layer.name, self.batch)
        self._open()


def _results(
    task: Task, outcome: Outcome, record: Callable[[float, int], FeatureVis]
) -> Iterator[Drawn | Undrawn]:
    """Yield a batch's images without empty places, or Undrawn for those not finite or never changed."""
    for at, subject in enumerate(task.places):
        if subject is None:
            continue
        image, value = outcome.images[at], float(outcome.activations[at])
        if not (np.isfinite(value) and np.isfinite(image).all()):
            yield Undrawn(subject.key, "the network's values for its image are not finite")
        elif not outcome.n_steps[at] or outcome.moved[at]:
            yield subject.key, image, record(value, int(outcome.n_steps[at]))
        elif isinstance(subject.objective, DirectionObjective):
            # Like a direction of zero, it has nothing to show.
            yield subject.key, np.full_like(image, GREY), record(value, int(outcome.n_steps[at]))
        else:
            why = f"its value is {value:.4g} and no pixel changes it: the gradient is zero"
            yield Undrawn(subject.key, why)
