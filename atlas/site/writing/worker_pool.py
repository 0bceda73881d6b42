"""Processes that help to write a site: each takes batches, writes their files, and reports what it wrote.

The status is the coordinator's alone. A helper that dies or fails costs nothing: its batch is done by
the coordinator, which then meets the same error, if there is one, as if it had been alone.

A helper is a fresh interpreter with a pipe at each end.
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
from atlas.site.writing.plan import SitePlan
from atlas.system import processes
from atlas.system.cores import n_cores

# A helper takes as long to start as it takes to write so many pages.
PAGES_WORTH_A_HELPER = 150
# One to work on and one that waits: this process is too busy to answer at once.
N_GIVEN = 2
_CODE = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from atlas.site.writing.worker import main
main()
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HelperSetup:
    """What a helper is sent first."""

    store: Path
    """Folder of the store."""
    site: Path
    """Folder of the site."""
    templates: Path
    """Folder of the templates."""
    plan: SitePlan
    """All files of the site."""
    chrome: Chrome
    """What every page shows."""
    parent: int
    """Id of the coordinator's process; the helper ends when that does."""
    number: int = 0
    """Number of the helper, from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a helper did of a batch."""

    batch: PageBatch
    """The batch."""
    files: dict[str, FileState] | None
    """The files that it wrote, in that order; None where it failed."""


def n_helpers(jobs: int | None, n_pages: int) -> int:
    """Return how many processes to start beside this one; `jobs` None: as many as are worth it."""
    if jobs is not None:
        return min(jobs, max(n_pages, 1)) - 1
    return min(n_cores() - 1, n_pages // PAGES_WORTH_A_HELPER)


class Crew:
    """Helpers at work on batches, as a context manager; leaving it ends them."""

    def __init__(self, setup: HelperSetup, batches: BatchQueue, n: int) -> None:
        """Start `n` helpers, or fewer where the system has no room for so many."""
        self._batches = batches
        self._reports: SimpleQueue[Report | None] = SimpleQueue()
        self._processes = []
        self._threads = []
        for number in range(1, n + 1):
            try:
                # What a helper has to complain of comes up again in the coordinator.
                process = processes.started(_CODE, quiet=True)
            except OSError as error:
                _log.warning("goes on with %d helpers: %s", number - 1, error)
                break
            arguments = (process, replace(setup, number=number))
            self._processes.append(process)
            self._threads.append(threading.Thread(target=self._lead, args=arguments, daemon=True))
        self._at_work = len(self._threads)

    def __enter__(self) -> Crew:
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
        """Yield what has been reported since; waits for nothing."""
        while not self._reports.empty():
            yield from self._taken()

    def last_reports(self) -> Iterator[Report]:
        """Yield what is reported until the last helper is done."""
        while self._at_work:
            yield from self._taken()

    def _taken(self) -> Iterator[Report]:
        report = self._reports.get()
        if report is None:
            self._at_work -= 1
        else:
            yield report

    def _lead(self, process: subprocess.Popen[bytes], setup: HelperSetup) -> None:
        """Give a helper one batch after the other; runs in a thread of its own."""
        given: deque[PageBatch] = deque()
        try:
            with process:
                assert process.stdin is not None, "it was started with pipes"
                assert process.stdout is not None, "it was started with pipes"
                processes.send(process, setup)
                # It takes a while to start; what is left then is shared.
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
        """Keep a helper in work; return whether it has any."""
        while len(given) < N_GIVEN and (batch := self._batches.next(given[-1].layer if given else "")):
            given.append(batch)
            processes.send(process, batch)
        return bool(given)
