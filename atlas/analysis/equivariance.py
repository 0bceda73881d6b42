"""Equivariance: neurons of a layer that are each other's rotations and reflections, by their kernels.

A turned curve is built from turned lines: a neuron's kernel is turned in space *and* every source neuron
in it is replaced by its turned counterpart. Counterparts are computed layer by layer. No permutation is
fitted freely, because it would match by chance.

1. The colours of an image are the same after every turn: C of the image is the identity.
2. Turn the kernels: T[g, p, r, t] = sum over q, s of R[g, p, q] C[g, s, r] K[q, s, t], scaled to length one.
3. Compare: S[g, t, u] = sum over p, s of T[g, p, s, t] K[p, s, u], the cosine of turned t and u.
4. The layer's own C is max(S, 0) ** 6, with rows scaled to length one; the next layer is compared with it.
5. Agreement is S minus its mean over turns. Grow a group from each neuron: add the neuron and the turn that
   agree most with all members so far. Of groups that overlap, keep the best.

    g, turn         one of TURNS: counter-clockwise by an angle, after a left-right reflection where `flipped`
    K[p, s, t]      kernels of length one: position of a square window, source neuron, neuron
    R[g, p, q]      the turn of positions; exact for multiples of 90 degrees, else bilinear
    C[g, s, s]      correspondence of source neurons, rows of unit length;  S[g, t, t]  similarity

Source: Olah et al. describe equivariance, https://distill.pub/2020/circuits/equivariance/; the method that
finds it is this project's own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from atlas.core.records import Floats

Indices = NDArray[np.intp]

STEP = 45
TURNS = tuple((angle, flipped) for flipped in (False, True) for angle in range(0, 360, STEP))
# Chosen by eye on GoogLeNet's mixed3a and mixed3b: below, members no longer look like turned copies.
THRESHOLD = 0.35
# A single pair of a group may agree less than the group as a whole, down to this share of the threshold.
_WEAKEST = 0.6
# A group stops growing if the next member would agree less than this share of the members' agreement.
_KEEPS_UP = 0.65
# A turn's cosine must exceed that without a turn by this much; otherwise the neurons are merely similar.
_BEYOND_ALIKE = 0.1
# Sharpens similarities into a correspondence: with 6, one of cosine 0.5 counts a tenth of one of 0.73.
_SHARPNESS = 6
# Quantile of chance: of kernels with shuffled entries, one pair in a thousand may reach the threshold.
_CHANCE = 0.999
_NULL_TURNS = (1, 2, 4, 10)
_TINY = 1e-12
# Neurons whose agreement with all others is there at once.
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Neurons whose kernels turn into each other."""

    neurons: tuple[int, ...]
    """n neurons of the layer, the one that the group grew from first."""
    turns: tuple[int, ...]
    """Index in TURNS of the turn that takes the first neuron's kernel to each neuron's."""
    score: float
    """Mean agreement of all pairs times 1 - 1/n², 0 to 1."""
    agreement: tuple[float, ...]
    """Each neuron's mean agreement with the others, 0 to 1."""


def image_correspondence(n_channels: int) -> Floats:
    """Return the correspondence of an image's channels, the identity for every turn."""
    return np.repeat(np.eye(n_channels, dtype=np.float32)[None], len(TURNS), 0)


def correspondence(similarity: Floats) -> Floats:
    """Return the correspondence of a layer's neurons from their `similarity` [turn, neuron, neuron]."""
    result = np.empty_like(similarity)
    for turn, cosines in enumerate(similarity):
        sharp = np.maximum(cosines, 0) ** _SHARPNESS
        norm = np.sqrt(np.square(sharp).sum(1, keepdims=True))
        np.divide(sharp, np.maximum(norm, _TINY), out=result[turn])
    return result


def similarity(weights: Floats, sources: Floats) -> tuple[Floats, float]:
    """Return the cosines of turned kernels and kernels, [turn, neuron, neuron], and the cosine of chance.

    weights float32 [h, w, source, neuron]; `sources` is the correspondence of the source neurons. An entry
    [g, t, u] is the cosine between kernel t turned by g and kernel u. Chance is estimated from these kernels
    with the entries of one of the two shuffled. Besides the result it holds no more than the kernels three
    times.
    """
    kernels = _unit(_square(weights))
    flat = kernels.reshape(-1, kernels.shape[2])
    shuffled = np.random.default_rng(0).permutation(len(flat))
    cosines, chance = np.empty((len(TURNS), *2 * flat.shape[1:]), np.float32), 0.0
    for turn in range(len(TURNS)):
        turned = turned_kernels(kernels, turn, sources[turn]).reshape(flat.shape)
        np.matmul(turned.T, flat, out=cosines[turn])
        if turn in _NULL_TURNS:
            turned = turned[shuffled]
            chance = max(chance, float(np.quantile(turned.T @ flat, _CHANCE)))
    return cosines, chance


