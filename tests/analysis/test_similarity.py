"""Cosines, neighbours and the order of similarity, against scikit-learn, plain loops and planted clusters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from atlas.analysis.similarity import cosines, nearest, similarity_order
from atlas.core.errors import AtlasError
from atlas.core.records import Floats

H, W, SOURCE, TARGET = 3, 2, 5, 7


def noise(*shape: int, seed: int = 0) -> Floats:
    """Return weights of both signs."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def planted(n_clusters: int, n_each: int, *, seed: int = 1) -> tuple[Floats, np.ndarray]:
    """Return weights of clusters of neurons around patterns of their own, shuffled, and their clusters."""
    rng = np.random.default_rng(seed)
    cluster = rng.permutation(np.repeat(np.arange(n_clusters), n_each))
    patterns = rng.normal(size=(H, W, SOURCE, n_clusters))
    weights = patterns[..., cluster] + 0.3 * rng.normal(size=(H, W, SOURCE, len(cluster)))
    # Cosines do not see how large the weights are.
    return (weights * rng.lognormal(0, 2, len(cluster))).astype(np.float32), cluster


class TestCosines:
    """cosines()."""

    def test_equal_scikit_learn_s(self) -> None:
        """Every pair's cosine is that of the two columns, all positions and sources flattened."""
        weights = noise(H, W, SOURCE, TARGET)
        expected = cosine_similarity(weights.reshape(-1, TARGET).T.astype(np.float64))
        np.testing.assert_allclose(cosines(weights), expected, atol=1e-7)

    def test_bounds(self) -> None:
        """The same pattern is 1 whatever its size, the negative -1, disjoint ones 0."""
        weights = np.zeros((H, W, SOURCE, 4), np.float32)
        weights[..., 0] = noise(H, W, SOURCE)
        weights[..., 1], weights[..., 2] = 1e-12 * weights[..., 0], -1e12 * weights[..., 0]
        weights[:, 0, :, 0:3], weights[:, 0, :, 3] = 0, 1
        np.testing.assert_allclose(cosines(weights)[0], [1, 1, -1, 0], atol=1e-6)

    def test_a_neuron_without_weights_is_like_none(self) -> None:
        """All zero is cosine zero, without a warning."""
        weights = noise(H, W, SOURCE, TARGET)
        weights[..., 3] = 0
        found = cosines(weights)
        assert not found[3].any()
        assert not found[:, 3].any()

    def test_symmetric(self) -> None:
        """Who is like whom is mutual, bit by bit."""
        found = cosines(noise(H, W, SOURCE, 31))
        assert np.array_equal(found, found.T)


class TestNearest:
    """nearest()."""

    @pytest.mark.parametrize("k", [1, 3, 6, 50])
    def test_equals_a_full_sort(self, k: int) -> None:
        """The head of a full sort of all others, in plain Python, never the neuron itself."""
        cosine = cosines(noise(H, W, SOURCE, TARGET))
        index, similarity = nearest(cosine, k)
        for i in range(TARGET):
            others = sorted((j for j in range(TARGET) if j != i), key=lambda j: (-cosine[i, j], j))
            assert index[i].tolist() == others[:k]
            assert similarity[i].tolist() == [cosine[i, j] for j in others[:k]]

    def test_draws_stand_by_index(self) -> None:
        """Equal cosines are in the order of their index."""
        index, _ = nearest(np.ones((5, 5), np.float32), 3)
        assert index.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]

    def test_one_neuron_has_no_other(self) -> None:
        """A layer of one has empty lists."""
        index, similarity = nearest(np.ones((1, 1), np.float32), 8)
        assert index.shape == similarity.shape == (1, 0)

    def test_none_is_an_error(self) -> None:
        """Zero look-alikes are refused."""
        with pytest.raises(AtlasError, match="look-alikes: found 0, expected 1 or more"):
            nearest(np.ones((3, 3), np.float32), 0)


class TestOrder:
    """similarity_order()."""

    @pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
    def test_is_a_permutation(self, n: int) -> None:
        """Every neuron stands once, zero ones too, and the smaller end comes first."""
        weights = noise(H, W, SOURCE, n)
        weights[..., n // 2] = 0
        order = similarity_order(cosines(weights))
        assert sorted(order.tolist()) == list(range(n))
        assert order.dtype == np.int32
        assert order[0] <= order[-1]

    def test_planted_clusters_stand_together(self) -> None:
        """Shuffled clusters come out whole, and neighbours are far more alike than any two."""
        weights, cluster = planted(6, 9)
        cosine = cosines(weights)
        order = similarity_order(cosine)
        assert len(list(itertools.groupby(cluster[order]))) == 6
        random = cosine[~np.eye(len(cosine), dtype=bool)].mean()
        assert cosine[order[:-1], order[1:]].mean() > random + 0.5

    def test_a_ring_is_walked(self) -> None:
        """Patterns that turn step by step are put in the order of their angle, from where the ring is cut."""
        angle = np.random.default_rng(2).permutation(12)
        weights = np.stack([np.cos(angle * np.pi / 12), np.sin(angle * np.pi / 12)])[:, None, None]
        walked = angle[similarity_order(cosines(weights.astype(np.float32)))]
        assert np.array_equal(np.sort(walked), np.arange(12))
        assert np.mean(np.abs(np.diff(walked)) == 1) >= 0.8

    def test_same_bytes_again(self) -> None:
        """The order of a large layer does not change from run to run."""
        weights = noise(H, W, SOURCE, 300)
        one, two = (similarity_order(cosines(weights.copy())) for _ in range(2))
        assert one.tobytes() == two.tobytes()
