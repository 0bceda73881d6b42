"""Which artefacts a config asks for, and what each depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas.build.plan import Artefact, Pair, atlas_inputs, pairs_of, path_pairs_of, wanted
from atlas.cli.config_file import read_config
from atlas.core.errors import ModelError
from atlas.core.neuron import Layer
from atlas.core.preprocessing import PLAIN, Resizing
from atlas.core.records import AtlasRecord, LayerRecord
from atlas.core.records.operating_point import HELD
from atlas.store import keys
from atlases import paper_atlas

WHOLE = paper_atlas(examples=True)


def inputs(flags: dict[str, Any], **options: Any) -> dict[str, dict[str, str]]:
    """Return the inputs of every artefact of the paper atlas, by key."""
    return {a.key: dict(a.inputs) for a in wanted(WHOLE, read_config(None, flags), **options)}


def changed_stages(before: tuple[Artefact, ...], after: tuple[Artefact, ...]) -> set[str]:
    """Return the stages of which any artefact, or its inputs, differ."""
    old = {a.key: a.inputs for a in before}
    return {a.stage for a in after if old.get(a.key) != a.inputs}


def with_directions() -> AtlasRecord:
    """Return the paper atlas with directions of two neurons of its second layer."""
    first, second = WHOLE.layers
    drawn = replace(second, positions=(1, 3), factor_pictures=(3,), source_size=(20, 24))
    return replace(WHOLE, layers=(first, drawn))


def _with_neurons(atlas: AtlasRecord, layers: tuple[Layer, ...], n: int) -> AtlasRecord:
    """Return an atlas of other layers, whose first layer shows n neurons, with two proposals a layer."""
    first, *others = atlas.layers
    model = replace(atlas.model, layers=layers)
    shown = (replace(first, neurons=tuple(range(n))), *others)
    return replace(atlas, model=model, layers=shown, n_proposals=2)


# Options that came after stores were written, each with a value that is not its default.
LATER: dict[str, Any] = {
    "preprocess": "tf",
    "mean": [0.5],
    "std": [0.5],
    "channels": "bgr",
    "inputs": {"right": 1},
    "signature": "large",
}
PERMITTED: dict[str, Any] = {"custom_objects": ["m:A"], "unsafe": True}
# They act by way of the network's record.
RESIZED: dict[str, Any] = {"interpolation": "bicubic", "crop": 0.875}


class TestModelOptions:
    """Options of the model, and what they make stale."""

    def test_older_stores_stay_fresh(self) -> None:
        """Options that came later are no inputs where they are not used."""
        names = {f"model_options.{name}" for name in ("bands", *LATER, *PERMITTED, *RESIZED)}
        of_artefacts = {name for values in inputs({}).values() for name in values}
        assert not names & (of_artefacts | set(atlas_inputs(read_config())))

    @pytest.mark.parametrize("name", LATER)
    def test_another_network_is_another_artefact(self, name: str) -> None:
        """An option that changes what the network computes changes the inputs of every artefact."""
        before, after = inputs({}), inputs({f"model_options.{name}": LATER[name]})
        assert before.keys() == after.keys()
        assert all(before[key] != after[key] for key in before)

    def test_other_code_is_another_record(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a module of custom objects in the working folder changes, the atlas is made again."""
        monkeypatch.chdir(tmp_path)
        config = read_config(None, {"model_options.custom_objects": ["own:Layer"]})
        before = []
        for code in ("a = 1", "a = 2"):
            (tmp_path / "own.py").write_text(code)
            before.append(atlas_inputs(config))
        assert before[0] != before[1]

    def test_bands_change_pictures_alone(self) -> None:
        """Which bands are shown changes what is drawn, and no weights."""
        before, after = inputs({}), inputs({"model_options.bands": [3, 2, 1]})
        changed = {key.partition("/")[0] for key in before if before[key] != after[key]}
        assert {"featurevis", keys.ATLAS} <= changed
        assert changed.isdisjoint({"weights", "connections", "nmf", "examples"})

    @pytest.mark.parametrize("name", [*PERMITTED, *RESIZED])
    def test_permissions_change_the_record_alone(self, name: str) -> None:
        """What changes no number by itself makes only the atlas's record stale."""
        before, after = inputs({}), inputs({f"model_options.{name}": (PERMITTED | RESIZED)[name]})
        assert [key for key in before if before[key] != after[key]] == [keys.ATLAS]


