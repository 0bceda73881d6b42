"""The neurons that get pictures which take too long for all: a setting's words -> neurons, by layer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from atlas.core.errors import ConfigError, NeuronError
from atlas.core.neuron import INPUT, NO_ALIASES, Aliases, find_layer, parse_neurons
from atlas.core.records import AtlasRecord, Floats, LayerRecord

log = logging.getLogger(__name__)

NONE, FAMILIES, ALL = "none", "families", "all"
Chosen = dict[str, tuple[int, ...]]
_TOP = re.compile(r"top\s+([1-9]\d{0,4})")
_ALLOWED = "none, families, all, top 10, or neurons like mixed3b:379,mixed4a:3-9"


def chosen_neurons(
    atlas: AtlasRecord,
    spec: str,
    *,
    families: Mapping[str, Sequence[int]] = MappingProxyType({}),
    strengths: Callable[[LayerRecord], Floats],
    aliases: Aliases = NO_ALIASES,
) -> Chosen:
    """Return the neurons of an atlas that a specification means, by layer, ascending.

    A specification is "none"; "all"; "families", the neurons of `families`; "top 10", the ten of each layer
    with the strongest upstream weights, which `strengths` returns for all neurons of a layer; or neurons as
    in --neurons, where `aliases` are further names of layers. A layer without a layer before it has none.
    Named neurons that the atlas does not show are left out with a warning. Raises ConfigError for other
    words, LayerError or NeuronError for unknown names and for a named neuron without a layer before it.
    """
    text = spec.strip()
    layers = {record.layer: record for record in atlas.layers if has_source(record)}
    if text.split(maxsplit=1)[:1] == ["top"]:
        return {name: _strongest(record, _count(text), strengths) for name, record in layers.items()}
    if text in (NONE, ""):
        return {}
    if text == ALL:
        return {name: record.neurons for name, record in layers.items()}
    by_layer = _within(atlas, families) if text == FAMILIES else _named(atlas, text, aliases)
    return {name: indices for name, indices in by_layer.items() if name in layers and indices}


def has_source(record: LayerRecord) -> bool:
    """Return whether the layer before exists and directions of its neurons can be drawn."""
    return record.upstream not in (None, INPUT)


def _count(text: str) -> int:
    match = _TOP.fullmatch(text)
    if match is None:
        raise ConfigError(f"cannot read the neurons {text!r}", expected=_ALLOWED)
    return int(match[1])


def _strongest(
    record: LayerRecord, count: int, strengths: Callable[[LayerRecord], Floats]
) -> tuple[int, ...]:
    if count >= len(record.neurons):
        return record.neurons
    neurons = np.asarray(record.neurons)
    order = np.argsort(-strengths(record)[neurons], kind="stable")[:count]
    return tuple(sorted(neurons[order].tolist()))


def _named(atlas: AtlasRecord, text: str, aliases: Aliases) -> Chosen:
    """Return the named neurons that the atlas shows; raises NeuronError for one that cannot be drawn."""
    named = parse_neurons(atlas.model.layers, text, aliases=aliases)
    records = {record.layer: record for record in atlas.layers}
    for name in named:
        if name in records and not has_source(records[name]):
            raise NeuronError(
                f"{name}:{named[name][0]} has no layer before it whose directions could be drawn",
                found=text,
                remedy=f"leave {name} out",
            )
    neurons = _within(atlas, named)
    missing = [f"{name}:{i}" for name in named for i in named[name] if i not in neurons.get(name, ())]
    if missing:
        log.warning("%d neurons have no pictures of directions: %s is not shown", len(missing), missing[0])
    return neurons


def _within(atlas: AtlasRecord, wanted: Mapping[str, Sequence[int]]) -> Chosen:
    """Return the wanted neurons that the atlas shows."""
    indices_of = {
        find_layer(atlas.model.layers, name).name: frozenset(indices) for name, indices in wanted.items()
    }
    return {
        record.layer: tuple(n for n in record.neurons if n in indices_of[record.layer])
        for record in atlas.layers
        if record.layer in indices_of
    }
