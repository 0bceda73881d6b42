"""How long a compute takes besides drawing, and the render after it, on this machine.

Each stage takes a time by the sizes of its arrays. The constants are seconds of one core, measured on
GoogLeNet, the demo network and a ResNet; one factorization, timed here, says how fast this machine is in
comparison. Networks differ by what their weights are like: a factorization of noise takes several times as
many steps.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from atlas.analysis.distribution import MOST_POSITIONS
from atlas.analysis.fidelity import MOST_OF_IMAGE, N_SAMPLES
from atlas.analysis.nmf import factorize
from atlas.analysis.weights import outline
from atlas.build.plan import Artefact, Pair, pairs_of, path_pairs_of
from atlas.core.config import AtlasConfig
from atlas.core.errors import AtlasError
from atlas.core.neuron import INPUT
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.drawing.image_files import image_files
from atlas.model.network import Network
from atlas.system.cores import n_cores

# Seconds of the timed factorization where the constants were measured.
_REFERENCE = 3.8e-3
# A weight of an array: in a window computed, in a table of connections, along paths over one hop and two.
_WEIGHT, _CONNECTION, _PATH = 1.2e-8, 1.2e-8, {1: 2.5e-8, 2: 7e-8}
# A neuron's factors, and each weight of it.
_NMF, _NMF_WEIGHT = 8e-3, 5.5e-6
# Proposals, for each neuron and position of its window; in small layers few are found, and soon.
_PROPOSALS, _LARGE = 1.6e-3, 250
# Positions beyond these took hardly longer in a ResNet, whose windows over two blocks have hundreds.
_NMF_POSITIONS, _PROPOSALS_POSITIONS = 49, 25
# A pixel of the network's input, for each image and for each effective field.
_IMAGE, _FIELD = 3.5e-7, 2e-5
# An activation counted, and a weight held against a sample; an image's positions and all samples at most.
_COUNTED, _COMPARED = 7e-9, 8e-11
# The stages that are made in one pass over the images.
OF_IMAGES = ("examples", "ranges", "distributions", "fidelity")
# A strip, a neuron's statistics and its page.
_STRIP, _STATISTICS, _PAGE = 2.5e-3, 4e-4, 8e-3
# Opening the network and its libraries.
_START = 6.0


def other_seconds(
    network: Network, atlas: AtlasRecord, config: AtlasConfig, todo: Iterable[Artefact]
) -> float:
    """Return the expected seconds of all that draws no pictures, the render of the whole site included."""
    counts = Counter((artefact.stage, artefact.layer) for artefact in todo)
    n_neurons = sum(len(record.neurons) for record in atlas.layers)
    seconds = n_neurons * _PAGE / n_cores()
    for record in atlas.layers:
        seconds += _of_layer(network, config, record, counts)
    pixels = network.input_shape[0] * network.input_shape[1]
    seconds += _FIELD * pixels * sum(stage == "effective fields" for stage, _ in counts)
    if any(stage in OF_IMAGES for stage, _ in counts):
        seconds += _of_images(network, config, atlas, counts, len(image_files(Path(config.examples))))
    return _START + seconds * _slowness()


def _of_images(
    network: Network, config: AtlasConfig, atlas: AtlasRecord, counts: Counter[tuple[str, str]], n_images: int
) -> float:
    """Return the seconds of the pass over images, with what is measured in it."""
    seconds = _IMAGE * network.input_shape[0] * network.input_shape[1] * n_images
    n_samples = n_images * min(max(-(-N_SAMPLES // n_images), 1), MOST_OF_IMAGE)
    for record in atlas.layers:
        layer = network.layer(record.layer)
        if counts["distributions", record.layer]:
            n_positions = math.prod(layer.shape or (1, 1))
            seconds += _COUNTED * min(n_positions, MOST_POSITIONS) * layer.n_channels * n_images
        if counts["fidelity", record.layer]:
            seconds += _COMPARED * _n_weights(network, config, pairs_of(record)["upstream"]) * n_samples
    return seconds


def _of_layer(
    network: Network, config: AtlasConfig, record: LayerRecord, counts: Counter[tuple[str, str]]
) -> float:
    pairs, paths = pairs_of(record), path_pairs_of(record)
    n_weights = {pair: _n_weights(network, config, pair) for pair in {*pairs.values(), *paths.values()}}
    both = sum(n_weights[pair] for pair in pairs.values())
    name, n = record.layer, len(record.neurons)
    seconds = counts["strips", name] * _STRIP + bool(counts["statistics", name]) * n * _STATISTICS
    seconds += bool(counts["weights", name]) * both * _WEIGHT
    seconds += bool(counts["connections", name]) * both * _CONNECTION
    if counts["paths", name]:
        seconds += sum(_PATH[hops] * n_weights[pair] for hops, pair in paths.items())
    if "upstream" in pairs:
        n_source = _n_source(network, pairs["upstream"])
        n_positions = _n_positions(network, config, pairs["upstream"])
        of_neuron = min(n_positions, _NMF_POSITIONS) * n_source
        seconds += counts["nmf", name] * (_NMF + _NMF_WEIGHT * of_neuron)
        if counts["proposals", name]:
            seconds += _PROPOSALS * n * min(n_positions, _PROPOSALS_POSITIONS) * min(1, n / _LARGE) ** 2
    return seconds


def windows(network: Network, atlas: AtlasRecord, config: AtlasConfig) -> dict[str, tuple[int, int, int]]:
    """Return the positions of each layer's kernels: upstream, downstream, over two hops; 0 for none."""
    found = {}
    for record in atlas.layers:
        pairs, paths = pairs_of(record), path_pairs_of(record)
        of_layer = (pairs.get("upstream"), pairs.get("downstream"), paths.get(2))
        up, down, two = (_n_positions(network, config, pair) if pair else 0 for pair in of_layer)
        found[record.layer] = up, down, two
    return found


def _n_weights(network: Network, config: AtlasConfig, pair: Pair) -> int:
    """Return the number of expanded weights of a pair, 0 where there are none."""
    n_targets = network.layer(pair.target).n_channels
    return _n_positions(network, config, pair) * _n_source(network, pair) * n_targets


def _n_positions(network: Network, config: AtlasConfig, pair: Pair) -> int:
    try:
        (h, w), _ = outline(network, pair.carrier, pair.target, width=config.weights.width)
    except AtlasError:
        return 0
    return h * w


def _n_source(network: Network, pair: Pair) -> int:
    return network.input_shape[2] if pair.source == INPUT else network.layer(pair.source).n_channels


def _slowness() -> float:
    """Return how many times as long as the reference this machine takes; the best of five runs."""
    kernel = np.random.default_rng(0).standard_normal((5, 5, 64)).astype(np.float32)
    runs = []
    for _ in range(6):
        start = time.perf_counter()
        factorize(kernel, source="")
        runs.append(time.perf_counter() - start)
    return min(runs[1:]) / _REFERENCE
