"""Checks of a site: dead links, faulty HTML, paths of a machine, damaged files, pages and sites too large.

The check reads only the files of the folder. A link to another host is a fault, because an atlas works
offline. Only a page's canonical address may name the host where it is published.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from atlas.core.errors import SiteError
from atlas.site import urls
from atlas.site.finished.file_check import Fault, FileReport, Place, dead_links, file_report
from atlas.site.folder import checksums
from atlas.site.web import MAX_SITE_BYTES
from atlas.system.cores import n_cores
from atlas.system.spread import Spread

# Largest page of a neuron; there is no limit for a layer's page, which grows with its neurons.
MAX_PAGE_BYTES = 100_000
# In a packed site a page holds the picture of its dataset examples besides.
MAX_PACKED_BYTES = 150_000
_NEURON_PAGE = re.compile(r"_\d+\.html$")
# Largest page to embed in an iframe; an article may embed many of them.
MAX_EMBED_BYTES = 25_000
# Starting a helper takes as long as reading some hundred pages.
TEXTS_WORTH_A_HELPER = 500
_TEXT = (".html", ".json", ".js", ".css", ".svg")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a site."""

    file: str
    """Address of the file that has the fault; "" for the whole site."""
    line: int
    """Line in the file, from 1; 0 for the whole file."""
    message: str
    """What is wrong, in words."""
    severity: str = "error"
    """Either "error" or "warning"."""

    def __str__(self) -> str:
        """Return "mixed3b_1.html:12: message"."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (" (warning)" if self.severity == "warning" else "")


def check_site(site: Path) -> tuple[Problem, ...]:
    """Return all faults of a site folder, sorted by file and line. Raises SiteError when there is no site."""
    if not (site / "index.html").is_file():
        raise SiteError(f"there is no site in {site}", expected="a folder with an index.html")
    files = dict(_files(site))
    lost = [name for name, size in files.items() if size < 0]
    files = {name: size for name, size in files.items() if size >= 0}
    texts = [name for name in sorted(files) if name.endswith(_TEXT)]
    n_helpers = min(n_cores(), len(texts) // TEXTS_WORTH_A_HELPER)
    with Spread(n_helpers if n_helpers > 1 else 0) as spread:
        faults: list[Fault] = []
        dead = _Dead(files)
        images = _images(site)
        for report in spread.map(partial(file_report, site, images), texts):
            faults += report.faults
            dead.add(report)
        for found in spread.map(partial(dead_links, site, images), dead.places()):
            faults += found
        faults += checksums.faults(site, spread)
    faults += ((name, 0, "the file is a link that leads nowhere") for name in lost)
    problems = [*(Problem(*fault) for fault in faults), *_size_faults(files)]
    return tuple(sorted(problems, key=lambda p: (p.file, p.line, p.message)))


class _PictureIndex(msgspec.Struct):
    """The part of atlas.json that tells where pictures are."""

    images: str = ""
    """Address of the folder that holds images/, "" for the site's own."""


def _images(site: Path) -> str:
    """Return where a site's pictures are, "" for the site's own folder or where nothing says so."""
    try:
        return msgspec.json.decode((site / urls.ATLAS_JSON).read_bytes(), type=_PictureIndex).images
    except (OSError, msgspec.MsgspecError):
        return ""


class _Dead:
    """The places that links of each page lead to and that do not exist."""

    def __init__(self, files: Container[str]) -> None:
        self._files = files
        # Strings and bytes for each page, because sets would take gigabytes in an atlas of 100,000 neurons.
        self._ids: dict[str, str] = {}
        self._asked: dict[str, bytes] = {}
        self._missing: dict[str, set[Place]] = {}

    def add(self, report: FileReport) -> None:
        """Add what a page says; the files that it links are looked for at once."""
        if report.asked:
            self._ids[report.name] = report.ids
            self._asked[report.name] = report.asked
        missing = {(target, "") for target in report.targets if target not in self._files}
        missing.update((link, "") for link in report.published if not _names_a_file(link, self._files))
        if missing:
            self._missing[report.name] = missing

    def places(self) -> Iterator[tuple[str, set[Place]]]:
        """Yield (page, dead places) for each page that has any, once all pages are added."""
        for name, asked in self._asked.items():
            places = self._missing.get(name, set())
            for target, fragments in msgspec.msgpack.decode(asked, type=dict[str, list[str]]).items():
                if target in self._files:
                    ids = self._ids.get(target, "")
                    places.update((target, each) for each in fragments if f"\n{each}\n" not in ids)
            if places:
                yield name, places


def _files(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (address, bytes) of every file that is not hidden; -1 bytes for a link that leads nowhere."""
    for folder, folders, names in os.walk(site):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(folder).relative_to(site).as_posix()
        for name in names:
            if not name.startswith("."):
                address = name if inside == "." else f"{inside}/{name}"
                path = os.path.join(folder, name)
                yield sys.intern(address), os.stat(path).st_size if os.path.exists(path) else -1


def _names_a_file(address: str, files: Container[str]) -> bool:
    """Return whether an address on a host ends in a file's address; the site's folder there is unknown."""
    parts = address.split("/")[3:]
    return parts[-1:] == [""] or any("/".join(parts[at:]) in files for at in range(len(parts)))


def _size_faults(files: dict[str, int]) -> Iterator[Problem]:
    packed = any(name.startswith("data/") and name.endswith(".zip") for name in files)
    for name, size in files.items():
        limit = MAX_EMBED_BYTES if name.startswith(f"{urls.EMBEDS}/") else MAX_PAGE_BYTES
        limit = MAX_PACKED_BYTES if packed else limit
        if size > limit and _NEURON_PAGE.search(name):
            yield Problem(name, 0, f"{size:,} bytes, expected at most {limit:,}", "warning")
    total = sum(files.values())
    if total > MAX_SITE_BYTES:
        yield Problem(
            "", 0, f"the site has {total:,} bytes, GitHub Pages takes {MAX_SITE_BYTES:,}", "warning"
        )
