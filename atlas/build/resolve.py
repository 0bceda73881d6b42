"""A network and a config -> the AtlasRecord, from which the plan and the pages start."""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TypeVar

import numpy as np

from atlas import __version__
from atlas.analysis.weights import expand, outline
from atlas.build.choice import chosen_neurons
from atlas.build.family_config import named_carriers, resolved_families
from atlas.build.plan import Pair, pairs_of
from atlas.core.config import AtlasConfig
from atlas.core.errors import ConfigError, LayerError, LinearizeError, legible
from atlas.core.neuron import INPUT, Layer, parse_neurons
from atlas.core.records import AtlasRecord, CircuitShape, EffectiveField, FamilyRecord, Floats, LayerRecord
from atlas.drawing.images import shown_bands
from atlas.featurevis.recipe import NOTEBOOK_SIZES, picture_size
from atlas.model.carriers import ALL, carrier, chosen_layers, downstream_layer, upstream_layer
from atlas.model.network import Network

log = logging.getLogger(__name__)
PACKAGES = ("tensorflow", "numpy", "scikit-learn", "pillow")


Weights = Callable[[Pair], Floats]
EffectiveFields = Callable[[str], EffectiveField | None]
Sourced = TypeVar("Sourced", LayerRecord, FamilyRecord)
# The layer at the other end, the carrier, and notes on the weights.
Way = tuple[str | None, str, tuple[str, ...]]
NO_WAY: Way = (None, "", ())


def resolve(
    network: Network,
    config: AtlasConfig,
    *,
    weights: Weights | None = None,
    fields: EffectiveFields | None = None,
) -> AtlasRecord:
    """Return the record of the atlas that a config describes; raises ConfigError, LayerError, NeuronError.

    `weights` returns a pair's expanded weights [h, w, source, target], needed for "top N"; `fields` what a
    layer reacts to, from which the sizes of pictures follow. By default they are computed.
    """
    sizes = _Sizes(network, config, fields or network.effective_field)
    neurons = _neurons(network, config)
    layers = tuple(network.layer(name) for name in neurons)
    ways = _Ways(network, config, layers)
    families = _families(network, config, layers, sizes)
    records = tuple(_layer_record(config, ways, layer, neurons[layer.name], sizes) for layer in layers)
    atlas = AtlasRecord(
        title=config.title or f"{network.name}: a circuit atlas",
        model=network.record(),
        layers=records,
        settings=_settings(config),
        versions={"circuit-atlas": __version__, **{name: version(name) for name in PACKAGES}},
        notes=(
            *network.notes,
            *ways.notes,
            *(_unproposed(network, records) if config.families.propose else ()),
        ),
        circuit=_circuit(config),
        families=families,
        n_proposals=config.families.most if config.families.propose else 0,
    )
    chosen = _with_directions(
        atlas, network, config, weights or (lambda pair: _expanded(network, config, pair))
    )
    return replace(chosen, layers=tuple(_with_source_size(record, sizes) for record in chosen.layers))


def _families(
    network: Network, config: AtlasConfig, layers: Sequence[Layer], sizes: _Sizes
) -> tuple[FamilyRecord, ...]:
    """Return the config's families, with the size of pictures of their sources' directions."""
    families = resolved_families(network, config, [layer.name for layer in layers])
    return tuple(_with_source(family, sizes, family.source) for family in families)


def _unproposed(network: Network, records: Sequence[LayerRecord]) -> Iterator[str]:
    """Yield a note for each layer of which too few neurons are shown to propose families."""
    for record in records:
        n_channels = network.layer(record.layer).n_channels
        if not record.may_have_proposals(n_channels):
            reason = f"{len(record.neurons)} of its {n_channels} neurons are shown"
            yield f"{record.layer}: no families are proposed, since {reason}"


def _with_source_size(record: LayerRecord, sizes: _Sizes) -> LayerRecord:
    """Return a record with the size of pictures of its source's directions, where there are such pictures."""
    drawn = record.positions or record.factor_pictures
    return _with_source(record, sizes, record.upstream) if drawn else record


def _with_source(record: Sourced, sizes: _Sizes, source: str | None) -> Sourced:
    if source in (None, INPUT):
        return record
    size, margin = sizes.of(str(source))
    return replace(record, source_size=size, source_margin=margin)


