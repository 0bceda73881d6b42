"""Families: groups of neurons of one layer, named by a user or proposed by the program.

The factors of a family:

1. Take the weights W of its layer from the source's carrier, and select those of the members: K.
2. Factorize K for all members together (`atlas.analysis.nmf`): shared loadings, a map for each member.

Proposed families of a layer, whose kernels are each other's turned copies (`atlas.analysis.equivariance`):

1. Compute the correspondence C of the source's neurons, layer by layer from the image on: `Chain`.
2. Compare each kernel, turned by each turn and its sources exchanged by C, with each kernel: S.
3. Grow groups of neurons that turn into each other, best first.
4. Compute the factors of each group, and the source neurons with the same role in each member.

    W[h, w, source, target], K[member, h, w, source]
    C[turn, source, source], S[turn, target, target]   float32; 16 turns: 8 angles, plain and reflected

Sources: Voss et al., https://distill.pub/2020/circuits/visualizing-weights/ (factors), and Olah et al.,
https://distill.pub/2020/circuits/equivariance/ (turned copies).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from atlas.analysis import equivariance as turning
from atlas.analysis.nmf import factorize_family
from atlas.analysis.weights import pair_weights
from atlas.core.errors import LayerError, LinearizeError, NeuronError
from atlas.core.neuron import INPUT
from atlas.core.records import Family, Floats
from atlas.model.carriers import upstream_layer
from atlas.model.network import Network, find_neuron

log = logging.getLogger(__name__)
# Number of source neurons of a proposal whose counterparts in each member are listed.
N_MATCHED = 8
# Correspondences that a chain keeps: of a layer of 2,048 neurons 268 MB each. In the order of layers, each is
# computed from the one before.
_KEPT = 2


def family(
    network: Network, neurons: Sequence[str], *, source: str | None = None, n_factors: int = 2, name: str = ""
) -> Family:
    """Return neurons of one layer, like "mixed3a:110", as a family with its factors.

    `source` is by default the layer before; weights are taken from its carrier. Raises NeuronError
    for an unknown neuron, neurons of two layers or none; LayerError for a source that is not before them.
    """
    members = [find_neuron(network, alias) for alias in neurons]
    if not members:
        raise NeuronError("a family without neurons", expected="one or more, like mixed3b:379")
    target = network.layer(members[0].layer)
    for member in members:
        if member.layer != target.name:
            raise NeuronError(
                f"{member.name} is not of {target.name}",
                expected="neurons of one layer",
                remedy="make two families",
            )
    chosen = source_of(network, target.name, source or "")
    pair = pair_weights(network, chosen, target.name)
    indices = tuple(dict.fromkeys(member.index for member in members))
    return factorized(
        pair.weights,
        indices,
        n_factors=n_factors,
        name=name,
        layer=pair.target,
        source=pair.source,
        carrier=pair.carrier,
    )


def propose_families(network: Network, layer: str, *, most: int = 20) -> tuple[Family, ...]:
    """Return the families of a layer whose members look like each other turned or reflected, best first.

    Proposals are hypotheses: their kernels match after a turn. Returns () if the layers between the image and
    this one have no expanded weights. See `atlas.analysis.equivariance` for the method.
    """
    pair = pair_weights(network, None, layer)
    return proposed(
        Chain(network),
        pair.weights,
        most=most,
        layer=pair.target,
        source=pair.source,
        carrier=pair.carrier,
    )


def source_of(network: Network, target: str, source: str) -> str:
    """Return the layer that a family's weights come from: `source`, or the layer before if it is "".

    Raises LayerError for a layer that does not exist or is not before the family's.
    """
    if not source:
        return upstream_layer(network, network.layer(target), network.trunk)
    if source == INPUT:
        return INPUT
    chosen = network.layer(source)
    if network.layers.index(chosen) >= network.layers.index(network.layer(target)):
        raise LayerError(
            f"the source {chosen.name} does not come before {target}",
            expected="a layer nearer the image",
            remedy=f"try source = {upstream_layer(network, network.layer(target), network.trunk)!r}",
        )
    return chosen.name


def factorized(
    weights: Floats, neurons: tuple[int, ...], *, n_factors: int, seed: int = 0, **about: str
) -> Family:
    """Return a family with the factors of its weights, taken from those of a pair [h, w, source, target].

    `about` holds the record's name, layer, source, carrier and note.
    """
    stacked = np.moveaxis(weights[..., list(neurons)], -1, 0)
    what = f"family {about['name']!r}" if about.get("name") else f"a family of {about['layer']}"
    factors = factorize_family(stacked, what=what, n_factors=n_factors, seed=seed)
    return Family(
        neurons=neurons,
        error=factors.error,
        maps=factors.maps,
        loadings=factors.loadings,
        strength=factors.strength,
        matched=np.zeros((0, 0), np.int32),
        remark=factors.note,
        **about,  # type: ignore[arg-type]
    )


class Chain:
    """The correspondences of a network's layers under turns, each computed from the layer before it."""

    def __init__(self, network: Network, weights: Callable[[str, str], Floats] | None = None) -> None:
        """Prepare the chain; correspondences are computed when first needed.

        `weights` returns the expanded weights of a source and a target, by default by `pair_weights`.
        """
        self.network = network
        self._weights = weights or (lambda source, target: pair_weights(network, source, target).weights)
        self._by_layer: dict[str, Floats] = {}

    def correspondence(self, name: str) -> Floats:
        """Return the correspondence of a layer's neurons, or of the image's channels, [turn, neuron, neuron].

        Raises LinearizeError if a pair of layers between the image and this one has no expanded weights.
        """
        found = self._by_layer.get(name)
        if found is None:
            found = self._by_layer[name] = self._compute(name)
            for oldest in list(self._by_layer)[:-_KEPT]:
                del self._by_layer[oldest]
        return found

    def _compute(self, name: str) -> Floats:
        if name == INPUT:
            return turning.image_correspondence(self.network.input_shape[2])
        source = upstream_layer(self.network, self.network.layer(name), self.network.trunk)
        weights = self._weights(source, name)
        return turning.correspondence(turning.similarity(weights, self.correspondence(source))[0])


