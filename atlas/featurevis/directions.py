"""Pictures of directions in a source layer: what a neuron's weights look for, at each position or in sum.

A direction is a vector over the neurons of a layer. It is scaled to length one, and the batched optimizer
draws it with the objective at the centre position. The noise depends only on the direction's number among
those of its neuron, so a picture does not depend on the others in its batch. Source: Voss et al.,
"Visualizing Weights", Distill 2021, which draws a neuron's weights position by position; Lucid's
`objectives.direction_neuron`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from atlas.analysis import nmf
from atlas.analysis.weights import pair_weights
from atlas.core.config import COSINE_POWER
from atlas.core.errors import ConfigError, LayerError, NeuronError
from atlas.core.neuron import INPUT, Layer, Neuron
from atlas.core.notebook_registry import Displayed
from atlas.core.records import Factorization, Family, FeatureVis, Floats
from atlas.drawing.images import block_sums, faded, tiled
from atlas.featurevis.recipe import PRESETS, Recipe, picture_size
from atlas.featurevis.render import Renderer
from atlas.featurevis.transforms import GREY
from atlas.model.carriers import upstream_layer
from atlas.model.network import Network, find_neuron

PresetName = Literal["draft", "standard", "full"]
# Pictures per axis. More would be too small and take too long, so blocks of positions share one.
MOST_POSITIONS = 7


@dataclass(frozen=True, slots=True)
class Positions(Displayed):
    """A neuron's weights as one picture per position."""

    neuron: str
    """Name, like "mixed3b:379"."""
    source: str
    """Name of the layer that the weights come from."""
    pictures: Floats
    """[h, w, height_px, width_px, channel] in [0, 1], not faded."""
    magnitudes: Floats
    """[h, w], L2 norms of the weights over the source neurons."""
    block: tuple[int, int]
    """(h, w) of the positions that share a picture."""
    cosine_power: float
    """That of the objective, see `DirectionObjective`."""

    @property
    def sheet(self) -> Floats:
        """All pictures as one, float32 [h, w, channel], each faded by its magnitude over the largest."""
        return position_sheet(self.pictures, self.magnitudes)


@dataclass(frozen=True, slots=True)
class Factors(Displayed):
    """The factors of a neuron's weights, the strongest first."""

    neuron: str
    """Name, like "mixed3b:379"."""
    source: str
    """Name of the layer that the weights come from."""
    record: Factorization
    """The factors with their strongest loadings, and the error."""
    maps: Floats
    """[factor, h, w], >= 0."""
    loadings: Floats
    """[factor, source], signed, rows of length one, for all source neurons."""


@dataclass(frozen=True, slots=True)
class FactorPictures(Displayed):
    """A neuron's factors with a picture of what each looks for."""

    factors: Factors
    """The factors, the strongest first."""
    pictures: Floats
    """[factor, height_px, width_px, channel] in [0, 1]; of an inhibiting factor, of what inhibits."""
    cosine_power: float
    """That of the objective, see `DirectionObjective`."""


@dataclass(frozen=True, slots=True)
class FamilyPictures(Displayed):
    """A family with a picture of what each factor looks for."""

    family: Family
    """The family, with its factors."""
    pictures: Floats
    """[factor, height_px, width_px, channel] in [0, 1]."""
    cosine_power: float
    """That of the objective, see `DirectionObjective`."""


def positions(
    network: Network,
    neuron: str,
    source: str | None = None,
    *,
    preset: PresetName = "standard",
    cosine_power: float = COSINE_POWER,
    seed: int = 0,
) -> Positions:
    """Draw what a neuron looks for at each position of its window over a source layer.

    `source` is a layer before it, by default the trunk layer before it. Weights are taken from the
    source's carrier, pictures are of the source itself. Windows of more than 7 x 7 positions are drawn
    in blocks: the summed weights of a block are one direction. `cosine_power` above 0 keeps other neurons
    of the source layer quiet. Raises NeuronError, LayerError or LinearizeError.
    """
    target, origin, kernel = _kernel(network, neuron, source)
    vectors, block = block_sums(kernel, MOST_POSITIONS)
    flat = _drawn(network, origin, vectors.reshape(-1, vectors.shape[2]), preset, cosine_power, seed)
    pictures = flat.reshape(*vectors.shape[:2], *flat.shape[1:])
    return Positions(target.name, origin.name, pictures, magnitudes(vectors), block, cosine_power)


def factors(
    network: Network, neuron: str, n_factors: int = 3, source: str | None = None, *, seed: int = 0
) -> Factors:
    """Return the non-negative factors of a neuron's weights, with all loadings; see `nmf.factorize`.

    `source` is a layer before it, by default the trunk layer before it. Raises AtlasError.
    """
    target, origin, kernel = _kernel(network, neuron, source)
    return _solved(target, origin, kernel, n_factors, seed)


def factor_pictures(
    network: Network,
    neuron: str,
    n_factors: int = 3,
    source: str | None = None,
    *,
    preset: PresetName = "standard",
    cosine_power: float = COSINE_POWER,
    seed: int = 0,
) -> FactorPictures:
    """Return a neuron's factors with a picture of each one's direction in the source layer.

    The direction consists of all loadings of the factor, with their signs. For an inhibiting factor the
    signs are reversed, so that the picture shows what inhibits. Raises AtlasError.
    """
    target, origin, kernel = _kernel(network, neuron, source)
    solution = _solved(target, origin, kernel, n_factors, seed)
    vectors = factor_directions(solution.record, solution.loadings)
    pictures = _drawn(network, origin, vectors, preset, cosine_power, seed)
    return FactorPictures(solution, pictures, cosine_power)


