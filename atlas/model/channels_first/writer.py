"""A TensorFlow graph that is written op by op: scopes are module paths, weights are filled in at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import ModelError
from atlas.core.node_names import node_name
from atlas.model.channels_first.values import BATCH, Value
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import make_constant

# The node that takes the images.
IMAGE = "input"


@dataclass(frozen=True)
class Fixed:
    """A tensor that depends on no image: a parameter, or what the source computes from parameters."""

    name: str
    """Name of the parameter in the source, or of the value that was computed."""
    array: NDArray[Any]
    """Its values, laid out as in the source."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in the source."""
        return self.array.shape

    def of_one_image(self) -> NDArray[Any]:
        """Return the values for a batch of one; raises ModelError where images of a batch differ."""
        if self.array.ndim and self.array.shape[0] == BATCH:
            if self.array.strides[0] and not (self.array == self.array[:1]).all():
                raise ModelError(f"{self.name} has other values for each image of a batch")
            return self.array[:1]
        return self.array


class Writer:
    """A graph in the making."""

    def __init__(self, shape: Sequence[int]) -> None:
        """Begin a graph that reads images, (n, c, h, w) = `shape` in the source; `BATCH` is any number."""
        n, channels, height, width = shape
        lengths = [None if n == BATCH else n, height, width, channels]
        self.graph = tf.Graph()
        self._weights: dict[str, NDArray[Any]] = {}
        self._known: dict[tuple[str, tuple[int, ...]], list[Any]] = {}
        with self.graph.as_default():
            self.image = tf.compat.v1.placeholder(tf.float32, lengths, name=IMAGE)
        self.shape = tuple(shape)

    def scope(self, path: Sequence[str]) -> Any:
        """Return a context manager in which ops stand below the names in `path`."""
        name = node_name(path, "") if path else ""
        return tf.name_scope(f"{name}/" if name else "")

    def weight(self, name: str, array: NDArray[Any]) -> Any:
        """Return a tensor with these values, the node of a parameter `name`; the same for the same values."""
        array = np.ascontiguousarray(array)
        for tensor, values in self._known.setdefault((name, array.shape), []):
            if np.array_equal(values, array):
                return tensor
        with tf.name_scope(""):
            tensor = tf.compat.v1.placeholder(
                tf.as_dtype(array.dtype), array.shape, name=node_name([name], "")
            )
        self._weights[tensor.op.name] = array
        self._known[name, array.shape].append((tensor, array))
        return tensor

    def fixed(self, fixed: Fixed, value: Value) -> Any:
        """Return a tensor that is broadcast over `value` as in the source: to the last dimensions."""
        array = fixed.of_one_image()
        array = array.reshape((1,) * (value.rank - array.ndim) + array.shape).transpose(value.axes)
        while array.ndim > 1 and array.shape[0] == 1:
            array = array[0]
        return self.weight(fixed.name, array.astype(np.float32, copy=False))

    def finished(self) -> Any:
        """Return the GraphDef."""
        graph_def = self.graph.as_graph_def()
        for node in graph_def.node:
            if node.name in self._weights:
                make_constant(node, self._weights.pop(node.name))
        return graph_def
