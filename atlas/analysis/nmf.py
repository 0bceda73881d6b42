"""One-sided non-negative matrix factorization: expanded weights -> a few maps and their source neurons.

1. Split the weights into their positive and their negative part, both >= 0. A neuron's are split along its
   source neurons, X = [max(K, 0), max(-K, 0)]; a family's along its members, one part below the other.
2. Leave out rows and columns of zeros. If one pattern is left, or no more rows or columns than factors, the
   exact answer is known without a search.
3. Else find X ~ A B with A, B >= 0: scikit-learn's coordinate descent from NNDSVD, the same on every run.
4. Join the halves: signed loadings L = B+ - B- of a neuron, signed maps M = A+ - A- of a family.
5. Scale every row of L to length one, and its map by the inverse factor; put the strongest factor first.

    K[h, w, source]           a neuron's weights      X[h * w, 2 * source]
    K[member, h, w, source]   a family's weights      X[2 * member * h * w, source]
    M[factor, h, w], L[factor, source]   K ~ sum over factors of M x L; maps of a neuron >= 0, L signed
    M[member, h, w, factor], L[factor, source]   of a family: maps signed, L >= 0, which all members share

`error` is the L2 norm of K minus the sum over factors, divided by that of K. Source: Voss et al.,
https://distill.pub/2020/circuits/visualizing-weights/, its notebook ("posneg"), and Lucid's ChannelReducer.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from atlas.core.errors import AtlasError
from atlas.core.records import Factor, FactorCount, Factorization, Floats
from atlas.drawing.images import block_sums, factor_colours

Doubles = NDArray[np.float64]

MAX_FACTORS = 6
# Measured on GoogLeNet's mixed3b and mixed4a: a finer tolerance changes the error's sixth digit, and
# 58 steps are the most that were needed; weights without any structure may need 600.
_TOLERANCE = 1e-4
_MAX_STEPS = 400
# A pooled branch holds the same pattern at every position, except for float32's rounding.
_ROUNDING = 1e-5
# A value below this share of the kernel's L2 norm is float64's rounding: a factor whose halves cancelled, or
# the error of an exact answer.
_NOTHING = 1e-9
# Significant digits of records: more than a page shows, few enough to be the same on all machines.
_DIGITS = 6

# Numbers of factors that the notebook compares; one factor has no hues to distinguish.
COMPARED = range(2, MAX_FACTORS + 1)
# Largest side of a tile, which is shown small and is part of every neuron's record.
_TILE_POSITIONS = 16

_NO_WEIGHT = "Every weight is zero: there is nothing to factorize."
_CANCELS = "The positive and negative halves of every factor cancel: no factor is left."


@dataclass(frozen=True, slots=True)
class Solution:
    """A factorization with the loadings of all source neurons, strongest factor first."""

    record: Factorization
    """The factors with their strongest loadings, rounded, and the error."""
    maps: Floats
    """float32 [factor, h, w], >= 0."""
    loadings: Floats
    """float32 [factor, source], signed, rows of length one."""


@dataclass(frozen=True, slots=True)
class FamilyFactors:
    """A family's factors, strongest first."""

    maps: Floats
    """float32 [member, h, w, factor], signed."""
    loadings: Floats
    """float32 [factor, source], >= 0, rows of length one."""
    strength: Floats
    """float32 [factor], L2 norms over all members' maps."""
    error: float
    """L2 norm of the weights minus the sum over factors, relative to that of the weights."""
    note: str
    """Sentence on why the answer is exact or empty, "" for NMF's."""


def factorize(
    kernel: Floats, *, source: str, n_factors: int = 3, n_loadings: int = 8, seed: int = 0
) -> Factorization:
    """Return the one-sided NMF of one neuron's weights, the strongest factor first.

    kernel float32 [h, w, source]; 1 to 6 factors, fewer where fewer are exact (a 1x1 branch has one
    position, a pooled branch one pattern: one factor), and a note then says so. A factor's sign is that
    of the half that holds more of its squared signed loadings, + for a tie; loadings keep their own
    signs, so a factor may mix both. Source neurons that load zero are left out of the `n_loadings`
    strongest; equal ones keep the order of their index. `error` is the L2 norm of kernel minus the
    sum of maps times signed loadings (all of them), over the kernel's. Numbers are rounded to six
    digits; the same arguments give the same bytes. Raises AtlasError.
    """
    return solve(kernel, source=source, n_factors=n_factors, n_loadings=n_loadings, seed=seed).record


