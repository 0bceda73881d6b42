"""What tests of several sites share: every JSON file against the schema that it names."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parent.parent


@functools.cache
def validator(path: Path) -> Draft202012Validator:
    """Return a validator of a schema, which is itself a valid one."""
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(path: Path) -> list[str]:
    """Return what is wrong with a JSON file by the schema that it names itself."""
    document = json.loads(path.read_bytes())
    schema = path.parent / document["$schema"]
    return [
        f"{path.name} {error.json_path}: {error.message[:200]}"
        for error in validator(schema).iter_errors(document)
    ]


def site_faults(site: Path) -> list[str]:
    """Return what is wrong with the JSON files of a site; there are some, of neurons too."""
    files = sorted(site.glob("data/*.json"))
    assert {site / "data/atlas.json", *site.glob("data/*_0.json")} <= set(files)
    return [fault for path in files for fault in faults(path)]
