"""What every stage of a compute works with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from atlas.config import AtlasConfig
from atlas.errors import StoreError
from atlas.model.network import Network
from atlas.model.ways import INPUT
from atlas.neuron import Layer
from atlas.plan import Artefact, Pair, weights_key
from atlas.progress import Step, bar
from atlas.records import AtlasRecord, Floats, LayerRecord
from atlas.store import Store, codec


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

    def bar(self, stage: str, title: str, *, unit: str = "neurons") -> AbstractContextManager[Step]:
        """Return the progress bar of a stage, as a context manager."""
        return bar(title, len(self.todo[stage]), unit=unit)

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