def compared(kernel: Floats, *, source: str, seed: int = 0) -> tuple[FactorCount, ...]:
    """Return the errors and tiles of 2 to 6 factors of a neuron's weights; () if one factor is exact."""
    counts = []
    for n_factors in COMPARED:
        solution = solve(kernel, source=source, n_factors=n_factors, seed=seed)
        if len(solution.record.factors) < 2:
            return ()
        maps = block_sums(solution.maps.transpose(1, 2, 0), _TILE_POSITIONS)[0]
        tile = factor_colours(maps)
        counts.append(FactorCount(n_factors, solution.record.error, len(tile), tile.tobytes().hex()))
    return tuple(counts)


def solve(kernel: Floats, *, source: str, n_factors: int = 3, n_loadings: int = 8, seed: int = 0) -> Solution:
    """Return the record of `factorize` with unrounded maps, and loadings of all source neurons."""
    _check(kernel, source, n_factors, n_loadings)
    n_source = kernel.shape[2]
    flat = kernel.reshape(-1, n_source).astype(np.float64)
    peak = float(np.abs(flat).max(initial=0.0))
    if peak == 0:
        nothing = np.zeros((0, *kernel.shape[:2]), np.float32), np.zeros((0, n_source), np.float32)
        return Solution(Factorization(source, n_factors, 0.0, (), _NO_WEIGHT), *nothing)
    flat /= peak
    maps, halves, note = _posneg(flat, n_factors, seed)
    signed = halves[:, :n_source] - halves[:, n_source:]
    norm = np.linalg.norm(flat)
    strength = np.linalg.norm(maps, axis=0) * np.linalg.norm(signed, axis=1)
    order = [i for i in np.argsort(-strength, kind="stable") if strength[i] > _NOTHING * norm]
    error = float(np.linalg.norm(flat - maps @ signed) / norm)
    error = error if error > _NOTHING else 0.0
    size = np.linalg.norm(signed[order], axis=1, keepdims=True)
    images = (maps[:, order].T * size * peak).reshape(-1, *kernel.shape[:2])
    signed = signed[order] / size
    factors = tuple(_factor(*pair, n_loadings) for pair in zip(images, signed, strict=True))
    record = Factorization(source, n_factors, _rounded(error), factors, note if factors else _CANCELS)
    return Solution(record, images.astype(np.float32), signed.astype(np.float32))


def factorize_family(weights: Floats, *, what: str, n_factors: int = 2, seed: int = 0) -> FamilyFactors:
    """Return the one-sided NMF of a family's weights, float32 [member, h, w, source], strongest factor first.

    `what` names the family in errors. Maps are those of the positive half minus those of the negative one.
    Fewer factors where fewer are exact, and a note then says so. The same arguments give the same bytes.
    Raises AtlasError for more factors than 2 x members x positions or than source neurons.
    """
    n, h, w, n_source = weights.shape
    _check_family(weights, what, n_factors)
    peak = float(np.abs(weights).max(initial=0.0))
    if peak == 0:
        none = np.zeros((n, h, w, 0), np.float32)
        return FamilyFactors(none, np.zeros((0, n_source), np.float32), none[0, 0, 0], 0.0, _NO_WEIGHT)
    flat = weights.reshape(-1, n_source).astype(np.float64) / peak
    split = np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)])
    halves, loadings, note = _within(split, n_factors, seed)
    signed, size = halves[: len(flat)] - halves[len(flat) :], np.linalg.norm(loadings, axis=1)
    strength = np.linalg.norm(signed, axis=0) * size
    norm = np.linalg.norm(flat)
    order = [i for i in np.argsort(-strength, kind="stable") if strength[i] > _NOTHING * norm]
    maps = (signed * size * peak)[:, order].reshape(n, h, w, len(order))
    error = float(np.linalg.norm(flat - signed @ loadings) / norm)
    return FamilyFactors(
        maps.astype(np.float32),
        (loadings[order] / size[order, None]).astype(np.float32),
        (strength[order] * peak).astype(np.float32),
        _rounded(error if error > _NOTHING else 0.0),
        note if order else _CANCELS,
    )


def _posneg(flat: Doubles, n_factors: int, seed: int) -> tuple[Doubles, Doubles, str]:
    """Factorize flat [position, source] into maps [position, f] and halves [f, 2 * source], both >= 0."""
    return _within(np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)], axis=1), n_factors, seed)


