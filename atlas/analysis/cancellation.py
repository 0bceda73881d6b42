"""Cancellation: the positive and the negative contributions that net expanded weights are the difference of.

Between two neurons lead many paths: a position and a neuron of every layer between them. The weight of a path
is the product of the weights along it, and paths of opposite sign cancel.

1. Take the linear twin between the two layers, as expanded weights do.
2. Compose it as it is, a few targets at a time: W, the net weights, positive - negative.
3. Compose it with every constant replaced by its absolute value, and minus by plus: A = positive + negative.
4. P = (A + W) / 2 and N = (A - W) / 2; both are >= 0.
5. ratio = 1 - sum |W| / sum A, summed over positions, of each pair of neurons and of each target.

    W, A, P, N [h, w, source, target]   float32
    ratio [source, target], total_ratio [target]   the share that cancels, 0 to 1; 0 where nothing flows

So the split is exact, at the price of one more expansion. Source: Voss et al., on what expanded weights hide,
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

# Bytes of one window array on the way. Two hops of GoogLeNet hold some twenty such arrays at a time.
FLOW_BYTES = 48 << 20


@dataclass(frozen=True, slots=True)
class Cancellation(Displayed):
    """The expanded weights of a pair of layers, split by the sign of the paths.

    `net`, `positive` and `negative` are float32 [height, width, source, target]; net is positive -
    negative. `ratio` [source, target] and `total_ratio` [target] are the share of the contributions
    that cancels: 1 - sum |net| / sum (positive + negative), 0 where nothing flows. `cropped` is the share
    of the net's absolute mass outside the window; `notes` name gates taken at an operating point.
    """

    source: str
    target: str
    net: Floats
    positive: Floats
    negative: Floats
    ratio: Floats
    total_ratio: Floats
    cropped: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """Some targets' weights: net, and absolute (positive plus negative), [height, width, source, target].

    `cut` is what the window cuts off of the net's absolute mass, and that mass before it was cropped.
    """

    net: Floats
    absolute: Floats
    cut: tuple[float, float]

    @property
    def positive(self) -> Floats:
        """What positive paths add up to, >= 0."""
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
    """Yield the weights of a pair a few targets at a time, in their order, so that no whole is ever kept."""
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
    """Return the share of the net's absolute mass that the window cuts off, over the `cut`s of all flows."""
    lost, mass = np.sum(list(cuts), 0)
    return float(lost / mass) if mass else 0.0


def _flow(net: Floats, absolute: Floats, width: Width) -> Flow:
    # Where one path leads, both are the same sum in another order: rounding must not make it negative.
    np.maximum(absolute, np.abs(net), out=absolute)
    mass = float(np.abs(net).sum(dtype=np.float64))
    kept, cropped = fit(net, width)
    return Flow(kept, fit(absolute, width)[0], (cropped * mass, mass))


def _cancelled(left: Doubles, flowing: Doubles) -> Floats:
    share: Doubles = np.divide(left, flowing, out=np.ones_like(flowing), where=flowing > 0)
    return np.asarray(1 - np.minimum(share, 1), np.float32)
