"""Write the stale files of a plan: pictures, pages that show them, the home page, the lists of all files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from atlas.site import urls
from atlas.site.data import arrays, data_files, neuron
from atlas.site.data.redirects import redirect_page, redirects_json
from atlas.site.data.zip_bytes import zip_bytes
from atlas.site.folder import checksums
from atlas.site.folder.site_folder import SiteFolder
from atlas.site.html.chrome import chrome
from atlas.site.html.render import TemplateRenderer
from atlas.site.neuron.circuit import CircuitFigure, Circuits
from atlas.site.neuron.embed import embed_page
from atlas.site.neuron.latex import neurons_sty
from atlas.site.neuron.page import aliases, neuron_page
from atlas.site.overview.family import families_page, family_page
from atlas.site.overview.home import home_page
from atlas.site.overview.layer import layer_page
from atlas.site.overview.method import MethodPage, method_page
from atlas.site.overview.sheets import filter_sheet_png, nmf_sheet_png
from atlas.site.overview.statistics_table import layer_csv
from atlas.site.reading.artefacts import AtlasArtefacts, LayerArtefacts
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import FamilyArtefacts
from atlas.site.web import sitemap
from atlas.site.writing.batches import BatchQueue, PageBatch
from atlas.site.writing.garbage import seldom_collected
from atlas.site.writing.pages import Page, SitePlan
from atlas.site.writing.worker_pool import HelperSetup, Report, WorkerPool, n_helpers
from atlas.store import Store

# Called with the number of pages and pictures that are done, and their total.
Progress = Callable[[int, int], object]


@dataclass(slots=True)
class Writing:
    """One run that writes the stale pages and pictures of a site."""

    store: Store
    """The open store that artefacts are read from."""
    catalogue: Catalogue
    """The atlas record, with links and icons of its neurons."""
    plan: SitePlan
    """All files of the site, stale or not."""
    target: SiteFolder
    """The locked folder that files are written to."""
    stale_pages: frozenset[str]
    """Names of the pages to write, as in Page.name."""
    stale_pictures: frozenset[str]
    """Addresses of the pictures to copy from the store."""
    progress: Progress
    """Called after every page or picture."""
    jobs: int | None = None
    """Number of processes that write, this one included; None chooses it by the number of stale pages."""
    _n_done: int = field(default=0, init=False)
    """Number of pages and pictures that are done."""
    _artefacts: AtlasArtefacts = field(init=False)
    """Decoded artefacts of layers; each layer is read when its first page is made."""
    _circuits: Circuits = field(init=False)
    """Circuits of neurons, from these artefacts."""
    _families: FamilyArtefacts = field(init=False)
    """Decoded families."""

    def __post_init__(self) -> None:
        """Prepare the readers; they read nothing yet."""
        # Use the catalogue's layers. In a helper, the plan's layers are copies that came through a pipe.
        layers = [(self.catalogue.layer(layer.layer.name), layer.record) for layer in self.plan.layers]
        self._artefacts = AtlasArtefacts(self.store, layers)
        self._circuits = Circuits(self.catalogue, self._artefacts)
        self._families = FamilyArtefacts(self.store, self.catalogue)

    def run(self, templates: Path) -> None:
        """Write all stale files. Even if this run fails, the next one knows which files were written."""
        try:
            with seldom_collected():
                self._write_all(templates)
        finally:
            self.target.save()
        self.target.date()

    def _write_all(self, templates: Path) -> None:
        for address, data in self.plan.assets.contents.items():
            self.target.write(address, data)
        # Mark the lists of all files as stale: until they are rewritten they describe the former site.
        self.target.status.pages.pop(self.plan.data.name, None)
        if self.stale_pages or self.stale_pictures:
            plan = self.plan
            shared = chrome(
                self.catalogue,
                assets=plan.assets.addresses,
                families=bool(plan.family_list),
                url=plan.web.url,
                images=plan.web.images,
            )
            self._write_pages(TemplateRenderer(templates, shared))
        self.target.remove_all_but(self.plan.outputs())
        self._write_lists()

    def _write_pages(self, renderer: TemplateRenderer) -> None:
        self._write_layers(renderer)
        self._write_families(renderer)
        self._write_signposts(renderer)
        home = self.plan.home
        if home.name in self.stale_pages:
            self._write(home, renderer.page("index", home_page(self.catalogue)))
        if self.plan.method.name in self.stale_pages:
            self._write(self.plan.method, renderer.page("method", self._method_page()))

    def _write_lists(self) -> None:
        """Write the lists of files, after all of them: atlas.json, then the checksums."""
        page = self.plan.data
        files = {path: state for path, state in self.target.status.files.items() if path not in page.outputs}
        index = data_files.atlas_json(
            self.catalogue,
            self._families,
            checksums.contents(files),
            packed=self.plan.packed,
            images=self.plan.web.images,
        )
        files[urls.ATLAS_JSON] = (hashlib.sha256(index).hexdigest(), len(index))
        self._write(page, index, checksums.listing(files))

    def _write_families(self, renderer: TemplateRenderer) -> None:
        url, catalogue, families = self.plan.web.url, self.catalogue, self._families
        for address, page in ((family.address, family.page) for family in self.plan.families):
            if page.name in self.stale_pages:
                contents = [
                    renderer.page(
                        "family", family_page(catalogue, families, address, url=url, packed=self.plan.packed)
                    )
                ]
                if not self.plan.packed:
                    contents.append(data_files.family_json(catalogue, families, address))
                self._write(page, *contents)
        pack = self.plan.family_pack
        if pack and pack.name in self.stale_pages:
            members = {
                f"family_{family.address.slug}.json": data_files.family_json(
                    catalogue, families, family.address
                )
                for family in self.plan.families
            }
            self._write(pack, zip_bytes(members, compressed=members))
        family_list = self.plan.family_list
        if family_list and family_list.name in self.stale_pages:
            self._write(family_list, renderer.page("families", families_page(self.catalogue, self._families)))

    def _write_layers(self, renderer: TemplateRenderer) -> None:
        """Write the stale files of all layers, with helpers where there are enough stale pages."""
        batches = BatchQueue(
            self.plan, self.target, stale_pages=self.stale_pages, stale_pictures=self.stale_pictures
        )
        pool = WorkerPool(self._setup(renderer), batches, n_helpers(self.jobs, len(self.stale_pages)))
        try:
            with pool:
                self._write_batches(renderer, batches, pool)
        finally:
            # After Ctrl-C or an error, record what was done, so that the next run knows it.
            for report in pool.reports():
                self._note(report)

    def _setup(self, renderer: TemplateRenderer) -> HelperSetup:
        folders = self.store.folder, self.target.folder, renderer.folder
        return HelperSetup(*folders, self.plan, renderer.chrome, os.getpid())

    def _write_batches(self, renderer: TemplateRenderer, batches: BatchQueue, pool: WorkerPool) -> None:
        batch: PageBatch | None = None
        while batch := batches.next(batch.layer if batch else ""):
            self.write_batch(renderer, batch)
            self._finish(batches, batch)
            for report in pool.reports():
                self._take(renderer, batches, report)
        for report in pool.last_reports():
            self._take(renderer, batches, report)

    def _take(self, renderer: TemplateRenderer, batches: BatchQueue, report: Report) -> None:
        """Record a helper's finished batch, or write the batch here if the helper failed."""
        if report.files is None:
            self.write_batch(renderer, report.batch)
        else:
            self._note(report)
        self._finish(batches, report.batch)

    def _note(self, report: Report) -> None:
        if report.files is not None:
            self.target.take_over(report.files)
            self.target.status.pages.update((page.name, page.inputs) for page in report.batch.pages)
            self._count(len(report.batch))

    def _finish(self, batches: BatchQueue, batch: PageBatch) -> None:
        if batches.finish(batch):
            self.target.save()

    def write_batch(self, renderer: TemplateRenderer, batch: PageBatch) -> None:
        """Write the pictures and pages of a batch."""
        for path, key in batch.pictures.items():
            self.target.write(path, self.store.read(key), sha256=self.store.sha256(key))
            self._count()
        artefacts = self._artefacts.of(batch.layer)
        for page in batch.pages:
            if page.packed:
                self._write_pack(artefacts, page)
            elif page.index < 0:
                self._write_layer_page(renderer, artefacts, page)
            else:
                self._write_neuron(renderer, artefacts, page)

    def _write_layer_page(self, renderer: TemplateRenderer, artefacts: LayerArtefacts, page: Page) -> None:
        makers: dict[str, Callable[[], bytes]] = {
            page.outputs[0]: lambda: renderer.page(
                "layer", layer_page(self.catalogue, artefacts, url=self.plan.web.url)
            ),
            urls.layer_csv(artefacts.layer.slug): lambda: layer_csv(self.catalogue, artefacts),
            urls.nmf_sheet(artefacts.layer.slug): lambda: nmf_sheet_png(artefacts),
            urls.filter_sheet(artefacts.layer.slug): lambda: filter_sheet_png(artefacts),
        }
        self._write(page, *(makers[path]() for path in page.outputs))

    def _write_neuron(self, renderer: TemplateRenderer, artefacts: LayerArtefacts, page: Page) -> None:
        url, packed = self.plan.web.url, self.plan.packed
        circuit = self._circuits.figure(artefacts.layer.name, page.index)
        families = self._families.of_neuron(artefacts.layer, page.index)
        context = neuron_page(
            self.catalogue, artefacts, page.index, circuit=circuit, families=families, url=url, packed=packed
        )
        contents = [renderer.page("neuron", context)]
        if not packed:
            contents += self._data(artefacts, page.index, circuit)
            contents.append(renderer.page("embed", embed_page(context, artefacts)))
        self._write(page, *contents)

    def _write_pack(self, artefacts: LayerArtefacts, page: Page) -> None:
        members: dict[str, bytes] = {}
        for index in page.packed:
            circuit = self._circuits.figure(artefacts.layer.name, index, drawn=False)
            json, npz = self._data(artefacts, index, circuit)
            stem = f"{artefacts.layer.slug}_{index}"
            members |= {f"{stem}.json": json, f"{stem}.npz": npz}
        self._write(page, zip_bytes(members, compressed=members))

    def _data(
        self, artefacts: LayerArtefacts, index: int, circuit: CircuitFigure | None
    ) -> tuple[bytes, bytes]:
        """Return a neuron's two data files, JSON and .npz."""
        families = self._families.of_neuron(artefacts.layer, index)
        json = neuron.neuron_json(
            self.catalogue,
            artefacts,
            index,
            aliases=aliases(self.catalogue, artefacts, index),
            circuit=circuit,
            families=families,
            packed=self.plan.packed,
        )
        return json, arrays.neuron_npz(self.catalogue, artefacts, index)

    def _method_page(self) -> MethodPage:
        layers = [self._artefacts.of(layer.layer.name) for layer in self.plan.layers]
        tables = (layer.examples for layer in layers)
        fields = {layer.layer.name: layer.effective_field for layer in layers}
        numbers = [family.address.number for family in self.plan.families]
        named = sum(not number for number in numbers)
        examples, url = next((table for table in tables if table), None), self.plan.web.url
        proposed = len(numbers) - named
        return method_page(self.catalogue, examples, fields, named=named, proposed=proposed, url=url)

    def _write(self, page: Page, *contents: bytes) -> None:
        for path, data in zip(page.outputs, contents, strict=True):
            self.target.write(path, data)
        self.target.status.pages[page.name] = page.inputs
        self._count()

    def _write_signposts(self, renderer: TemplateRenderer) -> None:
        web = self.plan.web
        pages = [p.outputs[0] for p in self.plan.pages() if p.outputs[0].endswith(".html")]
        makers: dict[str, Callable[[], list[bytes]]] = {
            urls.NEURONS_STY: lambda: [neurons_sty(self.catalogue, web.url)],
            urls.SITEMAP: lambda: [sitemap(web.url, pages)],
            urls.REDIRECTS: lambda: [
                redirects_json(web.redirects),
                *(renderer.page("redirect", redirect_page(*pair)) for pair in web.redirects.items()),
            ],
        }
        for page in self.plan.signposts:
            if page.name in self.stale_pages:
                self._write(page, *makers[page.outputs[0]]())

    def _count(self, n: int = 1) -> None:
        self._n_done += n
        self.progress(self._n_done, len(self.stale_pages) + len(self.stale_pictures))
