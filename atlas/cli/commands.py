"""The command line: a function for each command.

To compute needs TensorFlow, to render does not: each command imports the modules that it needs when it runs.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas import __version__
from atlas.cli import options
from atlas.cli.preflight import check_apart
from atlas.cli.steps import compute_store, foreseen_web, foretell, pack_site, render_store, site_line
from atlas.core.errors import AtlasError

if TYPE_CHECKING:
    from atlas.build.work import Work

# The exit status of a build that is done, except for artefacts that could not be made.
INCOMPLETE = 3


class _Group(click.Group):
    """A group of commands that prints an AtlasError as one line and ends cleanly on Ctrl-C."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; exit with 1 on an AtlasError, with 130 on Ctrl-C."""
        try:
            return super().invoke(context)
        except AtlasError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            # Half-made objects, like a session that was being opened, raise errors when they are deleted;
            # those would be printed after the last line.
            sys.unraisablehook = lambda _: None
            click.echo("stopped; what is done is kept, the same command goes on from there", err=True)
            context.exit(130)


@click.group(cls=_Group, invoke_without_command=True, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="circuit-atlas")
@click.option("--verbose", is_flag=True, help="Say more while working.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Turn a trained convolutional network into a static site with a page for every neuron.

    Without a command: build the bundled demo network's atlas into site/.

    \b
    Example:
      circuit-atlas build --model InceptionV1 --layers mixed3a,mixed3b --site atlas
    """
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    if context.invoked_subcommand is None:
        context.invoke(build)


@main.command()
@options.foretelling
@options.retrying
@options.rendering
@options.placed
@options.configured
def build(
    dry_run: bool = False,
    archive: bool = False,
    jobs: int | None = None,
    retry_failed: bool = False,
    **arguments: Any,
) -> None:
    """Compute what is missing, then render the site.

    Exit status 3: some artefacts could not be made; the rest is complete.

    \b
    Example:
      circuit-atlas build --model models/googlenet --layers mixed3a,mixed3b --examples images
    """
    from atlas.site.data.redirects import check_redirects

    config = options.config_of(arguments)
    check_apart(config)
    asking = not options.chooses_layers(arguments, config)
    if dry_run:
        foretell(config, asking)
        return
    # Checked before hours of computing, not after.
    web = foreseen_web(config, archive=archive)

    def check(work: Work) -> None:
        n_neurons = sum(len(record.neurons) for record in work.atlas.layers)
        check_redirects(web.redirects, work.atlas, packed=web.is_packed(n_neurons))
        click.echo(site_line(config, work), err=True)

    n_failed = compute_store(config, asking, retry_failed=retry_failed, check=check)
    render_store(config, web, jobs, archive=archive)
    if n_failed:
        sys.exit(INCOMPLETE)


@main.command()
@options.foretelling
@options.retrying
@options.placed
@options.configured
def compute(dry_run: bool = False, retry_failed: bool = False, **arguments: Any) -> None:
    """Make the numbers and images that are missing or stale, into the store.

    Exit status 3: some artefacts could not be made; the rest is complete.

    \b
    Example:
      circuit-atlas compute --model models/googlenet --layers mixed3a --store store
    """
    config = options.config_of(arguments)
    check_apart(config)
    asking = not options.chooses_layers(arguments, config)
    if dry_run:
        foretell(config, asking)
    elif compute_store(config, asking, retry_failed=retry_failed):
        sys.exit(INCOMPLETE)


@main.command()
@options.rendering
@options.shown
def render(archive: bool = False, jobs: int | None = None, **arguments: Any) -> None:
    """Write the site from the store; needs no TensorFlow.

    It uses only the folders and the table [web] of CONFIG. The store decides what the site shows: to change
    layers, neurons or settings, run `build` or `compute`.

    \b
    Example:
      circuit-atlas render --store store --site site
    """
    config = options.config_of(arguments)
    check_apart(config)
    render_store(config, foreseen_web(config, archive=archive), jobs, archive=archive)


@main.command(name="archive")
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Zip file; default: site.zip for site.")
def archive_command(site: Path, out: Path | None) -> None:
    """Pack a site into one zip file, which opens from the disk once it is unpacked.

    \b
    Example:
      circuit-atlas archive site --out atlas.zip
    """
    pack_site(site, out)


@main.command()
@click.argument("site", type=click.Path(path_type=Path))
def check(site: Path) -> None:
    """Check a site: links, HTML, checksums, leaks of absolute paths, sizes.

    \b
    Example:
      circuit-atlas check site
    """
    from atlas.site.finished.check import check_site

    problems = check_site(site)
    for problem in problems:
        click.echo(str(problem))
    click.echo(f"{len(problems)} problems in {site}")
    if problems:
        sys.exit(1)


@main.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port on this machine."
)
def serve(site: Path, port: int) -> None:
    """Show a site in the browser, on this machine only.

    \b
    Example:
      circuit-atlas serve site --port 8000
    """
    from atlas.site.finished.serve import serve_site

    click.echo(f"http://127.0.0.1:{port}/ shows {site}; Ctrl-C ends it")
    serve_site(site, port=port)


@main.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.argument("target")
@options.publishing
def publish(site: Path, target: str, **arguments: Any) -> None:
    """Upload a site; without --apply, only print the plan.

    TARGET is s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, a branch that GitHub Pages shows
    (git+https://github.com/ME/REPOSITORY.git#gh-pages), or a folder. Only what changed is sent, and only
    files from an earlier publish are removed.

    \b
    Example:
      circuit-atlas publish site s3://papers/atlas --apply
    """
    from atlas.publish import Access, publish_site

    access = {name: arguments.pop(name) for name in Access.__dataclass_fields__ if name in arguments}
    publish_site(site, target, tell=click.echo, access=Access(**access), **arguments)


@main.command()
@options.reading_a_model
def info(images: Path | None = None, **arguments: Any) -> None:
    """Describe a model: layers, channels, receptive fields, paths.

    Prints the kind, channels, positions and receptive field of each layer; for each path between two layers
    the carrier, and what cannot be linearized; then a command line that builds an atlas. MODEL is
    anything that --model of `build` accepts; default: the bundled demo. With --images also the share of
    images whose class the model names, which is low where mean, std, range or channels are wrong. Their
    folders, or their files, are named by labels, WordNet ids or indices.

    \b
    Example:
      circuit-atlas info keras:MobileNetV2 --images photographs
    """
    # TensorFlow's own allocator is faster for pictures, but keeps freed memory: several times large weights.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    from atlas.build.compute import open_model
    from atlas.cli.model_report import accuracy_lines, model_lines
    from atlas.drawing.image_files import image_files

    config = options.config_of(arguments)
    if images:
        image_files(images)  # an error of the folder comes before the model is read
    notes = logging.getLogger("atlas.model.reading.assembly.notes")
    notes.disabled = True  # the report has them
    try:
        network = open_model(config)
    finally:
        notes.disabled = False
    for line in model_lines(network, options.words_of(config)):
        click.echo(line)
    for line in accuracy_lines(network, images) if images else ():
        click.echo(line)


@main.command()
@click.argument("neuron")
@options.configured
def explain(neuron: str, **arguments: Any) -> None:
    """Show what a neuron's artefacts depend on, and why each is fresh or stale.

    \b
    Example:
      circuit-atlas explain mixed3b:379 --store store
    """
    from atlas.build.freshness import explained, explained_lines
    from atlas.store import Store

    config = options.illustrated(options.config_of(arguments))
    with Store.open(config.store_path) as store:
        for line in explained_lines(explained(store, config, neuron)):
            click.echo(line)
