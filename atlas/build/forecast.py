"""A forecast of how long the pictures of a compute will take, made before it starts.

Steps of two drawings are timed on this machine: of the first, and of that with most multiplications. A step
of a batch takes a time in proportion to the multiplications of its convolutions, plus PRODUCTS_A_PIXEL for
each pixel, and one in proportion to its ops; the two measurements tell both. Setting up takes a time in
proportion to the ops. Batches are counted as they are drawn, also those that chosen neurons do not fill.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import nnls

from atlas.analysis.weights import outline
from atlas.build.plan import Artefact, Pair, directions_recipe, pairs_of, recipe_of
from atlas.core.config import AtlasConfig
from atlas.core.errors import why_not_made
from atlas.core.neuron import Layer
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.drawing.images import block_sums
from atlas.featurevis import crops
from atlas.featurevis.directions import MOST_POSITIONS
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
# Artefacts by stage, layer and part: all of one are drawn by one renderer.
Grouped = dict[tuple[str, str, str], list[Artefact]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures that one renderer draws."""

    noun: str
    """What each picture shows: "neuron", "position" or "factor"."""
    target: str
    """Name of the layer that the pictures belong to."""
    n_pictures: int
    """Number of pictures, at most."""
    neurons: tuple[int, ...]
    """The neurons drawn; () for directions."""
    layer: Layer
    """The layer whose neurons are excited: the target, or the layer before it for directions."""
    recipe: Recipe
    """The recipe of the pictures."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a drawing asks of the machine."""

    n_objectives: int
    """Number of graphs to build, one for each branch drawn."""
    n_rounds: int
    """Number of times that all sessions draw a batch."""
    products: float
    """Multiplications of one step of a batch, a mean over the batches."""
    ops: float
    """Ops of one step of a batch, a mean over the batches."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What this machine takes, in seconds."""

    setup: float
    """To set up an op."""
    product: float
    """For a multiplication, with all sessions at work."""
    op: float
    """For an op, with all sessions at work."""

    def seconds(self, load: Load, n_steps: int) -> float:
        """Return the expected time of a drawing."""
        step = self.product * load.products + self.op * load.ops
        return self.setup * load.ops * load.n_objectives + step * n_steps * load.n_rounds


@dataclass(frozen=True, slots=True)
class Forecast:
    """All drawings of a compute and their expected time."""

    drawings: tuple[Drawing, ...]
    """The drawings, in the order of the stages."""
    seconds: float | None
    """Expected time in seconds on this machine, None where it was not measured."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Expected seconds of each artefact to draw, by its key; empty where nothing was measured."""

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
    groups = _grouped(todo)
    drawings = _drawings(network, atlas, config, groups)
    if sum(drawing.n_pictures for drawing in drawings) < WORTH_MEASURING:
        return Forecast(drawings, None)
    batch = config.featurevis.batch
    try:
        loads = {drawing: load_of(network, drawing, batch) for drawing in drawings}
        largest = max(drawings, key=lambda drawing: loads[drawing].products)
        rates = rates_of([_measured(network, d, batch) for d in dict.fromkeys((drawings[0], largest))])
    except Exception as error:
        # A picture that cannot be drawn is reported later, when it is drawn.
        why_not_made(error)
        return Forecast(drawings, None)
    seconds = [rates.seconds(loads[drawing], drawing.recipe.preset.n_steps) for drawing in drawings]
    costs = {
        artefact.key: expected / len(group)
        for group, expected in zip(groups.values(), seconds, strict=True)
        for artefact in group
    }
    return Forecast(drawings, sum(seconds), costs)


