"""A helper: a worker process that writes pages. It reads batches from one pipe and reports on another."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO

from atlas.core.records import AtlasRecord
from atlas.site.folder.site_folder import SiteFolder
from atlas.site.folder.status import FileState
from atlas.site.html.render import TemplateRenderer
from atlas.site.reading.catalogue import Catalogue
from atlas.site.writing.batches import PageBatch
from atlas.site.writing.garbage import seldom_collected
from atlas.site.writing.worker_pool import HelperSetup
from atlas.site.writing.writing import Writing
from atlas.store import Store, keys


def main() -> None:
    """Write batches until the coordinator closes the pipe."""
    # Ctrl-C reaches every process of a terminal. Only the coordinator reacts, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    # Printed text must not get between the reports.
    sys.stdout = sys.stderr
    try:
        with seldom_collected():
            _serve(source, sink)
    except (EOFError, BrokenPipeError):
        # The coordinator has finished or was killed. There is nothing to clean up.
        os._exit(0)


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    setup: HelperSetup = pickle.load(source)
    with Store.open(setup.store) as store:
        catalogue = Catalogue(store.record(keys.ATLAS, AtlasRecord), store.has)
        target = SiteFolder(setup.site, helper=setup.number)
        writing = Writing(
            store, catalogue, setup.plan, target, frozenset(), frozenset(), _Watch(setup.parent)
        )
        renderer = TemplateRenderer(setup.templates, setup.chrome)
        report: dict[str, FileState] | None = {}
        while True:
            pickle.dump(report, sink)
            sink.flush()
            report = _done(writing, renderer, target, pickle.load(source))


class _Watch:
    """A progress callback: after every page it ends this process if the coordinator was killed."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def __call__(self, done: int, total: int) -> None:
        if os.getppid() != self._parent:
            os._exit(1)


def _done(
    writing: Writing, renderer: TemplateRenderer, target: SiteFolder, batch: PageBatch
) -> dict[str, FileState] | None:
    """Write a batch and return its files; None on any error, which the coordinator meets on its own try."""
    target.begin(batch.known)
    try:
        writing.write_batch(renderer, batch)
    except Exception:
        return None
    return {path: target.status.files[path] for path in target.written}
