"""Store -> site folder: plan all files from the store's index, then make only those that are stale."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atlas.core.records import AtlasRecord
from atlas.site.data.search import search_script
from atlas.site.folder.assets import gather_assets, program_digest, template_folder
from atlas.site.folder.site_folder import SiteFolder, open_site
from atlas.site.reading.catalogue import Catalogue
from atlas.site.reading.family_artefacts import addresses
from atlas.site.web import Web
from atlas.site.writing.pages import Page, SitePlan
from atlas.site.writing.plan import plan_site
from atlas.store import Store, keys


@dataclass(frozen=True, slots=True)
class SiteResult:
    """The result of a render."""

    n_pages: int
    """Number of HTML pages that the site has, written now or before."""
    n_written: int
    """Number of files that this render wrote, of any type."""
    n_removed: int
    """Number of files of former renders that were removed."""
    n_unchanged: int
    """Number of files of the site that already had the right bytes."""
    seconds: float
    """Wall time of the render."""
    written: tuple[str, ...] = ()
    """Addresses of the files that were written, in the order of writing."""
    removed: tuple[str, ...] = ()
    """Addresses of the files that were removed."""


def render_site(
    store: Store,
    site: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    web: Web | None = None,
) -> SiteResult:
    """Update a site folder to show what a store holds; leave files alone that have the right bytes.

    `jobs` is the number of processes that write; None chooses it by the number of stale pages. `progress` is
    called with the number of stale pages and pictures that are done, and their total. `web` holds the address
    where the site will be published, and redirects from former addresses.
    Raises SiteError when the folder cannot be written or a redirect cannot work, StoreError when an artefact
    cannot be read.
    """
    started = time.monotonic()
    catalogue = Catalogue(store.record(keys.ATLAS, AtlasRecord), store.has)
    templates = template_folder()
    records = search_script(catalogue, addresses(store, catalogue))
    assets = gather_assets(templates, generated={"search.js": records})
    plan = plan_site(store, catalogue, assets, program=program_digest(templates), web=web)
    with open_site(site) as target:
        _bring_up(store, catalogue, plan, target, templates=templates, progress=progress, jobs=jobs)
    n_files = len(plan.outputs())
    return SiteResult(
        n_pages=plan.n_pages,
        n_written=len(target.written),
        n_removed=len(target.removed),
        n_unchanged=n_files - len(target.written),
        seconds=time.monotonic() - started,
        written=tuple(target.written),
        removed=tuple(target.removed),
    )


def _bring_up(
    store: Store,
    catalogue: Catalogue,
    plan: SitePlan,
    target: SiteFolder,
    *,
    templates: Path,
    progress: Callable[[int, int], object] | None,
    jobs: int | None,
) -> None:
    stale_pages = _stale_pages(plan, target)
    stale_pictures = _stale_pictures(store, plan, target)
    left_over = target.status.files.keys() - plan.outputs()
    lost_assets = plan.assets.contents.keys() - target.intact
    if not (stale_pages or stale_pictures or left_over or lost_assets):
        target.settle()
        return
    target.claim(plan.outputs())
    # The lists of files change with any of the files.
    stale_pages |= {plan.data.name}
    # Imported late: importing Jinja takes longer than checking an unchanged site.
    from atlas.site.writing.writing import Writing

    quiet = progress or (lambda done, total: None)
    Writing(store, catalogue, plan, target, stale_pages, stale_pictures, quiet, jobs).run(templates)


def _stale_pages(plan: SitePlan, target: SiteFolder) -> frozenset[str]:
    """Return the names of pages whose inputs changed, or whose files differ from those that were written."""
    status, intact = target.status, target.intact
    if status.shared != plan.shared:
        status.shared, status.pages = plan.shared, {}

    def is_stale(page: Page) -> bool:
        return status.pages.get(page.name) != page.inputs or not intact.issuperset(page.outputs)

    return frozenset(page.name for page in plan.pages() if is_stale(page))


def _stale_pictures(store: Store, plan: SitePlan, target: SiteFolder) -> frozenset[str]:
    return frozenset(
        path
        for layer in plan.layers
        for path, key in layer.pictures.items()
        if not target.is_intact(path, store.sha256(key))
    )
