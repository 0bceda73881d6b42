"""Every JSON file follows the schema that it names, and every number has a unit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atlas.cli.commands import main
from atlas.core.records import AtlasRecord, Factorization
from atlas.site import render_site, urls
from atlas.site.data import schemas
from atlas.store import Store, keys
from schema_check import ROOT, faults, site_faults, validator

README = ROOT / "site_templates" / "data" / "README.txt"


def numeric(field: dict[str, Any]) -> bool:
    """Return whether a property holds numbers, one or lists of them."""
    inner = field.get("items") or field.get("prefixItems") or ()
    if inner:
        return all(numeric(one) for one in ([inner] if isinstance(inner, dict) else inner))
    return field.get("type") in ("number", "integer") or any(map(numeric, field.get("anyOf", ())))


def places(at: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every object of a file with the name of each of its properties; of lists, the first element's."""
    if isinstance(at, dict):
        for name, value in list(at.items()):
            yield at, name
            yield from places(value)
    elif isinstance(at, list) and at:
        yield from places(at[0])


def objects(at: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of an object in a schema."""
    if isinstance(at, dict):
        if "properties" in at:
            yield at
        for value in at.values():
            yield from objects(value)
    elif isinstance(at, list):
        for value in at:
            yield from objects(value)


@pytest.mark.parametrize("kind", schemas.KINDS)
class TestSchema:
    def test_every_property_is_described(self, kind: str) -> None:
        """Each property has a description, each number a unit, and nothing else a unit."""
        found = list(schemas.fields(schemas.schema(kind)))
        assert len(found) > 15
        assert [path for path, field in found if not field["description"].endswith(".")] == []
        assert [path for path, field in found if numeric(field) != ("unit" in field)] == []

    def test_nothing_else_is_allowed(self, kind: str) -> None:
        """Every object lists all of its properties; all must be there but those that say when they are."""
        found = list(objects(schemas.schema(kind)))
        assert found
        for one in found:
            assert one["additionalProperties"] is False
            optional = set(one["properties"]) - set(one["required"])
            assert set(one["required"]) <= set(one["properties"])
            assert all(one["properties"][name]["description"].startswith("Present") for name in optional)

    def test_every_unit_is_explained(self, kind: str) -> None:
        """The README says what each unit is."""
        told = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (.*?) \|", README.read_text(), re.M))))
        units = {field["unit"] for _, field in schemas.fields(schemas.schema(kind)) if "unit" in field}
        assert units - {"count", "index", "sign"} <= told

    def test_a_site_holds_it(self, kind: str, rendered: Path) -> None:
        """The site has the schema at an address without a hash, and it is the same in every process."""
        found = (rendered / urls.schema(kind)).read_bytes()
        code = f"from atlas.site.data import schemas; print(schemas.schema_json({kind!r}).decode(), end='')"
        for seed in ("1", "2"):
            env = {**os.environ, "PYTHONHASHSEED": seed}
            done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True)
            assert done.stdout == found


class TestFiles:
    def test_a_made_up_site(self, rendered: Path) -> None:
        """Every JSON file of the site is valid."""
        assert site_faults(rendered) == []

    def test_a_site_with_little(self, store: Store, tmp_path: Path) -> None:
        """So is every file of an atlas that was not computed yet, and of a degenerate one."""
        atlas = store.record(keys.ATLAS, AtlasRecord)
        with Store.open(tmp_path / "bare", write=True) as bare:
            bare.put_record(keys.ATLAS, replace(atlas, circuit=None))
            key = keys.factorization("mixed3b", 0)
            bare.put_record(key, Factorization(atlas.layers[1].layer, 0, 0.0, (), "Nothing."))
            render_site(bare, tmp_path / "site")
        assert site_faults(tmp_path / "site") == []
        neuron = json.loads((tmp_path / "site/data/mixed3b_0.json").read_bytes())
        assert neuron["upstream"] is None
        assert neuron["factorization"]["note"] == "Nothing."

    def test_units_are_the_schema_s(self, rendered: Path) -> None:
        """A file tells the unit of a number by its path."""
        units = json.loads((rendered / "data/mixed3b_4.json").read_bytes())["units"]
        assert units["upstream.strength"] == "weight"
        assert units["receptive_field.size"] == "px"
        assert units["statistics.percentile.l2"] == "percent"
        assert "upstream.index" not in units

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"more": 1}, "'more' was unexpected"),
            ({"index": "4"}, "'4' is not of type 'integer'"),
            ({"upstream": {}}, "is not valid"),
        ],
    )
    def test_a_faulty_file_is_found(
        self, rendered: Path, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        """A property too many, of another type or left out is no valid file."""
        document = json.loads((rendered / "data/mixed3b_4.json").read_bytes())
        schema = (rendered / "data" / document["$schema"]).resolve()
        changed = {**document, **change}
        assert any(message in error.message for error in validator(schema).iter_errors(changed))

    @pytest.mark.parametrize("name", ["data/atlas.json", "data/mixed3b_4.json"])
    def test_every_property_is_checked(self, rendered: Path, name: str) -> None:
        """No property may be missing, but those that say when they are there, or be of another type."""
        document = json.loads((rendered / name).read_bytes())
        valid = validator((rendered / "data" / document["$schema"]).resolve()).is_valid
        free = {"addresses", "schemas", "settings", "versions", "units"}
        for parent, key in [*places(document)]:
            value = parent[key]
            parent[key] = {"other": 1}
            assert not valid(document), key
            del parent[key]
            assert not valid(document) or any(parent is document.get(one) for one in free), key
            parent[key] = value
        assert valid(document)

    def test_names_are_those_of_the_pages(self, rendered: Path) -> None:
        """Beside every index stands the neuron's name, or its label."""
        neuron = json.loads((rendered / "data/mixed3b_4.json").read_bytes())
        labels = json.loads((rendered / "data/atlas.json").read_bytes())["model"]["labels"]
        up, down, over = neuron["upstream"], neuron["downstream"], neuron["two_hops"]
        assert up["name"] == [f"block/one two:three:{n}" for n in up["index"]]
        assert down["name"] == [labels[n] for n in down["index"]]
        assert over["name"] == [f"conv1:{n}" for n in over["index"]]
        assert neuron["lookalikes"]["name"] == [f"mixed3b:{n}" for n in neuron["lookalikes"]["index"]]
        for factor in neuron["factorization"]["factors"]:
            assert factor["source_names"] == [f"block/one two:three:{n}" for n in factor["source_neurons"]]
        first = json.loads((rendered / "data/conv1_0.json").read_bytes())
        assert first["upstream"]["name"] == [("red", "green", "blue")[n] for n in first["upstream"]["index"]]


@pytest.mark.slow
def test_a_real_network(shared: Path, tmp_path: Path) -> None:
    """The files of some of GoogLeNet's neurons are valid, pictures, circuits and families included."""
    config = tmp_path / "atlas.toml"
    config.write_text('[[family]]\nname = "Few"\nlayer = "conv2d1"\nneurons = [0, 1]\n')
    flags = ["--model", str(shared / "models/googlenet"), "--layers", "conv2d0,conv2d1,conv2d2"]
    flags += ["--neurons", "conv2d0:0,conv2d1:0-1,conv2d2:0", "--preset", "draft"]
    done = CliRunner().invoke(main, ["build", str(config), *flags, "--site", str(tmp_path / "site")])
    assert done.exit_code == 0, done.output
    assert site_faults(tmp_path / "site") == []
    assert faults(tmp_path / "site/data/family_few.json") == []
