"""Turned and reflected neurons are found, with their turns; others are not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.analysis import equivariance
from atlas.analysis.equivariance import (
    TURNS,
    Group,
    groups,
    image_correspondence,
    matched_sources,
    similarity,
)
from atlas.core.records import Floats

# Exact on the grid, by NumPy's own rot90 and fliplr.
EXACT = [(angle, flipped) for flipped in (False, True) for angle in (0, 90, 180, 270)]
RNG = np.random.default_rng


def turned(kernel: Floats, angle: int, flipped: bool) -> Floats:
    """Return a kernel [h, w, …] reflected left to right, then turned counter-clockwise."""
    return np.rot90(kernel[:, ::-1] if flipped else kernel, angle // 90)


def first_layer(n_kinds: int = 3, seed: int = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Return weights [5, 5, 3, 8 * n_kinds], every kind in all exact turns, and where kind and turn stand."""
    rng = RNG(seed)
    kinds = rng.normal(size=(n_kinds, 5, 5, 3))
    stacked = np.stack([turned(kind, *turn) for kind in kinds for turn in EXACT], -1)
    order = rng.permutation(stacked.shape[-1])
    return stacked[..., order].astype(np.float32), np.argsort(order).reshape(n_kinds, len(EXACT))


def after(angle: int, flipped: bool, turn: tuple[int, bool]) -> tuple[int, bool]:
    """Return the turn that does `turn` first, then the other: a reflection reverses what came before."""
    return ((angle - turn[0]) % 360 if flipped else (angle + turn[0]) % 360), flipped != turn[1]


def planted(
    noise: float = 0.0, seed: int = 1
) -> tuple[Floats, Floats, list[tuple[int, bool]], NDArray[np.intp]]:
    """Return both layers' weights, the planted neurons' turns and their places among neurons of noise.

    A planted neuron of the second layer is one kernel turned in space, every source neuron replaced by the
    one that is its own turned copy.
    """
    rng = RNG(seed)
    below, place = first_layer()
    kernel = rng.normal(size=(3, 3, *place.shape))
    n_source = below.shape[-1]
    members = [(0, False), (90, False), (180, True), (270, True)]
    weights = rng.normal(size=(3, 3, n_source, 11))
    spots = rng.permutation(11)[: len(members)]
    for spot, turn in zip(spots, members, strict=True):
        moved = np.zeros((3, 3, n_source))
        for at, old in enumerate(EXACT):
            new = EXACT.index(after(*turn, old))
            moved[:, :, place[:, new]] = turned(kernel[:, :, :, at], *turn)
        weights[..., spot] = moved + noise * rng.normal(size=moved.shape)
    return below, weights.astype(np.float32), members, spots


def found(below: Floats, weights: Floats) -> tuple[Group, ...]:
    """Return the groups of the second layer."""
    similar, _ = similarity(below, image_correspondence(3))
    similar, chance = similarity(weights, equivariance.correspondence(similar))
    return groups(similar, chance=chance)


class TestTurns:
    @pytest.mark.parametrize(("angle", "flipped"), EXACT)
    def test_right_angles_are_exact(self, angle: int, flipped: bool) -> None:
        """Multiples of 90 degrees and reflections move whole weights, as rot90 and fliplr do."""
        kernel = RNG(0).normal(size=(4, 4, 3, 2)).astype(np.float32)
        unit = kernel / np.sqrt(np.square(kernel).sum((0, 1, 2)))
        turn = TURNS.index((angle, flipped))
        result = equivariance.turned_kernels(unit.reshape(16, 3, 2), turn, image_correspondence(3)[turn])
        np.testing.assert_allclose(result.reshape(unit.shape), turned(unit, angle, flipped), atol=1e-6)

    def test_half_right_angles_turn_counter_clockwise(self) -> None:
        """A weight right of the centre comes to stand above and right of it."""
        kernel = np.zeros((5, 5, 1, 1), np.float32)
        kernel[2, 4] = 1
        result = equivariance.turned_kernels(kernel.reshape(25, 1, 1), 1, np.eye(1, dtype=np.float32))
        y, x = np.unravel_index(np.argmax(result), (5, 5))
        assert (y, x) in {(0, 3), (1, 3), (1, 4)}
        assert result.reshape(5, 5)[3:].sum() == 0


