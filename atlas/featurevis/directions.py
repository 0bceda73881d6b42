"""Pictures of directions in a source layer: what a neuron's weights look for, at each position or in sum.

A direction is a vector over the neurons of a layer. Each is drawn by the batched optimizer at length
one, its objective at the centre position, from the noise of its own number among its neuron's; so a
picture does not depend on the company it is drawn in. Source: Voss et al., "Visualizing Weights",
Distill 2021, which draws a neuron's weights position by position; Lucid's `objectives.direction_neuron`.
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
from atlas.featurevis.recipe import PRESETS, Recipe, image_size
from atlas.featurevis.render import Renderer
from atlas.featurevis.transforms import GREY
from atlas.model.carriers import upstream_layer
from atlas.model.network import Network, find_neuron

PresetName = Literal["draft", "standard", "full"]
# More pictures would be too small to read and take too long; blocks of positions share one.
MOST_POSITIONS = 7


@dataclass(frozen=True, slots=True)
class Positions(Displayed):
    """A neuron's weights as one picture a position.

    `pictures` [h, w, height_px, width_px, channel] in [0, 1], not faded; `magnitudes` [h, w] the L2
    norms of the weights over the source neurons; `block` (h, w) how many positions a picture stands for.
    """

    neuron: str
    source: str
    pictures: Floats
    magnitudes: Floats
    block: tuple[int, int]
    cosine_power: float

    @property
    def sheet(self) -> Floats:
        """All pictures in one, float32 [h, w, channel], each faded by its magnitude over the largest."""
        return position_sheet(self.pictures, self.magnitudes)


@dataclass(frozen=True, slots=True)
class Factors(Displayed):
    """The factors of a neuron's weights, the strongest first: its own maps and all of its loadings.

    `maps` [factor, h, w] >= 0, `loadings` [factor, source] signed and of length one.
    """

    neuron: str
    source: str
    record: Factorization
    maps: Floats
    loadings: Floats


@dataclass(frozen=True, slots=True)
class FactorPictures(Displayed):
    """A neuron's factors with a picture of what each looks for, [factor, height_px, width_px, channel].

    Of an inhibiting factor the picture shows what inhibits.
    """

    factors: Factors
    pictures: Floats
    cosine_power: float


@dataclass(frozen=True, slots=True)
class FamilyPictures(Displayed):
    """A family with a picture of what each factor looks for, [factor, height_px, width_px, channel]."""

    family: Family
    pictures: Floats
    cosine_power: float


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
    in blocks, the sum of whose weights is one direction. `cosine_power` above 0 keeps other neurons of
    the source layer quiet. Raises NeuronError, LayerError or LinearizeError.
    """
    found, origin, kernel = _kernel(network, neuron, source)
    vectors, block = block_sums(kernel, MOST_POSITIONS)
    drawn = _drawn(network, origin, vectors.reshape(-1, vectors.shape[2]), preset, cosine_power, seed)
    pictures = drawn.reshape(*vectors.shape[:2], *drawn.shape[1:])
    return Positions(found.name, origin.name, pictures, magnitudes(vectors), block, cosine_power)


def factors(
    network: Network, neuron: str, n_factors: int = 3, source: str | None = None, *, seed: int = 0
) -> Factors:
    """Return the non-negative factors of a neuron's weights, with all loadings; see `nmf.factorize`.

    `source` is a layer before it, by default the trunk layer before it. Raises AtlasError.
    """
    found, origin, kernel = _kernel(network, neuron, source)
    return _solved(found, origin, kernel, n_factors, seed)


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

    The direction is the factor's loadings, all of them, with their signs; of an inhibiting factor the
    signs are turned, so that the picture shows what inhibits. Raises AtlasError.
    """
    found, origin, kernel = _kernel(network, neuron, source)
    solved = _solved(found, origin, kernel, n_factors, seed)
    vectors = factor_directions(solved.record, solved.loadings)
    pictures = _drawn(network, origin, vectors, preset, cosine_power, seed)
    return FactorPictures(solved, pictures, cosine_power)


def family_pictures(
    network: Network,
    family: Family,
    *,
    preset: PresetName = "standard",
    cosine_power: float = COSINE_POWER,
    seed: int = 0,
) -> FamilyPictures:
    """Return a family with a picture of each factor's direction in the source layer; see `atlas.family`.

    Raises NeuronError where the source is the image itself.
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
    """Draw loadings [n, source neuron] of a source layer: pictures [n, height_px, width_px, channel].

    Row i starts from noise i. For one layer's loadings of many families, give `draw` one Renderer and
    all families' loadings. Raises LayerError for another number of source neurons.
    """
    return _drawn(network, network.layer(source), np.asarray(loadings), preset, cosine_power, seed)


