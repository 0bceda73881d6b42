"""The decoded artefacts of one layer, which its page and its neurons' pages and data files are made from."""

from __future__ import annotations

import base64
import functools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from atlas.core.neuron import INPUT, Layer
from atlas.core.records import (
    Bands,
    Connections,
    DirectionSheet,
    Distribution,
    EffectiveField,
    ExampleTable,
    Factorization,
    FeatureVis,
    Fidelity,
    FirstLayer,
    LayerRecord,
    LayerStatistics,
    Paths,
    RangeTable,
)
from atlas.drawing.circuit_selection import Table, table_of
from atlas.drawing.images import webp
from atlas.store import Store, codec, keys

Doubles = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Columns:
    """Connections with the small arrays as lists, which plain Python reads faster; row i is neuron i."""

    record: Connections
    """The connections as the store holds them, with their kernels."""
    index: list[list[int]]
    """The neurons on the other side, strongest first; where any weight is not zero, only such."""
    strength: list[list[float]]
    """The kernels' L2 norms."""
    sign: list[list[int]]
    """The sign of the kernel's sum: 1, -1 or 0."""
    total: list[float]
    """[n], the L2 norm over all of a neuron's connections, including those that are not shown."""
    notes: tuple[str, ...] = ()
    """The assumptions under which the weights hold."""


@dataclass(frozen=True, slots=True)
class Measured:
    """LayerStatistics with the arrays as lists, which plain Python reads faster; row i is neuron i."""

    record: LayerStatistics
    """The statistics as the store holds them."""
    values: dict[str, list[float]]
    """[n] for each statistic, by the name of its field in LayerStatistics."""
    percentile: list[list[float]]
    """[n, 5], 0 to 100: percentiles in the layer, in the order of `values`."""
    nearest: list[list[int]]
    """[n, k], the most similar neurons of the layer, best first."""
    similarity: list[list[float]]
    """[n, k], cosines of their weights, -1 to 1."""


