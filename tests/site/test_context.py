"""The records of pages are a contract: templates read fields that are documented, and all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from jinja2 import nodes

from atlas.site import render_site
from atlas.site.data.redirects import RedirectPage
from atlas.site.html import render
from atlas.site.html.anchors import SectionAnchors
from atlas.site.html.chrome import Chrome
from atlas.site.html.escaping import EscapingEnvironment
from atlas.site.neuron.embed import EmbedPage
from atlas.site.neuron.page import NeuronPage
from atlas.site.overview.family import FamiliesPage, FamilyPage
from atlas.site.overview.home import HomePage
from atlas.site.overview.layer import LayerPage
from atlas.site.overview.method import MethodPage
from atlas.store import Store
from field_texts import field_texts, without_text
from synthetic import fill_store
from whole_store import WEB, add_everything

ROOT = Path(__file__).parents[2]
# What templates know as `page`, and as `site`.
PAGES = (
    Chrome,
    HomePage,
    MethodPage,
    LayerPage,
    NeuronPage,
    EmbedPage,
    FamiliesPage,
    FamilyPage,
    RedirectPage,
)

# Fields that serve something else than a template.
UNSHOWN = {
    "CircuitFigure.selection": "the neuron's JSON lists it",
    "FactorStrip.cuts": "each row of factors is given its own",
    "Sheet.rows": "part of ConnectionList.facts",
    "Sheet.columns": "part of ConnectionList.facts",
    "Sheet.mean_of": "part of ConnectionList.facts",
    "Sheet.n_shades": "part of ConnectionList.facts",
}


def is_record(kind: object) -> bool:
    """Return whether something is a type of record that pages are made of."""
    if not isinstance(kind, type) or not kind.__module__.startswith("atlas.site"):
        return False
    return is_dataclass(kind) or hasattr(kind, "_fields")


def records() -> list[type]:
    """Return the types of all records that a template can reach from a page, by name."""
    found, waiting = set(), [*PAGES]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.add(kind)
            hints = get_type_hints(kind).values()
            waiting += [part for hint in hints for part in parts(hint) if is_record(part)]
    return sorted(found, key=lambda kind: kind.__name__)


def parts(hint: Any) -> Iterator[Any]:
    """Yield a type and the types within: of `tuple[Link, ...] | None` Link too."""
    yield hint
    for part in get_args(hint):
        yield from parts(part)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[type, str]]:
    """What templates read of which types while they make a site of everything that a page can show."""
    folder = tmp_path_factory.mktemp("context")
    # Three connections each, so that there are some which are not shown.
    fill_store(folder / "store", k=3)
    found = set()

    class Recording(EscapingEnvironment):
        def getattr(self, thing: Any, attribute: str) -> Any:
            found.add((type(thing), attribute))
            return super().getattr(thing, attribute)

    with pytest.MonkeyPatch.context() as patched, Store.open(folder / "store", write=True) as store:
        add_everything(store)
        patched.setattr(render, "EscapingEnvironment", Recording)
        render_site(store, folder / "site", jobs=1, web=WEB)
    return found


@pytest.mark.parametrize("record", records(), ids=lambda record: record.__name__)
def test_every_field_says_what_it_is(record: type) -> None:
    """A text stands below each field, one sentence; fields that have none are named."""
    assert without_text(record) == []


def test_templates_read_documented_fields_only(read: set[tuple[type, str]]) -> None:
    """What a template reads of a record is a field of it, and it meets no objects of other modules."""
    known = {(record, name) for record in records() for name in field_texts(record)}
    assert {(kind, name) for kind, name in read if kind.__module__.startswith("atlas")} - known == set()


def test_templates_read_every_field(read: set[tuple[type, str]]) -> None:
    """A field that no template shows is left out, or serves something else, which is said here."""
    known = {(record, name) for record in records() for name in field_texts(record)}
    assert {f"{record.__name__}.{name}" for record, name in known - read} == UNSHOWN.keys()


def test_the_whole_store_reaches_every_name(read: set[tuple[type, str]]) -> None:
    """No attribute of a template's text goes unread, so the tests above know of all of them."""
    written = set()
    for path in (ROOT / "site_templates").rglob("*.html"):
        tree = EscapingEnvironment(extensions=[SectionAnchors]).parse(path.read_text("utf-8"))
        written |= {node.attr for node in tree.find_all(nodes.Getattr)}
    assert written - {name for _, name in read} == set()
