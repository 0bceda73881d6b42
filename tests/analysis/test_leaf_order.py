"""The order of a tree's leaves against every order that the tree allows, and against scipy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from atlas.analysis import similarity
from atlas.analysis.leaf_order import Doubles, leaf_order


def distances(n: int, *, seed: int = 0) -> Doubles:
    """Return 1 - cosine of random patterns, some of them alike."""
    rng = np.random.default_rng(seed)
    patterns = (
        rng.normal(size=(n, 24)) + 2 * rng.normal(size=(n // 4 + 1, 24))[rng.integers(0, n // 4 + 1, n)]
    )
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    distance = 1 - patterns @ patterns.T
    np.fill_diagonal(distance, 0)
    return (distance + distance.T) / 2


def tree_of(distance: Doubles) -> Doubles:
    """Return the average linkage."""
    return linkage(squareform(distance, checks=False), "average")


def length(order: np.ndarray, distance: Doubles) -> float:
    """Return the sum of distances between neighbours."""
    return float(distance[order[:-1], order[1:]].sum())


def every_order(tree: Doubles) -> list[list[int]]:
    """Return each order of the leaves that swaps branches only."""
    n, found = len(tree) + 1, []
    for swaps in itertools.product([False, True], repeat=n - 1):
        orders = [[leaf] for leaf in range(n)]
        for (left, right), swap in zip(tree[:, :2].astype(int), swaps, strict=True):
            orders.append(orders[right] + orders[left] if swap else orders[left] + orders[right])
        found.append(orders[-1])
    return found


class TestLeafOrder:
    """leaf_order()."""

    @pytest.mark.parametrize("n", [2, 3, 5, 8, 10])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_is_the_best_of_all(self, n: int, seed: int) -> None:
        """No order that the tree allows is shorter, and it is one of them."""
        distance = distances(n, seed=seed)
        tree = tree_of(distance)
        order = leaf_order(tree, distance, n_ends=n)
        allowed = every_order(tree)
        assert order.tolist() in allowed
        assert length(order, distance) == pytest.approx(min(length(np.array(o), distance) for o in allowed))

    @pytest.mark.parametrize("n", [60, 300])
    def test_few_ends_are_as_good(self, n: int) -> None:
        """With 16 ends a branch the order is one of the tree, at most a thousandth longer than the best."""
        distance = distances(n)
        tree = tree_of(distance)
        best, found = (leaf_order(tree, distance, n_ends=n_ends) for n_ends in (n, 16))
        assert length(found, distance) <= 1.001 * length(best, distance)
        place, leaves = np.argsort(found), [[leaf] for leaf in range(n)]
        for left, right in tree[:, :2].astype(int):
            leaves.append(leaves[left] + leaves[right])
            assert np.ptp(place[leaves[-1]]) == len(leaves[-1]) - 1

    def test_equal_distances(self) -> None:
        """Where all orders are as good, each leaf still stands once."""
        distance = np.ones((40, 40)) - np.eye(40)
        assert sorted(leaf_order(tree_of(distance), distance, n_ends=4)) == list(range(40))


def test_large_layers_are_no_worse_than_by_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of layers above the bound is shorter than scipy's, and its smaller end comes first."""
    distance = distances(200)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    monkeypatch.setattr(similarity, "_BY_SCIPY", 199)
    order = similarity.similarity_order((1 - distance).astype(np.float32))
    assert length(order, distance) < length(leaves_list(tree), distance)
    assert sorted(order) == list(range(200))
    assert order[0] < order[-1]