def _with_directions(
    atlas: AtlasRecord, network: Network, config: AtlasConfig, weights: Weights
) -> AtlasRecord:
    """Return an atlas whose layers list the neurons chosen for pictures of directions."""

    @functools.cache
    def strengths(record: LayerRecord) -> Floats:
        upstream = weights(pairs_of(record)["upstream"])
        return np.asarray(np.sqrt(np.square(upstream).sum((0, 1, 2))), np.float32)

    families: dict[str, list[int]] = defaultdict(list)
    for family in atlas.families:
        families[family.layer] += family.neurons
    positions, factor_pictures = (
        chosen_neurons(atlas, spec, families=families, strengths=strengths, aliases=network.aliases)
        for spec in (config.directions.positions, config.directions.factors)
    )
    layers = tuple(
        replace(
            record,
            positions=positions.get(record.layer, ()),
            factor_pictures=factor_pictures.get(record.layer, ()),
        )
        for record in atlas.layers
    )
    return replace(atlas, layers=layers)


def _expanded(network: Network, config: AtlasConfig, pair: Pair) -> Floats:
    return expand(network, pair.carrier, pair.target, width=config.weights.width).weights


def _neurons(network: Network, config: AtlasConfig) -> dict[str, tuple[int, ...]]:
    """Return the neurons to show, by layer in topological order."""
    chosen = chosen_layers(network, config.layers_spec)
    if not config.neurons:
        return {layer.name: tuple(range(layer.n_channels)) for layer in chosen}
    names = [layer.name for layer in chosen]
    by_layer = parse_neurons(network.layers, config.neurons, chosen=names, aliases=network.aliases)
    outside = set(by_layer) - set(names)
    if outside and config.layers_spec != ALL:
        raise LayerError(
            f"--neurons names {sorted(outside)[0]}, which --layers leaves out", expected=config.layers_spec
        )
    return {layer.name: by_layer[layer.name] for layer in network.layers if layer.name in by_layer}