class TestWanted:
    """wanted()."""

    def test_every_artefact_stands_once(self) -> None:
        """A pair that two layers share is computed once; every neuron has its files; the record is last."""
        found = wanted(paper_atlas(), read_config())
        assert [a.key for a in found] == [
            "weights/input/first.npy",
            "weights/first/second-x.npy",
            "weights/second-x/classes.npy",
            "connections/first__upstream.npz",
            "connections/first__downstream.npz",
            "connections/second-x__upstream.npz",
            "connections/second-x__downstream.npz",
            "paths/first__1.npz",
            "paths/second-x__1.npz",
            "paths/second-x__2.npz",
            *(f"nmf/first/{i}.json" for i in range(4)),
            *(f"nmf/second-x/{i}.json" for i in range(5)),
            "statistics/first.npz",
            "statistics/second-x.npz",
            "filters/first.npz",
            "effective-fields/first.npz",
            "effective-fields/second-x.npz",
            *(f"featurevis/neuron/first/{i}.jpg" for i in range(4)),
            *(f"featurevis/neuron/second-x/{i}.jpg" for i in range(5)),
            *(f"featurevis/channel/second-x/{i}.jpg" for i in range(5)),
            "atlas.json",
        ]

    def test_proposals_follow_the_shown_neurons(self) -> None:
        """Families are proposed of a whole layer, or of 32 shown neurons and more, on which they depend."""
        wide = [replace(layer, n_channels=40) for layer in WHOLE.model.layers]
        of = {n: _with_neurons(WHOLE, tuple(wide), n) for n in (31, 32, 40)}
        found = {
            n: [
                a.inputs
                for a in wanted(atlas, read_config())
                if a.stage == "proposals" and a.layer == "first"
            ]
            for n, atlas in of.items()
        }
        assert {n: len(inputs) for n, inputs in found.items()} == {31: 0, 32: 2, 40: 2}
        assert found[32][0]["neurons"] == ",".join(map(str, range(32)))
        assert "neurons" not in found[40][0]
        whole = [a for a in wanted(replace(WHOLE, n_proposals=2), read_config()) if a.stage == "proposals"]
        assert {a.layer for a in whole} == {"first", "second/x"}

    def test_examples_are_a_table_and_strips(self) -> None:
        """A layer with examples has one table and a strip for each neuron."""
        extra = {a.key for a in wanted(WHOLE, read_config())} - {
            a.key for a in wanted(paper_atlas(), read_config())
        }
        strips = [f"strips/first/{i}.jpg" for i in range(4)] + [f"strips/second-x/{i}.jpg" for i in range(5)]
        assert extra == {"examples/first.npz", "examples/second-x.npz", *strips}

    @pytest.mark.parametrize(
        ("flags", "stages"),
        [
            ({"title": "T"}, set()),
            ({"featurevis.batch": 3}, set()),
            ({"site": "elsewhere", "store": "there"}, None),
            ({"nmf.factors": 2}, {"nmf"}),
            ({"nmf.loadings": 2}, {"nmf"}),
            ({"connections.top": 2}, {"connections", "paths"}),
            ({"paths.top": 2}, {"paths"}),
            ({"statistics.lookalikes": 2}, {"statistics"}),
            ({"weights.width": 3}, {"weights", "connections", "paths", "nmf", "statistics", "filters"}),
            ({"featurevis.preset": "draft"}, {"featurevis"}),
            ({"featurevis.quality": 80}, {"featurevis"}),
            ({"featurevis.precision": "bfloat16"}, {"featurevis"}),
            ({"dataset_examples.count": 3}, {"examples", "strips"}),
            ({"seed": 1}, {"nmf", "featurevis"}),
        ],
    )
    def test_a_setting_changes_its_stages_alone(self, flags: dict[str, Any], stages: set[str] | None) -> None:
        """What depends on a setting is made again, with the atlas record, and nothing else."""
        before, after = wanted(WHOLE, read_config()), wanted(WHOLE, read_config(None, flags))
        assert changed_stages(before, after) == (set() if stages is None else stages | {"atlas"})

    def test_other_images_change_the_examples_alone(self) -> None:
        """Another folder of examples makes tables and strips stale."""
        config = read_config()
        before, after = wanted(WHOLE, config, images="a"), wanted(WHOLE, config, images="b")
        assert changed_stages(before, after) == {"examples", "strips"}

    def test_resized_otherwise_photographs_are_others(self) -> None:
        """What photographs were read for is made again: examples, and weights held at their mean."""
        held = replace(WHOLE.layers[1], upstream_notes=(f"gate {HELD} 2 of the dataset examples",))
        plain = replace(WHOLE, layers=(WHOLE.layers[0], held))
        config = read_config()
        found = []
        for preprocessing in (None, PLAIN, replace(PLAIN, resizing=Resizing("bicubic"))):
            atlas = replace(plain, model=replace(plain.model, preprocessing=preprocessing))
            found.append(wanted(atlas, config, images="a"))
        old, same, other = found
        assert changed_stages(old, same) == set()
        changed = changed_stages(same, other)
        assert {"examples", "strips", "weights"} <= changed
        assert "featurevis" not in changed

    def test_records_of_torch_zoos_are_made_again(self) -> None:
        """Former versions did not read how their photographs are resized; other models stay fresh."""
        assert "resizing" in atlas_inputs(read_config(None, {"model": "timm:resnet18"}))
        for model in ("demo", "keras:ResNet50", "nets:make", "InceptionV1"):
            assert "resizing" not in atlas_inputs(read_config(None, {"model": model}))

    @pytest.mark.parametrize(
        "model", [{"sha256": "cd"}, {"input_shape": (24, 20, 3)}, {"value_range": (0.0, 255.0)}]
    )
    def test_another_network_changes_everything(self, model: dict[str, Any]) -> None:
        """Other bytes, or the same ones with another input, leave nothing but the record's own inputs."""
        config = read_config()
        before, after = wanted(WHOLE, config), wanted(paper_atlas(examples=True, **model), config)
        assert changed_stages(before, after) == {a.stage for a in before} - {"atlas"}

    def test_filters_are_sorted_by_the_layer_after(self) -> None:
        """Another carrier to the layer after makes a layer's filters stale, its own statistics not."""
        first, second = WHOLE.layers
        layers = (replace(first, downstream_carrier="norm:0"), replace(second, upstream_carrier="norm:0"))
        before, after = (
            {a.key: a.inputs for a in wanted(atlas, read_config())}
            for atlas in (WHOLE, replace(WHOLE, layers=layers))
        )
        changed = {key for key in before if before[key] != after[key]}
        assert "filters/first.npz" in changed
        assert {key for key in changed if key.startswith("statistics")} == {"statistics/second-x.npz"}

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_filters_are_of_pictures_alone(self, channels: int) -> None:
        """An input that is no picture, grey or in colour, has no filters to look at."""
        found = wanted(paper_atlas(input_shape=(20, 24, channels)), read_config())
        assert ("filters/first.npz" in {a.key for a in found}) == (channels in (1, 3))

    def test_over_two_hops_the_longer_list_does_not_count(self) -> None:
        """How many connections a page lists matters to the paths over one hop alone."""
        one, two = inputs({}), inputs({"connections.top": 2})
        changed = {key for key in one if key.startswith("paths/") and one[key] != two[key]}
        assert changed == {"paths/first__1.npz", "paths/second-x__1.npz"}

    def test_a_preset_is_one_setting(self) -> None:
        """All that a preset stands for is one input, so that the reason names what a user changed."""
        key = "featurevis/neuron/first/0.jpg"
        one, two = inputs({})[key], inputs({"featurevis.preset": "full"})[key]
        assert [name for name in one if one[name] != two[name]] == ["featurevis.preset"]


