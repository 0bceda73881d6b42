"""What every stage of a compute works with."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from atlas.compute.orders import Easel
from atlas.config import AtlasConfig
from atlas.cores import n_cores
from atlas.engine import Engine, Shard, ThisProcess
from atlas.errors import StoreError, why_not_made
from atlas.featurevis.recipe import Recipe
from atlas.images import shown_bands
from atlas.model.network import Network
from atlas.neuron import INPUT, Layer
from atlas.plan import Artefact, Pair, chosen_bands, weights_key
from atlas.progress import Step, bar
from atlas.records import AtlasRecord, Floats, LayerRecord
from atlas.store import Store, codec

log = logging.getLogger(__name__)

# Fills every batch; the numbers of a whole layer's orders would take as much memory as its weights.
NEURONS_AT_A_TIME = 64


class Work:
    """The stages of one compute, each over the artefacts that it has to make."""

    def __init__(
        self,
        network: Network,
        atlas: AtlasRecord,
        config: AtlasConfig,
        store: Store,
        todo: Iterable[Artefact],
    ) -> None:
        """Sort what is to be made by its stage."""
        self.network, self.atlas, self.config, self.store = network, atlas, config, store
        self.todo: dict[str, list[Artefact]] = defaultdict(list)
        for artefact in todo:
            self.todo[artefact.stage].append(artefact)
        self.records = {record.layer: record for record in atlas.layers}
        self.engine: Engine = ThisProcess(network)

    def bar(self, stage: str, title: str, *, unit: str = "neurons") -> AbstractContextManager[Step]:
        """Return the progress bar of a stage, as a context manager."""
        return bar(title, len(self.todo[stage]), unit=unit)

    def make(self, stage: str, shards: Iterable[Shard], step: Step, *, also: str = "") -> None:
        """Have the engine make shards of a stage, and of `also`; keep each artefact as soon as it is back."""
        todo = {artefact.key: artefact for artefact in self.todo[stage] + self.todo[also]}
        for piece in self.engine.run(shards):
            artefact = todo[piece.key]
            if piece.failed:
                self.failed(artefact, piece.failed)
            else:
                self.store.put(piece.key, piece.data, inputs=artefact.inputs, meta=piece.meta)
            step(1)

    def failed(self, artefact: Artefact, why: str) -> None:
        """Keep that an artefact could not be made; all else goes on."""
        log.info("%s could not be made: %s", artefact.key, why)
        self.store.put_failure(artefact.key, why, inputs=artefact.inputs)

    @contextmanager
    def sparing(self, *artefacts: Artefact) -> Iterator[None]:
        """Keep that artefacts could not be made when the block raises an error of theirs."""
        try:
            yield
        except Exception as error:
            why = why_not_made(error)
            for artefact in artefacts:
                self.failed(artefact, why)

    def easel(self, layer: str, recipe: Recipe) -> Easel:
        """Return what draws a layer by a recipe, on whatever engine."""
        vis = self.config.featurevis
        return Easel(layer, recipe, vis.quality, vis.batch, n_cores(), self.bands)

    @property
    def bands(self) -> tuple[int, ...]:
        """The bands of an image that are shown as red, green and blue, () where it is a picture."""
        return shown_bands(self.network.input_shape[2], chosen_bands(self.config))

    def by_layer(self, stage: str) -> Iterator[tuple[LayerRecord, list[Artefact]]]:
        """Yield the artefacts of a stage, layer by layer."""
        groups: dict[str, list[Artefact]] = defaultdict(list)
        for artefact in self.todo[stage]:
            groups[artefact.layer].append(artefact)
        for name, artefacts in groups.items():
            yield self.records[name], artefacts

    def layer(self, record: LayerRecord) -> Layer:
        """Return a layer of the network."""
        return self.network.layer(record.layer)

    def weights(self, pair: Pair) -> Floats:
        """Return a pair's expanded weights, which an earlier stage has made."""
        key = weights_key(self.atlas, pair)
        weights = codec.decode_array(self.store.read(key), key=key)
        n_source = self.network.input_shape[2] if pair.source == INPUT else 0
        n_source = n_source or self.network.layer(pair.source).n_channels
        expected = (n_source, self.network.layer(pair.target).n_channels)
        if weights.ndim != 4 or weights.shape[2:] != expected:
            raise StoreError(
                f"{pair.source} to {pair.target}: expanded weights are {weights.shape}",
                expected=f"(h, w, {expected[0]}, {expected[1]})",
                remedy=f"delete {key} from the store and build again",
            )
        return weights

    def cropped(self, pair: Pair) -> float:
        """Return the share that the window of a pair's expanded weights cuts off."""
        return float(self.store.meta(weights_key(self.atlas, pair)).get("cropped") or 0.0)


def title(what: str, record: LayerRecord, neurons: Sequence[int]) -> str:
    """Return how people are told of a part of a layer: "factors of mixed3b:320-335"."""
    span = f"{neurons[0]}-{neurons[-1]}" if len(neurons) > 1 else f"{neurons[0]}"
    return f"{what} of {record.layer}:{span}"
