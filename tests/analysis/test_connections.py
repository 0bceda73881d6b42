"""The strongest connections, against a full sort in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atlas.analysis.connections import downstream, upstream
from atlas.core.errors import AtlasError
from atlas.core.records import Connections, Floats

NAMES = {"source": "conv1", "target": "conv2", "carrier": "pool1:0"}
H, W, SOURCE, TARGET = 3, 2, 5, 7


def noise(seed: int = 0) -> Floats:
    """Return weights of both signs, with another size on every axis."""
    return np.random.default_rng(seed).normal(size=(H, W, SOURCE, TARGET)).astype(np.float32)


def small_integers(seed: int) -> Floats:
    """Return weights among -1, 0 and 1: many kernels have the same norm."""
    return np.random.default_rng(seed).integers(-1, 2, (H, W, SOURCE, TARGET)).astype(np.float32)


def sorted_kernels(weights: Floats, row: int, *, axis: int) -> list[tuple[float, int, list[float]]]:
    """Return (strength, index, weights) of all of one neuron's kernels, sorted in full, best first."""
    kernels = np.take(weights, row, axis=5 - axis)
    found = []
    for i in range(kernels.shape[2]):
        values = [float(v) for v in kernels[:, :, i].ravel()]
        found.append((math.sqrt(math.fsum(v * v for v in values)), i, values))
    return sorted(found, key=lambda kernel: (-np.float32(kernel[0]), kernel[1]))


# Direction, its axis of candidates, candidates, rows.
DIRECTIONS = pytest.mark.parametrize(
    ("connect", "axis", "n_candidates", "n"), [(upstream, 2, SOURCE, TARGET), (downstream, 3, TARGET, SOURCE)]
)
Connect = Callable[..., Connections]


class TestOracle:
    """Every field against a full sort."""

    @DIRECTIONS
    @pytest.mark.parametrize("k", [1, 3, 50])
    @pytest.mark.parametrize("weights", [noise(), small_integers(1), small_integers(2)])
    def test_equals_a_full_sort(
        self, connect: Connect, axis: int, n_candidates: int, n: int, k: int, weights: Floats
    ) -> None:
        """The list is the head of the full sort by strength, ties in the order of their index."""
        found = connect(weights, **NAMES, k=k)
        shown = min(k, n_candidates)
        assert found.index.shape == (n, shown)
        for row in range(n):
            expected = sorted_kernels(weights, row, axis=axis)
            assert found.index[row].tolist() == [i for _, i, _ in expected[:shown]]
            np.testing.assert_allclose(found.strength[row], [s for s, _, _ in expected[:shown]], rtol=1e-6)
            signs = [np.sign(math.fsum(values)) for _, _, values in expected[:shown]]
            assert found.sign[row].tolist() == signs
            kernels = [values for _, _, values in expected[:shown]]
            np.testing.assert_array_equal(found.kernel[row].reshape(shown, -1), kernels)

    @DIRECTIONS
    @pytest.mark.parametrize("k", [1, 3, 50])
    def test_coverage_and_peak(self, connect: Connect, axis: int, n_candidates: int, n: int, k: int) -> None:
        """Coverage is the list's share of squared and absolute mass, the peak that of all kernels."""
        weights = noise(3)
        found = connect(weights, **NAMES, k=k)
        assert found.n_candidates == n_candidates
        for row in range(n):
            kernels = [values for _, _, values in sorted_kernels(weights, row, axis=axis)]
            squares = [math.fsum(v * v for v in values) for values in kernels]
            sizes = [math.fsum(map(abs, values)) for values in kernels]
            assert found.l2[row] == pytest.approx(sum(squares[:k]) / sum(squares), rel=1e-6)
            assert found.l1[row] == pytest.approx(sum(sizes[:k]) / sum(sizes), rel=1e-6)
            assert found.peak[row] == np.float32(max(abs(v) for values in kernels for v in values))

    def test_directions_see_the_same_kernels(self) -> None:
        """A kernel in an upstream list stands with the same strength and sign in the downstream list."""
        up, down = upstream(noise(), **NAMES), downstream(noise(), **NAMES)
        for target in range(TARGET):
            for rank, source in enumerate(up.index[target]):
                other = down.index[source].tolist().index(target)
                assert up.strength[target, rank] == down.strength[source, other]
                assert up.sign[target, rank] == down.sign[source, other]
                np.testing.assert_array_equal(up.kernel[target, rank], down.kernel[source, other])


