"""Makes the artefacts that are missing or stale, stage by stage, each kept as soon as it is done."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from atlas import connections, nmf
from atlas.config import AtlasConfig
from atlas.errors import ModelError, StoreError
from atlas.examples import example_strips, find_examples, image_files
from atlas.featurevis.render import Renderer
from atlas.freshness import images_digest, stale
from atlas.images import jpeg
from atlas.model.load import load_model
from atlas.model.network import Network
from atlas.model.ways import INPUT
from atlas.neuron import Layer
from atlas.plan import Artefact, Pair, pairs_of, recipe_of, wanted, weights_key
from atlas.progress import Step, bar
from atlas.records import AtlasRecord, ExampleTable, Floats, LayerRecord
from atlas.resolve import resolve
from atlas.store import Status, Store, codec, paths
from atlas.store.fingerprint import Inputs
from atlas.weights import expand

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """What a compute did: how many artefacts there are, and which were made, with the reason."""

    n_wanted: int
    made: tuple[tuple[Artefact, Status], ...]


def open_model(config: AtlasConfig) -> Network:
    """Return the network that a config names; "demo" is the bundled one."""
    options = config.model_options
    return load_model(
        config.model,
        input_name=options.input or None,
        value_range=options.value_range,
        input_shape=options.input_shape,
        labels=_labels(options.labels),
        name=options.name or None,
    )


def _labels(path: str) -> list[str] | None:
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"cannot read the labels {path}: {error}", expected="a text file, a class a line"
        ) from error


def compute(config: AtlasConfig, store: Store) -> Made:
    """Bring a store up to date with a config; raises AtlasError, keeping all that was done before."""
    images = images_digest(store, config.examples)
    network = open_model(config)
    atlas = resolve(network, config)
    artefacts = wanted(atlas, config, images=images)
    todo = stale(store, artefacts)
    work = _Work(network, atlas, config, store, [artefact for artefact, _ in todo])
    work.weights()
    work.connections()
    work.factorizations()
    work.examples()
    work.featurevis()
    # Written last: until then a renderer sees the former atlas, whose artefacts are still there.
    if codec.encode(atlas) != _former(store, artefacts[-1].inputs):
        store.put_record(paths.ATLAS, atlas, inputs=artefacts[-1].inputs)
    return Made(len(artefacts), tuple(todo))


def _former(store: Store, inputs: Inputs) -> bytes | None:
    return store.read(paths.ATLAS) if store.status(paths.ATLAS, inputs).fresh else None


class _Work:
    """The stages of one compute, each over the artefacts that it has to make."""

    def __init__(
        self,
        network: Network,
        atlas: AtlasRecord,
        config: AtlasConfig,
        store: Store,
        todo: Iterable[Artefact],
    ) -> None:
        self._network, self._atlas, self._config, self._store = network, atlas, config, store
        self._todo: dict[str, list[Artefact]] = defaultdict(list)
        for artefact in todo:
            self._todo[artefact.stage].append(artefact)
        self._records = {record.layer: record for record in atlas.layers}
        self._folder = Path(config.examples)

    def weights(self) -> None:
        """Make expanded weights, a pair of layers at a time."""
        with self._bar("weights", "expanded weights", unit="pairs") as step:
            for artefact in self._todo["weights"]:
                pair = pairs_of(self._records[artefact.layer])[artefact.part]
                source = INPUT if pair.source == INPUT else pair.carrier
                result = expand(self._network, source, pair.target, width=self._config.weights.width)
                if result.cropped:
                    log.warning(
                        "%s to %s: the window crops %.1f %%", pair.source, pair.target, 100 * result.cropped
                    )
                data = codec.encode_array(result.weights)
                self._store.put(
                    artefact.key, data, inputs=artefact.inputs, meta={"cropped": round(result.cropped, 6)}
                )
                step(1)

    def connections(self) -> None:
        """Make the connections of whole layers, one direction at a time."""
        with self._bar("connections", "connections", unit="tables") as step:
            for artefact in self._todo["connections"]:
                pair = pairs_of(self._records[artefact.layer])[artefact.part]
                select = connections.upstream if artefact.part == "upstream" else connections.downstream
                record = select(
                    self._weights(pair),
                    source=pair.source,
                    target=pair.target,
                    carrier=pair.carrier.partition(":")[0],
                    cropped=self._cropped(pair),
                    k=self._config.connections.top,
                )
                self._store.put_record(artefact.key, record, inputs=artefact.inputs)
                step(1)

    def factorizations(self) -> None:
        """Factorize neuron by neuron."""
        with self._bar("nmf", "factors") as step:
            for record, artefacts in self._by_layer("nmf"):
                pair = pairs_of(record)["upstream"]
                weights = self._weights(pair)
                for artefact in artefacts:
                    result = nmf.factorize(
                        weights[..., artefact.index],
                        source=pair.source,
                        n_factors=self._config.nmf.factors,
                        n_loadings=self._config.nmf.loadings,
                        seed=self._config.seed,
                    )
                    self._store.put_record(artefact.key, result, inputs=artefact.inputs)
                    step(1)

    def examples(self) -> None:
        """Find the examples of all layers in one pass over the images, then cut the strips."""
        missing = self._todo["examples"]
        if missing:
            self._find_examples(missing)
        with self._bar("strips", "example strips") as step:
            for record, artefacts in self._by_layer("strips"):
                table = self._store.record(paths.examples(self._layer(record).slug), ExampleTable)
                by_index = {artefact.index: artefact for artefact in artefacts}
                strips = example_strips(table, self._folder, self._network.input_shape, tuple(by_index))
                for index, data in strips:
                    self._store.put(by_index[index].key, data, inputs=by_index[index].inputs)
                    step(1)

    def featurevis(self) -> None:
        """Draw feature visualizations, a layer and variant at a time, each kept as soon as it is done."""
        with self._bar("featurevis", "feature visualization", unit="images") as step:
            for record, artefacts in self._by_layer("featurevis"):
                for variant in record.featurevis:
                    of_variant = {a.index: a.key for a in artefacts if a.part == variant}
                    inputs = next((a.inputs for a in artefacts if a.part == variant), {})
                    for _ in self._draw(record, variant, of_variant, inputs):
                        step(1)

    def _draw(
        self, record: LayerRecord, variant: str, keys: dict[int, str], inputs: Inputs
    ) -> Iterator[None]:
        if not keys:
            return
        recipe = recipe_of(self._config, record, variant)
        batch = self._config.featurevis.batch
        with Renderer(self._network, self._layer(record), recipe, batch=batch) as renderer:
            for index, image, result in renderer.render(tuple(keys)):
                data = jpeg(image, quality=self._config.featurevis.quality)
                self._store.put(keys[index], data, inputs=inputs, meta=asdict(result))
                yield

    def _find_examples(self, missing: list[Artefact]) -> None:
        layers = [self._network.layer(artefact.layer) for artefact in missing]
        total = len(image_files(self._folder))
        with bar("dataset examples", total, unit="images") as step:
            count = self._config.dataset_examples.count
            tables = find_examples(self._network, layers, self._folder, k=count, progress=step)
        skipped = next(iter(tables.values())).skipped
        if skipped:
            named = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
            log.warning("%d of %d images could not be read: %s", len(skipped), total, named)
        for artefact in missing:
            self._store.put_record(artefact.key, tables[artefact.layer], inputs=artefact.inputs)

    def _bar(self, stage: str, title: str, *, unit: str = "neurons") -> AbstractContextManager[Step]:
        return bar(title, len(self._todo[stage]), unit=unit)

    def _by_layer(self, stage: str) -> Iterator[tuple[LayerRecord, list[Artefact]]]:
        groups: dict[str, list[Artefact]] = defaultdict(list)
        for artefact in self._todo[stage]:
            groups[artefact.layer].append(artefact)
        for name, artefacts in groups.items():
            yield self._records[name], artefacts

    def _layer(self, record: LayerRecord) -> Layer:
        return self._network.layer(record.layer)

    def _weights(self, pair: Pair) -> Floats:
        key = weights_key(self._atlas, pair)
        weights = codec.decode_array(self._store.read(key), key=key)
        n_source = self._network.input_shape[2] if pair.source == INPUT else 0
        n_source = n_source or self._network.layer(pair.source).n_channels
        expected = (n_source, self._network.layer(pair.target).n_channels)
        if weights.ndim != 4 or weights.shape[2:] != expected:
            raise StoreError(
                f"{pair.source} to {pair.target}: expanded weights are {weights.shape}",
                expected=f"(h, w, {expected[0]}, {expected[1]})",
                remedy=f"delete {key} from the store and build again",
            )
        return weights

    def _cropped(self, pair: Pair) -> float:
        return float(self._store.meta(weights_key(self._atlas, pair)).get("cropped") or 0.0)
