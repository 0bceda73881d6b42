"""Batches are chosen by memory, from shapes alone."""

from __future__ import annotations

from atlas.featurevis import memory
from atlas.featurevis.recipe import Recipe
from featurevis_toy import network


def test_bytes_are_those_of_all_tensors_on_the_way() -> None:
    """An image's memory is that of every map up to the tensor, scaled to the image, twice."""
    net = network()
    # Lucid's largest input of a 48 px image is int(1.1 * 64) - 4 = 66 px.
    recipe = Recipe(size=(48, 48))
    stem = {"image": 44 * 52 * 3, "edge": 47 * 55 * 3} | dict.fromkeys(["conv", "pre", "relu"], 22 * 26 * 6)
    expected = sum(stem.values()) * 66 * 66 / (44 * 52) * 4 * 2
    assert abs(memory.image_bytes(net, "stem:0", recipe) - expected) < expected * 0.01


def test_batch_fits_the_budget() -> None:
    """Small networks are drawn sixteen at a time; large images fewer, and never none."""
    net = network()
    sizes = [memory.batch_size(net, "end:0", Recipe(size=(n, n)), n_sessions=2) for n in (48, 1500, 20000)]
    assert sizes[0] == memory.CPU_MOST
    assert memory.CPU_MOST > sizes[1] > sizes[2] == 1
    each = memory.image_bytes(net, "end:0", Recipe(size=(1500, 1500)))
    assert sizes[1] * each * 2 <= memory.CPU_BYTES < (sizes[1] + 1) * each * 2