class LayerArtefacts:
    """The artefacts of one layer of the atlas, each read at its first use; None for one that is missing."""

    def __init__(self, store: Store, layer: Layer, record: LayerRecord) -> None:
        """Keep the store; nothing is read yet."""
        self._store = store
        self.layer = layer
        self.record = record
        self._factorizations: dict[int, Factorization | None] = {}
        self._drawn_positions = frozenset(record.positions)
        self._drawn_factors = frozenset(record.factor_pictures)

    @functools.cached_property
    def upstream(self) -> Columns | None:
        """The connections from the layer before."""
        return self._connections("upstream")

    @functools.cached_property
    def downstream(self) -> Columns | None:
        """The connections to the layer after."""
        return self._connections("downstream")

    @functools.cached_property
    def one_hop(self) -> Paths | None:
        """The positive and negative paths from the layer before."""
        return self._paths(1, self.record.upstream)

    @functools.cached_property
    def two_hops(self) -> Paths | None:
        """The positive and negative paths from the layer before the upstream one."""
        return self._paths(2, self.record.two_before)

    @functools.cached_property
    def two_hops_list(self) -> Columns | None:
        """The connections from the layer before the upstream one, in the same form as `upstream`."""
        paths = self.two_hops
        if paths is None:
            return None
        shared = [name for name in Connections.__dataclass_fields__ if name != "direction"]
        values = {name: getattr(paths, name) for name in shared}
        return columns_of(Connections(direction="two-hops", **values), self.record.two_before_notes)

    @functools.cached_property
    def examples(self) -> ExampleTable | None:
        """The images that excite each neuron most."""
        return self._record(keys.examples(self.layer.slug), ExampleTable, wanted=self.record.examples)

    @functools.cached_property
    def ranges(self) -> RangeTable | None:
        """Images from the whole range of each neuron."""
        return self._record(keys.ranges(self.layer.slug), RangeTable, wanted=self.record.ranges)

    @functools.cached_property
    def distribution(self) -> Distribution | None:
        """How each neuron's activations are distributed over images."""
        return self._record(keys.distribution(self.layer.slug), Distribution, wanted=self.record.distribution)

    @functools.cached_property
    def fidelity(self) -> Fidelity | None:
        """How well the weights from the layer before predict each neuron on images."""
        return self._record(keys.fidelity(self.layer.slug), Fidelity, wanted=self.record.fidelity)

    @functools.cached_property
    def statistics(self) -> Measured | None:
        """The statistics of all neurons, and the neurons most similar to each."""
        key = keys.statistics(self.layer.slug)
        if self.record.upstream is None or not self._store.has(key):
            return None
        record = self._store.record(key, LayerStatistics)
        names = ("l2", "l1", "crispness", "balance", "n_inputs")
        values = {name: getattr(record, name).tolist() for name in names}
        lists = (record.percentile.tolist(), record.nearest.tolist(), record.similarity.tolist())
        return Measured(record, values, *lists)

    @functools.cached_property
    def effective_field(self) -> EffectiveField | None:
        """What the middle position reacts to; None where it has no positions, or was not measured."""
        return self._record(keys.effective_field(self.layer.slug), EffectiveField)

    @functools.cached_property
    def filters(self) -> FirstLayer | None:
        """The filters of a layer that reads the image itself."""
        return self._record(keys.filters(self.layer.slug), FirstLayer, wanted=self.record.upstream == INPUT)

    def factorization(self, index: int) -> Factorization | None:
        """Return one neuron's factorization. It is read only once, because three files show it."""
        if index not in self._factorizations:
            key = keys.factorization(self.layer.slug, index)
            available = self.record.upstream is not None and self._store.has(key)
            self._factorizations[index] = self._store.record(key, Factorization) if available else None
        return self._factorizations[index]

    def featurevis(self, variant: str, index: int) -> FeatureVis | None:
        """Return the facts on one feature visualization, without reading its picture."""
        key = keys.featurevis(variant, self.layer.slug, index)
        if not self._store.has(key):
            return None
        meta = self._store.meta(key)
        return FeatureVis(
            variant=variant,
            height_px=int(meta.get("height_px") or 0),
            width_px=int(meta.get("width_px") or 0),
            n_steps=int(meta.get("n_steps") or 0),
            activation=float(meta.get("activation") or 0.0),
            precision=str(meta.get("precision") or "float32"),
        )

    def bands(self, index: int) -> Bands | None:
        """Return the facts on the picture of a neuron's bands, None where it has only a plain picture."""
        key = keys.bands(self.layer.slug, index)
        return codec.decode_meta(Bands, self._store.meta(key), key=key) if self._store.has(key) else None

    def failures(self, index: int) -> dict[str, str]:
        """Return the reasons why artefacts of a neuron or its layer could not be made, by their names."""
        slug, record = self.layer.slug, self.record
        artefact_keys = {
            f"feature visualization ({v})": keys.featurevis(v, slug, index) for v in record.featurevis
        } | {
            "dataset examples": keys.examples(slug),
            "pictures of the dataset examples": keys.example_strip(slug, index),
            "images across the range": keys.ranges(slug),
            "distribution of activations": keys.distribution(slug),
            "weights held against images": keys.fidelity(slug),
            "connections to the layer before": keys.connections(slug, "upstream"),
            "connections to the layer after": keys.connections(slug, "downstream"),
            "positive and negative paths over one hop": keys.signed_paths(slug, 1),
            "positive and negative paths over two hops": keys.signed_paths(slug, 2),
            "factors": keys.factorization(slug, index),
            "statistics": keys.statistics(slug),
            "pictures of positions": keys.positions(slug, index),
            "pictures of factors": keys.factor_pictures(slug, index),
        }
        return {name: why for name, key in artefact_keys.items() if (why := self._store.failure(key))}

    def positions(self, index: int) -> DirectionSheet | None:
        """Return the facts on the pictures of one neuron's positions, without reading them."""
        drawn = index in self._drawn_positions
        return self._sheet(keys.positions(self.layer.slug, index)) if drawn else None

    def factor_pictures(self, index: int) -> DirectionSheet | None:
        """Return the facts on the pictures of one neuron's factors, without reading them."""
        drawn = index in self._drawn_factors
        return self._sheet(keys.factor_pictures(self.layer.slug, index)) if drawn else None

    def _sheet(self, key: str) -> DirectionSheet | None:
        if not self._store.has(key):
            return None
        return codec.decode_meta(DirectionSheet, self._store.meta(key), key=key)

    def has_strip(self, index: int) -> bool:
        """Return whether the store holds the strip of one neuron's dataset examples."""
        return self.record.examples and self._store.has(keys.example_strip(self.layer.slug, index))

    def strip_uri(self, index: int) -> str:
        """Return the strip of one neuron's dataset examples as a data URI; the store must hold it."""
        data = webp(self._store.read(keys.example_strip(self.layer.slug, index)))
        return f"data:image/webp;base64,{base64.b64encode(data).decode()}"

    def _record(self, key: str, kind: type[T], *, wanted: bool = True) -> T | None:
        # A store may hold what only an earlier atlas showed.
        return self._store.record(key, kind) if wanted and self._store.has(key) else None

    def _paths(self, hops: int, source: str | None) -> Paths | None:
        return self._record(keys.signed_paths(self.layer.slug, hops), Paths, wanted=source is not None)

    def _connections(self, direction: str) -> Columns | None:
        # A store may hold connections that only an earlier atlas showed.
        other = self.record.upstream if direction == "upstream" else self.record.downstream
        key = keys.connections(self.layer.slug, direction)
        if other is None or not self._store.has(key):
            return None
        notes = self.record.upstream_notes if direction == "upstream" else self.record.downstream_notes
        return columns_of(self._store.record(key, Connections), notes)