def family_pictures(
    network: Network,
    family: Family,
    *,
    preset: PresetName = "standard",
    cosine_power: float = COSINE_POWER,
    seed: int = 0,
) -> FamilyPictures:
    """Return a family with a picture of each factor's direction in the source layer; see `atlas.family`.

    Raises NeuronError if the source is the image itself.
    """
    if family.source == INPUT:
        raise _colours_alone(family.name or f"a family of {family.layer}")
    loadings = family.loadings
    pictures = draw_loadings(
        network, family.source, loadings, preset=preset, cosine_power=cosine_power, seed=seed
    )
    return FamilyPictures(family, pictures, cosine_power)


def draw_loadings(
    network: Network,
    source: str,
    loadings: Floats,
    *,
    preset: PresetName = "standard",
    cosine_power: float = COSINE_POWER,
    seed: int = 0,
) -> Floats:
    """Return pictures [n, height_px, width_px, channel] of loadings [n, source neuron] of a source layer.

    Row i starts from noise i. For one layer's loadings of many families, give `draw` one Renderer and
    all families' loadings. Raises LayerError for a wrong number of source neurons.
    """
    return _drawn(network, network.layer(source), np.asarray(loadings), preset, cosine_power, seed)


def draw(
    renderer: Renderer, wanted: Iterable[Floats], *, cosine_power: float = COSINE_POWER
) -> Iterator[tuple[Floats, FeatureVis | None]]:
    """Yield the pictures of each group of directions; one renderer batches all groups together.

    Each group in `wanted`, float32 [n, source], gives pictures float32 [n, height_px, width_px, channel] in
    [0, 1], and the record of the last one drawn, or None. A direction of zero is not drawn: its picture is
    grey.
    """
    groups = list(wanted)
    live = [np.flatnonzero(magnitudes(vectors)) for vectors in groups]
    units = [_units(vectors[rows]) for vectors, rows in zip(groups, live, strict=True)]
    vectors = np.concatenate([np.zeros((0, renderer.layer.n_channels), np.float32), *units])
    seeds = [int(row) for rows in live for row in rows]
    drawing = renderer.render_directions(vectors, seeds, cosine_power=cosine_power)
    # Pictures come in the order of batches, not of rows.
    early: dict[int, tuple[Floats, FeatureVis]] = {}
    at = 0
    for n, rows in zip(map(len, groups), live, strict=True):
        size = (*renderer.recipe.size, renderer.network.input_shape[2])
        pictures, last = np.full((n, *size), GREY, np.float32), None
        for row in rows:
            while at not in early:
                key, picture, record = next(drawing)
                early[key] = picture, record
            pictures[row], last = early.pop(at)
            at += 1
        yield pictures, last


def factor_directions(record: Factorization, loadings: Floats) -> Floats:
    """Return a factorization's directions, [factor, source]: its loadings, negated for inhibiting factors."""
    signs = np.array([factor.sign for factor in record.factors], np.float32)
    return np.asarray(loadings * signs[:, None], np.float32)


def magnitudes(vectors: Floats) -> Floats:
    """Return the L2 norms of vectors over their last axis."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(-1)), np.float32)


def position_sheet(pictures: Floats, strengths: Floats) -> Floats:
    """Return pictures [h, w, …] as one, each faded by its strength [h, w] over the largest."""
    peak = float(strengths.max(initial=0.0))
    return tiled(faded(pictures, strengths / peak if peak else strengths))


def _units(vectors: Floats) -> Floats:
    return np.asarray(vectors / magnitudes(vectors)[:, None], np.float32)


def _drawn(
    network: Network, source: Layer, vectors: Floats, preset: str, cosine_power: float, seed: int
) -> Floats:
    if preset not in PRESETS:
        raise ConfigError(f"no preset {preset!r}", expected=", ".join(PRESETS))
    size, margin = picture_size(source, network.input_shape, network.effective_field(source.name))
    recipe = Recipe(preset=PRESETS[preset], size=size, margin=margin, seed=seed)
    if vectors.ndim != 2 or vectors.shape[1] != source.n_channels:
        raise LayerError(
            f"loadings of {source.name}", found=vectors.shape, expected=f"(n, {source.n_channels})"
        )
    with Renderer(network, source, recipe) as renderer:
        ((pictures, _),) = draw(renderer, [vectors], cosine_power=cosine_power)
    return pictures


def _solved(target: Neuron, origin: Layer, kernel: Floats, n_factors: int, seed: int) -> Factors:
    solution = nmf.solve(kernel, source=origin.name, n_factors=n_factors, seed=seed)
    return Factors(target.name, origin.name, solution.record, solution.maps, solution.loadings)


def _kernel(network: Network, neuron: str, source: str | None) -> tuple[Neuron, Layer, Floats]:
    """Return a neuron, a layer before it, and the neuron's weights from there, [h, w, source]."""
    target = find_neuron(network, neuron)
    layer = network.layer(target.layer)
    name = source or upstream_layer(network, layer, ())
    if name == INPUT:
        raise _colours_alone(target.name)
    origin = network.layer(name)
    weights = pair_weights(network, origin.name, layer.name).weights
    return target, origin, weights[..., target.index]


def _colours_alone(what: str) -> NeuronError:
    return NeuronError(
        f"{what} is built from the image itself: its weights are colours, not directions",
        remedy="choose a neuron of a later layer",
    )
