"""A store brought up to date: everything once, then exactly what is missing, damaged or asked for anew."""

from __future__ import annotations

import io
import itertools
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import featurevis_toy
from atlas.analysis import image_pass
from atlas.analysis.cancellation import cancellation
from atlas.analysis.families import Chain
from atlas.build import pace
from atlas.build import stages as makers
from atlas.build.compute import MAKERS, Made, compute, open_model, plan
from atlas.build.draw_settings import DrawSettings
from atlas.build.engine import WorkerContext
from atlas.build.forecast import Drawing, Load, Rates, duration, load_of, rates_of
from atlas.build.pace import other_seconds
from atlas.build.plan import STAGES
from atlas.build.stages import examples as stage_of_images
from atlas.build.stages import featurevis
from atlas.build.work import Work
from atlas.cli.config_file import read_config
from atlas.core.errors import ExamplesError, ModelError, StoreError
from atlas.core.records import (
    AtlasRecord,
    Connections,
    DirectionSheet,
    ExampleTable,
    Factorization,
    Family,
    FirstLayer,
    Floats,
    LayerRecord,
    LayerStatistics,
    Paths,
)
from atlas.drawing.image_files import read_image
from atlas.featurevis import memory, render
from atlas.featurevis.recipe import PRESETS, Recipe
from atlas.featurevis.sessions import default_sessions
from atlas.model.linear.composition import Composition
from atlas.model.reading.load import load_model
from atlas.store import Store, codec, keys
from atlases import n_artefacts, snapshot, toy_config

N_NEURONS = {"first": 4, "second": 5}