def duration(seconds: float) -> str:
    """Return seconds as people say them: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _grouped(todo: Iterable[Artefact]) -> Grouped:
    groups: Grouped = {}
    for artefact in todo:
        if artefact.stage in _DRAWING_STAGES:
            groups.setdefault((artefact.stage, artefact.layer, artefact.part), []).append(artefact)
    return groups


def _drawings(
    network: Network, atlas: AtlasRecord, config: AtlasConfig, groups: Grouped
) -> tuple[Drawing, ...]:
    records = {record.layer: record for record in atlas.layers}
    return tuple(
        _drawing(network, config, records[layer], stage, part, tuple(artefact.index for artefact in group))
        for (stage, layer, part), group in groups.items()
    )


def _drawing(
    network: Network,
    config: AtlasConfig,
    record: LayerRecord,
    stage: str,
    variant: str,
    indices: tuple[int, ...],
) -> Drawing:
    count = len(indices)
    if stage == "featurevis":
        layer, recipe = network.layer(record.layer), recipe_of(config, record, variant)
        return Drawing("neuron", record.layer, count, indices, layer, recipe)
    pair, recipe = pairs_of(record)["upstream"], directions_recipe(config, record)
    source = network.layer(pair.source)
    if stage == "factors":
        count *= config.nmf.factors
        return Drawing("factor", record.layer, count, (), source, recipe)
    count *= n_positions(network, config, pair)
    return Drawing("position", record.layer, count, (), source, recipe)


def n_positions(network: Network, config: AtlasConfig, pair: Pair) -> int:
    """Return the number of pictures of a neuron's weights, one for each position or block of positions."""
    reach, _ = outline(network, pair.carrier, pair.target, width=config.weights.width)
    return block_sums(np.zeros(reach, np.float32), MOST_POSITIONS)[0].size


def load_of(network: Network, drawing: Drawing, batch: int | None) -> Load:
    """Return what a drawing asks for, from the batches that its renderer would make."""
    with Renderer(network, drawing.layer, drawing.recipe, batch=batch) as renderer:
        n_sessions, size = renderer.sessions.n_sessions, renderer.batch
        counts = Counter(
            objective.tensor for objective, _ in renderer.batches(renderer.subjects(drawing.neurons))
        )
    if not drawing.neurons:
        counts = Counter({drawing.layer.tensor: -(-drawing.n_pictures // size)})
    n_batches = counts.total()
    costs = [(count, *_cost(network, drawing, tensor)) for tensor, count in counts.items()]
    return Load(
        n_objectives=len(counts),
        n_rounds=-(-n_batches // n_sessions),
        products=size * sum(count * products for count, products, _ in costs) / n_batches,
        ops=sum(count * ops for count, _, ops in costs) / n_batches,
    )


def _cost(network: Network, drawing: Drawing, tensor: str) -> tuple[float, int]:
    """Return the multiplications of one step of a picture that excites a tensor, and the step's ops."""
    recipe, size = drawing.recipe, drawing.recipe.drawn
    net = size if drawing.layer.shape is None else net_size(size, 1.0)
    (products,) = crops.multiplications(network, [tensor], net, centre=recipe.centre_only)
    return products + PRODUCTS_A_PIXEL * size[0] * size[1], len(network.view.ancestors(tensor))


def _measured(network: Network, drawing: Drawing, batch: int | None) -> tuple[float, float, float, int]:
    """Return the seconds to set up a renderer, those of a step, and the step's multiplications and ops.

    All sessions draw a batch at the same time.
    """
    start = time.monotonic()
    with Renderer(network, drawing.layer, drawing.recipe, batch=batch) as renderer:
        subject = renderer.subjects(drawing.neurons[:1] or [0])[0]
        n = renderer.batch * renderer.sessions.n_sessions
        tasks = renderer.tasks([replace(subject, slot=slot) for slot in range(n)])
        seconds = list(renderer.sessions.run(_step_seconds, tasks))
        elapsed = time.monotonic() - start
        products, ops = _cost(network, drawing, subject.objective.tensor)
        step = float(np.mean(seconds))
        return elapsed - (1 + TIMED_STEPS) * step, step, renderer.batch * products, ops


def rates_of(measured: Sequence[tuple[float, float, float, int]]) -> Rates:
    """Return the rates that explain the measured steps, none of them negative."""
    setups, steps, products, ops = (np.array(column) for column in zip(*measured, strict=True))
    # Relative errors count, as the two drawings may differ a hundredfold.
    rates, _ = nnls(np.stack([products, ops], 1) / steps[:, None], np.ones(len(steps)))
    return Rates(max(float(setups.sum() / ops.sum()), 0.0), float(rates[0]), float(rates[1]))


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
