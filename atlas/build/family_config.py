"""The families that a config names -> records with their layers, neurons and sources, or an error."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atlas.analysis.families import source_of
from atlas.analysis.nmf import MAX_FACTORS
from atlas.analysis.weights import outline
from atlas.core.config import AtlasConfig, FamilyConfig
from atlas.core.errors import AtlasError, ConfigError, LayerError, LinearizeError, nearest
from atlas.core.neuron import INPUT, Layer, neuron_of
from atlas.core.records import FamilyRecord
from atlas.core.slugs import family_slugs
from atlas.model.carriers import carrier
from atlas.model.network import Network

_SPAN = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def resolved_families(
    network: Network, config: AtlasConfig, chosen: Sequence[str]
) -> tuple[FamilyRecord, ...]:
    """Return the families of a config; `chosen` names the atlas's layers. Raises ConfigError."""
    slugs = family_slugs([family.name for family in config.family])
    return tuple(_resolved(network, config, chosen, family, slugs[family.name]) for family in config.family)


def named_carriers(network: Network, config: AtlasConfig) -> dict[str, str]:
    """Return the carriers that a config names, by layer; raises LayerError for an unknown layer."""
    return {network.layer(name).name: tensor for name, tensor in config.weights.carriers.items()}


def _resolved(
    network: Network, config: AtlasConfig, chosen: Sequence[str], family: FamilyConfig, slug: str
) -> FamilyRecord:
    try:
        layer = network.layer(family.layer)
        if layer.name not in chosen:
            raise LayerError(
                f"the layer {layer.name} is not in this atlas", remedy=nearest(layer.name, chosen)
            )
        neurons = _neurons(network, layer, family)
        source = source_of(network, layer.name, family.source)
        tensor = named_carriers(network, config).get(source) or carrier(network, source, layer.name)
        _, notes = outline(network, tensor, layer.name, width=config.weights.width)
        _check_factors(network, family, len(neurons), source)
    except LinearizeError as error:
        raise ConfigError(
            f"family {family.name!r}: {error}", remedy="name another source, a layer nearer to it"
        ) from error
    except AtlasError as error:
        raise ConfigError(f"family {family.name!r}: {error}") from error
    return FamilyRecord(
        name=family.name,
        slug=slug,
        layer=layer.name,
        neurons=neurons,
        source=source,
        carrier=tensor,
        n_factors=family.n_factors,
        note=family.note,
        weights_notes=notes,
    )


def _neurons(network: Network, layer: Layer, family: FamilyConfig) -> tuple[int, ...]:
    """Return the family's neurons as given, each once."""
    indices = [index for part in family.neurons for index in _part(network, layer, part)]
    return tuple(dict.fromkeys(indices))


def _part(network: Network, layer: Layer, part: int | str) -> Sequence[int]:
    text = str(part).strip()
    named, colon, rest = text.rpartition(":")
    if colon and network.layer(named) != layer:
        raise ConfigError(
            f"{text} is not a neuron of {layer.name}",
            expected=f"neurons of one layer, like {layer.name}:0 or 0",
            remedy="make a family of each layer",
        )
    match = _SPAN.fullmatch(rest)
    if match is None:
        raise ConfigError(f"cannot read the neurons {text!r}", expected='numbers or spans, like 3 or "3-9"')
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ConfigError(f"the neurons {text!r} run backwards", expected=f'"{last}-{first}"')
    neuron_of(layer, first), neuron_of(layer, last)
    return range(first, last + 1)


def _check_factors(network: Network, family: FamilyConfig, n_members: int, source: str) -> None:
    """Refuse more factors than source neurons; positions are checked once the weights are computed."""
    n_source = network.input_shape[2] if source == INPUT else network.layer(source).n_channels
    if family.n_factors > n_source:
        raise ConfigError(
            f"{family.n_factors} factors of {source}'s {n_source} neurons",
            expected=f"1 to {min(n_source, MAX_FACTORS)}",
            remedy=f"set n_factors = {min(n_source, MAX_FACTORS)}",
        )