def turned_kernels(kernels: Floats, turn: int, sources: Floats) -> Floats:
    """Return kernels [position, source, neuron] of a square window turned, each of unit length."""
    side = round(len(kernels) ** 0.5)
    turned = np.tensordot(_operator(side, turn), kernels, (1, 0))
    for position in turned:
        position[:] = sources.T @ position
    turned /= np.maximum(np.sqrt(_squares(turned, np.float32)), _TINY)
    return turned


def groups(similar: Floats, *, chance: float = 0.0, most: int = 20) -> tuple[Group, ...]:
    """Return the groups of neurons that turn into each other, best first, at most `most`.

    `similar` and `chance` come from `similarity`. Agreement is the cosine minus its mean over all turns, so
    a kernel that looks the same from every side agrees with none. A group grows from each neuron: it adds the
    neuron and the turn that agree most with all members so far, up to one member per turn. Of groups that
    share at least half of the smaller one's members, the best is kept.
    """
    threshold = max(THRESHOLD, chance)
    partners = _partners(similar, threshold)
    grown = [_grown(similar, seed, found, threshold) for seed, found in partners if found.size]
    best: list[Group] = []
    for group in sorted((g for g in grown if len(g.neurons) > 1), key=lambda g: (-g.score, g.neurons)):
        if len(best) < most and not any(_overlap(group, other) for other in best):
            best.append(group)
    return tuple(best)


def matched_sources(
    weights: Floats, neurons: tuple[int, ...], turns: tuple[int, ...], sources: Floats, *, n: int
) -> Indices:
    """Return the source neurons with the same role in each member, [member, n].

    Row 0 holds the strongest source neurons of the first member. The other rows hold their counterparts, one
    to one: the assignment with the largest sum of products of turned kernel and kernel, weighted by the
    correspondence.
    """
    kernels = _square(weights)
    first = kernels[..., neurons[0]]
    strongest = np.argsort(-np.square(first).sum(0), kind="stable")[:n]
    rows = [strongest]
    for neuron, turn in zip(neurons[1:], turns[1:], strict=True):
        turned = _operator(round(len(kernels) ** 0.5), turn) @ first[:, strongest]
        gain = sources[turn][strongest] * (turned.T @ kernels[..., neuron])
        rows.append(linear_sum_assignment(gain, maximize=True)[1])
    return np.stack(rows)


