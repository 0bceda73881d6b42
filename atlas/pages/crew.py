"""Processes that help to write a site: each takes shards, writes their files, and tells what it wrote.

The status is the coordinator's alone. A helper that dies or fails costs nothing: its shard is done by
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

from atlas import interpreters
from atlas.cores import n_cores
from atlas.pages.context import Chrome
from atlas.pages.plan import SitePlan
from atlas.pages.shards import Shard, Shards
from atlas.pages.status import FileState

# A helper takes as long to start as it takes to write so many pages.
PAGES_WORTH_A_HELPER = 150
# One to work on and one that waits: this process is too busy to answer at once.
N_GIVEN = 2
_CODE = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from atlas.pages.crew_member import main
main()
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a helper is told first. `number` tells helpers apart; it ends when `parent` does."""

    store: Path
    site: Path
    templates: Path
    plan: SitePlan
    chrome: Chrome
    parent: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a helper did of a shard: the files that it wrote, in that order; None where it failed."""

    shard: Shard
    files: dict[str, FileState] | None


def n_helpers(jobs: int | None, n_pages: int) -> int:
    """Return how many processes to start beside this one; `jobs` None: as many as are worth it."""
    if jobs is not None:
        return min(jobs, max(n_pages, 1)) - 1
    return min(n_cores() - 1, n_pages // PAGES_WORTH_A_HELPER)


class Crew:
    """Helpers at work on shards, as a context manager; leaving it ends them."""

    def __init__(self, briefing: Briefing, shards: Shards, n: int) -> None:
        """Start `n` helpers, or fewer where the system has no room for so many."""
        self._shards = shards
        self._reports: SimpleQueue[Report | None] = SimpleQueue()
        self._processes = []
        self._threads = []
        for number in range(1, n + 1):
            try:
                # What a helper has to complain of comes up again in the coordinator.
                process = interpreters.started(_CODE, quiet=True)
            except OSError as error:
                _log.warning("goes on with %d helpers: %s", number - 1, error)
                break
            arguments = (process, replace(briefing, number=number))
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
        self._shards.clear()
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

    def _lead(self, process: subprocess.Popen[bytes], briefing: Briefing) -> None:
        """Give a helper one shard after the other; runs in a thread of its own."""
        given: deque[Shard] = deque()
        try:
            with process:
                assert process.stdin is not None, "it was started with pipes"
                assert process.stdout is not None, "it was started with pipes"
                interpreters.send(process, briefing)
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
            for shard in given:
                self._reports.put(Report(shard, None))
            self._reports.put(None)

    def _give(self, process: subprocess.Popen[bytes], given: deque[Shard]) -> bool:
        """Keep a helper in work; return whether it has any."""
        while len(given) < N_GIVEN and (shard := self._shards.next(given[-1].layer if given else "")):
            given.append(shard)
            interpreters.send(process, shard)
        return bool(given)
