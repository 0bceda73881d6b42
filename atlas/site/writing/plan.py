"""Which files a site has and what each depends on, from the store's index and the atlas record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from atlas.core.neuron import INPUT, Layer
from atlas.core.records import LayerRecord
from atlas.site import urls
from atlas.site.data.redirects import resolved_redirects
from atlas.site.folder.assets import Assets
from atlas.site.neuron.circuit import neighbouring_layers
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyAddress, addresses
from atlas.site.web import Web
from atlas.store import Store, keys

# The name, in the status, of the lists of files: atlas.json and the checksums.
LISTS = "data/atlas"
DIRECTIONS = ("upstream", "downstream")
HOPS = (1, 2)
# Pictures that no other neuron's page shows.
_NO_ICONS = ("images/examples/", "images/positions/", "images/factors/", "images/families/")


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

    address: FamilyAddress
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
    method: Page
    signposts: tuple[Page, ...] = ()
    web: Web = field(default_factory=Web)

    def pages(self) -> Iterator[Page]:
        """Yield every page, the home page first."""
        yield self.home
        yield self.data
        yield self.method
        if self.family_list:
            yield self.family_list
        yield from (family.page for family in self.families)
        yield from self.signposts
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
        return 2 + n_families + sum(1 + len(layer.neurons) for layer in self.layers)


def plan_site(
    store: Store, catalogue: Catalogue, assets: Assets, *, program: str, web: Web | None = None
) -> SitePlan:
    """Return the plan of a site; `program` is a hash of the templates and the code.

    Raises SiteError for redirects that this site cannot keep.
    """
    web = web or Web()
    found = addresses(store, catalogue)
    layers = tuple(_plan_layer(store, catalogue, record, found) for record in catalogue.atlas.layers)
    of_families = _hash([_state(store, address.key) for address in found])
    # A picture that comes or goes changes the icons on other neurons' pages.
    icons = [
        path
        for layer in layers
        for path in layer.pictures
        if not (path.startswith(_NO_ICONS) or path.endswith("-bands.jpg"))
    ]
    # The home page leads to the tables of layers.
    tables = [path for layer in layers for path in layer.page.outputs if path.endswith(".csv")]
    # The header of every page leads to the families where there are any, and search to each of them.
    shared = _hash([program, store.sha256(keys.ATLAS), web.url, *assets.addresses.values(), *icons])
    plan = SitePlan(
        shared=shared,
        layers=layers,
        home=Page("index", _hash(tables), (urls.HOME,)),
        data=Page(LISTS, _hash([of_families, *tables]), (urls.ATLAS_JSON, urls.CHECKSUMS)),
        families=_plan_families(store, catalogue, found, of_families),
        family_list=Page("families", of_families, (urls.FAMILIES,)) if found else None,
        assets=assets,
        method=_plan_method(store, catalogue, of_families),
    )
    web = replace(web, redirects=resolved_redirects(web.redirects, plan.outputs()))
    return replace(plan, web=web, signposts=_signposts(web, of_families))


def _plan_families(
    store: Store, catalogue: Catalogue, found: tuple[FamilyAddress, ...], of_families: str
) -> tuple[FamilyPlan, ...]:
    """Return the families' pages; each shows weights to families of the layers before and after."""
    weights = [
        _state(store, keys.weights(_slug(catalogue, record.upstream), catalogue.layer(record.layer).slug))
        for record in catalogue.atlas.layers
        if record.upstream is not None
    ]
    pictures = [_state(store, one.pictures) for one in found]
    inputs = _hash([of_families, *weights, *pictures])
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
    store: Store, catalogue: Catalogue, record: LayerRecord, families: tuple[FamilyAddress, ...]
) -> LayerPlan:
    layer = catalogue.layer(record.layer)
    # A circuit is read off the lists of several layers.
    of_circuit = (catalogue.layer(name) for name in neighbouring_layers(catalogue.atlas, record))
    tables = [
        keys.connections(near.slug, direction) for near in (layer, *of_circuit) for direction in DIRECTIONS
    ]
    tables += [keys.signed_paths(layer.slug, hops) for hops in HOPS]
    tables += [keys.examples(layer.slug), keys.statistics(layer.slug)]
    of_layer = [family for family in families if family.layer == record.layer]
    tables += [family.key for family in of_layer]
    common = "".join(_state(store, key) for key in tables)
    pictures = {urls.family_pictures(f.slug): f.pictures for f in of_layer if store.has(f.pictures)}
    neurons = []
    own_states = []
    for index in record.neurons:
        artefact_keys = _own_pictures(layer, record, index)
        pictures.update((address, key) for address, key in artefact_keys.items() if store.has(key))
        states = [state for key in artefact_keys.values() if (state := _state(store, key)) != "-"]
        states.append(_state(store, keys.factorization(layer.slug, index)))
        own_states += states
        neurons.append(_neuron(layer, index, _hash([common, *states])))
    own_states.append(_state(store, keys.filters(layer.slug)))
    page = Page(layer.slug, _hash([common, *own_states]), _layer_outputs(store, catalogue, record))
    return LayerPlan(layer, record, page, tuple(neurons), pictures)


