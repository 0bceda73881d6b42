"""The JSON Schemas of the site's data files, and the units that they give.

The schemas are files of `site_templates/data/schema`; the site holds them as they are, and every JSON file
names its own, and repeats its units.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec

from atlas.pages.assets import template_folder

KINDS = ("neuron", "family", "atlas")
# A name that says so itself: n_…, …_index, sign.
_UNTOLD = ("count", "index", "sign")

Schema = dict[str, Any]


def schema(kind: str) -> Schema:
    """Return the JSON Schema of a kind of data file."""
    path = template_folder() / "data" / "schema" / f"{kind}.schema.json"
    found: Schema = msgspec.json.decode(path.read_bytes())
    return found


@functools.cache
def head(kind: str) -> dict[str, Any]:
    """Return what a data file begins with: its schema's address, from its own folder, and its units."""
    units = {path: field["unit"] for path, field in fields(schema(kind)) if "unit" in field}
    told = {path: unit for path, unit in units.items() if unit not in _UNTOLD}
    return {"$schema": f"schema/{kind}.schema.json", "units": msgspec.Raw(msgspec.json.encode(told))}


def fields(whole: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield (path, property) of every property of a schema, in order; "upstream.coverage.l2"."""
    yield from _fields(whole, whole, "")


def _fields(whole: Schema, at: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    """Yield the properties of an object, a list of objects, or one of these and null."""
    at = _resolved(whole, at)
    for other in at.get("anyOf", ()):
        yield from _fields(whole, other, prefix)
    if isinstance(at.get("items"), dict):
        yield from _fields(whole, at["items"], prefix)
    for name, field in at.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path, {**_resolved(whole, field), **field}
        yield from _fields(whole, field, path)


def _resolved(whole: Schema, at: Schema) -> Schema:
    """Return a schema, or the definition that it refers to."""
    name = at.get("$ref", "").removeprefix("#/$defs/")
    found: Schema = whole["$defs"][name] if name else at
    return found
