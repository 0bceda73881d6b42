"""Which files a site has and what each depends on, told from the store's index and the atlas record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from atlas.neuron import Layer
from atlas.pages import urls
from atlas.pages.assets import Assets
from atlas.pages.catalogue import INPUT, Catalogue
from atlas.pages.family_artefacts import Address, addresses
from atlas.records import LayerRecord
from atlas.store import Store, paths

DIRECTIONS = ("upstream", "downstream")


@dataclass(frozen=True, slots=True)
class Page:
    """A page and its twins: `inputs` is a hash of what they depend on beside what all pages share."""

    name: str
    inputs: str
    outputs: tuple[str, ...]
    index: int = -1


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The files of one layer: its page, its neurons' pages, and pictures copied from a key of the store."""

    layer: Layer
    record: LayerRecord
    page: Page
    neurons: tuple[Page, ...]
    pictures: dict[str, str]


@dataclass(frozen=True, slots=True)
class FamilyPlan:
    """The files of one family."""

    address: Address
    page: Page


@dataclass(frozen=True, slots=True)
class SitePlan:
    """All files of a site; `shared` is a hash of what every page depends on."""

    shared: str
    layers: tuple[LayerPlan, ...]
    home: Page
    data: Page
    families: tuple[FamilyPlan, ...]
    family_list: Page | None
    assets: Assets

    def pages(self) -> Iterator[Page]:
        """Yield every page, the home page first."""
        yield self.home
        yield self.data
        if self.family_list:
            yield self.family_list
        yield from (family.page for family in self.families)
        for layer in self.layers:
            yield layer.page
            yield from layer.neurons

    def outputs(self) -> set[str]:
        """Return the addresses of all files."""
        of_pages = {path for page in self.pages() for path in page.outputs}
        return of_pages.union(self.assets.contents, *(layer.pictures for layer in self.layers))

    @property
    def n_pages(self) -> int:
        """How many HTML pages there are."""
        n_families = len(self.families) + (self.family_list is not None)
        return 1 + n_families + sum(1 + len(layer.neurons) for layer in self.layers)


def plan_site(store: Store, catalogue: Catalogue, assets: Assets, *, program: str) -> SitePlan:
    """Return the plan of a site; `program` is a hash of the templates and the code."""
    found = addresses(store, catalogue)
    layers = tuple(_plan_layer(store, catalogue, record, found) for record in catalogue.atlas.layers)
    of_families = _hash([_state(store, address.key) for address in found])
    # A picture that comes or goes changes the icons on other neurons' pages.
    icons = [path for layer in layers for path in layer.pictures if not path.startswith("images/examples/")]
    # The header of every page leads to the families where there are any.
    shared = _hash([program, store.sha256(paths.ATLAS), str(bool(found)), *icons])
    return SitePlan(
        shared=shared,
        layers=layers,
        home=Page("index", "", (urls.HOME,)),
        data=Page("data/atlas", of_families if found else "", (urls.ATLAS_JSON,)),
        families=_plan_families(store, catalogue, found, of_families),
        family_list=Page("families", of_families, (urls.FAMILIES,)) if found else None,
        assets=assets,
    )


def _plan_families(
    store: Store, catalogue: Catalogue, found: tuple[Address, ...], of_families: str
) -> tuple[FamilyPlan, ...]:
    """Return the families' pages; each shows weights to families of the layers before and after."""
    weights = [
        _state(store, paths.weights(_slug(catalogue, record.upstream), catalogue.layer(record.layer).slug))
        for record in catalogue.atlas.layers
        if record.upstream is not None
    ]
    inputs = _hash([of_families, *weights])
    return tuple(
        FamilyPlan(
            one,
            Page(f"family_{one.slug}", inputs, (urls.family_page(one.slug), urls.family_json(one.slug))),
        )
        for one in found
    )


def _slug(catalogue: Catalogue, name: str) -> str:
    return INPUT if name == INPUT else catalogue.layer(name).slug


def _plan_layer(
    store: Store, catalogue: Catalogue, record: LayerRecord, families: tuple[Address, ...]
) -> LayerPlan:
    layer = catalogue.layer(record.layer)
    tables = [paths.connections(layer.slug, direction) for direction in DIRECTIONS]
    tables.append(paths.examples(layer.slug))
    tables += [address.key for address in families if address.layer == record.layer]
    common = "".join(_state(store, key) for key in tables)
    pictures: dict[str, str] = {}
    neurons = []
    own_states = []
    for index in record.neurons:
        own = _own_pictures(store, layer, record, index)
        pictures.update(own)
        states = [store.sha256(key) for key in own.values()]
        states.append(_state(store, paths.factorization(layer.slug, index)))
        own_states += states
        neurons.append(_neuron(layer, index, _hash([common, *states])))
    page = Page(layer.slug, _hash([common, *own_states]), (urls.layer_page(layer.slug),))
    return LayerPlan(layer, record, page, tuple(neurons), pictures)


def _own_pictures(store: Store, layer: Layer, record: LayerRecord, index: int) -> dict[str, str]:
    """Return the pictures of a neuron that the atlas shows and the store holds, address -> key."""
    keys = {
        urls.featurevis(layer.slug, index, variant=variant): paths.featurevis(variant, layer.slug, index)
        for variant in record.featurevis
    }
    if record.examples:
        keys[urls.example_strip(layer.slug, index)] = paths.example_strip(layer.slug, index)
    return {address: key for address, key in keys.items() if store.has(key)}


def _neuron(layer: Layer, index: int, inputs: str) -> Page:
    slug = layer.slug
    outputs = (urls.neuron_page(slug, index), urls.neuron_json(slug, index), urls.neuron_npz(slug, index))
    return Page(f"{slug}_{index}", inputs, outputs, index)


def _state(store: Store, key: str) -> str:
    return store.sha256(key) if store.has(key) else "-"


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
