"""Expanded weights of a pair of layers: this project's way against one gradient for each target channel.

Both in one process, on the same linear twin; the slow way is timed on the whole pair too. Prints one JSON
line. Example: python tests/benchmarks/expanded_weights.py --model ../shared/models/googlenet
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from atlas import expanded_weights, load_model
from atlas.analysis.weights import linear_twin
from atlas.model.cleaning.importing import import_graph
from atlas.model.graph.backend import tf
from atlas.model.network import Network


def one_by_one(network: Network, source: str, target: str, size: int) -> Any:
    """Return the weights by one gradient a target channel [h, w, source, target], and the seconds."""
    twin = linear_twin(network, source, target)
    with tf.Graph().as_default() as graph:
        images = tf.zeros([1, *network.input_shape])
        tensor = import_graph(twin.graph_def, network.input_tensor, images)
        after, before = tensor(twin.target), tensor(twin.source)
        centre = (tf.shape(after)[1] - 1) // 2
        channel = tf.compat.v1.placeholder(tf.int32, [])
        grad = tf.compat.v1.gradients(after[0, centre, centre][channel], [before])[0]
        n_source, n_target = network.layer(source).n_channels, network.layer(target).n_channels
    feed = {before: np.zeros((1, size, size, n_source), np.float32)}
    with tf.compat.v1.Session(graph=graph) as session:
        session.run(grad, {**feed, channel: 0})
        start = time.perf_counter()
        maps = [session.run(grad, {**feed, channel: i})[0] for i in range(n_target)]
        return np.stack(maps, -1), time.perf_counter() - start


def main() -> None:
    """Run both ways, in turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--source", default="mixed3a")
    parser.add_argument("--target", default="mixed3b")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    network = load_model(options.model)
    ours, theirs = [], []
    for _ in range(options.runs):
        start = time.perf_counter()
        weights = expanded_weights(network, options.source, options.target)
        ours.append(time.perf_counter() - start)
        slow, seconds = one_by_one(network, options.source, options.target, weights.shape[0])
        theirs.append(seconds)
    fast_s, slow_s = float(np.median(ours)), float(np.median(theirs))
    # Only the middle is free of borders in the slow way's small map.
    middle = weights.shape[0] // 2
    off = np.abs(slow[middle, middle] - weights[middle, middle]).max() / np.abs(weights).max()
    result = {
        "pair": [options.source, options.target],
        "shape": list(weights.shape),
        "seconds": round(fast_s, 4),
        "one_gradient_each_seconds": round(slow_s, 4),
        "ratio": round(slow_s / fast_s, 2),
        "centre_difference": float(off),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