class TestDirections:
    """The sheets of positions and factors."""

    def test_only_chosen_neurons_have_them(self) -> None:
        """A layer lists the neurons whose directions are drawn; nobody else has such an artefact."""
        found = {a.key for a in wanted(with_directions(), read_config())} - {
            a.key for a in wanted(WHOLE, read_config())
        }
        assert found == {"positions/second-x/1.jpg", "positions/second-x/3.jpg", "factors/second-x/3.jpg"}

    @pytest.mark.parametrize(
        ("setting", "value", "stages"),
        [
            ("directions.cosine_power", 2.0, {"positions", "factors"}),
            ("directions.preset", "full", {"positions", "factors"}),
            ("featurevis.preset", "full", {"positions", "factors", "featurevis"}),
            ("featurevis.quality", 80, {"positions", "factors", "featurevis"}),
            ("nmf.factors", 2, {"factors", "nmf"}),
            ("nmf.loadings", 2, {"nmf"}),
            ("directions.positions", "all", set()),
        ],
    )
    def test_a_setting_makes_its_own_stale(self, setting: str, value: object, stages: set[str]) -> None:
        """A setting of directions touches them alone; what they are made from touches them too."""
        atlas = with_directions()
        before, after = (wanted(atlas, read_config(None, flags)) for flags in ({}, {setting: value}))
        assert changed_stages(before, after) - {"atlas"} == stages