class _Sizes:
    """The sizes of pictures, and of the margins around them, by layer."""

    def __init__(self, network: Network, config: AtlasConfig, fields: EffectiveFields) -> None:
        """Read the config; raises LayerError for a layer that it names and the network does not have."""
        self.network, self.fields = network, fields
        chosen = config.featurevis.sizes
        self.by_field = chosen == "effective field" or isinstance(chosen, dict)
        self.given: Mapping[str, int] = NOTEBOOK_SIZES if chosen == "notebook" else {}
        if isinstance(chosen, dict):
            self.given = {network.layer(name).name: side for name, side in chosen.items()}

    def of(self, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the (h, w) in pixels of a layer's pictures, and of the margin drawn around them."""
        layer = self.network.layer(name)
        field = self.fields(name) if self.by_field and name not in self.given else None
        return picture_size(layer, self.network.input_shape, field, self.given)


class _Ways:
    """The layers before and after each layer, where a linear twin connects them; `notes` list where not."""

    def __init__(self, network: Network, config: AtlasConfig, chosen: Sequence[Layer]) -> None:
        """Read the settings; raises LayerError for an unknown layer, ConfigError for a missing band."""
        self.network, self.chosen, self.two_hops = network, chosen, config.paths.two_hops
        self.width = config.weights.width
        self._known: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
        self.carriers = named_carriers(network, config)
        self.notes: list[str] = []
        for op, (first, layers) in network.unknown_ops.items():
            self._note(
                f"the op {op} ({first}) is not known: {', '.join(layers)} are taken to see the whole image"
            )
        self._note_bands(network.input_shape[2], config.model_options.bands)

    def _note_bands(self, n_channels: int, chosen: tuple[int, ...]) -> None:
        """Note which bands pictures show; raises ConfigError for one that the input does not have."""
        if chosen and max(chosen) > n_channels:
            raise ConfigError("model_options.bands", found=max(chosen), expected=f"1 to {n_channels}")
        if bands := shown_bands(n_channels, chosen):
            names = ", ".join(f"{band or 'none'}" for band in bands)
            self._note(f"of the {n_channels} bands of an image, pictures show {names} as red, green, blue")

    def upstream(self, layer: Layer) -> Way:
        """Return the layer before, its carrier, and the notes on the weights."""
        # If the chosen layer before is too far away, the nearest of all layers takes its place.
        sources = [upstream_layer(self.network, layer, pool) for pool in (self.chosen, ())]
        return self._first(sources, [(source, layer.name) for source in sources])

    def two_before(self, layer: Layer, upstream: str | None) -> Way:
        """Return the layer before the upstream one, its carrier towards `layer`, and the notes."""
        if not self.two_hops or upstream is None or upstream == INPUT:
            return NO_WAY
        source = self.network.layer(upstream)
        befores = [upstream_layer(self.network, source, pool) for pool in (self.chosen, ())]
        return self._first(befores, [(before, layer.name) for before in befores])

    def downstream(self, layer: Layer) -> Way:
        """Return the layer after, this layer's carrier towards it, and the notes."""
        candidates = [downstream_layer(self.network, layer, pool) for pool in (self.chosen, ())]
        afters = [after for after in candidates if after is not None]
        return self._first(afters, [(layer.name, after) for after in afters])

    def _first(self, others: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Way:
        """Return the first pair whose weights exist and fit into memory; `others` are the far layers."""
        for other, pair in dict(zip(others, pairs, strict=True)).items():
            tensor, notes = self._carried(*pair)
            for note in notes:
                self._note(note)
            if tensor:
                return other, tensor, notes
        return NO_WAY

    def _carried(self, source: str, target: str) -> tuple[str, tuple[str, ...]]:
        """Return a pair's carrier and its notes, or "" and a note on why the pair is left out."""
        if (source, target) not in self._known:
            self._known[source, target] = self._checked(source, target)
        return self._known[source, target]

    def _checked(self, source: str, target: str) -> tuple[str, tuple[str, ...]]:
        tensor = self.carriers.get(source) or carrier(self.network, source, target)
        try:
            return tensor, outline(self.network, tensor, target, width=self.width)[1]
        except LinearizeError as error:
            return "", (f"{source} to {target} is left out: {error}",)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            log.warning("%s", legible(note))
            self.notes.append(note)


def _layer_record(
    config: AtlasConfig, ways: _Ways, layer: Layer, neurons: tuple[int, ...], sizes: _Sizes
) -> LayerRecord:
    size, margin = sizes.of(layer.name)
    upstream, upstream_carrier, upstream_notes = ways.upstream(layer)
    downstream, downstream_carrier, downstream_notes = ways.downstream(layer)
    two_before, two_before_carrier, two_before_notes = ways.two_before(layer, upstream)
    return LayerRecord(
        layer=layer.name,
        neurons=neurons,
        upstream=upstream,
        downstream=downstream,
        featurevis=config.featurevis.variants,
        examples=bool(config.examples),
        ranges=bool(config.examples) and config.images.ranges,
        distribution=bool(config.examples) and config.images.distribution,
        fidelity=bool(config.examples) and config.images.fidelity and upstream is not None,
        upstream_carrier=upstream_carrier,
        downstream_carrier=downstream_carrier,
        size=size,
        margin=margin,
        two_before=two_before,
        two_before_carrier=two_before_carrier,
        upstream_notes=upstream_notes,
        downstream_notes=downstream_notes,
        two_before_notes=two_before_notes,
    )


def _circuit(config: AtlasConfig) -> CircuitShape | None:
    """Return the shape of circuits on the pages, None where there are none."""
    shape = config.circuit
    return CircuitShape(shape.up, shape.down, shape.fan, shape.between) if shape.up or shape.down else None


def _settings(config: AtlasConfig) -> dict[str, str]:
    """Return the settings that the pages show."""
    vis, directions = config.featurevis, config.directions
    preset = directions.preset or vis.preset
    return {
        "feature visualization": ", ".join((f"preset {vis.preset}", *vis.variants)),
        "pictures of directions": f"preset {preset}, cosine power {directions.cosine_power:g}",
        "connections": f"top {config.connections.top} by L2 strength",
        "positive and negative paths": f"top {config.paths.top}"
        + (", over one hop and over two" if config.paths.two_hops else ", over one hop"),
        "factors": f"{config.nmf.factors} for each neuron",
        "dataset examples": f"{config.dataset_examples.count} for each neuron" if config.examples else "none",
        "window": f"{config.weights.width} positions" if config.weights.width else "whole support",
        "seed": str(config.seed),
    }