def _partners(similar: Floats, threshold: float) -> Iterator[tuple[int, Indices]]:
    """Yield each neuron with the turns and neurons that agree enough to be in its group, [2, partner]."""
    for start in range(0, similar.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        agreement = _agreement(similar[:, block], similar[_inverses(), :, block].swapaxes(1, 2))
        for seed, rows in enumerate(agreement.swapaxes(0, 1), start):
            yield seed, np.stack(np.nonzero(rows >= threshold * _WEAKEST))


def _agreement(there: Floats, back: Floats) -> Floats:
    """Return cosines minus their mean over turns, in both directions; -1 where a turn adds too little.

    `there` are cosines [turn, …], `back` those of the inverse turns from the other neuron to the one.
    """
    both = (there + back) / 2
    # Summed turn by turn, however many neurons there are: other sums would round otherwise.
    excess = both - functools.reduce(np.add, both) / np.float32(len(both))
    return np.where(both > both[0] + _BEYOND_ALIKE, excess, -1).astype(np.float32)


def _grown(similar: Floats, seed: int, partners: Indices, threshold: float) -> Group:
    """Return the group that grows from one neuron, of its `partners` from `_partners`."""
    neurons, turns, total = [seed], [0], 0.0
    added = lowest = _layer(similar, seed, 0, partners)
    taken = (partners[0] == 0) | (partners[1] == seed)
    while len(neurons) < len(TURNS):
        open_to = added / np.float32(len(neurons))
        open_to[taken | (lowest < threshold * _WEAKEST)] = -1
        best = int(np.argmax(open_to)) if open_to.size else -1
        n_pairs = len(neurons) * (len(neurons) - 1) / 2
        if best < 0 or open_to[best] < max(threshold, _KEEPS_UP * total / max(n_pairs, 1)):
            break
        total += float(open_to[best]) * len(neurons)
        turns.append(int(partners[0, best]))
        neurons.append(int(partners[1, best]))
        layer = _layer(similar, neurons[-1], turns[-1], partners)
        added, lowest = added + layer, np.minimum(lowest, layer)
        taken |= (partners[0] == turns[-1]) | (partners[1] == neurons[-1])
    return _group(similar, neurons, turns)


def _layer(similar: Floats, neuron: int, turn: int, others: Indices) -> Floats:
    """Return the agreement of a member, which `turn` leads to, with other turns and neurons [2, n]."""
    turns, neurons = others
    agreement = _agreement(similar[:, neuron, neurons], similar[_inverses()[:, None], neurons, neuron])
    return np.asarray(agreement[_relations()[turn, turns], np.arange(len(neurons))], np.float32)


def _group(similar: Floats, neurons: list[int], turns: list[int]) -> Group:
    n = len(neurons)
    members = np.array([turns, neurons])
    pairs = np.stack([_layer(similar, *member, members) for member in zip(neurons, turns, strict=True)])
    np.fill_diagonal(pairs, 0)
    each = np.clip(pairs.sum(1) / max(n - 1, 1), 0, 1)
    score = float(each.mean()) * (1 - 1 / n**2)
    return Group(
        tuple(neurons), tuple(turns), round(score, 6), tuple(round(float(value), 6) for value in each)
    )


def _overlap(one: Group, other: Group) -> bool:
    shared = len(set(one.neurons) & set(other.neurons))
    return 2 * shared >= min(len(one.neurons), len(other.neurons))


def _square(weights: Floats) -> Floats:
    """Return weights as [position, source, neuron] of the smallest square window around the centre."""
    h, w = weights.shape[:2]
    side = max(h, w)
    pads = [((side - n) // 2, side - n - (side - n) // 2) for n in (h, w)]
    padded = weights if h == w else np.pad(weights, [*pads, (0, 0), (0, 0)])
    return np.asarray(padded.reshape(side * side, *weights.shape[2:]), np.float32)


def _unit(kernels: Floats) -> Floats:
    norm = np.maximum(np.sqrt(_squares(kernels, np.float64)), _TINY)
    unit = np.empty_like(kernels)
    for position, scaled in zip(kernels, unit, strict=True):
        scaled[:] = position / norm
    return unit


def _squares(kernels: Floats, dtype: type) -> NDArray[np.floating]:
    """Return each neuron's sum of squares, [neuron]: as of all at once, but one position at a time."""
    total: NDArray[np.floating] = np.zeros(kernels.shape[2], dtype)
    for position in kernels:
        total = np.concatenate([total[None], np.square(position, dtype=dtype)]).sum(0)
    return total


def _matrix(turn: int) -> NDArray[np.float64]:
    """Return the matrix that takes a place (y, x) of the turned kernel to its place before the turn."""
    angle, flipped = TURNS[turn]
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    back = np.array([[cosine, sine], [-sine, cosine]])
    return np.diag([1.0, -1.0]) @ back if flipped else back


@functools.cache
def _operator(side: int, turn: int) -> Floats:
    """Return the linear map that turns a square window, float32 [position, position], bilinearly."""
    centre = (side - 1) / 2
    places = np.argwhere(np.ones((side, side))) - centre
    origins = places @ _matrix(turn).T + centre
    corners = np.floor(origins + 1e-9)
    shares = np.clip(origins - corners, 0, 1)
    operator = np.zeros((side * side, side * side))
    for dy, dx in np.ndindex(2, 2):
        y, x = corners.astype(int).T + np.array([[dy], [dx]])
        share = np.abs(1 - dy - shares[:, 0]) * np.abs(1 - dx - shares[:, 1])
        inside = (y >= 0) & (y < side) & (x >= 0) & (x < side) & (share > 1e-6)
        np.add.at(operator, (np.flatnonzero(inside), (y * side + x)[inside]), share[inside])
    return operator.astype(np.float32)


def _nearest(matrix: NDArray[np.floating]) -> int:
    return int(np.argmin([np.abs(matrix - _matrix(turn)).sum() for turn in range(len(TURNS))]))


@functools.cache
def _inverses() -> Indices:
    return np.array([_nearest(np.linalg.inv(_matrix(turn))) for turn in range(len(TURNS))])


@functools.cache
def _relations() -> Indices:
    """Return [m, g]: the turn that takes the result of turn m to the result of turn g."""
    inverses = [np.linalg.inv(_matrix(turn)) for turn in range(len(TURNS))]
    every = range(len(TURNS))
    return np.array([[_nearest(inverses[m] @ _matrix(g)) for g in every] for m in every])
