"""The site's JSON Schemas and the units in its data files, made from the Structs of the documents.

The site holds a schema for each kind of JSON file. Every JSON file names its schema and repeats the units.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from atlas.site.data.atlas_document import AtlasDocument, FamilyDocument
from atlas.site.data.documents import Document
from atlas.site.data.neuron_document import NeuronDocument

# The kinds of JSON files -> the Struct that describes the file, and the title of its schema.
KINDS: Mapping[str, tuple[type[Document], str]] = {
    "neuron": (NeuronDocument, "A neuron of a circuit atlas"),
    "family": (FamilyDocument, "A family of a circuit atlas"),
    "atlas": (AtlasDocument, "A circuit atlas"),
}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
# Units that a file does not repeat, because the names show them: n_…, …_index, sign.
_OBVIOUS = ("count", "index", "sign")

Schema = dict[str, Any]


@functools.cache
def schema(kind: str) -> Schema:
    """Return the JSON Schema of a kind of data file."""
    document, title = KINDS[kind]
    _, parts = msgspec.json.schema_components([document], ref_template="#/$defs/{name}")
    for part in parts.values():
        # Docstrings have line breaks; descriptions should not.
        part["description"] = " ".join(part["description"].split())
    return {"$schema": _DRAFT, **parts.pop(document.__name__), "title": title, "$defs": parts}


def schema_json(kind: str) -> bytes:
    """Return the bytes of the JSON Schema of a kind of data file, as in the site."""
    return msgspec.json.format(msgspec.json.encode(schema(kind)), indent=2) + b"\n"


@functools.cache
def head(kind: str) -> dict[str, Any]:
    """Return the first properties of a data file: its schema's address, relative to the file, and units."""
    units = {path: field["unit"] for path, field in fields(schema(kind)) if "unit" in field}
    repeated = {path: unit for path, unit in units.items() if unit not in _OBVIOUS}
    return {"schema": f"schema/{kind}.schema.json", "units": repeated}


def fields(whole: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield (path, property) of every property of a schema, in order; a path is "upstream.coverage.l2"."""
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
    definition: Schema = whole["$defs"][name] if name else at
    return definition