def proposed(
    chain: Chain,
    weights: Floats,
    *,
    most: int,
    seed: int = 0,
    neurons: Sequence[int] | None = None,
    **about: str,
) -> tuple[Family, ...]:
    """Return the families proposed for a layer, from the weights of its pair [h, w, source, target].

    `neurons`, in ascending order, limits the members to some neurons of the layer. `about` holds the records'
    layer, source and carrier.
    """
    try:
        sources = chain.correspondence(about["source"])
    except LinearizeError as error:
        log.warning("no families are proposed for %s: %s", about["layer"], error)
        return ()
    among = np.arange(weights.shape[3]) if neurons is None else np.asarray(neurons)
    selection = weights if len(among) == weights.shape[3] else np.ascontiguousarray(weights[..., among])
    similar, chance = turning.similarity(selection, sources)
    local_groups = turning.groups(similar, chance=chance, most=most)
    groups = [replace(group, neurons=tuple(among[list(group.neurons)].tolist())) for group in local_groups]
    return tuple(
        _proposal(weights, group, sources, seed, {**about, "name": f"Proposal {at} of {about['layer']}"})
        for at, group in enumerate(groups, 1)
    )


def nothing_proposed(**about: str) -> Family:
    """Return an empty record, for the numbers after a layer's last proposal."""
    none = np.zeros((0, 0), np.float32)
    return Family(
        neurons=(),
        error=0.0,
        maps=np.zeros((0, 0, 0, 0), np.float32),
        loadings=none,
        strength=np.zeros(0, np.float32),
        matched=none.astype(np.int32),
        **about,  # type: ignore[arg-type]
    )


def _proposal(
    weights: Floats,
    group: turning.Group,
    sources: Floats,
    seed: int,
    about: dict[str, str],
) -> Family:
    neurons = group.neurons
    n = min(N_MATCHED, weights.shape[2])
    matched = turning.matched_sources(weights, neurons, group.turns, sources, n=n)
    n_factors = min(2, weights.shape[2])
    return replace(
        factorized(weights, neurons, n_factors=n_factors, seed=seed, **about),
        matched=matched.astype(np.int32),
        score=group.score,
        angles=tuple(turning.TURNS[turn][0] for turn in group.turns),
        flipped=tuple(turning.TURNS[turn][1] for turn in group.turns),
        agreement=group.agreement,
    )
