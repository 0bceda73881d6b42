"""What a site consists of: its pages, with the files that are written together, and its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from atlas.core.neuron import Layer
from atlas.core.records import LayerRecord
from atlas.site.folder.assets import Assets
from atlas.site.reading.family_artefacts import FamilyAddress
from atlas.site.web import Web


@dataclass(frozen=True, slots=True)
class Page:
    """A page and the data files that are written together with it."""

    name: str
    """Name of the page in the site's status, such as "mixed3b_379"."""
    inputs: str
    """SHA-256 of what this page depends on, without what all pages share."""
    outputs: tuple[str, ...]
    """Addresses of the files, the page itself first."""
    index: int = -1
    """The neuron's index in its layer; -1 for a page that is not a neuron's."""
    packed: tuple[int, ...] = ()
    """The neurons whose data files a zip file holds; () for a page."""


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The files of one layer."""

    layer: Layer
    """The layer in the network."""
    record: LayerRecord
    """The layer in the atlas: its chosen neurons and what is made for them."""
    page: Page
    """The layer's own page."""
    neurons: tuple[Page, ...]
    """The pages of its chosen neurons, in the order of the record."""
    packs: tuple[Page, ...]
    """The zip files of their data; () in a site that is not packed."""
    pictures: dict[str, str]
    """Pictures that are copied from the store, address in the site -> key in the store."""


@dataclass(frozen=True, slots=True)
class FamilyPlan:
    """The files of one family."""

    address: FamilyAddress
    """The family's slug, and its key in the store."""
    page: Page
    """The family's page, and its JSON file in a site that is not packed."""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """All files of a site."""

    shared: str
    """SHA-256 of what every page depends on."""
    layers: tuple[LayerPlan, ...]
    """The files of each layer, in the order of the atlas."""
    home: Page
    """The home page."""
    data: Page
    """The two lists of files: atlas.json and the checksums."""
    families: tuple[FamilyPlan, ...]
    """The files of each family; empty where the atlas has none."""
    family_list: Page | None
    """The page that lists all families; None where the atlas has none."""
    family_pack: Page | None
    """The zip file of their data; None where they have files of their own, or there are none."""
    assets: Assets
    """Style sheets, scripts and other files that pages load."""
    method: Page
    """The page on method."""
    signposts: tuple[Page, ...] = ()
    """Files that link to the site: LaTeX macros, and a sitemap and redirects where there are any."""
    web: Web = field(default_factory=Web)
    """Where the site will be published, with redirects that lead straight to their page."""
    packed: bool = False
    """Whether the site has as few files as it can (atlas.core.config.WebConfig)."""

    def pages(self) -> Iterator[Page]:
        """Yield every page, the home page first."""
        yield self.home
        yield self.data
        yield self.method
        if self.family_list:
            yield self.family_list
        if self.family_pack:
            yield self.family_pack
        yield from (family.page for family in self.families)
        yield from self.signposts
        for layer in self.layers:
            yield layer.page
            yield from layer.neurons
            yield from layer.packs

    def outputs(self) -> set[str]:
        """Return the addresses of all files."""
        of_pages = {path for page in self.pages() for path in page.outputs}
        return of_pages.union(self.assets.contents, *(layer.pictures for layer in self.layers))

    @property
    def n_pages(self) -> int:
        """The number of HTML pages, without redirects and pages to embed."""
        n_families = len(self.families) + (self.family_list is not None)
        return 2 + n_families + sum(1 + len(layer.neurons) for layer in self.layers)
