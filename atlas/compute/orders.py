"""Orders that any process with the network can carry out: drawings of neurons and directions, factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from atlas import nmf
from atlas.directions import Directions, DrawnDirections, draw, magnitudes, position_sheet
from atlas.engine import Bench, Piece
from atlas.errors import NumberError, why_not_made
from atlas.featurevis.memory import batch_size, on_gpu
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.featurevis.subject import Undrawn
from atlas.images import FADED_GREY, band_strip, in_colour, jpeg, tiled
from atlas.model.network import Network
from atlas.records import DirectionSheet, Factorization, Floats
from atlas.store import codec


@dataclass(frozen=True, slots=True)
class Easel:
    """What draws: a layer, a recipe, JPEG quality, and how many pictures at a time.

    `bands` are those shown as red, green and blue (see `images.shown_bands`). `batch` None is as many as
    fit into memory when `shared_by` lanes share it: those of the process that hands out the orders, so
    that batches have the same shape wherever they are drawn.
    """

    layer: str
    recipe: Recipe
    quality: int
    batch: int | None
    shared_by: int
    bands: tuple[int, ...] = ()

    def renderer(self, bench: Bench) -> Renderer:
        """Return the renderer, which stays open on the bench until another easel comes."""
        return bench.kept(self, lambda: self._opened(bench))

    def _opened(self, bench: Bench) -> Renderer:
        # A GPU knows best what it holds; what it draws has other bytes anyway.
        batch = self.batch if on_gpu() else self.batch_on_cpu(bench.network)
        layer = bench.network.layer(self.layer)
        return Renderer(bench.network, layer, self.recipe, batch=batch, lanes=bench.n_lanes)

    def batch_on_cpu(self, network: Network) -> int:
        """Return how many pictures a lane of a processor draws at a time."""
        tensor = network.layer(self.layer).tensor
        return self.batch or batch_size(network, tensor, self.recipe, n_lanes=self.shared_by)


@dataclass(frozen=True, slots=True)
class NeuronsOrder:
    """Feature visualizations of an easel's layer: neuron -> key, and its strip of bands, neuron -> key."""

    easel: Easel
    keys: Mapping[int, str]
    strips: Mapping[int, str] = field(default_factory=dict)

    def pieces(self, bench: Bench) -> Iterator[Piece]:
        """Yield the picture of each neuron."""
        neurons, easel = tuple(dict.fromkeys([*self.keys, *self.strips])), self.easel
        for drawn in easel.renderer(bench).attempts(neurons):
            index = drawn.key if isinstance(drawn, Undrawn) else drawn[0]
            key, strip = self.keys.get(index), self.strips.get(index)
            if isinstance(drawn, Undrawn):
                yield from (Piece(one, failed=drawn.why) for one in (key, strip) if one)
                continue
            _, image, result = drawn
            if key:
                yield Piece(key, jpeg(in_colour(image, easel.bands), quality=easel.quality), asdict(result))
            if strip:
                yield Piece(strip, *self._strip(image))

    def _strip(self, image: Floats) -> tuple[bytes, dict[str, int | str]]:
        pixels = band_strip(image)
        h, w = pixels.shape
        shown = ",".join(map(str, self.easel.bands))
        known = {"n_bands": image.shape[2], "shown": shown, "height_px": h, "width_px": w}
        return jpeg(pixels, quality=self.easel.quality), known


@dataclass(frozen=True, slots=True)
class Grid:
    """The directions of one sheet, [h, w, source], and how many positions (h, w) each stands for."""

    vectors: Floats
    block: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class SheetsOrder:
    """Pictures of directions in an easel's layer: key -> grid, a sheet each.

    Where they are `of_positions`, each is faded by its strength.
    """

    easel: Easel
    of_positions: bool
    cosine_power: float
    grids: Mapping[str, Grid]

    def pieces(self, bench: Bench) -> Iterator[Piece]:
        """Yield each sheet, all drawn by one renderer."""
        renderer, sheets = self.easel.renderer(bench), tuple(self.grids.items())
        asked = [
            Directions(i, grid.vectors.reshape(-1, renderer.layer.n_channels))
            for i, (_, grid) in enumerate(sheets)
        ]
        done = 0
        try:
            for drawn in draw(renderer, asked, cosine_power=self.cosine_power):
                yield self._piece(drawn, *sheets[drawn.key])
                done += 1
        except Exception as error:
            why_not_made(error)
            # What is drawn together fails together; what is drawn alone fails alone.
            for one in asked[done:]:
                key, grid = sheets[one.key]
                try:
                    (drawn,) = draw(renderer, [one], cosine_power=self.cosine_power)
                    yield self._piece(drawn, key, grid)
                except Exception as error:
                    yield Piece(key, failed=why_not_made(error))

    def _piece(self, drawn: DrawnDirections, key: str, grid: Grid) -> Piece:
        data = jpeg(self._sheet(grid, drawn), quality=self.easel.quality)
        return Piece(key, data, codec.encode_meta(self._known(grid, drawn)))

    def _sheet(self, grid: Grid, drawn: DrawnDirections) -> Floats:
        h, w = grid.vectors.shape[:2]
        if not h * w:
            # Weights of zero have no factor, and the store keeps no empty picture.
            return np.full((*drawn.pictures.shape[1:3], 1), FADED_GREY, np.float32)
        coloured = in_colour(drawn.pictures, self.easel.bands)
        pictures = coloured.reshape(h, w, *coloured.shape[1:])
        return position_sheet(pictures, magnitudes(grid.vectors)) if self.of_positions else tiled(pictures)

    def _known(self, grid: Grid, drawn: DrawnDirections) -> DirectionSheet:
        recipe = self.easel.recipe
        strengths = magnitudes(grid.vectors).ravel() if self.of_positions else np.zeros(0)
        return DirectionSheet(
            source=self.easel.layer,
            n_rows=grid.vectors.shape[0],
            n_columns=grid.vectors.shape[1],
            height_px=recipe.size[0],
            width_px=recipe.size[1],
            n_steps=recipe.preset.n_steps,
            cosine_power=self.cosine_power,
            precision=drawn.known.precision if drawn.known else recipe.precision,
            block=grid.block,
            magnitudes=tuple(float(f"{value:.6g}") for value in strengths),
        )


@dataclass(frozen=True, slots=True)
class FactorsOrder:
    """Factorizations: key -> the weights of one neuron over `source`, [h, w, source]."""

    source: str
    n_factors: int
    n_loadings: int
    seed: int
    kernels: Mapping[str, Floats]

    def pieces(self, bench: Bench) -> Iterator[Piece]:
        """Yield the record of each neuron."""
        for key, kernel in self.kernels.items():
            try:
                yield Piece(key, codec.encode(self._factorized(kernel)))
            except Exception as error:
                yield Piece(key, failed=why_not_made(error))

    def _factorized(self, kernel: Floats) -> Factorization:
        if not np.isfinite(kernel).all():
            raise NumberError("factors", found="weights that are not finite", expected="numbers")
        result = nmf.factorize(
            kernel,
            source=self.source,
            n_factors=self.n_factors,
            n_loadings=self.n_loadings,
            seed=self.seed,
        )
        return replace(result, counts=nmf.compared(kernel, source=self.source, seed=self.seed))
