"""The filters of a layer that sees the image itself, as pictures, in an order that the next layer gives.

A filter is float32 [height, width, channel of the image]. Zero is mid-grey; a weight's colour depends on its
size relative to its own filter and relative to the layer:

    picture = 0.5 + 0.05 * W / largest of the filter + 0.45 * W / largest of the layer

Strong filters are vivid; weak ones, which would be grey otherwise, still show their form.
Source: the notebook of the Distill circuits thread.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.weights import pair_weights
from atlas.core.errors import LayerError
from atlas.core.neuron import INPUT, Layer
from atlas.core.records import FirstLayer, Floats, Ints
from atlas.model.carriers import downstream_layer, upstream_layer
from atlas.model.graph.view import node_of
from atlas.model.network import Network

Doubles = NDArray[np.float64]
Read = Literal["expanded weights", "constant"]

# The notebook's two parts; their sum is 0.5, so that the largest weight is black or full colour.
_OF_FILTER, _OF_LAYER = 0.05, 0.45


def first_layer(network: Network, layer: str | None = None, *, read: Read = "expanded weights") -> FirstLayer:
    """Return the filters of the first layer, or of another that sees the image itself.

    `read` "constant" takes the convolution's kernel as it stands in the graph, without the range of the
    input or what follows the convolution. Raises LayerError if the layer sees another layer, or if no
    single constant is its kernel.
    """
    chosen = network.layer(layer) if layer is not None else first_of(network)
    upstream = upstream_layer(network, chosen, ())
    if upstream != INPUT:
        raise LayerError(
            f"{chosen.name} does not see the image itself",
            found=f"weights from {upstream}",
            remedy=f"take {first_of(network).name}",
        )
    after = downstream_layer(network, chosen, ())
    used = pair_weights(network, chosen.name, after).weights if after else None
    if read == "constant":
        name, weights = kernel_constant(network, chosen)
        return first_layer_of(weights, used, layer=chosen.name, downstream=after or "", read=name)
    weights = pair_weights(network, INPUT, chosen.name).weights
    return first_layer_of(weights, used, layer=chosen.name, downstream=after or "")


def first_of(network: Network) -> Layer:
    """Return the layer nearest the image."""
    layers = network.trunk or network.layers
    if not layers:
        raise LayerError(f"{network.name} has no layers")
    return layers[0]


def first_layer_of(
    weights: Floats, used: Floats | None, *, layer: str, downstream: str, read: str = "expanded weights"
) -> FirstLayer:
    """Return the pictures and the order of filters.

    weights float32 [h, w, channel, n]; `used` [h, w, n, target] are the expanded weights to the layer after,
    None if there is no such layer.
    """
    n = weights.shape[3]
    order, explained = component_order(used) if used is not None else (np.arange(n, dtype=np.int32), 0.0)
    return FirstLayer(layer, downstream, read, round(explained, 6), order, on_grey(weights))


def on_grey(weights: Floats) -> Floats:
    """Return filters [h, w, channel, n] as pictures, float32 [n, h, w, channel] in [0, 1]; zero is 0.5."""
    filters = np.moveaxis(weights, 3, 0).astype(np.float64)
    peaks = np.abs(filters).max((1, 2, 3), initial=0.0)
    whole = peaks.max(initial=0.0) or 1.0
    peaks[peaks == 0] = 1
    pictures: Doubles = 0.5 + filters * (_OF_FILTER / peaks + _OF_LAYER / whole)[:, None, None, None]
    return pictures.astype(np.float32)


def component_order(used: Floats) -> tuple[Ints, float]:
    """Return neurons in the order of their first principal component, and its share of the variance.

    used float32 [h, w, n, target]: a neuron is the row of its absolute weights to every target, summed over
    positions; rows are centred. The sign of the component is chosen so that the neuron with the largest sum
    over all targets is in the second half. Neurons with equal scores keep the order of their index.
    """
    rows = np.abs(used).sum((0, 1), dtype=np.float64)
    centred = rows - rows.mean(0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    scores = left[:, 0] * scale[0]
    scores *= -1 if scores[np.argmax(rows.sum(1))] < 0 else 1
    # Rounding must not decide between neurons of equal use.
    scores = np.round(scores / (np.abs(scores).max() or 1.0), 9)
    variance = float(np.sum(scale**2))
    share = float(scale[0] ** 2) / variance if variance > 0 else 0.0
    return np.argsort(scores, kind="stable").astype(np.int32), share


def kernel_constant(network: Network, layer: Layer) -> tuple[str, Floats]:
    """Return the name and the value [h, w, channel, n] of the one kernel between the image and a layer.

    Raises LayerError if there is no such constant or more than one.
    """
    view = network.view
    nodes = view.between(network.input_tensor, layer.tensor)
    tensors = [view.inputs(node)[1] for node in nodes if view.op(node) == "Conv2D"]
    values = [value for tensor in tensors if (value := view.constant(tensor)) is not None]
    if len(tensors) != 1 or len(values) != 1:
        raise LayerError(
            f"{layer.name} has no one kernel to read from the graph",
            found=f"{len(values)} constant kernels of {len(tensors)} convolutions between it and the image",
            expected="1",
            remedy='take read="expanded weights"',
        )
    weights: Floats = values[0].astype(np.float32)
    return node_of(tensors[0]), weights
