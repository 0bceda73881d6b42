"""Expanded weights: the linear map from one layer to a later one, nonlinearities passed through.

1. Take the linear twin of the network between the two ends: a linear op replaces every nonlinearity.
2. For each tensor between them, find the window that the target's centre position reads (`Composition`).
3. Put one-hot weights on the target's centre, G[target, 1, 1, target], for as many targets as memory allows.
4. Pull G back op by op, each by its transpose on these windows; where paths meet, their weights add up.
5. Scale by the range of the image, crop or pad to the chosen width, and join the targets.

    W[h, w, source, target]    float32: how much one more unit of source neuron s at window position (i, j)
                               adds to target neuron t at the position that the window belongs to
    G[target, h, w, channel]   weights on a tensor between the two, its window h x w

A pair of layers is taken from the *carrier*, the last tensor that has the source's channels one to one, so
that pooling does not blur the weights. If an op on the path reads whole maps (global pooling, flattening,
attention), the window is the map, borders included.

captum (branch optim-wip) has the same weights in 74 lines: one gradient by autograd for each target channel.
Step 2 takes more lines, but makes the weights exact (no border of a map cuts off the window) and fast (all
targets at once). Source: Voss et al., https://distill.pub/2020/circuits/visualizing-weights/
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from atlas.core.errors import AtlasError, LayerError, LinearizeError, WeightsSizeError
from atlas.core.neuron import INPUT
from atlas.core.records import Floats
from atlas.model.carriers import carrier, upstream_layer
from atlas.model.graph.admission import NONSENSE
from atlas.model.graph.view import node_of, tensor_of
from atlas.model.linear.composition import Composition
from atlas.model.linear.linearize import LinearTwin, linearize
from atlas.model.network import Network

log = logging.getLogger(__name__)

Width = int | tuple[int, int] | None
# Largest size of one pair's weights. A build holds several copies at a time; the weights between neighbouring
# layers of GoogLeNet take 0.13 GiB at most.
MOST_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class ExpandedWeights:
    """A pair's expanded weights, with notes on how they were computed."""

    source: str
    """Name of the layer or tensor nearer the image, or "input"."""
    target: str
    """Name of the layer or tensor farther from the image."""
    carrier: str
    """Tensor that the weights are taken from."""
    weights: Floats
    """float32 [height, width, source, target]."""
    cropped: float
    """Share of the weights' L1 norm outside the window, 0 to 1."""
    notes: tuple[str, ...]
    """Sentences, for example on gates taken at an operating point."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which window of the source's map the expanded weights of a pair are for."""

    centre: tuple[int, int]
    """The (h, w) of the target's position that they were computed for; (0, 0) where it has none."""
    first: tuple[int, int]
    """The first (h, w) of its window in the carrier's map; may lie outside of it."""
    window: tuple[int, int]
    """The (h, w) of the window."""
    stride: tuple[int, int] | None
    """(h, w) from the window of a position to the next one's; None where others have other weights."""
    inside: tuple[tuple[int, ...], tuple[int, ...]]
    """Rows and columns of positions whose windows lie within all maps on the way; none without a stride."""


def expanded_weights(network: Network, source: str, target: str, width: Width = None) -> Floats:
    """Return the expanded weights of a pair, float32 [height, width, source, target].

    `source` and `target` name layers or tensors, "input" the image in [0, 1]. `width` None is the
    smallest window that holds the whole support; a smaller one (int, or (height, width)) crops around
    the centre and logs the share of the L1 norm that is lost; a larger one pads with zeros. What is held at
    an operating point is logged. Raises LayerError for names and pairs that do not exist, LinearizeError for
    paths that cannot be linearized.
    """
    result = expand(network, source, target, width=width)
    if result.cropped:
        log.warning("%s to %s: the window crops %.1f %% of the weights", source, target, 100 * result.cropped)
    for note in result.notes:
        log.warning("%s to %s: %s", source, target, note)
    return result.weights


