"""A network and a config -> the AtlasRecord that plan and pages start from."""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from atlas import __version__
from atlas.choice import chosen_neurons
from atlas.config import AtlasConfig
from atlas.errors import ConfigError, LayerError, LinearizeError
from atlas.family_config import resolved_families
from atlas.featurevis.recipe import NOTEBOOK_SIZES, image_size
from atlas.images import shown_bands
from atlas.model.network import Network
from atlas.model.ways import INPUT, carrier, chosen_layers, downstream_layer, upstream_layer
from atlas.neuron import Layer, parse_neurons
from atlas.plan import Pair, chosen_bands, pairs_of
from atlas.records import AtlasRecord, CircuitShape, FamilyRecord, Floats, LayerRecord
from atlas.weights import check_pair, expand

log = logging.getLogger(__name__)
PACKAGES = ("tensorflow", "numpy", "scikit-learn", "pillow")


Weights = Callable[[Pair], Floats]


def resolve(network: Network, config: AtlasConfig, *, weights: Weights | None = None) -> AtlasRecord:
    """Return what the atlas of a config is to hold; raises ConfigError, LayerError or NeuronError.

    `weights` gives a pair's expanded weights [h, w, source, target] where "top N" asks for them; by
    default they are computed.
    """
    neurons = _neurons(network, config)
    layers = tuple(network.layer(name) for name in neurons)
    ways = _Ways(network, config, layers)
    families = _families(network, config, layers)
    records = tuple(_layer_record(network, config, ways, layer, neurons[layer.name]) for layer in layers)
    atlas = AtlasRecord(
        title=config.title or f"{network.name}: a circuit atlas",
        model=network.record(),
        layers=records,
        settings=_settings(config),
        versions={"circuit-atlas": __version__, **{name: version(name) for name in PACKAGES}},
        notes=tuple(ways.notes),
        circuit=_circuit(config),
        families=families,
        n_proposals=config.families.most if config.families.propose else 0,
    )
    return _with_directions(atlas, config, weights or (lambda pair: _expanded(network, config, pair)))


def _families(network: Network, config: AtlasConfig, layers: Sequence[Layer]) -> tuple[FamilyRecord, ...]:
    """Return the config's families, with the size of pictures of their sources' directions."""
    found = resolved_families(network, config, [layer.name for layer in layers])
    return tuple(replace(f, source_size=_source_size(network, config, f.source)) for f in found)


def _source_size(network: Network, config: AtlasConfig, source: str | None) -> tuple[int, int]:
    """Return the (h, w) in pixels of pictures of a source's directions, 0 where none can be drawn."""
    if source in (None, INPUT):
        return (0, 0)
    return image_size(network.layer(str(source)), network.input_shape, _sizes(network, config))


