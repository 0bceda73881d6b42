"""How pictures are drawn, in a form from which any process that has the network draws the same."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.build.engine import WorkerContext
from atlas.featurevis.memory import batch_size, on_gpu
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.model.network import Network


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How to draw: a layer, a recipe, JPEG quality, and how many pictures at a time.

    `bands` are those shown as red, green and blue (see `images.shown_bands`). `batch` None is as many as
    fit into memory when `shared_by` sessions share it: those of the process that hands out the orders, so
    that batches have the same shape wherever they are drawn.
    """

    layer: str
    recipe: Recipe
    quality: int
    batch: int | None
    shared_by: int
    bands: tuple[int, ...] = ()

    def renderer(self, context: WorkerContext) -> Renderer:
        """Return the renderer, which the context keeps open until it is asked for other settings."""
        return context.kept(self, lambda: self._opened(context))

    def _opened(self, context: WorkerContext) -> Renderer:
        # A GPU knows best what it holds; what it draws has other bytes anyway.
        batch = self.batch if on_gpu() else self.batch_on_cpu(context.network)
        layer = context.network.layer(self.layer)
        return Renderer(context.network, layer, self.recipe, batch=batch, sessions=context.n_sessions)

    def batch_on_cpu(self, network: Network) -> int:
        """Return how many pictures a session of a processor draws at a time."""
        tensor = network.layer(self.layer).tensor
        return self.batch or batch_size(network, tensor, self.recipe, n_sessions=self.shared_by)
