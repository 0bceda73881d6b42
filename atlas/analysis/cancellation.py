"""Cancellation: expanded weights as the difference of positive and negative contributions.

Many paths lead from one neuron to another; each passes a position and a neuron of every layer between them.
The weight of a path is the product of the weights along it, and paths of opposite sign cancel.

1. Take the linear twin between the two layers, as expanded weights do.
2. Compose it as it is, a few targets at a time: W, the net weights, positive - negative.
3. Compose it with every constant replaced by its absolute value, and minus by plus: A = positive + negative.
4. P = (A + W) / 2 and N = (A - W) / 2; both are >= 0.
5. ratio = 1 - sum |W| / sum A, summed over positions, of each pair of neurons and of each target.

    W, A, P, N [h, w, source, target]   float32
    ratio [source, target], total_ratio [target]   the share that cancels, 0 to 1; 0 where A is zero

The split is exact, at the price of one more expansion. Source: Voss et al., on what expanded weights hide,
https://distill.pub/2020/circuits/visualizing-weights/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.weights import Width, fit, input_scale, linear_twin, outline
from atlas.core.notebook_registry import Displayed
from atlas.core.records import Floats, Ints
from atlas.model.linear.composition import Composition
from atlas.model.network import Network

Doubles = NDArray[np.float64]

# Bytes of one window array while composing. Two hops of GoogLeNet hold some twenty such arrays at a time.
FLOW_BYTES = 48 << 20


@dataclass(frozen=True, slots=True)
class Cancellation(Displayed):
    """The expanded weights of a pair of layers, split by the sign of the paths."""

    source: str
    """Name of the layer or tensor nearer the image, or "input"."""
    target: str
    """Name of the layer or tensor farther from the image."""
    net: Floats
    """float32 [height, width, source, target], positive - negative."""
    positive: Floats
    """Like net, >= 0: the sum of all positive paths."""
    negative: Floats
    """Like net, >= 0: minus the sum of all negative paths."""
    ratio: Floats
    """float32 [source, target], 1 - sum |net| / sum (positive + negative); 0 where both are zero."""
    total_ratio: Floats
    """float32 [target], the ratio over all source neurons."""
    cropped: float
    """Share of the net's L1 norm outside the window, 0 to 1."""
    notes: tuple[str, ...]
    """Sentences on gates taken at an operating point."""


@dataclass(frozen=True, slots=True)
class Flow:
    """The weights of some targets, with the positive and negative contributions."""

    net: Floats
    """float32 [height, width, source, target], positive - negative."""
    absolute: Floats
    """Like net, positive + negative."""
    cut: tuple[float, float]
    """The part of the net's L1 norm that the window crops, and the norm before cropping."""

    @property
    def positive(self) -> Floats:
        """The sum of the positive paths, >= 0."""
        return np.asarray((self.absolute + self.net) / 2, np.float32)


def cancellation(network: Network, source: str, target: str, width: Width = None) -> Cancellation:
    """Return the expanded weights of a pair, split into positive and negative paths.

    `source`, `target` and `width` are those of `expanded_weights`, and so are the errors.
    """
    parts = list(flows(network, source, target, width=width))
    net, absolute = (np.concatenate([getattr(p, name) for p in parts], -1) for name in ("net", "absolute"))
    ratio, total_ratio = ratios(net, absolute)
    return Cancellation(
        source=source,
        target=target,
        net=net,
        positive=(absolute + net) / 2,
        negative=(absolute - net) / 2,
        ratio=ratio,
        total_ratio=total_ratio,
        cropped=cropped_share([part.cut for part in parts]),
        notes=outline(network, source, target)[1],
    )


def flows(network: Network, source: str, target: str, *, width: Width = None) -> Iterator[Flow]:
    """Yield the weights of a pair a few targets at a time, in order, so that the whole is never in memory."""
    twin = linear_twin(network, source, target, whole=False)
    scale = input_scale(network, twin.source)
    signed = Composition(twin, network.layouts).chunks(FLOW_BYTES)
    unsigned = Composition(twin, network.layouts, absolute=True).chunks(FLOW_BYTES)
    for net, absolute in zip(signed, unsigned, strict=True):
        yield _flow(net * scale, absolute * abs(scale), width)


def ratios(net: Floats, absolute: Floats) -> tuple[Floats, Floats]:
    """Return the share that cancels of each pair of neurons [source, target], and of each target [target]."""
    left = np.abs(net).sum((0, 1), dtype=np.float64)
    flowing = absolute.sum((0, 1), dtype=np.float64)
    return _cancelled(left, flowing), _cancelled(left.sum(0), flowing.sum(0))


def kernels(weights: Floats, index: Ints) -> Floats:
    """Return float32 [target, k, h, w]: the kernels from source neurons `index` [target, k]."""
    targets = np.arange(weights.shape[3])[:, None]
    return np.ascontiguousarray(weights[:, :, index, targets].transpose(2, 3, 0, 1))


def cropped_share(cuts: Iterable[tuple[float, float]]) -> float:
    """Return the share of the net's L1 norm that the window crops, from the `cut`s of all flows."""
    lost, l1_norm = np.sum(list(cuts), 0)
    return float(lost / l1_norm) if l1_norm else 0.0


def _flow(net: Floats, absolute: Floats, width: Width) -> Flow:
    # With a single path, both are the same sum in another order; rounding must not make N negative.
    np.maximum(absolute, np.abs(net), out=absolute)
    l1_norm = float(np.abs(net).sum(dtype=np.float64))
    inside, cropped = fit(net, width)
    return Flow(inside, fit(absolute, width)[0], (cropped * l1_norm, l1_norm))


def _cancelled(left: Doubles, flowing: Doubles) -> Floats:
    share: Doubles = np.divide(left, flowing, out=np.ones_like(flowing), where=flowing > 0)
    return np.asarray(1 - np.minimum(share, 1), np.float32)