def _within(split: Doubles, n_factors: int, seed: int) -> tuple[Doubles, Doubles, str]:
    """Factorize [row, column] >= 0 into [row, f] and [f, column], without the rows and columns of zeros."""
    rows, columns = np.flatnonzero(split.any(1)), np.flatnonzero(split.any(0))
    left, right, note = _plain(split[np.ix_(rows, columns)], n_factors, seed)
    maps, halves = np.zeros((len(split), left.shape[1])), np.zeros((left.shape[1], split.shape[1]))
    maps[rows], halves[:, columns] = left, right
    return maps, halves, note


def _plain(core: Doubles, n_factors: int, seed: int) -> tuple[Doubles, Doubles, str]:
    """Return the exact answer and a note if it is known without a search, else NMF's."""
    n_rows, n_columns = core.shape
    row = core[np.argmax(np.linalg.norm(core, axis=1))]
    scale = core @ row / (row @ row)
    alone = np.linalg.norm(core - np.outer(scale, row)) <= _ROUNDING * np.linalg.norm(core)
    if n_rows == 1:
        return np.ones((1, 1)), core, "Only one position holds weights: a single factor is exact."
    if alone:
        return scale[:, None], row[None], "All positions hold the same pattern: a single factor is exact."
    if n_rows <= n_factors:
        return np.eye(n_rows), core, f"Only {n_rows} positions hold weights: each is a factor of its own."
    if n_columns <= n_factors:
        note = f"Only {n_columns} halves of source neurons hold weights: each is a factor of its own."
        return core, np.eye(n_columns), note
    return *_solve(core, n_factors, seed), ""


def _solve(core: Doubles, n_factors: int, seed: int) -> tuple[Doubles, Doubles]:
    with warnings.catch_warnings(), _threads().limit(limits=1):
        # Pages show the error of the factors, so nothing else needs to be said about convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        left, right, _ = non_negative_factorization(
            core,
            n_components=n_factors,
            init="nndsvda",
            solver="cd",
            tol=_TOLERANCE,
            max_iter=_MAX_STEPS,
            random_state=seed,
        )
    return left, right


@functools.cache
def _threads() -> ThreadpoolController:
    # One thread, because the matrices are small and the order of sums must stay the same.
    return ThreadpoolController()


def _factor(image: Doubles, signed: Doubles, n_loadings: int) -> Factor:
    """Return the factor of a map, whose L2 norm is the strength, and loadings of length one."""
    best = np.argsort(-np.abs(signed), kind="stable")[:n_loadings]
    best = best[signed[best] != 0]
    positive = np.sum(np.maximum(signed, 0) ** 2) >= np.sum(np.minimum(signed, 0) ** 2)
    return Factor(
        sign=1 if positive else -1,
        strength=_rounded(np.linalg.norm(image)),
        map=tuple(tuple(_rounded(x) for x in row) for row in image),
        source_neurons=tuple(int(i) for i in best),
        loadings=tuple(_rounded(x) for x in signed[best]),
    )


def _rounded(number: float | np.floating) -> float:
    return float(f"{number:.{_DIGITS}g}")


def _check(kernel: Floats, source: str, n_factors: int, n_loadings: int) -> None:
    if kernel.ndim != 3:
        raise AtlasError(
            f"weights from {source}: wrong axes", found=kernel.shape, expected="[height, width, source]"
        )
    if not 1 <= n_factors <= MAX_FACTORS:
        raise AtlasError("wrong number of factors", found=n_factors, expected=f"1 to {MAX_FACTORS}")
    if n_loadings < 1:
        raise AtlasError("wrong number of loadings", found=n_loadings, expected="1 or more")
    bad = np.argwhere(~np.isfinite(kernel))
    if bad.size:
        h, w, i = bad[0]
        raise AtlasError(
            f"weights from {source}: not finite at position ({h}, {w}), source neuron {i}",
            found=kernel[h, w, i],
            expected="a number",
            remedy="check the model's weights",
        )


def _check_family(weights: Floats, what: str, n_factors: int) -> None:
    n, h, w, n_source = weights.shape
    most = min(MAX_FACTORS, 2 * n * h * w, n_source)
    if not 1 <= n_factors <= most:
        raise AtlasError(
            f"{what}: wrong number of factors",
            found=n_factors,
            expected=f"1 to {most}, for {n} members of {h} x {w} positions and {n_source} source neurons",
            remedy=f"set n_factors = {most}",
        )
    bad = np.argwhere(~np.isfinite(weights))
    if bad.size:
        raise AtlasError(
            f"{what}: the weights of member {bad[0][0]} are not finite",
            found=weights[tuple(bad[0])],
            expected="numbers",
            remedy="check the model's weights",
        )
