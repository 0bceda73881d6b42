"""How step time grows with batch and image size, and what share of the network's own floor is reached."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from atlas.core.neuron import Layer
from atlas.featurevis.recipe import Recipe
from atlas.featurevis.render import Renderer
from atlas.featurevis.subject import Task
from atlas.featurevis.transforms import frames
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network

tf = tensorflow.compat.v1
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZES_PX = (48, 64, 96, 128, 160, 192, 224)
N_STEPS = 6
N_ROUNDS = 3


def scaling(network: Network, layer: Layer, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Yield a row for each batch at the recipe's size, then for each size at the default batch."""
    for batch in BATCHES:
        yield measure(network, layer, recipe, batch)
    for side in SIZES_PX:
        yield measure(network, layer, replace(recipe, size=(side, side)), None)


def measure(network: Network, layer: Layer, recipe: Recipe, batch: int | None) -> dict[str, Any]:
    """Time a step of the largest branch and the floor, alternating; milliseconds a neuron, best of three."""
    with Renderer(network, layer, recipe, batch=batch) as renderer:
        everything = renderer.subjects(range(layer.n_channels))
        ((objective, _),) = Counter(subject.objective for subject in everything).most_common(1)
        subjects = [s for s in everything if s.objective == objective][
            : renderer.batch * renderer.sessions.n_sessions
        ]
        tasks = renderer.tasks(subjects)

        def climb(session: Any, task: Task) -> None:
            targets = np.stack([task.asked[0].target] * task.optimizer.batch)
            task.optimizer.begin(session, [0] * task.optimizer.batch)
            for step in range(100, 100 + N_STEPS):
                task.optimizer.step(session, step, targets)

        n, recipe = renderer.batch, renderer.recipe
        bare = floor(network, layer, recipe, n)
        best = _best(
            [
                lambda: list(renderer.sessions.run(climb, tasks)),
                lambda: [bare() for _ in range(N_STEPS)],
            ]
        )
        best[0] /= len(tasks)
    engine, network_ms = (1e3 * seconds / N_STEPS / n for seconds in best)
    return {
        "layer": layer.name,
        "branch": objective.tensor,
        "size_px": recipe.size[0],
        "batch": n,
        "precision": recipe.precision,
        "step_ms": round(engine, 3),
        "floor_ms": round(network_ms, 3),
        "step_over_floor": round(engine / network_ms, 2),
    }


def floor(network: Network, layer: Layer, recipe: Recipe, batch: int) -> Callable[[], Any]:
    """Return a call of the network's own forward and backward pass to the image, TensorFlow's kernels.

    At Lucid's mean input size; for bfloat16 with TensorFlow's own rewrite.
    """
    (frame,) = frames(recipe.size, None)
    config = tf.ConfigProto()
    if recipe.precision == "bfloat16":
        # RewriterConfig.ON
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = 1
    with tf.Graph().as_default() as graph:
        noise = np.random.default_rng(0).uniform(size=(batch, *frame.net, network.input_shape[2]))
        images = tf.Variable(noise.astype(np.float32), use_resource=True)
        tensor = network.import_into(images.read_value())(layer.tensor)
        shape = tf.shape(tensor)
        (grad,) = tf.gradients(tf.reduce_sum(tensor[:, shape[1] // 2, shape[2] // 2]), images)
        total, start = tf.reduce_sum(grad), tf.global_variables_initializer()
    session = tf.Session(graph=graph, config=config)
    session.run(start)
    return lambda: session.run(total)


def _best(tasks: list[Callable[[], Any]]) -> list[float]:
    best = [float("inf")] * len(tasks)
    for _ in range(N_ROUNDS + 1):
        for i, task in enumerate(tasks):
            start = time.perf_counter()
            task()
            best[i] = min(best[i], time.perf_counter() - start)
    return best
