"""Plan a site: list its files and what each depends on, from the store's index and the atlas record."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from atlas.core.neuron import INPUT, Layer
from atlas.core.records import LayerRecord
from atlas.site import urls
from atlas.site.data.redirects import resolved_redirects
from atlas.site.folder.assets import Assets
from atlas.site.neuron.circuit import neighbouring_layers
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyAddress, addresses
from atlas.site.web import Web
from atlas.site.writing.pages import FamilyPlan, LayerPlan, Page, SitePlan
from atlas.store import Store, keys

# The name in the site's status under which the two lists of files stand: atlas.json and the checksums.
LISTS = "data/atlas"
DIRECTIONS = ("upstream", "downstream")
HOPS = (1, 2)
# Folders of pictures that appear only on their own neuron's or family's page.
_IN_PAGE = "images/examples/"
_NO_ICONS = (_IN_PAGE, "images/positions/", "images/factors/", "images/families/")


def plan_site(
    store: Store, catalogue: Catalogue, assets: Assets, *, program: str, web: Web | None = None
) -> SitePlan:
    """Return the plan of a site; `program` is a hash of the templates and the code.

    Raises SiteError for a redirect that leads to no page of this site or is in the place of one of its files.
    """
    web = web or Web()
    families = addresses(store, catalogue)
    packed = web.is_packed(sum(len(record.neurons) for record in catalogue.atlas.layers))
    layers = tuple(
        _plan_layer(store, catalogue, record, families, packed=packed) for record in catalogue.atlas.layers
    )
    of_families = _hash([_state(store, address.key) for address in families])
    # Adding or removing a picture changes the icons on other neurons' pages.
    icons = [
        path
        for layer in layers
        for path in layer.pictures
        if not (path.startswith(_NO_ICONS) or path.endswith("-bands.jpg"))
    ]
    # The home page links to the tables of layers.
    tables = [path for layer in layers for path in layer.page.outputs if path.endswith(".csv")]
    # The header of every page links to the families if there are any; the search script links to each family.
    shared = _hash(
        [
            program,
            store.sha256(keys.ATLAS),
            web.url,
            web.images,
            str(packed),
            *assets.addresses.values(),
            *icons,
        ]
    )
    plan = SitePlan(
        shared=shared,
        layers=layers,
        home=Page("index", _hash(tables), (urls.HOME,)),
        data=Page(LISTS, _hash([of_families, *tables]), (urls.ATLAS_JSON, urls.CHECKSUMS)),
        families=_plan_families(store, catalogue, families, of_families, packed=packed),
        family_list=Page("families", of_families, (urls.FAMILIES,)) if families else None,
        family_pack=(
            Page(urls.FAMILIES_PACK, of_families, (urls.FAMILIES_PACK,)) if families and packed else None
        ),
        assets=assets,
        method=_plan_method(store, catalogue, of_families),
        packed=packed,
    )
    web = replace(web, redirects=resolved_redirects(web.redirects, plan.outputs()))
    return replace(plan, web=web, signposts=_signposts(web, of_families))


def _plan_families(
    store: Store,
    catalogue: Catalogue,
    families: tuple[FamilyAddress, ...],
    of_families: str,
    *,
    packed: bool,
) -> tuple[FamilyPlan, ...]:
    """Return the families' pages. Each depends on all families, because it shows weights between them."""
    weights = [
        _state(store, keys.weights(_slug(catalogue, record.upstream), catalogue.layer(record.layer).slug))
        for record in catalogue.atlas.layers
        if record.upstream is not None
    ]
    pictures = [_state(store, family.pictures) for family in families]
    inputs = _hash([of_families, *weights, *pictures])
    return tuple(FamilyPlan(family, _family(family.slug, inputs, packed=packed)) for family in families)


def _family(slug: str, inputs: str, *, packed: bool) -> Page:
    outputs = (urls.family_page(slug), urls.family_json(slug))
    return Page(f"family_{slug}", inputs, outputs[:1] if packed else outputs)