class TestGroups:
    def test_planted_copies_are_found_with_their_turns(self) -> None:
        """Turned and reflected copies with turned sources are one group, each with its angle and side."""
        below, weights, members, spots = planted(noise=0.4)
        best = found(below, weights)[0]
        assert set(best.neurons) == set(spots.tolist())
        base = members[spots.tolist().index(best.neurons[0])]
        told = [after(*TURNS[turn], base) for turn in best.turns]
        assert told == [members[spots.tolist().index(neuron)] for neuron in best.neurons]
        assert 0.5 < best.score <= 1
        assert best.score == pytest.approx(np.mean(best.agreement) * 15 / 16, abs=1e-5)

    def test_neurons_of_noise_are_no_group(self) -> None:
        """Nothing but the planted copies is proposed."""
        assert len(found(*planted(noise=0.2)[:2])) == 1

    def test_shuffled_copies_are_not_found(self) -> None:
        """The same kernels with their positions and sources shuffled are no group."""
        below, weights, _, spots = planted()
        rng = RNG(5)
        for spot in spots:
            weights[..., spot] = rng.permutation(weights[..., spot].ravel()).reshape(weights.shape[:3])
        assert found(below, weights) == ()

    def test_copies_of_unturned_sources_are_not_found(self) -> None:
        """Kernels that turn in space while their source neurons stay are no turned neurons."""
        below, weights, _, spots = planted()
        for spot, turn in zip(spots[1:], EXACT[1:], strict=False):
            weights[..., spot] = turned(weights[..., spots[0]], *turn)
        assert found(below, weights) == ()

    def test_what_looks_alike_from_every_side_is_no_group(self) -> None:
        """Two blobs match under every turn, which says nothing."""
        y, x = np.mgrid[-2:3, -2:3]
        blob = np.exp(-(y**2 + x**2) / 2)[:, :, None, None] * np.ones((1, 1, 3, 4))
        similar, chance = similarity(blob.astype(np.float32), image_correspondence(3))
        assert groups(similar, chance=chance) == ()

    def test_dead_neurons_are_left_out(self) -> None:
        """A neuron of zeros matches nothing and breaks nothing."""
        weights = first_layer()[0]
        weights[..., 3] = 0
        similar, _ = similarity(weights, image_correspondence(3))
        assert np.isfinite(similar).all()
        assert all(3 not in group.neurons for group in groups(similar))

    def test_is_deterministic(self) -> None:
        """The same weights give the same groups, and fewer are the first of more."""
        below, _ = first_layer()
        similar, chance = similarity(below, image_correspondence(3))
        all_of_them = groups(similar, chance=chance)
        assert all_of_them == groups(*similarity(below, image_correspondence(3))[:1], chance=chance)
        assert len(all_of_them) == 3
        assert groups(similar, chance=chance, most=2) == all_of_them[:2]


def simple_groups(similar: Floats, *, chance: float = 0.0, most: int = 20) -> list[Group]:
    """Return what groups() returns, by the definition: the agreement of all with all, for every seed."""
    both = (similar + np.stack([similar[i].T for i in equivariance._inverses()])) / 2
    agreement = np.where(both > both[0] + 0.1, both - both.mean(0), -1).astype(np.float32)
    threshold, relations = max(0.35, chance), equivariance._relations()
    grown = []
    for seed in range(similar.shape[1]):
        neurons, turns, layers, total = [seed], [0], [agreement[relations[0], seed]], 0.0
        while len(neurons) < len(TURNS):
            open_to = np.mean(layers, axis=0)
            open_to[np.min(layers, axis=0) < threshold * 0.6] = -1
            open_to[:, neurons] = -1
            open_to[turns] = -1
            turn, neuron = divmod(int(np.argmax(open_to)), open_to.shape[1])
            n_pairs = len(neurons) * (len(neurons) - 1) / 2
            if open_to[turn, neuron] < max(threshold, 0.65 * total / max(n_pairs, 1)):
                break
            total += float(open_to[turn, neuron]) * len(neurons)
            neurons.append(neuron)
            turns.append(turn)
            layers.append(agreement[relations[turn], neuron])
        n = len(neurons)
        pairs = np.stack([layer[turns, neurons] for layer in layers])
        np.fill_diagonal(pairs, 0)
        each = np.clip(pairs.sum(1) / max(n - 1, 1), 0, 1)
        score = round(float(each.mean()) * (1 - 1 / n**2), 6)
        grown.append(Group(tuple(neurons), tuple(turns), score, tuple(round(float(x), 6) for x in each)))
    best: list[Group] = []
    for group in sorted((g for g in grown if len(g.neurons) > 1), key=lambda g: (-g.score, g.neurons)):
        shared = [len(set(group.neurons) & set(b.neurons)) for b in best]
        sizes = [min(len(group.neurons), len(b.neurons)) for b in best]
        if len(best) < most and not any(2 * n >= size for n, size in zip(shared, sizes, strict=True)):
            best.append(group)
    return best


