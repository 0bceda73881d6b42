"""A forecast of how long the pictures of a compute will take, made before it starts.

Steps of the first drawing are timed on this machine. The time of the others is in proportion to the
multiplications of their convolutions, plus PRODUCTS_A_PIXEL for each pixel. Measured on GoogLeNet, conv2d2
to mixed4a: 21 to 34 picoseconds a multiplication on two idle cores.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from atlas.analysis.weights import outline
from atlas.build.plan import Artefact, Pair, directions_recipe, pairs_of, recipe_of
from atlas.core.config import AtlasConfig
from atlas.core.errors import why_not_made
from atlas.core.neuron import Layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.drawing.images import block_sums
from atlas.featurevis import crops
from atlas.featurevis.directions import MOST_POSITIONS
from atlas.featurevis.objective import branches
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.featurevis.subject import Task
from atlas.featurevis.transforms import net_size
from atlas.model.network import Network

# Cost of resampling an image and of its Fourier transform, in multiplications a pixel.
PRODUCTS_A_PIXEL = 5000
# For fewer pictures, measuring takes longer than drawing.
WORTH_MEASURING = 32
TIMED_STEPS = 3
# Positions without weights and missing factors of small neurons are not known before they are drawn.
_UP_TO = {"position": "up to ", "factor": "up to "}
_DRAWING_STAGES = ("featurevis", "positions", "factors")


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures that one renderer draws."""

    noun: str
    """What each picture shows: "neuron", "position" or "factor"."""
    target: str
    """Name of the layer that the pictures belong to."""
    n_pictures: int
    """Number of pictures, at most."""
    layer: Layer
    """The layer whose neurons are excited: the target, or the layer before it for directions."""
    recipe: Recipe
    """The recipe of the pictures."""

    @property
    def is_of_neurons(self) -> bool:
        """Whether they show neurons, each of which is in one branch of the layer, rather than directions."""
        return self.noun == "neuron"


@dataclass(frozen=True, slots=True)
class Forecast:
    """All drawings of a compute and their expected time."""

    drawings: tuple[Drawing, ...]
    """The drawings, in the order of the stages."""
    seconds: float | None
    """Expected time in seconds on this machine, None where it was not measured."""

    @property
    def line(self) -> str:
        """The forecast in words, "" where there is nothing to draw."""
        if not self.drawings:
            return ""
        counts: Counter[tuple[str, str]] = Counter()
        for drawing in self.drawings:
            counts[drawing.noun, drawing.target] += drawing.n_pictures
        listed = ", ".join(
            f"{_UP_TO.get(noun, '')}{count:,} {noun}{'' if count == 1 else 's'} of {target}"
            for (noun, target), count in counts.items()
        )
        return f"to draw: {listed}" + (f": about {duration(self.seconds)}" if self.seconds else "")


def forecast(network: Network, atlas: AtlasRecord, config: AtlasConfig, todo: Iterable[Artefact]) -> Forecast:
    """Return the drawings of stale artefacts and their expected time; times a few steps of the first."""
    drawings = _drawings(network, atlas, config, todo)
    if sum(drawing.n_pictures for drawing in drawings) < WORTH_MEASURING:
        return Forecast(drawings, None)
    try:
        setup, seconds_a_product = _measured(network, drawings[0], config.featurevis.batch)
        products = sum(d.n_pictures * d.recipe.preset.n_steps * _products(network, d) for d in drawings)
    except Exception as error:
        # A picture that cannot be drawn is reported later, when it is drawn.
        why_not_made(error)
        return Forecast(drawings, None)
    return Forecast(drawings, setup * len(drawings) + seconds_a_product * products)


def duration(seconds: float) -> str:
    """Return seconds as people say them: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _drawings(
    network: Network, atlas: AtlasRecord, config: AtlasConfig, todo: Iterable[Artefact]
) -> tuple[Drawing, ...]:
    records = {record.layer: record for record in atlas.layers}
    counts = Counter((a.stage, a.layer, a.part) for a in todo if a.stage in _DRAWING_STAGES)
    return tuple(
        _drawing(network, config, records[layer], stage, part, count)
        for (stage, layer, part), count in counts.items()
    )


def _drawing(
    network: Network, config: AtlasConfig, record: LayerRecord, stage: str, variant: str, count: int
) -> Drawing:
    if stage == "featurevis":
        layer, recipe = network.layer(record.layer), recipe_of(config, record, variant)
        return Drawing("neuron", record.layer, count, layer, recipe)
    pair, recipe = pairs_of(record)["upstream"], directions_recipe(config, record)
    source = network.layer(pair.source)
    if stage == "factors":
        count *= config.nmf.factors
        return Drawing("factor", record.layer, count, source, recipe)
    return Drawing("position", record.layer, count * n_positions(network, config, pair), source, recipe)


def n_positions(network: Network, config: AtlasConfig, pair: Pair) -> int:
    """Return the number of pictures of a neuron's weights, one for each position or block of positions."""
    reach, _ = outline(network, pair.carrier, pair.target, width=config.weights.width)
    return block_sums(np.zeros(reach, np.float32), MOST_POSITIONS)[0].size


def _products(network: Network, drawing: Drawing) -> float:
    """Return the multiplications of one step of a picture, a mean over the layer's branches."""
    recipe, layer = drawing.recipe, drawing.layer
    of_layer = branches(network.view, layer, positive=recipe.positive) if drawing.is_of_neurons else ()
    net, centre = net_size(recipe.drawn, 1.0), recipe.centre_only
    if layer.shape is None:
        net = recipe.drawn
    tensors = [branch.tensor for branch in of_layer] or [layer.tensor]
    shares = [branch.n_channels / layer.n_channels for branch in of_layer] or [1.0]
    costs = crops.multiplications(network, tensors, net, centre=centre)
    h, w = recipe.drawn
    return float(np.dot(shares, costs)) + PRODUCTS_A_PIXEL * h * w


def _measured(network: Network, drawing: Drawing, batch: int | None) -> tuple[float, float]:
    """Return the seconds to set up a renderer, and those of a multiplication with all sessions at work."""
    start = time.monotonic()
    with Renderer(network, drawing.layer, drawing.recipe, batch=batch) as renderer:
        subject = renderer.subjects([0])[0]
        n = renderer.batch * renderer.sessions.n_sessions
        tasks = renderer.tasks([replace(subject, slot=slot) for slot in range(n)])
        seconds = list(renderer.sessions.run(_step_seconds, tasks))
        elapsed = time.monotonic() - start
        n_sessions, n_images = renderer.sessions.n_sessions, renderer.batch
    step = float(np.mean(seconds))
    setup = elapsed - TIMED_STEPS * step
    return setup, step / (n_images * n_sessions) / _products(network, drawing)


def _step_seconds(session: Any, task: Task) -> float:
    """Return the mean seconds of a step of a batch; one step before is not timed, as it sets up the graph."""
    optimizer = task.optimizer
    targets = np.stack([subject.target for subject in task.subjects])
    optimizer.begin(session, [subject.seed for subject in task.subjects])
    # Step numbers after the redirected ones, whose gradients are computed differently.
    first = optimizer.recipe.preset.redirect_steps + 1
    optimizer.step(session, first, targets)
    start = time.monotonic()
    for step in range(first + 1, first + 1 + TIMED_STEPS):
        optimizer.step(session, step, targets)
    return (time.monotonic() - start) / TIMED_STEPS
