"""Circuits of a network: any neurons with the expanded weights between them, or the neurons around one.

Weights are float32 [height, width, source, target], taken from the source's carrier. A connection's
strength is the L2 norm of its kernel, as in atlas.analysis.connections.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from atlas.analysis import connections as selection
from atlas.analysis.neighbours import neuron_at
from atlas.analysis.weights import pair_weights
from atlas.core.config import CircuitConfig
from atlas.core.errors import LayerError, NeuronError
from atlas.core.neuron import INPUT, Layer, Neuron
from atlas.core.records import Circuit, CircuitEdge, CircuitShape, Floats
from atlas.drawing.circuit_selection import Edge, Spot, Table, ego_selection, selection_rule, table_of
from atlas.model.carriers import downstream_layer, upstream_layer
from atlas.model.graph.view import node_of
from atlas.model.network import Network, find_neuron

# By default, a circuit in a notebook is the same as on a page.
_PAGE = CircuitConfig()


def circuit(
    network: Network,
    neurons: Sequence[str],
    *,
    threshold: float = 0.0,
    top: int | None = None,
    every_pair: bool = False,
    chosen: Collection[str] = (),
) -> Circuit:
    """Return neurons of any layers ("mixed3a:147") with the expanded weights between them.

    Two layers are joined if a path leads from one to the other and no other layer of the circuit is between
    them; with `every_pair`, if any path exists. Connections of at least `threshold`, 0 to 1, are kept,
    relative to the strongest of all the target's from that layer, and of those the `top` strongest of each
    target and source layer. Connections of strength zero are left out. `chosen` names branches that count as
    layers, see `find_neuron`. Raises NeuronError, LayerError, LinearizeError.
    """
    _check(neurons, threshold, top)
    members = {find_neuron(network, alias, chosen=chosen) for alias in neurons}
    by_layer = {
        layer: sorted((n for n in members if n.layer == layer.name), key=lambda n: n.index)
        for layer in network.layers
        if any(n.layer == layer.name for n in members)
    }
    edges = [
        edge
        for source, target in _pairs(network, list(by_layer), every_pair)
        for edge in _edges(network, by_layer[source], by_layer[target], threshold, top)
    ]
    nodes = tuple(itertools.chain(*by_layer.values()))
    return Circuit(nodes, tuple(edges), _rule(len(nodes), threshold, top, every_pair))


def ego_circuit(
    network: Network,
    neuron: str,
    *,
    up: int = _PAGE.up,
    down: int = _PAGE.down,
    fan: Sequence[int] = _PAGE.fan,
    between: float = _PAGE.between,
    chosen: Collection[str] = (),
) -> Circuit:
    """Return the neurons around one: its strongest inputs and outputs by L2 norm, and theirs, hop by hop.

    `up` and `down` count hops, over the layers that every path passes. `fan` is the branching: the number of
    connections followed from each neuron on the first hop, the second, …; the last number holds for all later
    hops. Other connections between these neurons are included from `between` on, relative to the target's
    strongest. `chosen` as in `find_neuron`. Raises NeuronError, LayerError, LinearizeError.
    """
    if up < 0 or down < 0 or not fan or min(fan) < 1:
        raise LayerError(
            "a circuit's reach",
            found=f"up {up}, down {down}, fan {tuple(fan)}",
            expected="whole numbers, fan 1 or more",
        )
    ego = find_neuron(network, neuron, chosen=chosen)
    tables = _Tables(network, max(fan))
    shape = CircuitShape(up, down, tuple(fan), between)
    around = ego_selection(tables.table, (ego.layer, ego.index), shape)
    nodes = {spot: neuron_at(network, *spot) for column in around.columns for spot in column}
    edges = tuple(tables.edge(edge, nodes) for edge in around.edges)
    return Circuit(tuple(nodes.values()), edges, selection_rule(around, between, ego.name), ego)


class _Tables:
    """Expanded weights between neighbouring layers and the tables of connections, each computed once."""

    def __init__(self, network: Network, k: int) -> None:
        self._network = network
        self.table = functools.cache(self._table)
        self._weights = functools.cache(self._weights_of)

    def edge(self, edge: Edge, nodes: dict[Spot, Neuron]) -> CircuitEdge:
        """Return a selected connection with its kernel."""
        weights = self._weights(edge.source[0], edge.target[0])
        return CircuitEdge(
            nodes[edge.source],
            nodes[edge.target],
            np.ascontiguousarray(weights[:, :, edge.source[1], edge.target[1]]),
            edge.strength,
            edge.sign,
            edge.relative,
            edge.share or 0.0,
            edge.chosen,
        )

    def _weights_of(self, source: str, target: str) -> Floats:
        return pair_weights(self._network, source, target).weights

    def _table(self, name: str, direction: str) -> Table | None:
        """Return all connections of a layer in one direction; None at the end of the network."""
        pair = self._pair(name, direction)
        if pair is None:
            return None
        weights = self._weights(*pair)
        select = selection.upstream if direction == "upstream" else selection.downstream
        record = select(weights, source=pair[0], target=pair[1], carrier="", k=max(weights.shape[2:]))
        squared = np.square(record.strength, dtype=np.float64).sum(1)
        return table_of(record, np.sqrt(squared).tolist())

    def _pair(self, name: str, direction: str) -> tuple[str, str] | None:
        if name == INPUT:
            return None
        layer = self._network.layer(name)
        if direction == "upstream":
            return upstream_layer(self._network, layer, ()), name
        after = downstream_layer(self._network, layer, ())
        return (name, after) if after else None


def _check(neurons: Sequence[str], threshold: float, top: int | None) -> None:
    if isinstance(neurons, str) or not neurons:
        raise NeuronError(
            "the neurons of a circuit",
            found=repr(neurons),
            expected='a list like ["mixed3a:147", "mixed3b:379"]',
        )
    if not 0 <= threshold <= 1:
        raise LayerError("the threshold of a circuit", found=threshold, expected="0 to 1")
    if top is not None and top < 1:
        raise LayerError("the top of a circuit", found=top, expected="1 or more, or None")


def _pairs(network: Network, layers: Sequence[Layer], every_pair: bool) -> Iterator[tuple[Layer, Layer]]:
    """Yield pairs of layers that a path joins; pairs with a third layer in between only with `every_pair`."""
    after = {layer: network.view.descendants(layer.tensor) for layer in layers}
    for source, target in itertools.combinations(layers, 2):
        if node_of(target.tensor) not in after[source]:
            continue
        between = [
            layer
            for layer in layers
            if layer not in (source, target)
            and node_of(layer.tensor) in after[source]
            and node_of(target.tensor) in after[layer]
        ]
        if every_pair or not between:
            yield source, target


def _edges(
    network: Network, sources: Sequence[Neuron], targets: Sequence[Neuron], threshold: float, top: int | None
) -> Iterator[CircuitEdge]:
    """Yield the connections of two layers' neurons, target by target, strongest first."""
    weights = pair_weights(network, sources[0].layer, targets[0].layer).weights
    for target in targets:
        kernels = weights[..., target.index]
        strengths = np.sqrt(np.square(kernels, dtype=np.float64).sum((0, 1)))
        strongest, squared = strengths.max() or 1.0, np.square(strengths).sum() or 1.0
        ranked = sorted(sources, key=lambda source: (-strengths[source.index], source.index))
        for source in ranked[:top]:
            strength = float(strengths[source.index])
            if strength and strength >= threshold * strongest:
                kernel = np.ascontiguousarray(kernels[..., source.index])
                yield CircuitEdge(
                    source,
                    target,
                    kernel,
                    strength,
                    int(np.sign(kernel.sum(dtype=np.float64))),
                    strength / float(strongest),
                    strength**2 / float(squared),
                )


def _rule(n: int, threshold: float, top: int | None, every_pair: bool) -> str:
    """Return a sentence that says which connections are kept."""
    pairs = "any two of their layers" if every_pair else "neighbouring layers"
    kept = f"all connections between {pairs}"
    kept += f", the {top} strongest of each target" if top is not None else ""
    least = (
        f", from {threshold * 100:.0f}\N{NO-BREAK SPACE}% of its target's strongest on" if threshold else ""
    )
    return f"{n} neurons, and {kept}{least}."