def _layer_outputs(store: Store, catalogue: Catalogue, record: LayerRecord) -> tuple[str, ...]:
    """Return the files of a layer's page: itself, and where there is what they show, a table and pictures."""
    slug = catalogue.layer(record.layer).slug
    outputs = [urls.layer_page(slug)]
    if csv := catalogue.statistics(record.layer):
        outputs.append(csv)
        if any(store.has(keys.factorization(slug, index)) for index in record.neurons):
            outputs.append(urls.nmf_sheet(slug))
    if record.upstream == INPUT and store.has(keys.filters(slug)):
        outputs.append(urls.filter_sheet(slug))
    return tuple(outputs)


def _own_pictures(layer: Layer, record: LayerRecord, index: int) -> dict[str, str]:
    """Return the pictures of a neuron that the atlas is to show, address -> key."""
    artefact_keys = {
        urls.featurevis(layer.slug, index, variant=variant): keys.featurevis(variant, layer.slug, index)
        for variant in record.featurevis
    }
    artefact_keys[urls.bands(layer.slug, index)] = keys.bands(layer.slug, index)
    if record.examples:
        artefact_keys[urls.example_strip(layer.slug, index)] = keys.example_strip(layer.slug, index)
    if index in record.positions:
        artefact_keys[urls.positions(layer.slug, index)] = keys.positions(layer.slug, index)
    if index in record.factor_pictures:
        artefact_keys[urls.factor_pictures(layer.slug, index)] = keys.factor_pictures(layer.slug, index)
    return artefact_keys


def _neuron(layer: Layer, index: int, inputs: str) -> Page:
    slug = layer.slug
    outputs = (
        urls.neuron_page(slug, index),
        urls.neuron_json(slug, index),
        urls.neuron_npz(slug, index),
        urls.embed_page(slug, index),
    )
    return Page(f"{slug}_{index}", inputs, outputs, index)


def _state(store: Store, key: str) -> str:
    return store.sha256(key) if store.has(key) else store.failure(key) or "-"


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _signposts(web: Web, of_families: str) -> tuple[Page, ...]:
    """Return the files that link to the site: macros for papers, a sitemap, redirects."""
    pages = [Page("data/neurons", "", (urls.NEURONS_STY,))]
    if web.url:
        pages.append(Page("sitemap", of_families, (urls.SITEMAP,)))
    if web.redirects:
        state = _hash([f"{old} {new}" for old, new in web.redirects.items()])
        pages.append(Page("redirects", state, (urls.REDIRECTS, *web.redirects)))
    return tuple(pages)


def _plan_method(store: Store, catalogue: Catalogue, of_families: str) -> Page:
    """Return the page on method, which counts families and images."""
    slugs = [catalogue.layer(record.layer).slug for record in catalogue.atlas.layers]
    states = [_state(store, keys.examples(slug)) for slug in slugs]
    return Page("method", _hash([of_families, *states]), (urls.METHOD,))