def _with_directions(atlas: AtlasRecord, config: AtlasConfig, weights: Weights) -> AtlasRecord:
    """Return an atlas with the neurons that are chosen for pictures of directions."""

    @functools.cache
    def strengths(record: LayerRecord) -> Floats:
        own = weights(pairs_of(record)["upstream"])
        return np.asarray(np.sqrt(np.square(own).sum((0, 1, 2))), np.float32)

    families: dict[str, list[int]] = defaultdict(list)
    for family in atlas.families:
        families[family.layer] += family.neurons
    drawn, factored = (
        chosen_neurons(atlas, spec, families=families, strengths=strengths)
        for spec in (config.directions.positions, config.directions.factors)
    )
    layers = tuple(
        replace(
            record,
            positions=drawn.get(record.layer, ()),
            factor_pictures=factored.get(record.layer, ()),
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
    named = parse_neurons(network.layers, config.neurons, chosen=names)
    outside = set(named) - set(names)
    if outside and config.layers_spec != "all":
        raise LayerError(
            f"--neurons names {sorted(outside)[0]}, which --layers leaves out", expected=config.layers_spec
        )
    return {layer.name: named[layer.name] for layer in network.layers if layer.name in named}


def _sizes(network: Network, config: AtlasConfig) -> Mapping[str, int]:
    """Return the sides in pixels that the config fixes, by layer; raises LayerError."""
    chosen = config.featurevis.sizes
    if isinstance(chosen, str):
        return NOTEBOOK_SIZES if chosen == "notebook" else {}
    return {network.layer(name).name: side for name, side in chosen.items()}


class _Ways:
    """The layers before and after each layer, where a linear way leads there; `notes` say where none does."""

    def __init__(self, network: Network, config: AtlasConfig, chosen: Sequence[Layer]) -> None:
        """Hold on to the network; raises LayerError for a carrier of a layer that does not exist."""
        self.network, self.chosen, self.two_hops = network, chosen, config.paths.two_hops
        self.carriers = {network.layer(name).name: tensor for name, tensor in config.weights.carriers.items()}
        self.notes: list[str] = []
        n, chosen_first = network.input_shape[2], chosen_bands(config)
        if chosen_first and (max(chosen_first) > n or len(chosen_first) != 3):
            raise ConfigError(
                "model_options.bands", found=list(chosen_first), expected=f"three of the bands 1 to {n}"
            )
        if bands := shown_bands(n, chosen_first):
            told = ", ".join(f"{band or 'none'}" for band in bands)
            self._note(f"of the {n} bands of an image, pictures show {told} as red, green, blue")

    def upstream(self, layer: Layer) -> tuple[str | None, str]:
        """Return the layer before and its carrier."""
        return self._carried(upstream_layer(self.network, layer, self.chosen), layer.name)

    def two_before(self, layer: Layer, upstream: str | None) -> tuple[str | None, str]:
        """Return the layer before the upstream one, and its carrier towards `layer`."""
        if not self.two_hops or upstream is None or upstream == INPUT:
            return None, ""
        before = upstream_layer(self.network, self.network.layer(upstream), self.chosen)
        return self._carried(before, layer.name)

    def downstream(self, layer: Layer) -> tuple[str | None, str]:
        """Return the layer after, and this layer's carrier towards it."""
        after = downstream_layer(self.network, layer, self.chosen)
        if after is None:
            return None, ""
        carried = self._carried(layer.name, after)[1]
        return (after, carried) if carried else (None, "")

    def _carried(self, source: str, target: str) -> tuple[str | None, str]:
        tensor = self.carriers.get(source) or carrier(self.network, source, target)
        try:
            found = check_pair(self.network, INPUT if source == INPUT else tensor, target)
        except LinearizeError as error:
            found = (f"{source} to {target} is left out: {error}",)
            tensor = ""
        for note in found:
            self._note(note)
        return (source, tensor) if tensor else (None, "")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            log.warning("%s", note)
            self.notes.append(note)


def _layer_record(
    network: Network, config: AtlasConfig, ways: _Ways, layer: Layer, neurons: tuple[int, ...]
) -> LayerRecord:
    upstream, upstream_carrier = ways.upstream(layer)
    downstream, downstream_carrier = ways.downstream(layer)
    two_before, two_before_carrier = ways.two_before(layer, upstream)
    return LayerRecord(
        layer=layer.name,
        neurons=neurons,
        upstream=upstream,
        downstream=downstream,
        featurevis=config.featurevis.variants,
        examples=bool(config.examples),
        upstream_carrier=upstream_carrier,
        downstream_carrier=downstream_carrier,
        size=image_size(layer, network.input_shape, _sizes(network, config)),
        two_before=two_before,
        two_before_carrier=two_before_carrier,
        source_size=_source_size(network, config, upstream),
    )


def _circuit(config: AtlasConfig) -> CircuitShape | None:
    """Return how the pages draw circuits, None where they draw none."""
    told = config.circuit
    return CircuitShape(told.up, told.down, told.fan, told.between) if told.up or told.down else None


def _settings(config: AtlasConfig) -> dict[str, str]:
    """Return the settings that the pages show."""
    drawn, directions = config.featurevis, config.directions
    preset = directions.preset or drawn.preset
    return {
        "feature visualization": ", ".join((f"preset {drawn.preset}", *drawn.variants)),
        "pictures of directions": f"preset {preset}, cosine power {directions.cosine_power:g}",
        "connections": f"top {config.connections.top} by L2 strength",
        "positive and negative paths": f"top {config.paths.top}"
        + (", over one hop and over two" if config.paths.two_hops else ", over one hop"),
        "factors": f"{config.nmf.factors} for each neuron",
        "dataset examples": f"{config.dataset_examples.count} for each neuron" if config.examples else "none",
        "window": f"{config.weights.width} positions" if config.weights.width else "whole support",
        "seed": str(config.seed),
    }
