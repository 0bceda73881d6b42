"""The settings of drawings: with them, any process that has the network draws the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.build.engine import WorkerContext
from atlas.featurevis.memory import batch_size, on_gpu
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.model.network import Network


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How to draw pictures of a layer's neurons or of directions over them."""

    layer: str
    """Name of the layer whose neurons are excited."""
    recipe: Recipe
    """The recipe of the feature visualizations."""
    quality: int
    """JPEG quality, 1 to 100."""
    batch: int | None
    """Number of pictures that a session draws at a time; None for as many as fit into memory."""
    shared_by: int
    """Number of sessions to share memory: the coordinator's, so that batches are alike everywhere."""
    bands: tuple[int, ...] = ()
    """The bands shown as red, green and blue, see `images.shown_bands`."""

    def renderer(self, context: WorkerContext) -> Renderer:
        """Return the renderer of these settings; the context keeps it open until other settings come."""
        return context.kept(self, lambda: self._opened(context))

    def _opened(self, context: WorkerContext) -> Renderer:
        # On a GPU the renderer chooses the batch: pictures of GPUs have other bytes in any case.
        batch = self.batch if on_gpu() else self.batch_on_cpu(context.network)
        layer = context.network.layer(self.layer)
        return Renderer(context.network, layer, self.recipe, batch=batch, sessions=context.n_sessions)

    def batch_on_cpu(self, network: Network) -> int:
        """Return how many pictures a session draws at a time on a CPU."""
        tensor = network.layer(self.layer).tensor
        return self.batch or batch_size(network, tensor, self.recipe, n_sessions=self.shared_by)
