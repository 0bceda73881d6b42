"""A flattened objective ends an image's optimizer, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from atlas.featurevis.early_stopping import WINDOW, EarlyStopping
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.featurevis.render import Renderer
from featurevis_toy import network


def test_flat_images_stop_and_rising_ones_do_not() -> None:
    """Objectives that stand still, at any value, stop after two windows; rising and falling ones go on."""
    early_stopping = EarlyStopping(4, tolerance=1e-3)
    for step in range(3 * WINDOW):
        early_stopping.add(np.array([0, 7, step, -step], np.float32))
    assert early_stopping.moving.tolist() == [0, 0, 1, 1]
    assert early_stopping.steps.tolist() == [2 * WINDOW, 2 * WINDOW, 3 * WINDOW, 3 * WINDOW]


def test_without_tolerance_none_stops() -> None:
    """A preset that never stops moves every image to the end."""
    early_stopping = EarlyStopping(1, tolerance=0.0)
    for _ in range(3 * WINDOW):
        early_stopping.add(np.zeros(1, np.float32))
    assert early_stopping.moving.tolist() == [1]


def test_a_dead_neuron_is_done_early_and_its_neighbour_is_not() -> None:
    """A neuron that nothing excites keeps its image after two windows; one beside it takes all steps."""
    net = network()
    recipe = Recipe(preset=replace(PRESETS["standard"], n_steps=80), size=(20, 20))
    vectors = np.zeros((2, 6), np.float32)
    vectors[1, 2] = 1
    with Renderer(net, net.layer("stem"), recipe, batch=2, sessions=1) as renderer:
        steps = {row: record.n_steps for row, _, record in renderer.render_directions(vectors, [0, 1])}
    assert steps == {0: 2 * WINDOW, 1: 80}
