"""Families from the config: layers, neurons and sources found, or an error that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atlas.build.plan import wanted
from atlas.build.resolve import resolve
from atlas.cli.config_file import read_config
from atlas.core.config import FamilyConfig
from atlas.core.errors import ConfigError
from atlas.core.records import FamilyRecord
from atlas.model.network import Network
from atlas.model.reading.load import load_model

TWO = '[[family]]\nname = "a"\nlayer = "second"\nneurons = [1]\n\n[[family]]\nname = "b"\nlayer = "second"\n'


@pytest.fixture(scope="module")
def network(toy_graph: Path) -> Network:
    """The toy network: first, second, classes."""
    return load_model(toy_graph, value_range=(0.0, 1.0))


def family(**changes: Any) -> dict[str, Any]:
    """Return a table [[family]]."""
    return {"name": "f", "layer": "second", "neurons": [0]} | changes


def resolved(network: Network, *tables: dict[str, Any], **flags: Any) -> tuple[FamilyRecord, ...]:
    """Return the families of a config."""
    return resolve(network, read_config(None, {"family": list(tables), **flags})).families


class TestResolved:
    """Families of an AtlasRecord."""

    def test_neurons_as_given(self, network: Network) -> None:
        """Numbers, spans and full names stand in the order given, each once."""
        (found,) = resolved(network, family(neurons=[4, "0-2", "second:3", 1]))
        assert found.neurons == (4, 0, 1, 2, 3)
        assert (found.source, found.carrier, found.n_factors) == ("first", "pool:0", 2)

    def test_source_may_be_any_layer_before(self, network: Network) -> None:
        """The image is one."""
        (found,) = resolved(network, family(source="input"))
        assert (found.source, found.slug) == ("input", "f")

    def test_carriers_can_be_named(self, network: Network) -> None:
        """A config's carrier serves families too, by whatever name its layer is called; never the image."""
        named = {"weights.carriers": {"FIRST": "first/relu:0"}}
        (found,) = resolved(network, family(), **named)
        assert found.carrier == "first/relu:0"
        (found,) = resolved(network, family(source="input"), **named)
        assert found.carrier == network.input_tensor

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"layer": "secnd"}, "did you mean second"),
            ({"neurons": [5]}, "second has no neuron 5: expected 0 to 4"),
            ({"neurons": ["3-9"]}, "second has no neuron 9"),
            ({"neurons": ["3-1"]}, 'expected "1-3"'),
            ({"neurons": ["three"]}, "cannot read the neurons 'three'"),
            ({"neurons": ["first:1"]}, "first:1 is not a neuron of second.*make a family of each layer"),
            ({"source": "classes"}, "the source classes does not come before second.*try source = 'first'"),
            ({"source": "nowhere"}, "no layer 'nowhere'"),
            ({"n_factors": 5}, "5 factors of first's 4 neurons.*set n_factors = 4"),
        ],
    )
    def test_mistakes_name_the_family(self, network: Network, changes: dict[str, Any], words: str) -> None:
        """Each mistake is told with the family's name and the remedy."""
        with pytest.raises(ConfigError, match=f"(?s)family 'f': .*{words}"):
            resolved(network, family(**changes))

    def test_layer_must_be_in_the_atlas(self, network: Network) -> None:
        """A family has a page, so its layer needs one."""
        with pytest.raises(ConfigError, match="the layer second is not in this atlas"):
            resolved(network, family(), layers="first")


class TestLines:
    """Mistakes that the file alone shows."""

    @pytest.mark.parametrize(
        ("rest", "words"),
        [
            ("neurons = []", "line 6: family 'b' is empty"),
            ("neurons = [1.5]", "line 9: family.neurons"),
            ("neurons = [1]\nn_factors = 7", "line 10: family.n_factors: expected `int` <= 6: found 7"),
            ("neurons = [1]\nfactors = 2", "line 10: unknown setting family.factors; did you mean n_factors"),
        ],
    )
    def test_line_of_the_second_family(self, tmp_path: Path, rest: str, words: str) -> None:
        """The line is that of the family with the mistake, not of the first one."""
        (tmp_path / "a.toml").write_text(TWO + rest)
        with pytest.raises(ConfigError, match=words):
            read_config(tmp_path / "a.toml")

    def test_names_are_told_apart(self, tmp_path: Path) -> None:
        """Two families of one name are refused at the second."""
        (tmp_path / "a.toml").write_text(TWO.replace('"b"', '"a"') + "neurons = [2]")
        with pytest.raises(ConfigError, match="line 7: two families are called 'a'; rename one"):
            read_config(tmp_path / "a.toml")

    def test_a_family_in_python_says_the_same(self) -> None:
        """The struct itself refuses what the file refuses."""
        with pytest.raises(ValueError, match="is empty"):
            FamilyConfig(name="a", layer="b", neurons=())


class TestStale:
    """What a changed family makes stale."""

    def inputs(self, network: Network, *tables: dict[str, Any], **flags: Any) -> dict[str, dict[str, str]]:
        """Return the inputs of all artefacts, by key."""
        config = read_config(None, {"family": list(tables), **flags})
        return {a.key: dict(a.inputs) for a in wanted(resolve(network, config), config)}

    def test_a_family_s_settings_are_its_own(self, network: Network) -> None:
        """Another note, neuron or number of factors changes one family, and the record of the atlas."""
        undrawn = {"directions.positions": "none", "directions.factors": "none"}
        before = self.inputs(network, family(), family(name="g"), **undrawn)
        own, picture = {"families/f.npz", "atlas.json"}, {"family-pictures/f.jpg"}
        for changes, drawn in (
            ({"note": "x"}, set()),
            ({"neurons": [0, 1]}, picture),
            ({"n_factors": 3}, picture),
            # Colours are no direction that could be drawn.
            ({"source": "input"}, set()),
        ):
            after = self.inputs(network, family(**changes), family(name="g"), **undrawn)
            assert {key for key in after if after[key] != before[key]} == own | drawn
            assert ("family-pictures/f.jpg" in after) == ("source" not in changes)

    def test_more_proposals_leave_the_others(self, network: Network) -> None:
        """Number 2 is the same however many are kept."""
        before = self.inputs(network, **{"families.most": 2})
        after = self.inputs(network, **{"families.most": 3})
        assert {key for key in after if after[key] != before.get(key)} == {
            "proposals/first/3.npz",
            "proposals/second/3.npz",
            "atlas.json",
        }

    def test_no_proposals(self, network: Network) -> None:
        """A config may do without."""
        keys = self.inputs(network, **{"families.propose": False})
        assert not any(key.startswith("proposals/") for key in keys)