def pair_weights(network: Network, source: str | None, target: str) -> ExpandedWeights:
    """Return the expanded weights of two layers, taken from the source's carrier.

    `source` "input" is the image, None the trunk layer before, or the image. Raises the errors of
    `expanded_weights`.
    """
    layer = network.layer(target)
    name = source or upstream_layer(network, layer, ())
    name = name if name == INPUT else network.layer(name).name
    tensor = carrier(network, name, layer.name)
    return replace(expand(network, tensor, layer.name), source=name, carrier=tensor)


def expand(network: Network, source: str, target: str, *, width: Width = None) -> ExpandedWeights:
    """Return the expanded weights of a pair from `source` itself on; see `expanded_weights`."""
    twin, composition, notes = _composed(network, source, target, width)
    scale, parts, lost, l1_norm = input_scale(network, twin.source), [], 0.0, 0.0
    for chunk in composition.chunks():
        if scale != 1:
            chunk = chunk * scale
        inside, cropped = fit(chunk, width)
        parts.append(inside)
        l1_of_chunk = float(np.abs(chunk).sum(dtype=np.float64)) if cropped else 0.0
        lost, l1_norm = lost + cropped * l1_of_chunk, l1_norm + l1_of_chunk
    weights = parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
    return ExpandedWeights(source, target, twin.source, weights, lost / l1_norm if l1_norm else 0.0, notes)