@pytest.fixture
def folder(toy_store: Path, tmp_path: Path) -> Path:
    """A copy of the toy network's store."""
    shutil.copytree(toy_store, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three photographs of noise, and a broken one."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (30, 36, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:100])
    return folder


def made(graph: Path, folder: Path, **flags: Any) -> dict[str, str]:
    """Compute; return the keys that were made, with the reasons."""
    with Store.open(folder, write=True) as store:
        result = compute(toy_config(graph, folder, **flags), store)
    return reasons(result)


def reasons(result: Made) -> dict[str, str]:
    """Return the keys that were made, with the reasons."""
    return {artefact.key: status.reason for artefact, status in result.made}


# The folders of what one pass over the images makes.
OF_IMAGES = {"examples", "ranges", "distributions", "fidelity"}


def stages(artefact_keys: dict[str, str]) -> set[str]:
    """Return the folders of keys."""
    return {key.partition("/")[0] for key in artefact_keys}


class TestStages:
    """The table of stages, and their makers."""

    def test_each_stage_has_one_maker(self) -> None:
        """Of its own or another stage's, in a file named like that of the plan, and in the table's order."""
        own = [stage for stage in STAGES.values() if not stage.made_with]
        assert list(MAKERS) == [stage.name for stage in own]
        assert {stage.made_with for stage in STAGES.values() if stage.made_with} <= set(MAKERS)
        files = {stage.artefacts.__module__.rpartition(".")[2] for stage in own if stage.name != "atlas"}
        assert all((Path(makers.__file__).with_name(f"{name}.py")).is_file() for name in files)


class TestEverything:
    """The toy network's store, made from nothing."""

    def test_every_neuron_has_its_artefacts(self, toy_store: Path) -> None:
        """Weights of three pairs, connections and paths and proposals of both layers, factors, pictures."""
        with Store.open(toy_store) as store:
            held = store.keys()
            shapes = {key: codec.decode_array(store.read(key)).shape for key in held if key.endswith(".npy")}
            record = store.record(keys.ATLAS, AtlasRecord)
            pictures = [store.read(key) for key in held if key.endswith(".jpg")]
        assert shapes == {
            "weights/input/first.npy": (5, 3, 3, 4),
            "weights/first/second.npy": (3, 3, 4, 5),
            "weights/second/classes.npy": (1, 1, 5, 7),
        }
        for layer, n in N_NEURONS.items():
            for index in range(n):
                assert keys.factorization(layer, index) in held
                assert keys.featurevis("neuron", layer, index) in held
        assert {Image.open(io.BytesIO(data)).size for data in pictures} == {(24, 20)}
        assert {layer.layer: len(layer.neurons) for layer in record.layers} == N_NEURONS

    def test_the_first_layers_weights_are_its_kernel(self, toy_store: Path) -> None:
        """Towards the image nothing lies between: the expanded weights are the network's own numbers."""
        kernel = np.random.default_rng(0).normal(0, 0.4, (5, 3, 3, 4)).astype(np.float32)
        with Store.open(toy_store) as store:
            weights = codec.decode_array(store.read(keys.weights("input", "first")))
        np.testing.assert_allclose(weights, kernel, rtol=1e-6)

    def test_connections_and_factors_are_of_these_weights(self, toy_store: Path) -> None:
        """The strongest connection of each neuron is the kernel with the largest L2 norm."""
        with Store.open(toy_store) as store:
            weights = codec.decode_array(store.read(keys.weights("first", "second")))
            record = store.record(keys.connections("second", "upstream"), Connections)
            factors = store.record(keys.factorization("second", 4), Factorization)
        norms = np.sqrt(np.square(weights).sum((0, 1)))
        np.testing.assert_array_equal(record.index[:, 0], norms.argmax(0))
        np.testing.assert_allclose(record.strength[:, 0], norms.max(0), rtol=1e-5)
        assert (record.source, record.target, record.carrier) == ("first", "second", "pool")
        assert (factors.source, len(factors.factors)) == ("first", 3)

    def test_statistics_and_filters_are_of_these_weights(self, toy_store: Path) -> None:
        """L2 norms are those of the stored weights; only the layer that sees the image has filters."""
        with Store.open(toy_store) as store:
            weights = codec.decode_array(store.read(keys.weights("first", "second")))
            record = store.record(keys.statistics("second"), LayerStatistics)
            filters = store.record(keys.filters("first"), FirstLayer)
            assert not store.has(keys.filters("second"))
        np.testing.assert_allclose(record.l2, np.sqrt(np.square(weights).sum((0, 1, 2))), rtol=1e-5)
        assert (record.layer, record.source, record.carrier) == ("second", "first", "pool")
        assert record.nearest.shape == (5, 4)
        assert (filters.layer, filters.downstream, filters.read) == ("first", "second", "expanded weights")
        assert filters.filters.shape == (4, 5, 3, 3)

    def test_paths_are_those_of_the_connections(self, toy_store: Path, toy_graph: Path) -> None:
        """Over one hop and over two, rows are the strongest connections, split as `cancellation` does."""
        with Store.open(toy_store) as store:
            listed = store.record(keys.connections("second", "upstream"), Connections)
            one, two = (store.record(keys.signed_paths("second", hops), Paths) for hops in (1, 2))
            first = store.record(keys.signed_paths("first", 1), Paths)
        for name in ("index", "sign", "strength", "peak", "l2", "l1"):
            np.testing.assert_allclose(getattr(one, name), getattr(listed, name), rtol=1e-5)
        np.testing.assert_allclose(one.kernel, listed.kernel, rtol=1e-5)
        network = load_model(toy_graph, value_range=(0, 1))
        for record, source, shape in ((one, "pool:0", (3, 3)), (two, "input", (10, 8))):
            parts = cancellation(network, source, "second")
            assert record.positive.shape[2:] == shape
            for row, t in np.ndindex(2, 5):
                s = record.index[t, row]
                np.testing.assert_allclose(record.positive[t, row], parts.positive[..., s, t], rtol=1e-4)
                np.testing.assert_allclose(record.ratio[t, row], parts.ratio[s, t], atol=1e-5)
            np.testing.assert_allclose(record.total_ratio, parts.total_ratio, atol=1e-5)
        assert (two.source, two.target, two.hops, two.n_candidates) == ("input", "second", 2, 3)
        assert not first.total_ratio.any()

    def test_what_is_known_of_a_picture_stands_beside_it(self, toy_store: Path) -> None:
        """The index keeps size, steps and the activation that was reached."""
        with Store.open(toy_store) as store:
            meta = store.meta(keys.featurevis("neuron", "first", 2))
        names = ("variant", "height_px", "width_px", "n_steps")
        assert [meta[name] for name in names] == ["neuron", 20, 24, PRESETS["draft"].n_steps]
        assert isinstance(meta["activation"], float)


class TestAgain:
    """What a second compute makes."""

    def test_nothing_when_all_is_fresh(self, toy_graph: Path, folder: Path) -> None:
        """A whole store, copied with new times, stays as it is, file by file."""
        before = snapshot(folder)
        assert made(toy_graph, folder) == {}
        assert snapshot(folder) == before

    def test_exactly_what_was_deleted_or_damaged(self, toy_graph: Path, folder: Path) -> None:
        """One deleted and one flipped artefact are made again, the same bytes; no other file is touched."""
        before = snapshot(folder)
        deleted, flipped = "featurevis/neuron/second/3.jpg", "weights/first/second.npy"
        (folder / deleted).unlink()
        data = bytearray((folder / flipped).read_bytes())
        data[-3] ^= 16
        (folder / flipped).write_bytes(data)
        assert made(toy_graph, folder) == {deleted: "missing", flipped: "damaged"}
        after = snapshot(folder)
        assert {key for key in after if after[key] != before[key]} == {deleted, flipped}
        assert {key: value[2] for key, value in after.items()} == {
            key: value[2] for key, value in before.items()
        }

    def test_one_setting_makes_its_stage_anew(self, toy_graph: Path, folder: Path) -> None:
        """Another number of factors makes factors, and the record that tells of it; pictures stay."""
        before = snapshot(folder)
        found = made(toy_graph, folder, nmf__factors=2)
        assert stages(found) == {"nmf", keys.ATLAS}
        assert set(found.values()) == {"setting nmf.factors changed"}
        changed = {key for key, value in snapshot(folder).items() if value != before[key]}
        assert changed == set(found)
        assert made(toy_graph, folder, nmf__factors=2) == {}

    def test_fewer_maps_are_made_anew(self, toy_graph: Path, folder: Path) -> None:
        """Another number of maps makes the tables of paths alone; without two hops they are not shown."""
        found = made(toy_graph, folder, paths__top=2, paths__two_hops=False)
        assert set(found) == {"paths/first__1.npz", "paths/second__1.npz", keys.ATLAS}
        with Store.open(folder) as store:
            assert store.record(keys.signed_paths("second", 1), Paths).kernel.shape == (5, 2, 3, 3)
            assert {layer.two_before for layer in store.record(keys.ATLAS, AtlasRecord).layers} == {None}

    @pytest.mark.slow
    def test_another_preset_draws_anew(self, toy_graph: Path, folder: Path) -> None:
        """A longer preset makes every picture, and no number."""
        found = made(toy_graph, folder, featurevis__preset="standard")
        assert stages(found) == {"featurevis", keys.ATLAS}
        assert set(found.values()) == {"setting featurevis.preset changed"}
        assert len(found) == 9 + 1

    def test_another_title_changes_the_record_alone(self, toy_graph: Path, folder: Path) -> None:
        """A title costs no picture and no number."""
        assert made(toy_graph, folder, title="T") == {keys.ATLAS: "setting title changed"}

    def test_a_quick_look_keeps_the_rest(self, toy_graph: Path, folder: Path) -> None:
        """An atlas of fewer neurons makes nothing but the record, and the way back is as short."""
        assert set(made(toy_graph, folder, neurons="first:1")) == {keys.ATLAS}
        assert set(made(toy_graph, folder)) == {keys.ATLAS}

    def test_another_input_range_makes_all_anew(self, toy_graph: Path, folder: Path) -> None:
        """The same bytes reading other values are another network."""
        found = made(toy_graph, folder, model_options__value_range=[0, 255], featurevis__variants=[])
        assert stages(found) == {
            "weights",
            "connections",
            "paths",
            "nmf",
            "statistics",
            "filters",
            "effective-fields",
            "proposals",
            keys.ATLAS,
        }

    def test_weights_of_another_shape_are_an_error(self, toy_graph: Path, folder: Path) -> None:
        """An array that cannot be this pair's is named, with what to do."""
        key = keys.weights("first", "second")
        with Store.open(folder, write=True) as store:
            inputs = store._index.inputs[store._index.entries[key].fingerprint]
            store.put(key, codec.encode_array(np.zeros((3, 3, 5, 4), np.float32)), inputs=inputs)
        (folder / keys.connections("second", "upstream")).unlink()
        with pytest.raises(StoreError, match=r"are \(3, 3, 5, 4\).*\(h, w, 4, 5\).*delete weights/"):
            made(toy_graph, folder)


class TestDirections:
    """Positions and factors of the chosen neurons on the way through the store."""

    def test_only_what_was_chosen_is_drawn(self, toy_graph: Path, folder: Path) -> None:
        """Two neurons get a sheet of 3 x 3 pictures, one a strip; what is known of them stands beside."""
        chosen = {"directions__positions": "second:1,second:3", "directions__factors": "second:1"}
        found = made(toy_graph, folder, **chosen)
        sheet, strip = keys.positions("second", 1), keys.factor_pictures("second", 1)
        assert set(found) == {sheet, keys.positions("second", 3), strip, keys.ATLAS}
        with Store.open(folder) as store:
            known = codec.decode_meta(DirectionSheet, store.meta(sheet))
            factors = codec.decode_meta(DirectionSheet, store.meta(strip))
            weights = codec.decode_array(store.read(keys.weights("first", "second")))[..., 1]
            sizes = [Image.open(io.BytesIO(store.read(key))).size for key in (sheet, strip)]
            layer = store.record(keys.ATLAS, AtlasRecord).layers[1]
        assert (layer.positions, layer.factor_pictures) == ((1, 3), (1,))
        assert (known.n_rows, known.n_columns, known.source, known.block) == (3, 3, "first", (1, 1))
        np.testing.assert_allclose(known.magnitudes, np.linalg.norm(weights, axis=-1).ravel(), rtol=1e-5)
        assert sizes == [(3 * 24 + 2, 3 * 20 + 2), (factors.n_columns * 25 - 1, 20)]
        assert made(toy_graph, folder, **chosen) == {}
        again = made(toy_graph, folder, **chosen, directions__cosine_power=2.0)
        assert stages(again) == {"positions", "factors", keys.ATLAS}

    def test_bytes_do_not_depend_on_company(self, toy_graph: Path, folder: Path) -> None:
        """A neuron's sheet is the same whether it is drawn alone or with all others of its layer."""
        key = keys.positions("second", 3)
        made(toy_graph, folder, directions__positions="second:3")
        alone = (folder / key).read_bytes()
        (folder / key).unlink()
        found = made(toy_graph, folder, directions__positions="all")
        assert {k for k in found if k != keys.ATLAS} == {keys.positions("second", i) for i in range(5)}
        assert (folder / key).read_bytes() == alone

    def test_the_strongest_are_found_by_their_weights(self, toy_graph: Path, folder: Path) -> None:
        """With "top 2" the largest L2 norms of all upstream weights decide."""
        with Store.open(folder) as store:
            weights = codec.decode_array(store.read(keys.weights("first", "second")))
            planned = plan(toy_config(toy_graph, folder, directions__positions="top 2"), store)
        norms = np.sqrt(np.square(weights).sum((0, 1, 2)))
        assert planned.atlas.layers[0].positions == ()
        assert planned.atlas.layers[1].positions == tuple(sorted(np.argsort(-norms)[:2].tolist()))
        with Store.open(folder.with_name("empty"), write=True) as store:
            empty = plan(toy_config(toy_graph, folder, directions__positions="top 2"), store)
        assert empty.atlas.layers == planned.atlas.layers


class TestForecast:
    """What is told before work starts."""

    def test_counts_of_what_there_is_to_make_and_draw(self, toy_graph: Path, folder: Path) -> None:
        """Stages are counted, pictures too, by what they are of; so few are not worth a measurement."""
        n = n_artefacts(folder)
        (folder / keys.featurevis("neuron", "first", 2)).unlink()
        config = toy_config(toy_graph, folder, directions__positions="second:1", directions__factors="second")
        with Store.open(folder) as store:
            first, second, third = plan(config, store).lines()
        assert first == f"to make: 1 featurevis, 1 positions, 5 factors, 1 atlas, of {n + 6} artefacts"
        assert second == "to draw: 1 neuron of first, up to 9 positions of second, up to 15 factors of second"
        assert re.fullmatch(r"all else: about \d+ s", third)

    def test_every_stage_counts(
        self, toy_graph: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each stage adds to the whole, by the speed of the machine."""
        monkeypatch.setattr(pace, "_slowness", lambda: 1000.0)
        config = toy_config(toy_graph, folder)
        with Store.open(tmp_path / "empty", write=True) as store:
            work = plan(config, store)
            assert re.fullmatch(r"(in all|all else): about [\d.]+ (s|min|h)", list(work.lines())[-1])
        todo = [artefact for artefact, _ in work.stale]
        seconds = other_seconds(work.network, work.atlas, config, todo)
        for stage in (
            "weights",
            "connections",
            "paths",
            "nmf",
            "statistics",
            "proposals",
            "examples",
            "strips",
        ):
            less = [artefact for artefact in todo if artefact.stage != stage]
            wanted = len(less) < len(todo)
            assert (other_seconds(work.network, work.atlas, config, less) < seconds) is wanted, stage
        monkeypatch.setattr(pace, "_slowness", lambda: 2000.0)
        twice = other_seconds(work.network, work.atlas, config, todo)
        assert twice - pace._START == pytest.approx(2 * (seconds - pace._START))

    def test_many_pictures_are_measured(self, toy_graph: Path, folder: Path) -> None:
        """From 32 pictures on a few steps are timed, and the whole is told in time."""
        config = toy_config(toy_graph, folder, directions__positions="all")
        with Store.open(folder) as store:
            work = plan(config, store)
            found = work.forecast()
        assert found.seconds is not None
        assert 0 < found.seconds < 600
        drawn = [artefact for artefact, _ in work.stale if artefact.stage == "positions"]
        assert sum(found.costs[artefact.key] for artefact in drawn) == pytest.approx(found.seconds)
        assert re.fullmatch(r"to draw: up to 45 positions of second: about [\d.]+ (s|min)", found.line)

    @pytest.mark.parametrize(("neurons", "n_batches"), [((0, 1), 1), ((0, 2, 4), 3), ((0, 1, 2, 3, 4), 3)])
    def test_batches_are_counted_as_they_are_drawn(
        self, toy_graph: Path, neurons: tuple[int, ...], n_batches: int
    ) -> None:
        """Each neuron has its place in a batch of two: those that share one need batches of their own."""
        network = load_model(toy_graph, value_range=(0, 1))
        recipe = Recipe(size=(20, 24))
        drawing = Drawing("neuron", "second", len(neurons), neurons, network.layer("second"), recipe)
        assert load_of(network, drawing, 2).n_rounds == -(-n_batches // default_sessions())

    def test_rates_explain_what_was_measured(self) -> None:
        """Two drawings of which one has many multiplications, the other many ops, tell what each costs."""
        loads = [Load(1, 1, 1e9, 50.0), Load(1, 1, 1e7, 400.0)]
        true = Rates(setup=0.01, product=3e-11, op=2e-4)
        measured = [
            (true.setup * load.ops, true.seconds(replace(load, n_objectives=0), 1), load.products, load.ops)
            for load in loads
        ]
        found = rates_of(measured)
        assert (found.setup, found.product, found.op) == pytest.approx((0.01, 3e-11, 2e-4))
        # Of one drawing alone a single cost is known; no cost is negative.
        assert rates_of(measured[:1]).seconds(loads[0], 10) == pytest.approx(true.seconds(loads[0], 10))
        odd = rates_of([(1.0, 1.0, 1e9, 50), (1.0, 2.0, 1e7, 50)])
        assert min(odd.setup, odd.product, odd.op) >= 0

    def test_nothing_to_draw_says_nothing(self, toy_graph: Path, folder: Path) -> None:
        """A fresh store has nothing to make, and no line on drawing."""
        with Store.open(folder) as store:
            assert list(plan(toy_config(toy_graph, folder), store).lines()) == [
                f"to make: nothing, of {n_artefacts(folder)} artefacts"
            ]

    @pytest.mark.parametrize(
        ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (720, "12 min"), (12_600, "3.5 h")]
    )
    def test_durations_are_told_as_people_do(self, seconds: float, words: str) -> None:
        """Seconds, minutes or hours, whichever says it in two digits."""
        assert duration(seconds) == words


class TestFamilies:
    """Families on the way through the store."""

    TABLE: ClassVar[dict[str, Any]] = {"name": "Some", "layer": "second", "neurons": [4, "0-1"], "note": "n"}

    def test_a_named_family_is_factorized(self, toy_graph: Path, folder: Path) -> None:
        """A family adds itself and the record; its maps times loadings are its weights, but for the error."""
        found = made(toy_graph, folder, family=[self.TABLE])
        pictures = keys.family_pictures("some")
        assert {keys.family("some"), pictures, keys.ATLAS} <= set(found)
        # Its members are those that "families" means in [directions].
        assert keys.positions("second", 4) in found
        assert keys.factor_pictures("second", 2) not in found
        with Store.open(folder) as store:
            known = codec.decode_meta(DirectionSheet, store.meta(pictures))
            size = Image.open(io.BytesIO(store.read(pictures))).size
            family = store.record(keys.family("some"), Family)
            weights = codec.decode_array(store.read(keys.weights("first", "second")))
        assert (family.name, family.note, family.neurons) == ("Some", "n", (4, 0, 1))
        members = np.moveaxis(weights[..., [4, 0, 1]], -1, 0)
        left = np.linalg.norm(members - family.maps @ family.loadings) / np.linalg.norm(members)
        assert family.error == pytest.approx(left, rel=1e-3)
        assert (known.source, known.n_rows, known.n_columns) == ("first", 1, len(family.loadings))
        assert size == (len(family.loadings) * (known.width_px + 1) - 1, known.height_px)

    def test_weights_from_further_away_are_made_for_it(self, toy_graph: Path, folder: Path) -> None:
        """A source that is not the layer before needs no artefact of its own."""
        undrawn = {"directions__positions": "none", "directions__factors": "none"}
        found = made(toy_graph, folder, family=[self.TABLE | {"source": "input"}], **undrawn)
        assert set(found) == {keys.family("some"), keys.ATLAS}
        with Store.open(folder) as store:
            assert store.record(keys.family("some"), Family).loadings.shape == (2, 3)

    def test_another_note_makes_the_family_alone(self, toy_graph: Path, folder: Path) -> None:
        """Two families: changing one leaves the other, and everything else, as it was."""
        other = self.TABLE | {"name": "Other"}
        made(toy_graph, folder, family=[self.TABLE, other])
        found = made(toy_graph, folder, family=[self.TABLE | {"note": "m"}, other])
        assert found[keys.family("some")] == "setting family.note changed"
        assert set(found) == {keys.family("some"), keys.ATLAS}

    def test_proposals_stand_under_every_number(self, toy_store: Path) -> None:
        """Numbers without a proposal hold a record without members, so that nothing is missing."""
        with Store.open(toy_store) as store:
            found = [store.record(keys.proposal("first", n), Family) for n in range(1, 21)]
            counts = [store.meta(keys.proposal("first", n))["members"] for n in range(1, 21)]
        assert [len(family.neurons) for family in found] == counts == sorted(counts, key=bool, reverse=True)
        assert {family.source for family in found} == {"input"}

    def test_proposals_take_the_stored_weights(
        self, toy_graph: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Made again, they are the same bytes, and no pair of layers is expanded that the store holds."""
        before = {key: data for key, (*_, data) in snapshot(folder).items()}
        expanded: list[Composition] = []
        chunks = Composition.chunks

        def counted(composition: Composition, *n_bytes: int) -> Iterator[Floats]:
            expanded.append(composition)
            return chunks(composition, *n_bytes)

        monkeypatch.setattr(Composition, "chunks", counted)
        for layer, n in itertools.product(N_NEURONS, range(1, 21)):
            (folder / keys.proposal(layer, n)).unlink()
        found = made(toy_graph, folder)
        assert stages(found) == {"proposals"}
        assert not expanded
        assert {key: data for key, (*_, data) in snapshot(folder).items()} == before
        Chain(load_model(toy_graph, value_range=(0, 1))).correspondence("first")
        assert len(expanded) == 1

    def test_more_proposals_are_added(self, toy_graph: Path, folder: Path) -> None:
        """Keeping more of them makes the new numbers only."""
        found = made(toy_graph, folder, families__most=21)
        assert set(found) == {keys.proposal("first", 21), keys.proposal("second", 21), keys.ATLAS}


class TestExamples:
    """Dataset examples on the way through the store."""

    def test_tables_strips_and_a_broken_image(
        self, toy_graph: Path, folder: Path, images: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each layer gets a table, each neuron a strip; the broken image is skipped, counted and named."""
        with caplog.at_level(logging.WARNING):
            found = made(toy_graph, folder, examples=str(images), dataset_examples__count=2)
        assert stages(found) == {"effective-fields", "strips", keys.ATLAS} | OF_IMAGES
        assert len(found) == 2 + 4 * 2 + 9 + 1
        assert "1 of 4 images could not be read: broken.png" in caplog.text
        with Store.open(folder) as store:
            table = store.record(keys.examples("second"), ExampleTable)
            strip = Image.open(io.BytesIO(store.read(keys.example_strip("second", 4))))
        assert (table.images, table.skipped) == (("a.png", "b.png", "c.png"), ("broken.png",))
        assert table.image.shape == (5, 2)
        # Two tiles of 96 px, and below them room for three smaller ones of each of six levels.
        assert strip.size == (3 * 6 * 64, 96 + 64)

    def test_only_other_images_make_them_anew(self, toy_graph: Path, folder: Path, images: Path) -> None:
        """A copied folder is the same; one that lost an image is not, and nothing but examples is made."""
        made(toy_graph, folder, examples=str(images))
        copied = shutil.copytree(images, images.with_name("copied"), copy_function=shutil.copyfile)
        assert made(toy_graph, folder, examples=str(copied)) == {}
        (copied / "b.png").unlink()
        found = made(toy_graph, folder, examples=str(copied))
        assert set(found.values()) == {"setting examples changed"}
        assert stages(found) == OF_IMAGES | {"strips"}

    def test_one_pass_serves_all_and_each_can_be_left_out(
        self, toy_graph: Path, folder: Path, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every image is read once; what is not wanted is not made, and not shown."""
        read: list[str] = []
        monkeypatch.setattr(
            image_pass, "read_image", lambda path, *rest: read.append(path.name) or read_image(path, *rest)
        )
        made(toy_graph, folder, examples=str(images))
        assert sorted(read) == ["a.png", "b.png", "broken.png", "c.png"]
        found = made(toy_graph, folder, examples=str(images), images__fidelity=False)
        assert set(found) == {keys.ATLAS}
        with Store.open(folder) as store:
            layers = store.record(keys.ATLAS, AtlasRecord).layers
        assert {(layer.distribution, layer.fidelity) for layer in layers} == {(True, False)}

    def test_weights_beyond_the_memory_take_passes_of_their_own(
        self, toy_graph: Path, folder: Path, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The numbers are the same, and all else is measured in the first pass."""
        made(toy_graph, folder, examples=str(images))
        with Store.open(folder) as store:
            known = {key: store.read(key) for key in list(store.keys()) if key.startswith("fidelity/")}
            for key in known:
                (folder / key).unlink()
        read: list[str] = []
        monkeypatch.setattr(stage_of_images, "MOST_BYTES", 1)
        monkeypatch.setattr(
            image_pass, "read_image", lambda path, *rest: read.append(path.name) or read_image(path, *rest)
        )
        assert set(made(toy_graph, folder, examples=str(images))) == set(known)
        assert len(read) == 4 * len(known)
        with Store.open(folder) as store:
            assert {key: store.read(key) for key in known} == known

    def test_a_missing_folder_is_told_before_any_work(self, toy_graph: Path, tmp_path: Path) -> None:
        """No model is opened for examples that are not there."""
        with pytest.raises(ExamplesError, match="no folder of images"):
            made(toy_graph.with_name("none.pb"), tmp_path / "store", examples=str(tmp_path / "none"))


class TestOpenModel:
    """open_model()."""

    def test_options_reach_the_model(self, toy_graph: Path, tmp_path: Path) -> None:
        """Name, range and labels of the config are the network's; the last line end makes no label."""
        (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\nf\ng\n")
        labels = str(tmp_path / "labels.txt")
        config = toy_config(toy_graph, tmp_path / "s", model_options__labels=labels, model_options__name="N")
        network = open_model(config)
        assert (network.name, network.value_range, network.labels) == ("N", (0.0, 1.0), tuple("abcdefg"))

    def test_labels_that_are_no_text_are_an_error(self, toy_graph: Path, tmp_path: Path) -> None:
        """A file of labels that cannot be read as text is named."""
        (tmp_path / "labels.txt").write_bytes(b"\xff\xfe")
        config = toy_config(toy_graph, tmp_path / "s", model_options__labels=str(tmp_path / "labels.txt"))
        with pytest.raises(ModelError, match=r"cannot read the labels .*labels\.txt"):
            open_model(config)


class TestOrders:
    """Orders that another process carries out."""

    def test_batches_have_the_shape_of_the_one_process(
        self, toy_graph: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker's one session draws as many at a time as each session of the process that hands out."""
        network = load_model(toy_graph, value_range=(0, 1))
        recipe = Recipe(preset=PRESETS["draft"], size=(20, 24))
        tensor = network.layer("second").tensor
        monkeypatch.setattr(memory, "CPU_BYTES", 12 * memory.image_bytes(network, tensor, recipe))
        monkeypatch.setattr(render, "default_sessions", lambda: 4)
        settings = DrawSettings("second", recipe, quality=90, batch=None, shared_by=4)
        with WorkerContext(network) as here, WorkerContext(network, n_sessions=1) as there:
            assert [settings.renderer(context).batch for context in (here, there)] == [3, 3]
            assert settings.renderer(there).sessions.n_sessions == 1
            assert settings.renderer(there) is settings.renderer(there)

    def test_shards_of_workers_fill_batches_branch_by_branch(self) -> None:
        """Each neuron stands in one shard; no shard holds neurons of two branches, or more than asked for."""
        network, record = featurevis_toy.network(), LayerRecord("block", tuple(range(9)), "stem", "end")
        atlas = AtlasRecord("", network.record(), (record,))
        work = Work(network, atlas, read_config(), Store, artefacts=(), stale=())  # type: ignore[arg-type]
        settings = DrawSettings("block", Recipe(), 90, None, 1)

        def parts(settings: DrawSettings, shard_size: int | None) -> list[tuple[int, ...]]:
            work.engine.shard_size = shard_size
            return [part for _, part in featurevis._parts(work, record, settings, record.neurons)]

        assert parts(settings, None) == [record.neurons]
        assert parts(settings, 3) == [(0, 1, 2), (3,), (4, 5, 6), (7, 8)]
        # Whole batches of two, and no less than one of a batch that is asked for.
        assert parts(replace(settings, batch=2), 3) == [(0, 1), (2, 3), (4, 5), (6, 7), (8,)]
        assert parts(replace(settings, batch=4), 3) == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]