class TestPairs:
    """pairs_of()."""

    def test_a_side_without_a_way_has_no_pair(self) -> None:
        """A layer at an end of the network, or cut off by what cannot be linearized, has one pair or none."""
        layer = LayerRecord("a", (0,), "input", None, upstream_carrier="image:0")
        assert pairs_of(layer) == {"upstream": Pair("input", "a", "image:0")}
        assert pairs_of(LayerRecord("a", (0,), None, None)) == {}


class TestPathPairs:
    """path_pairs_of()."""

    def test_one_hop_and_two(self) -> None:
        """The pairs are those with the layer before and with the layer before that, by the number of hops."""
        layer = LayerRecord("b", (0,), "a", None, upstream_carrier="a:0", two_before="input")
        assert path_pairs_of(layer) == {1: Pair("a", "b", "a:0"), 2: Pair("input", "b", "")}
        assert path_pairs_of(LayerRecord("a", (0,), None, None)) == {}


class TestAtlasInputs:
    """atlas_inputs()."""

    def test_paths_do_not_count(self, tmp_path: Path) -> None:
        """A moved model, site, store or folder of examples is the same atlas."""
        for name in ("one", "two"):
            (tmp_path / name).write_bytes(b"graph")
        one, two = (
            {"model": str(tmp_path / n), "site": n, "store": n + "s", "examples": n} for n in ("one", "two")
        )
        assert atlas_inputs(read_config(None, one)) == atlas_inputs(read_config(None, two))

    def test_places_to_work_at_do_not_count(self) -> None:
        """What a cluster made is fresh for one process."""
        one, two = read_config(), read_config(None, {"engine.workers": 2})
        assert one != two
        assert atlas_inputs(one) == atlas_inputs(two)

    def test_bytes_do(self, tmp_path: Path) -> None:
        """Other bytes of the model, or of the file of labels, are another atlas."""
        model, labels = tmp_path / "m.pb", tmp_path / "l.txt"
        config = read_config(None, {"model": str(model), "model_options.labels": str(labels)})
        model.write_bytes(b"graph"), labels.write_text("cat\n")
        first = atlas_inputs(config)
        labels.write_text("dog\n")
        second = atlas_inputs(config)
        model.write_bytes(b"hparg")
        third = atlas_inputs(config)
        assert [k for k in first if first[k] != second[k]] == ["model_options.labels"]
        assert [k for k in second if second[k] != third[k]] == ["model"]

    def test_settings_have_their_dotted_names(self) -> None:
        """A table's settings stand by themselves, so that a reason can name the one that changed."""
        one, two = (atlas_inputs(read_config(None, {"nmf.factors": n})) for n in (2, 3))
        assert [k for k in one if one[k] != two[k]] == ["nmf.factors"]

    def test_missing_labels_are_an_error(self, tmp_path: Path) -> None:
        """A file of labels that is not there is named."""
        with pytest.raises(ModelError, match=r"cannot read the labels .*none\.txt"):
            atlas_inputs(read_config(None, {"model_options.labels": str(tmp_path / "none.txt")}))


def test_the_record_stands_at_its_own_key() -> None:
    """The atlas record is an artefact like the others, and depends on every setting."""
    assert wanted(WHOLE, read_config())[-1] == Artefact(keys.ATLAS, "atlas", atlas_inputs(read_config()), "")