class TestRecord:
    """Types, names and what is only passed on."""

    @DIRECTIONS
    def test_has_the_contracts_types(self, connect: Connect, axis: int, n_candidates: int, n: int) -> None:
        """Integers are int32, numbers float32, and arrays lie in one piece, as the store wants them."""
        found = connect(noise(), **NAMES, k=3)
        assert found.kernel.shape == (n, 3, H, W)
        assert {found.index.dtype, found.sign.dtype} == {np.dtype(np.int32)}
        floats = (found.strength, found.kernel, found.peak, found.l2, found.l1)
        assert {array.dtype for array in floats} == {np.dtype(np.float32)}
        assert found.kernel.flags.c_contiguous

    def test_passes_names_and_cropped_on(self) -> None:
        """The pair, the carrier and the cropped share are the caller's; the direction is the function's."""
        up = upstream(noise(), **NAMES, cropped=0.25)
        assert (up.source, up.target, up.carrier, up.direction) == ("conv1", "conv2", "pool1:0", "upstream")
        assert up.cropped == 0.25
        assert downstream(noise(), **NAMES).direction == "downstream"

    def test_leaves_the_weights_alone(self) -> None:
        """The caller's array is not changed."""
        weights = noise()
        upstream(weights, **NAMES)
        downstream(weights, **NAMES)
        np.testing.assert_array_equal(weights, noise())


class TestDegenerate:
    """Zeros, ties and extremes."""

    def test_zero_kernels_cover_nothing(self) -> None:
        """A neuron without weights has its first candidates, strength, sign, peak and coverage 0."""
        weights = noise()
        weights[..., 4] = 0
        found = upstream(weights, **NAMES, k=3)
        assert found.index[4].tolist() == [0, 1, 2]
        assert not any(array[4].any() for array in (found.strength, found.sign, found.peak, found.kernel))
        assert (found.l2[4], found.l1[4]) == (0, 0)

    def test_mirrored_kernels_are_a_tie(self) -> None:
        """Kernels that are rearrangements of each other stand in the order of their index."""
        values = np.random.default_rng(5).normal(size=H * W)
        kernels = [np.random.default_rng(i).permutation(values) for i in range(40)]
        weights = np.stack(kernels, 1).reshape(H, W, 40, 1).astype(np.float32)
        assert upstream(weights, **NAMES).index[0].tolist() == list(range(40))

    def test_sign_is_zero_where_a_kernel_cancels(self) -> None:
        """A kernel whose weights sum to zero has no sign, however strong."""
        weights = np.float32([1, -1]).reshape(2, 1, 1, 1)
        found = upstream(weights, **NAMES)
        assert found.sign.tolist() == [[0]]
        assert found.strength[0, 0] == np.float32(math.sqrt(2))

    @pytest.mark.parametrize("scale", [1e-30, 1e18])
    def test_small_and_large_weights_keep_their_coverage(self, scale: float) -> None:
        """Squares beyond float32's range neither vanish nor overflow."""
        found = upstream(noise() * np.float32(scale), **NAMES, k=2)
        np.testing.assert_allclose(found.l2, upstream(noise(), **NAMES, k=2).l2, rtol=1e-5)
        assert (found.strength > 0).all()

    def test_order_of_memory_does_not_matter(self) -> None:
        """A transposed view gives the same answer as a plain copy."""
        view = np.asfortranarray(noise())
        np.testing.assert_array_equal(upstream(view, **NAMES).kernel, upstream(noise(), **NAMES).kernel)


class TestErrors:
    """Input that cannot be used."""

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("connect", [upstream, downstream])
    def test_names_the_neuron_that_is_not_finite(self, connect: Connect, value: float) -> None:
        """A weight that is not finite is an error that names its target neuron."""
        weights = noise()
        weights[1, 1, 2, 6] = value
        with pytest.raises(AtlasError, match=r"conv2:6: .*conv1 are not finite"):
            connect(weights, **NAMES)

    def test_infinities_that_cancel_are_found(self) -> None:
        """Plus and minus infinity in one kernel are no number either, and raise no warning."""
        weights = noise()
        weights[0, 0, 0, 3], weights[1, 0, 0, 3] = np.inf, -np.inf
        with pytest.raises(AtlasError, match="conv2:3"):
            upstream(weights, **NAMES)

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"k": 0}, "expected 1 or more"), ({"weights": noise()[0]}, r"\[height, width, source, target\]")],
    )
    def test_refuses_wrong_arguments(self, change: dict[str, Any], message: str) -> None:
        """A wrong number of axes or of connections is told with what was expected."""
        with pytest.raises(AtlasError, match=message):
            upstream(**({"weights": noise()} | NAMES | change))
