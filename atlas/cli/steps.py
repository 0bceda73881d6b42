"""Steps that several commands share, and the lines that they print.

To compute needs TensorFlow, to render does not: each step imports the modules that it needs when it runs.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from atlas.cli import options
from atlas.cli.preflight import check_writable
from atlas.core.config import AtlasConfig
from atlas.core.errors import legible

if TYPE_CHECKING:
    from atlas.build.work import Work
    from atlas.site.web import Web


def compute_store(
    config: AtlasConfig,
    asking: bool,
    *,
    retry_failed: bool,
    check: Callable[[Work], object] | None = None,
) -> int:
    """Bring the store up to date, and open the model only if something is stale; options as in `compute`.

    Returns the number of artefacts that could not be made, now or before. Raises AtlasError.
    """
    from atlas.build.demo_images import write_drawings
    from atlas.build.freshness import failed_lines, made_lines, up_to_date
    from atlas.store import Store

    start = time.monotonic()
    with Store.open(config.store_path, write=True) as store:
        if options.illustrated(config) is not config:
            config = options.illustrated(config)
            write_drawings(Path(config.examples))
        store.retry_failed = retry_failed
        fresh = up_to_date(store, config)
        if fresh is not None:
            n_artefacts, failed = fresh
            click.echo(f"computed: nothing to do, all {n_artefacts - len(failed)} artefacts are fresh")
            _echo_all(failed_lines(failed))
            return len(failed)
        from atlas.build.compute import compute

        tell = functools.partial(click.echo, err=True)
        result = compute(config, store, tell=tell, asking=asking, check=check)
    for line in made_lines(result.made):
        click.echo(legible(line))
    counts = f"{len(result.made)} of {result.n_wanted} artefacts"
    click.echo(f"computed: made {counts} in {time.monotonic() - start:.1f} s")
    _echo_all(failed_lines(result.failed))
    return len(result.failed)


def _echo_all(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(legible(line), err=True)


def foretell(config: AtlasConfig, asking: bool) -> None:
    """Print what a compute would make; writes nothing to the folders of the store and the site."""
    from atlas.build.compute import plan
    from atlas.build.demo_images import write_drawings
    from atlas.store import Store

    exists = config.store_path.is_dir()
    with tempfile.TemporaryDirectory() as folder:
        if options.illustrated(config) is not config:
            drawings = Path(options.illustrated(config).examples)
            config = msgspec.structs.replace(config, examples=str(drawings))
            if not drawings.is_dir():
                config = msgspec.structs.replace(config, examples=folder + "/drawings")
                write_drawings(Path(config.examples))
        path = config.store_path if exists else Path(folder) / "store"
        with Store.open(path, write=not exists) as store:
            work = plan(config, store, asking=asking)
            for line in (*work.lines(), site_line(config, work)):
                click.echo(line)


def site_line(config: AtlasConfig, work: Work) -> str:
    """Return how large the site of an atlas will be, and which limits of hosts it exceeds."""
    from atlas.build.pace import windows
    from atlas.site.web import read_web
    from atlas.site.writing.extent import extent

    sizes = windows(work.network, work.atlas, config)
    return extent(work.atlas, config, read_web(config.web), sizes).line


def foreseen_web(config: AtlasConfig, *, archive: bool) -> Web:
    """Return the web settings of a site; raises AtlasError for settings with which it cannot be written."""
    from atlas.site.finished.archive import archive_path, check_archive
    from atlas.site.folder.site_folder import refuse_others
    from atlas.site.web import read_web

    site = Path(config.site)
    check_writable(site)
    refuse_others(site)
    if archive:
        check_archive(archive_path(site))
    return read_web(config.web)


def render_store(config: AtlasConfig, web: Web, jobs: int | None, *, archive: bool) -> None:
    """Write the site from the store, and pack it into a zip file with `archive`."""
    from atlas.site.writing.site import render_site
    from atlas.store import Store
    from atlas.system.progress import counter

    start = time.monotonic()
    with Store.open(config.store_path) as store, counter("site", unit="files") as count:
        result = render_site(store, Path(config.site), jobs=jobs, progress=count, web=web)
    seconds = time.monotonic() - start
    click.echo(
        f"rendered: {result.n_written} files written, {result.n_unchanged} unchanged, "
        f"{result.n_removed} removed in {seconds:.1f} s; open {Path(config.site) / 'index.html'}"
    )
    if archive:
        pack_site(Path(config.site))


def pack_site(site: Path, out: Path | None = None) -> None:
    """Pack a site into one zip file, next to it or at `out`."""
    from atlas.site.finished.archive import write_archive
    from atlas.system.progress import counter

    with counter("archive", unit="files") as count:
        done = write_archive(site, out, progress=count)
    click.echo(f"archived: {done.n_files} files, {done.n_bytes:,} bytes; {done.path}")