def outline(
    network: Network, source: str, target: str, *, width: Width = None
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return the window (h, w) of a pair's expanded weights and the notes on them, without computing them.

    The arguments are those of `expand`. Raises LinearizeError if there are no such weights, and
    WeightsSizeError if they would be too large.
    """
    _, composition, notes = _composed(network, source, target, width, outline=True)
    return _window(composition, width), notes


def placement(network: Network, source: str, target: str, *, width: Width = None) -> Placement:
    """Return where the window of a pair's expanded weights lies; the arguments are those of `expand`.

    Raises LinearizeError if there are no such weights, and WeightsSizeError if they would be too large.
    """
    _, composition, _ = _composed(network, source, target, width, outline=True)
    have, wanted = composition.window, _window(composition, width)
    # As `fit` crops and pads.
    h, w = ((n - m) // 2 if n >= m else -((m - n) // 2) for n, m in zip(have, wanted, strict=True))
    centre, here, there = composition.centre, composition.windows(), composition.windows(1)
    start = node_of(_tensor(network, source))
    (top, _), (left, _) = here[start]
    if not composition.moves:
        return Placement(centre, (top + h, left + w), wanted, None, ((), ()))
    (below, _), (right, _) = there[start]
    inside = [set(range(length)) for length in composition.lengths(node_of(_tensor(network, target)))]
    for node, spans in here.items():
        pairs = zip(spans, there[node], composition.lengths(node), centre, inside, strict=True)
        for (first, end), (after, _), length, at, kept in pairs:
            step = after - first
            kept &= {p for p in kept if first + (p - at) * step >= 0 and end + (p - at) * step <= length}
    rows, columns = (tuple(sorted(kept)) for kept in inside)
    return Placement(centre, (top + h, left + w), wanted, (below - top, right - left), (rows, columns))


def linear_twin(
    network: Network, source: str, target: str, *, whole: bool = True, outline: bool = False
) -> LinearTwin:
    """Return the network with every nonlinearity between two layers or tensors passed through.

    `whole` and `outline` are those of `linearize`; an outline does not compute values at the operating point
    and has ones instead. Raises LayerError for names and pairs that do not exist, LinearizeError if there is
    no twin.
    """
    start, end = _tensor(network, source), _tensor(network, target)
    if node_of(start) == node_of(end) or not network.view.between(start, end):
        raise LayerError(
            f"no way leads from {source} to {target}", remedy="give the layer nearer the image first"
        )

    def ones(tensor: str) -> Floats:
        if node_of(tensor) not in network.layouts:
            return network.at_operating_point(tensor)
        return np.ones([n or 1 for n in network.shapes.get(node_of(tensor), ())], np.float32)

    try:
        return linearize(
            network.layouts,
            start,
            end,
            root=network.input_tensor,
            evaluate=ones if outline else network.at_operating_point,
            operating_point=network.operating_point.what,
            whole=whole,
            outline=outline,
        )
    except AtlasError:
        raise
    except NONSENSE as error:
        between = f"{_named(network, source)} and {target}"
        raise LinearizeError(f"the ops between {between} make no sense: {error}") from error


def input_scale(network: Network, source: str) -> np.float32:
    """Return the factor for weights on the tensor `source` that makes the image range from 0 to 1."""
    low, high = network.value_range if source == tensor_of(network.input_tensor) else (0.0, 1.0)
    return np.float32(high - low)


def fit(weights: Floats, width: Width) -> tuple[Floats, float]:
    """Return weights cropped or zero-padded around the centre to `width`, and the share cropped."""
    if width is None:
        return weights, 0.0
    wanted = (width, width) if isinstance(width, int) else width
    if min(wanted) < 1:
        raise LayerError("the width of expanded weights", found=width, expected="1 or more positions")
    have = weights.shape[:2]
    starts = [max(h - n, 0) // 2 for h, n in zip(have, wanted, strict=True)]
    inner = tuple(slice(start, start + n) for start, n in zip(starts, wanted, strict=True))
    kept = weights[inner]
    pads = [((n - h) // 2, n - h - (n - h) // 2) for h, n in zip(kept.shape[:2], wanted, strict=True)]
    total = float(np.abs(weights).sum(dtype=np.float64))
    lost = (
        1 - float(np.abs(kept).sum(dtype=np.float64)) / total if total and kept.size < weights.size else 0.0
    )
    return np.pad(kept, [*pads, (0, 0), (0, 0)]), max(lost, 0.0)


def _composed(
    network: Network, source: str, target: str, width: Width, *, outline: bool = False
) -> tuple[LinearTwin, Composition, tuple[str, ...]]:
    """Return a pair's twin, composition and notes. Raises WeightsSizeError for more than MOST_BYTES."""
    twin = linear_twin(network, source, target, whole=False, outline=outline)
    composition = Composition(twin, network.layouts)
    (h, w), (n_source, n_target) = _window(composition, width), composition.shape[2:]
    n_bytes = 4 * h * w * n_source * n_target
    if n_bytes > MOST_BYTES:
        pair = f"{_named(network, source)} to {target}"
        raise WeightsSizeError(
            f"the expanded weights of {pair} would take {n_bytes / 2**30:.1f} GiB",
            found=f"{h} x {w} positions, {n_source} x {n_target} neurons",
            expected=f"{MOST_BYTES / 2**30:g} GiB at most",
            remedy="choose a layer between them too, or crop with --width",
        )
    # After upsampling, weights differ from position to position.
    centre = f"weights of {target} are those of its centre position; after upsampling others differ"
    return twin, composition, (*twin.notes, *([centre] if composition.phased else []))


def _window(composition: Composition, width: Width) -> tuple[int, int]:
    if width is None:
        return composition.window
    return (width, width) if isinstance(width, int) else width


def _named(network: Network, source: str) -> str:
    """Return the name of a source for messages: "input" for the image, whatever its tensor is called."""
    return INPUT if source == network.input_tensor else source


def _tensor(network: Network, name: str) -> str:
    """Return the tensor of a name: the image, a layer, a node, or the last of a scope (a Keras layer)."""
    if name == INPUT:
        return tensor_of(network.input_tensor)
    if name in network.by_name:
        return tensor_of(network.by_name[name].tensor)
    if node_of(name) in network.view.nodes:
        return tensor_of(name)
    scope = [node for node in network.view.order if node.startswith(f"{name}/") and node in network.shapes]
    return tensor_of(scope[-1] if scope else network.layer(name).tensor)
