"""The worker pool that writes a site's pages, and what passes between it and the coordinator.

The coordinator is the process that renders the site. Helpers are its worker processes: fresh interpreters
with one pipe in and one pipe out. A helper takes batches, writes their files, and reports which it wrote.

Only the coordinator writes the site's status. If a helper dies or fails, the coordinator writes the batch
itself, and raises the same error, if there is one, as it would without helpers.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from atlas.site.folder.status import FileState
from atlas.site.html.chrome import Chrome
from atlas.site.writing.batches import BatchQueue, PageBatch
from atlas.site.writing.pages import SitePlan
from atlas.system import processes
from atlas.system.cores import n_cores

# Starting a helper takes as long as writing this many pages.
PAGES_WORTH_A_HELPER = 150
# One batch to work on and one that waits, because the coordinator is too busy to answer at once.
N_GIVEN = 2
_CODE = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from atlas.site.writing.worker import main
main()
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HelperSetup:
    """The first message to a helper."""

    store: Path
    """Folder of the store."""
    site: Path
    """Folder of the site."""
    templates: Path
    """Folder of the templates."""
    plan: SitePlan
    """All files of the site, stale or not."""
    chrome: Chrome
    """The part of the template context that all pages share."""
    parent: int
    """Process id of the coordinator; the helper ends when the coordinator does."""
    number: int = 0
    """Number of the helper, from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """A helper's report on one batch."""

    batch: PageBatch
    """The batch that the helper was given."""
    files: dict[str, FileState] | None
    """The files that the helper wrote, in the order of writing; None where it failed."""


def n_helpers(jobs: int | None, n_pages: int) -> int:
    """Return how many helpers to start. `jobs` counts this process too; None chooses by cores and pages."""
    if jobs is not None:
        return min(jobs, max(n_pages, 1)) - 1
    return min(n_cores() - 1, n_pages // PAGES_WORTH_A_HELPER)


class WorkerPool:
    """Helpers that work on a queue of batches. Use it as a context manager; on exit the helpers end."""

    def __init__(self, setup: HelperSetup, batches: BatchQueue, n: int) -> None:
        """Start `n` helpers, or fewer where the operating system refuses more."""
        self._batches = batches
        self._reports: SimpleQueue[Report | None] = SimpleQueue()
        self._processes = []
        self._threads = []
        for number in range(1, n + 1):
            try:
                # Quiet, because the coordinator repeats a failed batch and reports the error itself.
                process = processes.started(_CODE, quiet=True)
            except OSError as error:
                _log.warning("goes on with %d helpers: %s", number - 1, error)
                break
            arguments = (process, replace(setup, number=number))
            self._processes.append(process)
            self._threads.append(threading.Thread(target=self._lead, args=arguments, daemon=True))
        self._at_work = len(self._threads)

    def __enter__(self) -> WorkerPool:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batches.clear()
        for process in self._processes:
            if kind is not None:
                process.kill()
        for thread in self._threads:
            thread.join()

    def reports(self) -> Iterator[Report]:
        """Yield the reports that have arrived since the last call, without waiting."""
        while not self._reports.empty():
            yield from self._taken()

    def last_reports(self) -> Iterator[Report]:
        """Yield reports as they arrive, until the last helper is done."""
        while self._at_work:
            yield from self._taken()

    def _taken(self) -> Iterator[Report]:
        report = self._reports.get()
        if report is None:
            self._at_work -= 1
        else:
            yield report

    def _lead(self, process: subprocess.Popen[bytes], setup: HelperSetup) -> None:
        """Send a helper one batch after the other. Runs in a separate thread for each helper."""
        given: deque[PageBatch] = deque()
        try:
            with process:
                assert process.stdin is not None, "it was started with pipes"
                assert process.stdout is not None, "it was started with pipes"
                processes.send(process, setup)
                # Wait until the helper has started, so that it only takes batches that are still left then.
                pickle.load(process.stdout)
                while self._give(process, given):
                    files = pickle.load(process.stdout)
                    self._reports.put(Report(given.popleft(), files))
                    if files is None:
                        break
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _log.warning("a helper ended early, what it was at is done again: %r", error)
        finally:
            for batch in given:
                self._reports.put(Report(batch, None))
            self._reports.put(None)

    def _give(self, process: subprocess.Popen[bytes], given: deque[PageBatch]) -> bool:
        """Send a helper batches until it has N_GIVEN, and return whether it has any."""
        while len(given) < N_GIVEN and (batch := self._batches.next(given[-1].layer if given else "")):
            given.append(batch)
            processes.send(process, batch)
        return bool(given)
