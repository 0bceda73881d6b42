"""Write a trained demo network as a frozen graph with the files that Lucid's SerializedModel format asks for.

The bytes of graph.pb depend on the weights and on the TensorFlow version that writes it, on nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import network
import numpy as np
import tensorflow as tf

from atlas.model.demo.drawings import LABELS
from atlas.model.demo.fields import SIZE

# Lucid's SerializedModel manifest, as lucid.modelzoo.vision_base reads it.
MANIFEST = {
    "type": "frozen",
    "name": "Demo network (drawings)",
    "model_path": "./graph.pb",
    "labels_path": "labels.txt",
    "image_value_range": [0, 255],
    "image_shape": [SIZE, SIZE, 3],
    "input_name": "input:0",
}


def graph_def(weights: Mapping[str, np.ndarray]) -> tf.compat.v1.GraphDef:
    """The frozen graph: placeholder `input`, [None, None, None, 3], to `softmax2`, [None, classes]."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")
        network.forward(image, weights)
    return graph.as_graph_def()


def run(
    definition: tf.compat.v1.GraphDef, images: np.ndarray, nodes: list[str], *, batch: int = 100
) -> list[np.ndarray]:
    """The outputs of the nodes for images, [N, h, w, 3] in 0 to 255, each [N, ...]."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    fetches = [f"{node}:0" for node in nodes]
    with tf.compat.v1.Session(graph=graph) as session:
        parts = [
            session.run(fetches, {"input:0": images[i : i + batch].astype(np.float32)})
            for i in range(0, len(images), batch)
        ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def write(folder: Path, definition: tf.compat.v1.GraphDef, figures: Mapping[str, object]) -> None:
    """Write graph.pb, manifest.json, labels.txt and training.json into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.pb").write_bytes(definition.SerializeToString(deterministic=True))
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    _write_json(folder / "manifest.json", MANIFEST)
    _write_json(folder / "training.json", figures)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write indented JSON that ends in a newline."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
