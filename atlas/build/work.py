"""The work of a compute: what there is to make, and the means that every stage uses."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from atlas.build.draw_settings import DrawSettings
from atlas.build.engine import Engine, Piece, Shard, ThisProcess, attempted
from atlas.build.forecast import Forecast, duration, forecast
from atlas.build.pace import other_seconds
from atlas.build.plan import STAGES, Artefact, Pair, Stage, weights_key
from atlas.core.config import AtlasConfig
from atlas.core.errors import StoreError
from atlas.core.neuron import INPUT, Layer
from atlas.core.records import AtlasRecord, Floats, LayerRecord
from atlas.drawing.images import shown_bands
from atlas.featurevis.recipe import Recipe
from atlas.model.network import Network
from atlas.store import Status, Store, codec
from atlas.system.cores import n_cores
from atlas.system.progress import bar

log = logging.getLogger(__name__)

# Enough to fill every batch; orders for a whole layer would take as much memory as its weights.
NEURONS_AT_A_TIME = 64


class Work:
    """One compute: an atlas, its artefacts, those to be made, and the engine that makes them."""

    def __init__(
        self,
        network: Network,
        atlas: AtlasRecord,
        config: AtlasConfig,
        store: Store,
        *,
        artefacts: Iterable[Artefact],
        stale: Sequence[tuple[Artefact, Status]],
    ) -> None:
        """Sort the `stale` artefacts, each with its status, by the stage that makes them."""
        self.network, self.atlas, self.config, self.store = network, atlas, config, store
        self.artefacts = {artefact.key: artefact for artefact in artefacts}
        self.stale = stale
        self.todo: dict[str, list[Artefact]] = defaultdict(list)
        for artefact, _ in stale:
            self.todo[STAGES[artefact.stage].made_with or artefact.stage].append(artefact)
        self.records = {record.layer: record for record in atlas.layers}
        self.engine: Engine = ThisProcess(network)
        # Expected seconds of artefacts by key, known once the work is foreseen.
        self._costs: Mapping[str, float] = {}

    def forecast(self) -> Forecast:
        """Return the pictures to draw and their expected time, measured by a few steps on this machine."""
        return forecast(self.network, self.atlas, self.config, [artefact for artefact, _ in self.stale])

    def lines(self) -> Iterator[str]:
        """Yield a line on the artefacts to make, and one on the pictures to draw, with the expected time."""
        counts = Counter(artefact.stage for artefact, _ in self.stale)
        listed = ", ".join(f"{count:,} {stage}" for stage, count in counts.items())
        yield f"to make: {listed or 'nothing'}, of {len(self.artefacts):,} artefacts"
        if not self.stale:
            return
        foreseen = self.forecast()
        self._costs = foreseen.costs
        others = other_seconds(
            self.network, self.atlas, self.config, [artefact for artefact, _ in self.stale]
        )
        place = self.config.engine
        apart = place.workers > 1 or place.scheduler or place.scheduler_file
        where = " in one process" if apart else ""
        if foreseen.line:
            yield foreseen.line + where
        if foreseen.drawings and foreseen.seconds is None:
            yield f"all else: about {duration(others)}{where}"
        else:
            yield f"in all: about {duration((foreseen.seconds or 0) + others)}{where}"

    def make(self, stage: Stage, maker: Maker) -> None:
        """Make the stale artefacts of a stage; each is stored as soon as it is made."""
        todo = self.todo[stage.name]
        cost = sum(self._cost(artefact.key) for artefact in todo)
        with bar(stage.title, len(todo) if stage.title else 0, unit=stage.unit, cost=cost) as step:
            for piece in maker(self, todo):
                self._keep(piece)
                step(1, self._cost(piece.key))

    def _cost(self, key: str) -> float:
        """Return what an artefact takes, in relation to the others of its stage."""
        return self._costs.get(key, 1.0)

    def _keep(self, piece: Piece) -> None:
        inputs = self.artefacts[piece.key].inputs
        if piece.failed:
            log.info("%s could not be made: %s", piece.key, piece.failed)
            self.store.put_failure(piece.key, piece.failed, inputs=inputs)
        else:
            self.store.put(piece.key, piece.data, inputs=inputs, meta=piece.meta)

    def draw_settings(self, layer: str, recipe: Recipe) -> DrawSettings:
        """Return the settings to draw a layer by a recipe, the same for every engine."""
        vis = self.config.featurevis
        return DrawSettings(layer, recipe, vis.quality, vis.batch, n_cores(), self.bands)

    @property
    def bands(self) -> tuple[int, ...]:
        """The bands of an image that are shown as red, green and blue; () where the image is grey or RGB."""
        return shown_bands(self.network.input_shape[2], self.config.model_options.bands)

    def by_layer(self, todo: Iterable[Artefact]) -> Iterator[tuple[LayerRecord, list[Artefact]]]:
        """Yield artefacts layer by layer."""
        groups: dict[str, list[Artefact]] = defaultdict(list)
        for artefact in todo:
            groups[artefact.layer].append(artefact)
        for name, artefacts in groups.items():
            yield self.records[name], artefacts

    def layer(self, record: LayerRecord) -> Layer:
        """Return a layer of the network."""
        return self.network.layer(record.layer)

    def weights(self, pair: Pair) -> Floats:
        """Return a pair's expanded weights [h, w, source, target] from the store; raises StoreError."""
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
        """Return the share of the L1 norm that the window of a pair's expanded weights cuts off, 0 to 1."""
        return float(self.store.meta(weights_key(self.atlas, pair)).get("cropped") or 0.0)


# Yields a piece for each of a stage's artefacts to make; a failed one says why.
Maker = Callable[[Work, list[Artefact]], Iterator[Piece]]


def one_by_one(make: Callable[[Work, Artefact], Iterator[Piece]]) -> Maker:
    """Return the maker of a stage whose artefacts are made one by one, in this process."""

    def maker(work: Work, todo: list[Artefact]) -> Iterator[Piece]:
        for artefact in todo:
            yield from attempted([artefact.key], partial(make, work, artefact))

    return maker


def handed_out(shards: Callable[[Work, list[Artefact]], Iterator[Shard]]) -> Maker:
    """Return the maker of a stage whose artefacts are made in shards, by the engine."""
    return lambda work, todo: work.engine.run(shards(work, todo))


def title(what: str, record: LayerRecord, neurons: Sequence[int]) -> str:
    """Return the title of a part of a layer for messages: "factors of mixed3b:320-335"."""
    span = f"{neurons[0]}-{neurons[-1]}" if len(neurons) > 1 else f"{neurons[0]}"
    return f"{what} of {record.layer}:{span}"
