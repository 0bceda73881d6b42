"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with a real network, photographs and reference arrays; skips where it is absent."""
    folder = Path(os.environ.get("ATLAS_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "models" / "googlenet" / "graph.pb").exists():
        pytest.skip(
            f"no development data in {folder}; set ATLAS_SHARED to the folder that holds models/googlenet"
        )
    return folder


@pytest.fixture(scope="session")
def toy_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frozen network in a file: 20 x 24 x 3 -> 4 (5 x 3 kernels) -> pool -> 5 -> mean -> 7 classes."""
    from atlas.model.graph.backend import tf as tensorflow

    tf = tensorflow.compat.v1
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return tf.constant(rng.normal(0, 0.4, shape).astype(np.float32))

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 20, 24, 3], name="image")
        x = tf.nn.conv2d(x, weights(5, 3, 3, 4), strides=1, padding="SAME", name="first/conv")
        x = tf.nn.relu(x, name="first/relu")
        x = tf.nn.max_pool2d(x, 2, 2, "SAME", name="pool")
        x = tf.nn.conv2d(x, weights(3, 3, 4, 5), strides=1, padding="SAME", name="second/conv")
        x = tf.nn.relu(x, name="second/relu")
        x = tf.reduce_mean(x, [1, 2], name="mean")
        tf.matmul(x, weights(5, 7), name="classes")
    path = tmp_path_factory.mktemp("toy") / "toy.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString(deterministic=True))
    return path


@pytest.fixture(scope="session")
def toy_store(toy_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everything of the toy network, drawn at preset draft; copy it, do not change it."""
    from atlas.build.compute import compute
    from atlas.store import Store
    from atlases import toy_config

    folder = tmp_path_factory.mktemp("toy") / "store"
    with Store.open(folder, write=True) as store:
        compute(toy_config(toy_graph, folder), store)
    return folder
