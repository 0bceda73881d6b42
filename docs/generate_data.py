"""Write docs/data.md from the text in every site's data folder, the documents and the arrays: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atlas.site import urls
from atlas.site.data import schemas
from atlas.site.data.arrays import NOTES
from atlas.site.folder.assets import template_folder

PAGE = Path(__file__).with_name("data.md")
TITLES = {
    "neuron": "`data/<layer>_<n>.json`",
    "family": "`data/family_<family>.json`",
    "atlas": "`data/atlas.json`",
}
WRITTEN = """\
<!-- Written by `make docs` from site_templates/data and the program; a test fails when it is stale. -->
"""


def page() -> str:
    """Return the text of docs/data.md."""
    readme = (template_folder() / "data" / "README.txt").read_text("utf-8")
    return "\n".join([WRITTEN, readme, *_arrays(), *(line for kind in TITLES for line in _fields(kind))])


def _arrays() -> Iterator[str]:
    yield "## Every array of `data/<layer>_<n>.npz`\n"
    yield "| array | axes | unit | what it is |"
    yield "|---|---|---|---|"
    for name, note in NOTES.items():
        yield f"| `{name}` | {', '.join(note.axes)} | {note.unit} | {note.meaning} |"
    yield ""


def _fields(kind: str) -> Iterator[str]:
    """Yield the table of a kind of JSON file: its properties, as the Structs of the program describe them."""
    whole = schemas.schema(kind)
    yield f"## Every property of {TITLES[kind]}\n"
    yield f"{whole['description']} Its schema, in every site: `{urls.schema(kind)}`.\n"
    yield "| property | type | unit | what it is |"
    yield "|---|---|---|---|"
    for path, field in schemas.fields(whole):
        description = field["description"].replace("|", "\\|")
        yield f"| `{path}` | {_type(whole, field)} | {field.get('unit', '')} | {description} |"
    yield ""


def _type(whole: dict[str, Any], field: dict[str, Any]) -> str:
    """Return a property's type in words."""
    if "anyOf" in field:
        return " or ".join(_type(whole, other) for other in field["anyOf"])
    if "$ref" in field:
        return _type(whole, whole["$defs"][field["$ref"].removeprefix("#/$defs/")])
    if "prefixItems" in field:
        return f"[{', '.join(_type(whole, one) for one in field['prefixItems'])}]"
    return f"list of {_type(whole, field['items'])}" if "items" in field else str(field["type"])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