def _slug(catalogue: Catalogue, name: str) -> str:
    return INPUT if name == INPUT else catalogue.layer(name).slug


def _plan_layer(
    store: Store,
    catalogue: Catalogue,
    record: LayerRecord,
    families: tuple[FamilyAddress, ...],
    *,
    packed: bool,
) -> LayerPlan:
    layer = catalogue.layer(record.layer)
    # A neuron's circuit comes from the connections of several layers.
    of_circuit = (catalogue.layer(name) for name in neighbouring_layers(catalogue.atlas, record))
    tables = [
        keys.connections(near.slug, direction) for near in (layer, *of_circuit) for direction in DIRECTIONS
    ]
    tables += [keys.signed_paths(layer.slug, hops) for hops in HOPS]
    tables += [keys.examples(layer.slug), keys.statistics(layer.slug), keys.effective_field(layer.slug)]
    tables += [keys.ranges(layer.slug), keys.distribution(layer.slug), keys.fidelity(layer.slug)]
    of_layer = [family for family in families if family.layer == record.layer]
    tables += [family.key for family in of_layer]
    common = "".join(_state(store, key) for key in tables)
    pictures = {urls.family_pictures(f.slug): f.pictures for f in of_layer if store.has(f.pictures)}
    neurons = []
    states_of_neurons = []
    for index in record.neurons:
        artefact_keys = _own_pictures(layer, record, index)
        pictures.update((address, key) for address, key in artefact_keys.items() if store.has(key))
        states = [state for key in artefact_keys.values() if (state := _state(store, key)) != "-"]
        states.append(_state(store, keys.factorization(layer.slug, index)))
        states_of_neurons += states
        neurons.append(_neuron(layer, index, _hash([common, *states]), packed=packed))
    states_of_neurons.append(_state(store, keys.filters(layer.slug)))
    page = Page(layer.slug, _hash([common, *states_of_neurons]), _layer_outputs(store, catalogue, record))
    if packed:
        # A packed page holds its strip.
        pictures = {address: key for address, key in pictures.items() if not address.startswith(_IN_PAGE)}
    packs = tuple(_packs(layer, neurons)) if packed else ()
    return LayerPlan(layer, record, page, tuple(neurons), packs, pictures)


def _layer_outputs(store: Store, catalogue: Catalogue, record: LayerRecord) -> tuple[str, ...]:
    """Return the files of a layer's page: the page, then a table and pictures if the store has their data."""
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
    """Return the pictures that the atlas should show of a neuron, address in the site -> key in the store."""
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


def _neuron(layer: Layer, index: int, inputs: str, *, packed: bool) -> Page:
    slug = layer.slug
    page = urls.neuron_page(slug, index)
    outputs = (
        (page,)
        if packed
        else (
            page,
            urls.neuron_json(slug, index),
            urls.neuron_npz(slug, index),
            urls.embed_page(slug, index),
        )
    )
    return Page(f"{slug}_{index}", inputs, outputs, index)


def _packs(layer: Layer, neurons: Sequence[Page]) -> Iterator[Page]:
    """Yield the zip files of the data of a layer's neurons; each depends on all that its neurons show."""
    for address, pages in itertools.groupby(
        neurons, lambda page: urls.pack(layer.slug, page.index, layer.n_channels)
    ):
        of_pack = list(pages)
        inputs = _hash([page.inputs for page in of_pack])
        yield Page(address, inputs, (address,), packed=tuple(page.index for page in of_pack))


def _state(store: Store, key: str) -> str:
    """Return an artefact's SHA-256, else why it could not be made, else "-" where it was never tried."""
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
    """Return the page on method. It counts families and examples, and lists effective fields."""
    slugs = [catalogue.layer(record.layer).slug for record in catalogue.atlas.layers]
    states = [_state(store, key(slug)) for slug in slugs for key in (keys.examples, keys.effective_field)]
    return Page("method", _hash([of_families, *states]), (urls.METHOD,))
