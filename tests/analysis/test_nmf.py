"""One-sided NMF, against exact low-rank kernels and an independent reconstruction."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.analysis.nmf import compared, factorize, solve
from atlas.core.errors import AtlasError
from atlas.core.records import Factorization, Floats
from atlas.drawing.images import factor_colours

H, W, SOURCE = 5, 4, 7


def reconstruct(result: Factorization, n_source: int) -> NDArray[np.float64]:
    """Return the sum of maps times signed loadings, [h, w, source]; all loadings must be listed."""
    kernel: Any = 0.0
    for factor in result.factors:
        loadings = np.zeros(n_source)
        loadings[list(factor.source_neurons)] = factor.loadings
        kernel = kernel + np.multiply.outer(np.array(factor.map), loadings)
    return kernel


def two_regions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return maps [2, h, w], each alone somewhere, and signed loadings [2, source] without overlap."""
    rng = np.random.default_rng(0)
    maps = rng.uniform(0.2, 1, (2, H, W))
    maps[0, 3:], maps[1, :2] = 0, 0
    loadings = np.zeros((2, SOURCE))
    loadings[0, :4], loadings[1, 4:] = [3, -1, 2, -0.5], [-1, -2, 0.25]
    return maps, loadings


def low_rank() -> Floats:
    """Return the kernel of the two regions."""
    maps, loadings = two_regions()
    return np.einsum("fhw,fs->hws", maps, loadings).astype(np.float32)


def noise(seed: int = 0, n_source: int = SOURCE) -> Floats:
    """Return a kernel without structure."""
    return np.random.default_rng(seed).normal(size=(H, W, n_source)).astype(np.float32)


class TestLowRank:
    """A kernel that is exactly two factors."""

    def test_is_reconstructed(self) -> None:
        """Exact low-rank weights are reconstructed to a thousandth."""
        kernel = low_rank()
        result = factorize(kernel, source="a", n_factors=2)
        assert result.error < 1e-3
        assert np.linalg.norm(reconstruct(result, SOURCE) - kernel) / np.linalg.norm(kernel) < 1e-3

    def test_recovers_maps_loadings_and_signs(self) -> None:
        """Each factor is one of the true ones, up to order: its map, its loadings, its sign."""
        maps, loadings = two_regions()
        result = factorize(low_rank(), source="a", n_factors=2)
        for factor in result.factors:
            true = 0 if 0 in factor.source_neurons else 1
            size = np.linalg.norm(loadings[true])
            np.testing.assert_allclose(factor.map, maps[true] * size, atol=2e-2)
            found = dict(zip(factor.source_neurons, factor.loadings, strict=True))
            for i in np.flatnonzero(loadings[true]):
                assert found[i] == pytest.approx(loadings[true, i] / size, abs=1e-2)
            assert factor.sign == (1, -1)[true]

    def test_strongest_first(self) -> None:
        """Factors and loadings are in the order of their strength."""
        result = factorize(noise(), source="a", n_factors=4)
        strengths = [factor.strength for factor in result.factors]
        assert strengths == sorted(strengths, reverse=True)
        for factor in result.factors:
            sizes = [abs(x) for x in factor.loadings]
            assert sizes == sorted(sizes, reverse=True)


