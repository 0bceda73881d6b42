"""The stale part of a plan -> files: pictures first, then the pages that show them, the home page last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from atlas.pages import data_files, neuron_data, urls
from atlas.pages.artefacts import AtlasArtefacts, LayerArtefacts
from atlas.pages.catalogue import Catalogue
from atlas.pages.circuit_context import Circuits
from atlas.pages.context import Chrome
from atlas.pages.family_artefacts import FamilyArtefacts
from atlas.pages.family_context import families_page, family_page
from atlas.pages.home_context import home_page
from atlas.pages.layer_context import layer_page
from atlas.pages.method_context import MethodPage, method_page
from atlas.pages.neuron_context import neuron_page
from atlas.pages.plan import LayerPlan, Page, SitePlan
from atlas.pages.render import Renderer
from atlas.pages.sheet_context import filter_sheet_png, nmf_sheet_png
from atlas.pages.site_folder import SiteFolder
from atlas.pages.statistics_table import layer_csv
from atlas.store import Store

# Called with how many pages and pictures are done, and how many there are to do.
Progress = Callable[[int, int], object]


@dataclass(slots=True)
class Writing:
    """One run over what is stale: names of pages, and addresses of pictures."""

    store: Store
    catalogue: Catalogue
    plan: SitePlan
    target: SiteFolder
    stale_pages: frozenset[str]
    stale_pictures: frozenset[str]
    progress: Progress
    _n_done: int = field(default=0, init=False)
    _artefacts: AtlasArtefacts = field(init=False)
    _circuits: Circuits = field(init=False)
    _families: FamilyArtefacts = field(init=False)

    def __post_init__(self) -> None:
        """Make ready to read; nothing is read yet."""
        layers = [(layer.layer, layer.record) for layer in self.plan.layers]
        self._artefacts = AtlasArtefacts(self.store, layers)
        self._circuits = Circuits(self.catalogue, self._artefacts)
        self._families = FamilyArtefacts(self.store, self.catalogue)

    def run(self, templates: Path) -> None:
        """Write all of it; what was written is known to the next run, however this one ends."""
        try:
            for address, data in self.plan.assets.contents.items():
                self.target.write(address, data)
            if self.stale_pages or self.stale_pictures:
                self._write_pages(Renderer(templates, self._chrome()))
            self.target.remove_all_but(self.plan.outputs())
        finally:
            self.target.save()

    def _chrome(self) -> Chrome:
        atlas = self.catalogue.atlas
        return Chrome(
            title=atlas.title,
            model=atlas.model.name,
            model_sha256=atlas.model.sha256,
            assets=self.plan.assets.addresses,
            layers=tuple(self.catalogue.link(record.layer) for record in atlas.layers),
            example=self._example(),
            families=urls.FAMILIES if self.plan.family_list else "",
            method=urls.METHOD,
            settings=tuple(sorted(atlas.settings.items())),
            versions=tuple(sorted(atlas.versions.items())),
        )

    def _example(self) -> str:
        if not self.catalogue.atlas.layers:
            return ""
        record = self.catalogue.atlas.layers[-1]
        layer = self.catalogue.layer(record.layer)
        return f"{self.catalogue.short_name(layer) or layer.name}:{record.neurons[-1]}"

    def _write_pages(self, renderer: Renderer) -> None:
        for layer in self.plan.layers:
            if self._write_layer(renderer, layer):
                self.target.save()
        self._write_families(renderer)
        data, home = self.plan.data, self.plan.home
        if data.name in self.stale_pages:
            self._write(data, data_files.atlas_json(self.catalogue, self._families))
        if home.name in self.stale_pages:
            self._write(home, renderer.home(home_page(self.catalogue)))
        if self.plan.method.name in self.stale_pages:
            self._write(self.plan.method, renderer.page("method", self._method_page()))

    def _write_families(self, renderer: Renderer) -> None:
        for address, page in ((family.address, family.page) for family in self.plan.families):
            if page.name in self.stale_pages:
                html = renderer.page("family", family_page(self.catalogue, self._families, address))
                self._write(page, html, data_files.family_json(self.catalogue, self._families, address))
        listed = self.plan.family_list
        if listed and listed.name in self.stale_pages:
            self._write(listed, renderer.page("families", families_page(self.catalogue, self._families)))

    def _write_layer(self, renderer: Renderer, layer: LayerPlan) -> bool:
        """Write what is stale of a layer; return whether there was anything."""
        before = self._n_done
        stale = {path: key for path, key in layer.pictures.items() if path in self.stale_pictures}
        for path, key in stale.items():
            self.target.write(path, self.store.read(key), sha256=self.store.sha256(key))
            self._count()
        artefacts = self._artefacts.of(layer.layer.name)
        for page in layer.neurons:
            if page.name in self.stale_pages:
                self._write_neuron(renderer, artefacts, page)
        if layer.page.name in self.stale_pages:
            self._write_layer_page(renderer, artefacts, layer.page)
        return self._n_done > before

    def _write_layer_page(self, renderer: Renderer, artefacts: LayerArtefacts, page: Page) -> None:
        makers: dict[str, Callable[[], bytes]] = {
            page.outputs[0]: lambda: renderer.layer(layer_page(self.catalogue, artefacts)),
            urls.layer_csv(artefacts.layer.slug): lambda: layer_csv(self.catalogue, artefacts),
            urls.nmf_sheet(artefacts.layer.slug): lambda: nmf_sheet_png(artefacts),
            urls.filter_sheet(artefacts.layer.slug): lambda: filter_sheet_png(artefacts),
        }
        self._write(page, *(makers[path]() for path in page.outputs))

    def _write_neuron(self, renderer: Renderer, artefacts: LayerArtefacts, page: Page) -> None:
        circuit = self._circuits.figure(artefacts.layer.name, page.index)
        families = self._families.of_neuron(artefacts.layer, page.index)
        shown = neuron_page(self.catalogue, artefacts, page.index, circuit=circuit, families=families)
        html = renderer.neuron(shown)
        json = neuron_data.neuron_json(
            self.catalogue, artefacts, page.index, circuit=circuit, families=families
        )
        self._write(page, html, json, neuron_data.neuron_npz(artefacts, page.index))

    def _method_page(self) -> MethodPage:
        tables = (self._artefacts.of(layer.layer.name).examples for layer in self.plan.layers)
        numbers = [family.address.number for family in self.plan.families]
        named = sum(not number for number in numbers)
        examples = next((table for table in tables if table), None)
        return method_page(self.catalogue, examples, named=named, proposed=len(numbers) - named)

    def _write(self, page: Page, *contents: bytes) -> None:
        for path, data in zip(page.outputs, contents, strict=True):
            self.target.write(path, data)
        self.target.status.pages[page.name] = page.inputs
        self._count()

    def _count(self) -> None:
        self._n_done += 1
        self.progress(self._n_done, len(self.stale_pages) + len(self.stale_pictures))