def columns_of(record: Connections, notes: tuple[str, ...] = ()) -> Columns:
    """Return connections with their small arrays as lists, and the notes on their weights."""
    # A neuron of a depthwise convolution has one connection, though the array has room for more.
    counts = np.count_nonzero(record.strength, axis=1).tolist()
    index, strength, sign = (
        [row[: n or None] for row, n in zip(values.tolist(), counts, strict=True)]
        for values in (record.index, record.strength, record.sign)
    )
    return Columns(record, index, strength, sign, _total(record).tolist(), notes)


class AtlasArtefacts:
    """The artefacts of all layers; it keeps those of a few layers, and lists of connections of some more."""

    # Enough for the layer that is being written and the layers after it that its circuits show.
    KEPT = 4

    def __init__(self, store: Store, layers: Sequence[tuple[Layer, LayerRecord]]) -> None:
        """Keep the store; nothing is read yet."""
        self._store = store
        self._layers = {layer.name: (layer, record) for layer, record in layers}
        self._open: OrderedDict[str, LayerArtefacts] = OrderedDict()
        # The cache belongs to the instance; functools.cache on a method would keep every store alive.
        self.table = functools.lru_cache(maxsize=4 * self.KEPT)(self._table)

    def of(self, name: str) -> LayerArtefacts:
        """Return the artefacts of a layer; raise KeyError for a layer that the atlas does not show."""
        if name not in self._open:
            self._open[name] = LayerArtefacts(self._store, *self._layers[name])
            if len(self._open) > self.KEPT:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return self._open[name]

    def _table(self, name: str, direction: str) -> Table | None:
        """Return a layer's connections in one direction without kernels, None where there are none."""
        if name not in self._layers:
            return None
        columns: Columns | None = getattr(self.of(name), direction)
        if columns is None or not columns.record.index.size:
            return None
        return table_of(columns.record, columns.total)


def _total(record: Connections) -> Doubles:
    """Return the L2 norms [n] over all of a neuron's connections, from the shown ones and their share."""
    squared = np.square(record.strength, dtype=np.float64).sum(1)
    share = record.l2.astype(np.float64)
    total: Doubles = np.sqrt(np.divide(squared, share, out=np.zeros_like(squared), where=share > 0))
    return total