class TestNumbers:
    """What the numbers of a factorization mean."""

    @pytest.mark.parametrize("n_factors", [1, 2, 3, 6])
    def test_error_is_that_of_the_listed_factors(self, n_factors: int) -> None:
        """The relative L2 error is the one that maps times signed loadings leave."""
        kernel = noise()
        result = factorize(kernel, source="a", n_factors=n_factors, n_loadings=SOURCE)
        left = np.linalg.norm(reconstruct(result, SOURCE) - kernel) / np.linalg.norm(kernel)
        assert result.error == pytest.approx(left, abs=1e-4)
        assert len(result.factors) == result.n_factors == n_factors

    def test_more_factors_explain_more(self) -> None:
        """The error falls with the number of factors."""
        errors = [factorize(noise(), source="a", n_factors=n).error for n in range(1, 7)]
        assert errors == sorted(errors, reverse=True)
        assert 0 < errors[-1] < errors[0] < 1

    def test_maps_hold_the_strength_and_loadings_are_of_unit_length(self) -> None:
        """A map is non-negative, its L2 norm the strength; all loadings together have L2 norm one."""
        for factor in factorize(noise(), source="a", n_loadings=SOURCE).factors:
            assert np.min(factor.map) >= 0
            assert np.shape(factor.map) == (H, W)
            assert np.linalg.norm(factor.map) == pytest.approx(factor.strength, rel=1e-4)
            assert np.linalg.norm(factor.loadings) == pytest.approx(1, rel=1e-4)

    def test_shows_only_the_strongest_loadings(self) -> None:
        """No more than the wanted loadings are listed, and they are the largest of all."""
        few = factorize(noise(), source="a", n_loadings=3)
        full = factorize(noise(), source="a", n_loadings=99)
        for short, long in zip(few.factors, full.factors, strict=True):
            assert short.source_neurons == long.source_neurons[:3]
            assert short.loadings == long.loadings[:3]

    @pytest.mark.parametrize("scale", [1e-12, 1e12])
    def test_scale_moves_strengths_only(self, scale: float) -> None:
        """Weights in other units give the same loadings and error, and maps in these units."""
        plain = factorize(noise(), source="a")
        scaled = factorize(noise() * np.float32(scale), source="a")
        assert scaled.error == pytest.approx(plain.error, rel=1e-3)
        for a, b in zip(plain.factors, scaled.factors, strict=True):
            assert b.strength == pytest.approx(a.strength * scale, rel=1e-3)
            assert b.source_neurons == a.source_neurons

    def test_negated_weights_negate_loadings(self) -> None:
        """Of the negated kernel, maps stay and signs turn."""
        plain = factorize(low_rank(), source="a", n_factors=2)
        negated = factorize(-low_rank(), source="a", n_factors=2)
        assert [f.sign for f in negated.factors] == [-f.sign for f in plain.factors]
        for a, b in zip(plain.factors, negated.factors, strict=True):
            np.testing.assert_allclose(a.map, b.map, atol=1e-2)

    def test_same_arguments_give_the_same_numbers(self) -> None:
        """Two runs are equal to the last digit, for any seed."""
        for seed in (0, 7):
            assert factorize(noise(), source="a", seed=seed) == factorize(noise(), source="a", seed=seed)

    def test_numbers_have_six_digits(self) -> None:
        """Numbers are rounded to six digits, so that files stay small and machines agree."""
        for factor in factorize(noise(), source="a").factors:
            numbers = [factor.strength, *factor.loadings, *np.ravel(factor.map).tolist()]
            assert all(x == float(f"{x:.6g}") for x in numbers)


