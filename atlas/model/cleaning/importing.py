"""A GraphDef imported into a tf.Graph, applied to images, and the shapes of its tensors there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.nodes import hollow
from atlas.model.graph.view import GraphView, node_of, tensor_of
from atlas.model.positions.axes import Shape


def import_graph(graph_def: Any, input_tensor: str, images: Any) -> Callable[[str], Any]:
    """Import a graph into the current tf.Graph, applied to `images`; return a function from name to tensor.

    Height and width become unknown at the input, so that a later layer for which the images are too small is
    left unused instead of failing (Lucid's `forget_xy`).
    """
    shape = [images.shape[0], None, None, images.shape[3]]
    entry = tf.compat.v1.placeholder_with_default(images, shape)
    return import_exactly(graph_def, input_tensor, entry)


def import_exactly(graph_def: Any, input_tensor: str, entry: Any) -> Callable[[str], Any]:
    """Import a graph into the current tf.Graph with `entry` as its input, keeping the static shape."""
    with tf.name_scope("network") as scope:
        pass
    try:
        tf.graph_util.import_graph_def(graph_def, {tensor_of(input_tensor): entry}, name=scope)
    except ValueError as error:
        raise ModelError(f"the graph does not fit images of shape {entry.shape}: {error}") from error
    graph = entry.graph

    def tensor(name: str) -> Any:
        if node_of(name) == node_of(input_tensor):
            return entry
        return graph.get_tensor_by_name(scope + tensor_of(name))

    return tensor


def static_shapes(
    graph_def: Any, input_tensor: str, input_shape: tuple[int, int, int], *, batch: int = 1
) -> dict[str, Shape]:
    """Return the shape of every node's first output for `batch` images of `input_shape` (h, w, c).

    The first axis of each is None, the batch. Only nodes that depend on the image are included, without
    those that have no output. Shapes that TensorFlow cannot infer are measured on black images.
    """
    view = GraphView(graph_def)
    moving = view.descendants(input_tensor)
    with tf.Graph().as_default() as graph:
        entry = tf.compat.v1.placeholder(tf.float32, [batch, *input_shape])
        tensor = import_exactly(_hollow(graph_def), input_tensor, entry)
        tensors = {name: tensor(name) for name in view.order if name in moving and _yields(view, name)}
    shapes = {name: tuple(t.shape.as_list()) for name, t in tensors.items() if _is_known(t.shape)}
    open_ = {name: t for name, t in tensors.items() if name not in shapes}
    black = np.zeros([batch, *input_shape], np.float32)
    shapes.update(measured_shapes(graph, open_, {entry: black}) or {})
    return {name: (None, *shapes[name][1:]) if shapes[name] else () for name in tensors if name in shapes}


def _hollow(graph_def: Any) -> Any:
    """Return the graph with zeros for its large constants: it has the same shapes and imports fast."""
    outline = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        outline.node.append(hollow(node))
    return outline


def _is_known(shape: Any) -> bool:
    """Return whether all lengths are known, except perhaps the batch size."""
    return shape.rank is not None and None not in shape.as_list()[1:]


def _yields(view: GraphView, name: str) -> bool:
    return view.op(name) not in ("NoOp", "Assert", "Print")


def measured_shapes(
    graph: Any, tensors: Mapping[str, Any], feed: Mapping[Any, Any]
) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes that tensors have in a run; None where the graph cannot be run."""
    if not tensors:
        return {}
    with graph.as_default():
        shapes = {name: tf.shape(tensor) for name, tensor in tensors.items()}
    with tf.compat.v1.Session(graph=graph) as session:
        try:
            values = session.run(shapes, feed)
        except tf.errors.OpError:
            return None
    return {name: tuple(value.tolist()) for name, value in values.items()}
