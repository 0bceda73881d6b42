"""The batched optimizer: one graph and one session draw the neurons of a layer, many at a time.

Every batch of a branch has the same shape, is filled up by repeating its last neuron, and starts from
noise that belongs to the neuron; so a neuron's image is the same whichever batch it falls into.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from atlas.errors import LayerError
from atlas.featurevis.ascent import Ascent
from atlas.featurevis.objective import Branch, branches
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.transforms import Frame, frames
from atlas.model.backend import tf as tensorflow
from atlas.model.network import Network
from atlas.neuron import Layer, neuron_of
from atlas.records import FeatureVis, Floats

tf = tensorflow.compat.v1

logger = logging.getLogger(__name__)

# Larger batches were not faster on two cores, and a lone neuron pays for a whole one.
CPU_BATCH = 16
GPU_BATCH = 64


class Renderer:
    """Draws feature visualizations of one layer; close it, or use it in a `with` statement."""

    def __init__(self, network: Network, layer: Layer, recipe: Recipe, *, batch: int | None = None) -> None:
        """Open a session; graphs are built when first needed.

        `batch` is how many neurons are drawn at a time. Raises LayerError for an input that is
        neither grey nor RGB.
        """
        n_channels = network.input_shape[2]
        if n_channels not in (1, 3):
            raise LayerError(
                f"feature visualization of {layer.name}",
                found=f"an input of {n_channels} channels",
                expected="1 (grey) or 3 (RGB)",
                remedy="build without featurevis",
            )
        self.network, self.layer, self.recipe = network, layer, recipe
        self._branches = branches(network.view, layer, positive=recipe.positive)
        self._batch = batch or default_batch()
        self._open()

    def __enter__(self) -> Renderer:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Free the session and its memory."""
        self._session.close()

    def render(self, neurons: Sequence[int]) -> Iterator[tuple[int, Floats, FeatureVis]]:
        """Yield (neuron, image [h, w, channel] in [0, 1], record) for each neuron, batch by batch.

        A neuron's bytes do not depend on the others asked for. Raises NeuronError for a neuron that
        the layer does not have.
        """
        for neuron in neurons:
            neuron_of(self.layer, neuron)
        for branch in self._branches:
            held = [n for n in dict.fromkeys(neurons) if 0 <= n - branch.first < branch.n_channels]
            yield from self._render_branch(branch, held)

    def _render_branch(
        self, branch: Branch, neurons: Sequence[int]
    ) -> Iterator[tuple[int, Floats, FeatureVis]]:
        done = 0
        while done < len(neurons):
            asked = neurons[done : done + self._batch]
            try:
                images, activation = self._draw(branch, asked)
            except tf.errors.ResourceExhaustedError:
                self._shrink()
                continue
            done += len(asked)
            for neuron, image, value in zip(asked, images, activation, strict=False):
                yield neuron, image, self._record(float(value))

    def _draw(self, branch: Branch, neurons: Sequence[int]) -> tuple[Floats, Floats]:
        full = [*neurons, *[neurons[-1]] * (self._batch - len(neurons))]
        ascent = self._ascent(branch)
        ascent.begin(self._session, full)
        for step in range(self.recipe.n_steps):
            ascent.step(self._session, step, full)
        return ascent.finish(self._session, full)

    def _record(self, activation: float) -> FeatureVis:
        h, w = self.recipe.size
        return FeatureVis(self.recipe.variant, h, w, self.recipe.n_steps, activation)

    def _ascent(self, branch: Branch) -> Ascent:
        if branch not in self._ascents:
            with self._graph.as_default():
                self._ascents[branch] = Ascent(
                    self.network,
                    branch,
                    recipe=self.recipe,
                    frames=self._frames(),
                    batch=self._batch,
                )
        return self._ascents[branch]

    def _frames(self) -> tuple[Frame, ...]:
        size = self.recipe.size
        if self.layer.shape is None or self.layer.receptive_field is None:
            return (Frame(size, net=size, view=size),)
        stride = self.layer.receptive_field.stride if self.recipe.centre_only else None
        return frames(size, stride)

    def _open(self) -> None:
        self._graph = tf.Graph()
        self._ascents: dict[Branch, Ascent] = {}
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        self._session = tf.Session(graph=self._graph, config=config)

    def _shrink(self) -> None:
        """Start again with half the batch, or raise when one neuron alone does not fit."""
        if self._batch == 1:
            raise LayerError(
                f"{self.layer.name}: no memory for one feature visualization of {self.recipe.size} px",
                remedy="choose a smaller size",
            )
        self.close()
        self._batch //= 2
        logger.warning("out of memory: %s goes on with %d neurons at a time", self.layer.name, self._batch)
        self._open()


def default_batch() -> int:
    """Return how many neurons are drawn at a time on what TensorFlow finds."""
    if tf.config.list_physical_devices("GPU"):
        return GPU_BATCH
    logger.info("TensorFlow lists no GPU: feature visualization runs on the CPU")
    return CPU_BATCH
