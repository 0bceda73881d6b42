"""Expanded weights: the linear map from one layer to a later one, nonlinearities passed through.

Arrays are float32 [height, width, source, target]; weights[i, j, s, t] is what one unit more of source
neuron s at window position (i, j) adds to target neuron t at the position the window belongs to.

They are computed exactly, without a border in sight: receptive-field arithmetic tells which window of
every tensor on the way a single target position sees; one-hot target weights are then pulled back
through the transposes of the linear twin's ops, on just these windows, many targets at a time. Where
the way leads over whole maps (global pooling, flattening) the window is the map, borders included.
Source: Voss et al., "Visualizing Weights", Distill 2021.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from atlas.errors import AtlasError, LayerError, LinearizeError, WeightsSizeError
from atlas.model.admission import NONSENSE
from atlas.model.composition import Composition
from atlas.model.gates import Evaluate
from atlas.model.graph import node_of, tensor_of
from atlas.model.linearize import LinearTwin, linearize
from atlas.model.network import Network
from atlas.model.ways import carrier, upstream_layer
from atlas.neuron import INPUT
from atlas.records import Floats

log = logging.getLogger(__name__)

Width = int | tuple[int, int] | None
# Of one pair's weights, of which a build holds several copies at a time; those of GoogLeNet's neighbours take
# 0.13 GiB at most.
MOST_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class ExpandedWeights:
    """Expanded weights float32 [height, width, source, target] and what is to be said of them.

    `cropped` is the share of absolute mass outside the window, 0 to 1; `notes` name the gates that
    were taken at an operating point.
    """

    weights: Floats
    cropped: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpstreamWeights:
    """A layer's expanded weights from the layer before, float32 [height, width, source, target].

    `source` and `target` name the layers, "input" the image; `carrier` the tensor that the weights are
    taken from.
    """

    source: str
    target: str
    carrier: str
    weights: Floats


def expanded_weights(network: Network, source: str, target: str, width: Width = None) -> Floats:
    """Return the expanded weights of a pair, float32 [height, width, source, target].

    `source` and `target` name layers or tensors, "input" the image in [0, 1]. `width` None is the
    smallest window that holds the whole support; a smaller one (int, or (height, width)) crops around
    the centre and logs what share of the mass is lost; a larger one pads with zeros. Raises LayerError
    for names and pairs that do not exist, LinearizeError for ways that cannot be linearized.
    """
    result = expand(network, source, target, width=width)
    if result.cropped:
        log.warning("%s to %s: the window crops %.1f %% of the weights", source, target, 100 * result.cropped)
    return result.weights


def expand(network: Network, source: str, target: str, *, width: Width = None) -> ExpandedWeights:
    """Return the expanded weights of a pair with the cropped share and notes; see `expanded_weights`."""
    twin = linear_twin(network, source, target, whole=False)
    composition = Composition(twin, network.layouts)
    _check_size(composition, width, source, target)
    scale, parts, lost, mass = input_scale(network, twin), [], 0.0, 0.0
    for chunk in composition.chunks():
        if scale != 1:
            chunk = chunk * scale
        kept, cropped = fit(chunk, width)
        parts.append(kept)
        share = float(np.abs(chunk).sum(dtype=np.float64)) if cropped else 0.0
        lost, mass = lost + cropped * share, mass + share
    weights = parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
    notes = (*twin.notes, *_phases(composition, target))
    return ExpandedWeights(weights, lost / mass if mass else 0.0, notes)


def upstream_weights(network: Network, layer: str) -> UpstreamWeights:
    """Return a layer's expanded weights from the trunk layer before, or from the image, as its page shows.

    Raises LayerError for an unknown layer, LinearizeError where there is no linear way.
    """
    target = network.layer(layer)
    source = upstream_layer(network, target, ())
    tensor = carrier(network, source, target.name)
    weights = expand(network, INPUT if source == INPUT else tensor, target.name).weights
    return UpstreamWeights(source, target.name, node_of(tensor), weights)


def input_scale(network: Network, twin: LinearTwin) -> np.float32:
    """Return what the weights of a twin are to be multiplied by, so that the image is in [0, 1]."""
    low, high = network.value_range if twin.source == tensor_of(network.input_tensor) else (0.0, 1.0)
    return np.float32(high - low)


def window(network: Network, source: str, target: str, *, width: Width = None) -> tuple[int, int]:
    """Return the (h, w) of a pair's expanded weights without computing them."""
    if width is not None:
        return (width, width) if isinstance(width, int) else width
    return Composition(_outline(network, source, target), network.layouts).window


def check_pair(network: Network, source: str, target: str, *, width: Width = None) -> tuple[str, ...]:
    """Return the notes on a pair's expanded weights without computing them.

    Raises LinearizeError where there are none, and WeightsSizeError where they would be too large.
    """
    twin = _outline(network, source, target)
    composition = Composition(twin, network.layouts)
    _check_size(composition, width, source, target)
    return (*twin.notes, *_phases(composition, target))


def _phases(composition: Composition, target: str) -> tuple[str, ...]:
    """Return a note where positions have weights of their own."""
    if not composition.phased:
        return ()
    return (f"weights of {target} are those of its centre position; after upsampling others differ",)


def _check_size(composition: Composition, width: Width, source: str, target: str) -> None:
    h, w, n_source, n_target = composition.shape
    if width is not None:
        h, w = (width, width) if isinstance(width, int) else width
    n_bytes = 4 * h * w * n_source * n_target
    if n_bytes > MOST_BYTES:
        raise WeightsSizeError(
            f"the expanded weights of {source} to {target} would take {n_bytes / 2**30:.1f} GiB",
            found=f"{h} x {w} positions, {n_source} x {n_target} neurons",
            expected=f"{MOST_BYTES / 2**30:g} GiB at most",
            remedy="choose a layer between them too, or crop with --width",
        )


def linear_twin(network: Network, source: str, target: str, *, whole: bool = True) -> LinearTwin:
    """Return the network with every nonlinearity between two layers or tensors passed through.

    `whole` is that of `linearize`. Raises LayerError for names and pairs that do not exist, LinearizeError
    where there is no twin.
    """
    return _twin(network, source, target, evaluate=network.at_operating_point, whole=whole)


def _outline(network: Network, source: str, target: str) -> LinearTwin:
    """Return a linear twin with ones for what is held at the operating point, which nobody computes."""

    def ones(tensor: str) -> Floats:
        if node_of(tensor) not in network.layouts:
            return network.at_operating_point(tensor)
        return np.ones([n or 1 for n in network.shapes.get(node_of(tensor), ())], np.float32)

    return _twin(network, source, target, evaluate=ones, whole=False, outline=True)


def _twin(
    network: Network, source: str, target: str, *, evaluate: Evaluate, whole: bool, outline: bool = False
) -> LinearTwin:
    start, end = _tensor(network, source), _tensor(network, target)
    if node_of(start) == node_of(end) or not network.view.between(start, end):
        raise LayerError(
            f"no way leads from {source} to {target}", remedy="give the layer nearer the image first"
        )
    try:
        return linearize(
            network.layouts,
            start,
            end,
            root=network.input_tensor,
            evaluate=evaluate,
            operating_point=network.operating_point.what,
            whole=whole,
            outline=outline,
        )
    except AtlasError:
        raise
    except NONSENSE as error:
        raise LinearizeError(f"the ops between {source} and {target} make no sense: {error}") from error


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