def draw(
    renderer: Renderer, wanted: Iterable[Floats], *, cosine_power: float = COSINE_POWER
) -> Iterator[tuple[Floats, FeatureVis | None]]:
    """Yield the pictures of directions that belong together, all batched by one renderer.

    Each item of `wanted`, float32 [n, source], gives pictures float32 [n, height_px, width_px, channel] in
    [0, 1], and what is known of the last one drawn. A direction of zero is not drawn: its picture is grey.
    """
    asked = list(wanted)
    live = [np.flatnonzero(magnitudes(vectors)) for vectors in asked]
    units = [_units(vectors[rows]) for vectors, rows in zip(asked, live, strict=True)]
    vectors = np.concatenate([np.zeros((0, renderer.layer.n_channels), np.float32), *units])
    seeds = [int(row) for rows in live for row in rows]
    drawing = renderer.render_directions(vectors, seeds, cosine_power=cosine_power)
    # Places in batches and not rows decide what comes first.
    early: dict[int, tuple[Floats, FeatureVis]] = {}
    at = 0
    for n, rows in zip(map(len, asked), live, strict=True):
        size = (*renderer.recipe.size, renderer.network.input_shape[2])
        pictures, known = np.full((n, *size), GREY, np.float32), None
        for row in rows:
            while at not in early:
                key, picture, record = next(drawing)
                early[key] = picture, record
            pictures[row], known = early.pop(at)
            at += 1
        yield pictures, known


def factor_directions(record: Factorization, loadings: Floats) -> Floats:
    """Return what a factorization's factors look for, [factor, source]: inhibiting ones turned round."""
    signs = np.array([factor.sign for factor in record.factors], np.float32)
    return np.asarray(loadings * signs[:, None], np.float32)


def magnitudes(vectors: Floats) -> Floats:
    """Return the L2 norms of vectors over their last axis."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(-1)), np.float32)


def position_sheet(pictures: Floats, strengths: Floats) -> Floats:
    """Return pictures [h, w, …] in one, each faded by its strength [h, w] over the largest."""
    peak = float(strengths.max(initial=0.0))
    return tiled(faded(pictures, strengths / peak if peak else strengths))


def _units(vectors: Floats) -> Floats:
    return np.asarray(vectors / magnitudes(vectors)[:, None], np.float32)


def _drawn(
    network: Network, source: Layer, vectors: Floats, preset: str, cosine_power: float, seed: int
) -> Floats:
    if preset not in PRESETS:
        raise ConfigError(f"no preset {preset!r}", expected=", ".join(PRESETS))
    recipe = Recipe(preset=PRESETS[preset], size=image_size(source, network.input_shape), seed=seed)
    if vectors.ndim != 2 or vectors.shape[1] != source.n_channels:
        raise LayerError(
            f"loadings of {source.name}", found=vectors.shape, expected=f"(n, {source.n_channels})"
        )
    with Renderer(network, source, recipe) as renderer:
        ((pictures, _),) = draw(renderer, [vectors], cosine_power=cosine_power)
    return pictures


def _solved(found: Neuron, origin: Layer, kernel: Floats, n_factors: int, seed: int) -> Factors:
    solution = nmf.solve(kernel, source=origin.name, n_factors=n_factors, seed=seed)
    return Factors(found.name, origin.name, solution.record, solution.maps, solution.loadings)


def _kernel(network: Network, neuron: str, source: str | None) -> tuple[Neuron, Layer, Floats]:
    """Return a neuron, a layer before it, and the neuron's weights from there, [h, w, source]."""
    found = find_neuron(network, neuron)
    target = network.layer(found.layer)
    name = source or upstream_layer(network, target, ())
    if name == INPUT:
        raise _colours_alone(found.name)
    origin = network.layer(name)
    weights = pair_weights(network, origin.name, target.name).weights
    return found, origin, weights[..., found.index]


def _colours_alone(what: str) -> NeuronError:
    return NeuronError(
        f"{what} is built from the image itself: its weights are colours, not directions",
        remedy="choose a neuron of a later layer",
    )
