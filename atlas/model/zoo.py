"""Lucid's model zoo: a name -> a frozen graph, fetched through Lucid's cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.errors import ModelError, nearest
from atlas.model.assembly import Frozen
from atlas.model.backend import tf
from atlas.model.graph import GraphView, node_of
from atlas.model.graph_file import parse_graph, read_labels, sha256_of
from atlas.model.lucid import lucid_modules, read_remote


def zoo_names() -> tuple[str, ...]:
    """Return the names of all models of Lucid's zoo."""
    return tuple(sorted(name for name in lucid_modules().vision_models.__all__ if name != "Model"))


def read_zoo(name: str) -> Frozen:
    """Return a model of Lucid's zoo; raises ModelError for an unknown name, and without a network.

    Where the model reads BGR, or each channel in a range of its own, that is laid in front of its
    graph: images enter as RGB, 0 to 255.
    """
    if name not in zoo_names():
        raise ModelError(
            f"no model {name!r}",
            expected="a file, a folder, keras:NAME or a name of Lucid's zoo",
            remedy=nearest(name, zoo_names()),
        )
    model = getattr(lucid_modules().vision_models, name)
    data, graph_def = _fetched(model.model_path)
    low, high = (np.asarray(value, np.float32) for value in model.image_value_range)
    backwards = bool(getattr(model, "is_BGR", False))
    plain = low.ndim == 0 and not backwards
    if not plain:
        graph_def = prepared(graph_def, node_of(model.input_name), backwards, (high - low) / 255, low)
    return Frozen(
        name=name,
        sha256=sha256_of(data),
        graph_def=graph_def,
        input_tensor=str(model.input_name),
        input_shape=tuple(model.image_shape),
        value_range=(float(low), float(high)) if plain else (0.0, 255.0),
        labels=read_labels(read_remote(model.labels_path)) if model.labels_path else (),
    )


def _fetched(url: str) -> tuple[bytes, Any]:
    """Return a graph file's bytes and its graph; a damaged copy in the cache is fetched again."""
    data = read_remote(url)
    try:
        return data, parse_graph(data, url)
    except ModelError:
        data = read_remote(url, afresh=True)
        return data, parse_graph(data, url)


def prepared(graph_def: Any, entry: str, backwards: bool, scale: Any, shift: Any) -> Any:
    """Return the graph with `image * scale + shift`, channels reversed first, behind its input `entry`.

    `scale` and `shift` are numbers, or one for each channel in the order of the graph.
    """
    view = GraphView(graph_def)
    readers = view.consumers(entry)
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, None], name=entry)
        with tf.name_scope(f"{entry}_prepared") as scope:
            ordered = tf.reverse(images, [-1]) if backwards else images
            last = tf.add(ordered * tf.constant(scale, tf.float32), tf.constant(shift, tf.float32))
    joined = tf.compat.v1.GraphDef(versions=graph_def.versions)
    joined.CopyFrom(graph_def)
    joined.node.extend(node for node in graph.as_graph_def().node if node.name.startswith(scope))
    for node in joined.node:
        if node.name in readers:
            inputs = [last.op.name if node_of(name) == entry else name for name in node.input]
            del node.input[:]
            node.input.extend(inputs)
    return joined