class TestPlainAnswers:
    """Kernels that need no factorization."""

    @pytest.mark.parametrize(
        ("n_factors", "at"), [(1, (0, 0, (1, 1))), (3, (0, 0, (1, 1))), (3, (2, 1, (5, 4)))]
    )
    def test_one_position_is_one_factor(self, n_factors: int, at: tuple[int, int, tuple[int, int]]) -> None:
        """A 1x1 branch, alone or inside a wider window, is one exact factor, and a note says so."""
        h, w, shape = at
        kernel = np.zeros((*shape, 3), np.float32)
        kernel[h, w] = [2, -5, 0]
        result = factorize(kernel, source="a", n_factors=n_factors)
        (factor,) = result.factors
        assert result.error == 0
        assert "one position" in result.note
        assert factor.sign == -1
        assert factor.source_neurons == (1, 0)
        np.testing.assert_allclose(reconstruct(result, 3), kernel, rtol=1e-5)

    def test_one_pattern_is_one_factor(self) -> None:
        """A pooled branch, the same pattern at every position, is one factor, exact, with a note."""
        pattern = np.random.default_rng(2).normal(size=SOURCE)
        kernel = np.multiply.outer(np.ones((3, 2)), pattern).astype(np.float32)
        result = factorize(kernel, source="a")
        (factor,) = result.factors
        assert result.error < 1e-6
        assert "same pattern" in result.note
        assert np.ptp(factor.map) < 1e-5 * np.max(factor.map)

    def test_fewer_positions_than_factors(self) -> None:
        """Each of two positions is a factor where six are asked for, and the answer is exact."""
        kernel = noise()[:2, :1]
        result = factorize(kernel, source="a", n_factors=6, n_loadings=SOURCE)
        assert (len(result.factors), result.n_factors, result.error) == (2, 6, 0)
        assert "2 positions" in result.note
        np.testing.assert_allclose(reconstruct(result, SOURCE), kernel, rtol=1e-4, atol=1e-5)

    def test_fewer_source_neurons_than_factors(self) -> None:
        """Two source neurons of both signs are four factors, and the answer is exact."""
        result = factorize(noise(n_source=2), source="a", n_factors=5)
        assert (len(result.factors), result.error) == (4, 0)
        np.testing.assert_allclose(reconstruct(result, 2), noise(n_source=2), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("shape", [(5, 4, 7), (1, 1, 3)])
    def test_zeros_have_no_factor(self, shape: tuple[int, int, int]) -> None:
        """An all-zero kernel has no factor, error 0, and a note."""
        result = factorize(np.zeros(shape, np.float32), source="a")
        assert (result.factors, result.error) == ((), 0.0)
        assert "zero" in result.note

    def test_a_draw_is_positive(self) -> None:
        """A factor whose halves weigh the same counts as positive."""
        (factor,) = factorize(np.float32([[[1, -1]]]), source="a").factors
        assert factor.sign == 1

    def test_no_warning_when_steps_run_out(self) -> None:
        """Weights without structure, for which the solver stops early, end without a warning."""
        kernel = np.random.default_rng(0).normal(size=(5, 5, 480)).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert factorize(kernel, source="a", n_factors=6).error < 1


class TestErrors:
    """Input that cannot be used."""

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_names_what_is_not_finite(self, value: float) -> None:
        """A weight that is not finite is an error that names its layer, position and neuron."""
        kernel = noise()
        kernel[3, 1, 6] = value
        with pytest.raises(AtlasError, match=rf"mixed3a.*\(3, 1\), source neuron 6: found {value}"):
            factorize(kernel, source="mixed3a")

    @pytest.mark.parametrize(
        "change",
        [{"n_factors": 0}, {"n_factors": 7}, {"n_loadings": 0}, {"kernel": noise()[0]}],
    )
    def test_refuses_wrong_arguments(self, change: dict[str, Any]) -> None:
        """A wrong number of axes, factors or loadings is told with what was expected."""
        with pytest.raises(AtlasError, match="expected"):
            factorize(**({"kernel": noise(), "source": "a"} | change))


class TestGoogLeNet:
    """Real weights."""

    def test_three_factors_hold_most_and_are_fast(self, shared: Path) -> None:
        """Of mixed3b's neurons, three factors leave less than two thirds, in well under 0.1 s each."""
        with np.load(shared / "reference" / "expanded_weights.npz") as arrays:
            weights = arrays["mixed3a__mixed3b"]
        factorize(weights[..., 1], source="mixed3a")
        started = time.process_time()
        results = [factorize(weights[..., i], source="mixed3a") for i in range(weights.shape[3])]
        assert (time.process_time() - started) / len(results) < 0.1
        assert all(result.error < 2 / 3 for result in results)


class TestCompared:
    """Other numbers of factors, and all loadings."""

    def test_more_factors_leave_out_less(self) -> None:
        """Each of 2 to 6 has the error of its own factorization, and a tile of its maps in their hues."""
        kernel = np.random.default_rng(4).normal(size=(H, W, SOURCE)).astype(np.float32)
        counts = compared(kernel, source="s")
        assert [count.n_factors for count in counts] == [2, 3, 4, 5, 6]
        errors = [count.error for count in counts]
        assert errors == sorted(errors, reverse=True)
        for count in counts:
            alone = factorize(kernel, source="s", n_factors=count.n_factors)
            assert count.error == alone.error
            maps = np.stack([factor.map for factor in alone.factors], -1).astype(np.float32)
            pixels = np.frombuffer(bytes.fromhex(count.tile), np.uint8).reshape(count.n_rows, -1, 3)
            assert pixels.shape == (H, W, 3)
            assert np.abs(pixels.astype(int) - factor_colours(maps)).max() <= 1

    def test_one_exact_factor_is_not_compared(self) -> None:
        """Where one factor is exact, or there are no weights, there is nothing to choose from."""
        flat = np.ones((H, W, 1), np.float32) * np.arange(SOURCE, dtype=np.float32)
        assert compared(flat, source="s") == ()
        assert compared(np.zeros_like(flat), source="s") == ()

    def test_a_large_window_has_a_small_tile(self) -> None:
        """A tile has 16 positions a side at most: it stands in every neuron's record."""
        kernel = np.random.default_rng(4).normal(size=(33, 20, 5)).astype(np.float32)
        assert {(c.n_rows, len(c.tile)) for c in compared(kernel, source="s")} == {(11, 11 * 10 * 6)}

    def test_all_loadings_begin_with_the_shown_ones(self) -> None:
        """A solution's loadings hold every source neuron's, of length one; the record's are among them."""
        kernel = np.random.default_rng(5).normal(size=(H, W, SOURCE)).astype(np.float32)
        found = solve(kernel, source="s", n_factors=2, n_loadings=3)
        assert found.record == factorize(kernel, source="s", n_factors=2, n_loadings=3)
        np.testing.assert_allclose(np.linalg.norm(found.loadings, axis=1), 1, rtol=1e-5)
        for factor, loadings, image in zip(found.record.factors, found.loadings, found.maps, strict=True):
            assert np.allclose(loadings[list(factor.source_neurons)], factor.loadings, rtol=1e-5)
            assert np.allclose(image, factor.map, rtol=1e-5)
