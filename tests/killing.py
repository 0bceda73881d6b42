"""Publishes that are killed at random moments, and what a visitor finds after each."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from atlas.publish.headers import is_page
from atlas.publish.site_files import SiteFiles
from crawling import Visitor

BUILD = Path(__file__).parents[1] / "build.py"
# The last line of the plan: from here on files are sent.
_PLANNED = "to upload"
# What was sent when the kill came may still arrive.
_SETTLED = 0.3


@dataclass(frozen=True)
class Place:
    """A target, the options to reach it, and the address where a visitor reads it."""

    target: str
    url: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Tally:
    """What was tried, and what was wrong; `seen` says what the kills left behind, and how often."""

    kills: int = 0
    publishes: int = 0
    whole: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass
class Killer:
    """Brings sites to a place one after another, and kills on the way."""

    place: Place
    rng: random.Random
    tally: Tally = field(default_factory=Tally)
    _before: Mapping[str, bytes] = field(default_factory=dict)
    _ever: set[str] = field(default_factory=set)

    def calm(self, site: Path) -> float:
        """Publish a site undisturbed; return the seconds from the plan to the end."""
        seconds, code, told = self._publish(site, None)
        if code:
            self.tally.faults.append(told)
        self._compare(site)
        return seconds

    def disturbed(self, site: Path, seconds: float, *, kills: int) -> None:
        """Publish a site, killed so often within so many seconds from the plan on, then to the end."""
        self._ever |= contents(site).keys()
        for _ in range(kills):
            _, code, told = self._publish(site, self.rng.uniform(0, seconds))
            if code == -signal.SIGKILL:
                self.tally.kills += 1
                time.sleep(_SETTLED)
                self._visit(site)
            elif code:
                self.tally.faults.append(told)
        self.calm(site)

    def _publish(self, site: Path, kill_after: float | None) -> tuple[float, int, str]:
        """Return the seconds from the plan on, the exit code and what was said."""
        command = [sys.executable, str(BUILD), "publish", str(site), self.place.target]
        command += ["--apply", "--allow-broken-links", *self.place.options]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(self.place.environment) or None,
        )
        assert process.stdout is not None
        begun, told = time.monotonic(), []
        timer = None
        try:
            for line in process.stdout:
                told.append(line)
                if line.startswith(_PLANNED):
                    begun = time.monotonic()
                    if kill_after is not None:
                        timer = threading.Timer(kill_after, process.kill)
                        timer.start()
            code = process.wait()
        finally:
            process.kill()
            process.stdout.close()
            if timer:
                timer.cancel()
        return time.monotonic() - begun, code, "".join(told)

    def _visit(self, site: Path) -> None:
        """Crawl from the home page and from every page that was published before and stays."""
        new, visitor = contents(site), Visitor(self.place.url)
        visitor.fetch(self._ever)
        lasting = [key for key in self._before if is_page(key) and key in new]
        self.tally.faults += visitor.crawl(lasting)
        # A page that nothing leads to yet, too, has what it shows.
        for key in self._ever:
            shown = [link for link in visitor.links(key) if not is_page(link)]
            visitor.fetch(shown)
            self.tally.faults += [
                f"{key} shows {link}" for link in shown if visitor.answers[link].status != 200
            ]
        there = {key: answer.data for key, answer in visitor.answers.items() if answer.status == 200}
        # Whole, old or new, is every file; none is half of either.
        for key in there.keys() & new.keys():
            if there[key] not in (new[key], self._before.get(key, new[key])):
                self.tally.faults.append(f"{key} is neither old nor new")
        self.tally.seen[_phase(there, new)] += 1

    def _compare(self, site: Path) -> None:
        """Compare a place with the site that was published last, and crawl it."""
        new, visitor = contents(site), Visitor(self.place.url)
        self._ever |= new.keys()
        faults = visitor.crawl()
        visitor.fetch(self._ever)
        there = {key: answer.data for key, answer in visitor.answers.items() if answer.status == 200}
        differ = [key for key in there.keys() | new.keys() if there.get(key) != new.get(key)]
        self.tally.publishes += 1
        self.tally.whole += not (differ or faults)
        self.tally.faults += faults + [f"{key} differs from the site" for key in differ]
        self._before = new


def contents(site: Path) -> dict[str, bytes]:
    """Return what a place holds when a site is published there."""
    files = SiteFiles(site)
    return {key: files.content(key) for key in files.files}


def _phase(there: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """Return how far a publish has come."""
    missing = {key for key, data in new.items() if there.get(key) != data}
    if any(not is_page(key) for key in missing):
        return "pictures and data"
    if missing:
        return "pages"
    return "deletions" if there.keys() - new.keys() else "notes"
