"""Network: a trained network, whatever file it came from. NumPy in, NumPy out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.core.errors import LayerError, ModelError, nearest
from atlas.core.neuron import INPUT, Layer, Neuron, find_layer
from atlas.core.neuron import find_neuron as find_in
from atlas.core.notebook_registry import Displayed
from atlas.core.preprocessing import PLAIN, Preprocessing
from atlas.core.records import EffectiveField, Floats, ModelRecord
from atlas.core.records.operating_point import OperatingPoint
from atlas.model.cleaning.importing import import_graph, static_shapes
from atlas.model.graph.backend import tf
from atlas.model.graph.fusions import session_config
from atlas.model.graph.ops import OPS
from atlas.model.graph.parameters import Parameters, edited
from atlas.model.graph.view import GraphView, node_of, tensor_of
from atlas.model.layers.aliases import layer_aliases
from atlas.model.layers.listing import find_parts
from atlas.model.positions.axes import Shape
from atlas.model.positions.effective_field import effective_field, gradient_of
from atlas.model.positions.layout import Layouts

log = logging.getLogger(__name__)


# How many images of noise are averaged for the operating point where no examples are given.
_N_NOISE = 16


def noise(shape: tuple[int, int, int]) -> OperatingPoint:
    """Return an operating point of uniform noise, always the same."""

    def images() -> Iterable[Floats]:
        rng = np.random.default_rng(0)
        return (rng.random(shape, np.float32) for _ in range(_N_NOISE))

    return OperatingPoint(f"{_N_NOISE} images of noise", images)


@dataclass(frozen=True)
class Network(Displayed):
    """A frozen graph, its layers, and how images enter it.

    Graph and layers belong together: make a network with `load_model` or `network_of`.
    """

    name: str
    """The model's name, as pages show it."""
    sha256: str
    """The digest of the source's bytes: of a file, of a folder's files, or of the graph."""
    graph_def: Any = field(repr=False)
    """The frozen GraphDef; it takes any number of images."""
    input_tensor: str
    """The tensor that images enter by, like "input:0"."""
    input_shape: tuple[int, int, int]
    """(h, w, c), the network's native size."""
    value_range: tuple[float, float]
    """The values that the graph expects for black and white."""
    layers: tuple[Layer, ...]
    """In topological order."""
    labels: tuple[str, ...] = ()
    """The classes' names, one for each channel of the output, or more; () where they are unknown."""
    output: str | None = None
    """The name of the layer with the class logits; None where there are no classes."""
    range_source: str = ""
    """How the value range was determined, in words."""
    preprocessing: Preprocessing = PLAIN
    """How photographs become the input; mean, std and order of channels are part of the graph."""
    notes: tuple[str, ...] = ()
    """Sentences on what was assumed or replaced when the network was read."""
    examples: OperatingPoint | None = None
    """The images whose mean is the operating point for nonlinear factors; None for noise."""

    def layer(self, name: str) -> Layer:
        """Return the layer with this name, slug, alias or unique ending; raises LayerError."""
        return self.by_name.get(name) or find_layer(self.layers, name, aliases=self.aliases)

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by their full names."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The layers' names by the graph's names: nodes, scopes, activations; see `model.layers.aliases`."""
        tensors = {layer.tensor: layer.name for layer in self.layers}
        all_parts = find_parts(self.view, self.input_tensor, self.shapes)
        parts = [part for part in all_parts if part.tensor in tensors]
        return layer_aliases(self.view, self.input_tensor, parts, [tensors[p.tensor] for p in parts])

    @cached_property
    def view(self) -> GraphView:
        """The graph's nodes, their inputs and readers."""
        return GraphView(self.graph_def)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every node's first output at the network's native size, by node name."""
        return static_shapes(self.graph_def, self.input_tensor, self.input_shape)

    @cached_property
    def layouts(self) -> Layouts:
        """The meaning of every tensor's axes and how each op reads positions, from the image on."""
        return Layouts(self.view, self.shapes, self.input_tensor)

    @cached_property
    def parameters(self) -> Parameters:
        """The network's weights, a read-only mapping: name of a constant -> float32 array."""
        return Parameters(self.graph_def)

    def with_parameters(self, edits: Mapping[str, ArrayLike]) -> Network:
        """Return a copy of the network with other values for some parameters.

        Names, layers and shapes stay; `sha256` is computed from this network's and the edits. Raises
        ParameterError for an unknown name, another shape, and values that are not finite numbers.
        """
        graph_def, sha256 = edited(self.graph_def, edits, sha256=self.sha256)
        return replace(self, graph_def=graph_def, sha256=sha256)

    @property
    def trunk(self) -> tuple[Layer, ...]:
        """The layers that lie on every path from the image to the output."""
        return tuple(layer for layer in self.layers if layer.trunk)

    @cached_property
    def unknown_ops(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Ops missing from the table of ops: the first node of each, and the layers behind it.

        Such layers are assumed to see the whole image, and no weights are computed across the op.
        """
        ops: dict[str, tuple[str, set[str]]] = {}
        for name in self.layouts:
            op = self.view.op(name)
            if op not in OPS and name != node_of(self.input_tensor):
                after = self.view.descendants(name)
                behind = {layer.name for layer in self.layers if node_of(layer.tensor) in after}
                ops.setdefault(op, (name, set()))[1].update(behind)
        return {
            op: (first, tuple(layer.name for layer in self.layers if layer.name in behind))
            for op, (first, behind) in ops.items()
            if behind
        }

    def import_into(self, images: Any) -> Callable[[str], Any]:
        """Import the network into the current tf.Graph, applied to `images` [n, h, w, c], values 0 to 1.

        Return a function from a tensor's name in the network to the tensor. Layers that have positions
        accept images of any size.
        """
        return import_graph(self.graph_def, self.input_tensor, self._scaled(images))

    def activations(
        self, images: NDArray[Any], names: str | Sequence[str], *, any_values: bool = False
    ) -> dict[str, NDArray[np.float32]]:
        """Return the values of layers, or of tensors ("maxpool4:0"), on images [n, h, w, c] in 0 to 1.

        One name may be a text alone. Arrays are [n, h, w, c], or [n, c] for a dense layer. A warning is
        logged for values below -1 or above 2, unless `any_values` are meant. Raises LayerError for an
        unknown name and ModelError for images of the wrong shape, and of whole numbers above 1.
        """
        tensors = {name: self._tensor(name) for name in ([names] if isinstance(names, str) else names)}
        batch = np.asarray(images, np.float32)
        if batch.ndim != 4 or batch.shape[3] != self.input_shape[2]:
            raise ModelError(
                f"{self.name} cannot read these images",
                found=f"an array {batch.shape}",
                expected=f"(n, h, w, {self.input_shape[2]})",
            )
        if not any_values:
            self._check_values(batch, is_whole=np.asarray(images).dtype.kind in "iu")
        session, entry, tensor = self._session
        values = session.run({name: tensor(full) for name, full in tensors.items()}, {entry: batch})
        return dict(values)

    def close(self) -> None:
        """Free the memory of the session that `activations` works in; its next call opens another."""
        # A frozen dataclass forbids `del self._session`.
        if "_session" in vars(self):
            vars(self).pop("_session")[0].close()

    @cached_property
    def operating_point(self) -> OperatingPoint:
        """The images at whose mean nonlinear factors are fixed: dataset examples, or else noise."""
        return self.examples or noise(self.input_shape)

    def at_operating_point(self, tensor: str) -> NDArray[np.float32]:
        """Return a tensor's mean over the images of the operating point, [1, …], computed once."""
        name = tensor_of(tensor)
        if name not in self._held:
            moving = node_of(name) in self.view.descendants(self.input_tensor)
            images = self.operating_point.images() if moving else [np.zeros(self.input_shape, np.float32)]
            values = [self.activations(image[None], [name])[name] for image in images]
            self._held[name] = np.asarray(np.mean(values, 0, dtype=np.float64), values[0].dtype)
        return self._held[name]

    def effective_field(self, name: str) -> EffectiveField | None:
        """Return what a layer reacts to on the images of the operating point, measured once.

        None for a layer without positions. Raises LayerError.
        """
        layer = self.layer(name)
        if layer.shape is None or layer.receptive_field is None:
            return None
        if layer.name not in self._effective:
            n_channels, config = self.input_shape[2], session_config(self.view)
            with gradient_of(self.import_into, layer, n_channels, config) as gradient:
                field = effective_field(layer, self.input_shape, self.operating_point, gradient)
            self._effective[layer.name] = field
        return self._effective[layer.name]

    @cached_property
    def _effective(self) -> dict[str, EffectiveField]:
        return {}

    @cached_property
    def _held(self) -> dict[str, NDArray[Any]]:
        return {}

    def record(self) -> ModelRecord:
        """Return the network's record for the site; the diagram's only path runs through the trunk layers."""
        names = [INPUT, *(layer.name for layer in self.trunk)]
        return ModelRecord(
            name=self.name,
            sha256=self.sha256,
            input_shape=self.input_shape,
            value_range=self.value_range,
            layers=self.layers,
            labels=self.labels,
            edges=tuple(pairwise(names)),
            preprocessing=self.preprocessing,
        )

    def _scaled(self, images: Any) -> Any:
        low, high = self.value_range
        return images if (low, high) == (0.0, 1.0) else low + images * (high - low)

    def _check_values(self, batch: NDArray[np.float32], *, is_whole: bool) -> None:
        """Log a warning for images that are far from 0 to 1; raises ModelError for those of whole numbers."""
        low, high = (float(end(batch)) for end in (np.min, np.max)) if batch.size else (0.0, 1.0)
        if is_whole and high > 1:
            raise ModelError(
                f"{self.name} takes images of 0 to 1, whatever range its graph reads",
                found=f"whole numbers of {low:g} to {high:g}",
                remedy="divide them by the value of white, 255 for bytes",
            )
        if low < -1 or high > 2:
            log.warning("%s: images are 0 to 1, but these are %g to %g", self.name, low, high)

    def _tensor(self, name: str) -> str:
        if ":" not in name:
            return self.layer(name).tensor
        if node_of(name) in self.view.nodes:
            return name
        try:
            return self.layer(name).tensor
        except LayerError:
            raise LayerError(f"no tensor {name!r}", remedy=nearest(node_of(name), self.view.order)) from None

    @cached_property
    def _session(self) -> tuple[Any, Any, Callable[[str], Any]]:
        with tf.Graph().as_default() as graph:
            entry = tf.compat.v1.placeholder(tf.float32, [None, None, None, self.input_shape[2]])
            tensor = self.import_into(entry)

        @cache
        def read(name: str) -> Any:
            # A second reader: TensorFlow fuses a sum and its activation to one op, though both are asked for.
            with graph.as_default():
                return tf.identity(tensor(name))

        return tf.compat.v1.Session(graph=graph, config=session_config(self.view)), entry, read


def find_neuron(network: Network, alias: str, *, chosen: Collection[str] = ()) -> Neuron:
    """Return the neuron that an alias names: "mixed3b:379", "3b/379", "mixed3b_5x5:59", a page's address.

    A neuron of a branch is returned as the concatenated layer's, unless the branch is among the names in
    `chosen`. Raises NeuronError or LayerError.
    """
    return find_in(network.layers, alias, chosen=chosen, aliases=network.aliases)