class TestAgainstTheDefinition:
    """groups() looks at partners only, some neurons at a time: the result is that of looking at all."""

    @pytest.mark.parametrize("n", [2, 9, 65, 150])
    @pytest.mark.parametrize("low", [-1.0, -0.3, 0.2])
    def test_similarities_of_noise(self, n: int, low: float) -> None:
        """Whether few neurons agree or most of them do, also when the last are not a whole block."""
        similar = RNG(n).uniform(low, 1, (len(TURNS), n, n)).astype(np.float32)
        for chance in (0.0, 0.45):
            assert list(groups(similar, chance=chance)) == simple_groups(similar, chance=chance)

    @pytest.mark.parametrize("noise", [0.0, 0.4, 0.8])
    def test_turned_kernels(self, noise: float) -> None:
        """Kernels in all turns, more or less hidden, and kernels of noise among them."""
        weights, _ = first_layer(n_kinds=9)
        weights = np.concatenate([weights, RNG(1).normal(size=(5, 5, 3, 30)).astype(np.float32)], 3)
        weights += noise * RNG(2).normal(size=weights.shape).astype(np.float32)
        similar, chance = similarity(weights, image_correspondence(3))
        found = groups(similar, chance=chance)
        assert list(found) == simple_groups(similar, chance=chance)
        assert found

    def test_similarity_and_correspondence(self) -> None:
        """Turned kernels against kernels, both of length one; rows of the correspondence have length one."""
        below, weights, _, _ = planted(noise=0.4)
        sources = equivariance.correspondence(similarity(below, image_correspondence(3))[0])
        found = similarity(weights, sources)[0]
        unit = weights.reshape(9, *weights.shape[2:]) / np.sqrt(np.square(weights).sum((0, 1, 2)))
        for turn in range(len(TURNS)):
            moved = np.einsum("pq,qst,sr->prt", equivariance._operator(3, turn), unit, sources[turn])
            moved /= np.sqrt(np.square(moved).sum((0, 1)))
            np.testing.assert_allclose(found[turn], np.einsum("pst,psu->tu", moved, unit), atol=1e-5)
        sharp = np.maximum(found, 0) ** 6
        expected = sharp / np.sqrt(np.square(sharp).sum(2, keepdims=True))
        np.testing.assert_allclose(equivariance.correspondence(found), expected, atol=1e-6)


class TestMatchedSources:
    def test_each_source_gives_way_to_its_turned_copy(self) -> None:
        """The permutation is the planted one."""
        below, weights, members, spots = planted()
        _, place = first_layer()
        similar, _ = similarity(below, image_correspondence(3))
        sources = equivariance.correspondence(similar)
        turns = tuple(TURNS.index(turn) for turn in members)
        matched = matched_sources(weights, tuple(spots.tolist()), turns, sources, n=5)
        for turn, row in zip(members, matched, strict=True):
            for first, here in zip(matched[0], row, strict=True):
                kind, at = np.argwhere(place == first)[0]
                assert here == place[kind, EXACT.index(after(*turn, EXACT[at]))]
