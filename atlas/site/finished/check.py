"""Checks of a site: dead links, faulty HTML, paths of a machine, damaged files, pages and sites too large.

The check reads only the files of the folder. A link to another host is a fault, because an atlas works
offline. Only a page's canonical address may name the host where it is published.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from atlas.core.errors import SiteError
from atlas.site import urls
from atlas.site.folder import checksums
from atlas.site.html.html_scan import Scan, scan_html

# Largest page of a neuron; there is no limit for a layer's page, which grows with its neurons.
MAX_PAGE_BYTES = 100_000
_NEURON_PAGE = re.compile(r"_\d+\.html$")
# Largest page to embed in an iframe; an article may embed many of them.
MAX_EMBED_BYTES = 25_000
# Limit of GitHub Pages for a published site.
MAX_SITE_BYTES = 10**9
_LEAK = re.compile(r"/home/|/root/|/tmp/|/Users/|file://|\b[A-Za-z]:\\")
_WEB = re.compile(r"https?://")
# Link as written, its line, the file (None: outside of the site), the id in the file ("": none).
_Link = tuple[str, int, str | None, str]
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
    texts = [name for name in sorted(files) if name.endswith(_TEXT)]
    problems: list[Problem] = []
    places = _Places(files)
    for name in texts:
        text = (site / name).read_text(encoding="utf-8", errors="replace")
        problems += _leaks(name, text)
        if name.endswith(".html"):
            scan = scan_html(text)
            links = list(_links(name, scan))
            problems += _page_faults(name, files, scan, links)
            places.add(name, scan.ids, links)
    problems += _dead_places(site, places)
    problems += _size_faults(files)
    problems += [Problem(*fault) for fault in checksums.faults(site)]
    return tuple(sorted(problems, key=lambda p: (p.file, p.line, p.message)))


class _Places:
    """The ids that pages have, and the ids that links of any page lead to."""

    def __init__(self, files: dict[str, int]) -> None:
        """Collect only links to `files`; links to missing files are reported by `_page_faults`."""
        self._files = files
        # One string of ids for each page, because sets would take gigabytes in an atlas of 100,000 neurons.
        self._ids: dict[str, str] = {}
        self._asked: set[tuple[str, str]] = set()

    def add(self, name: str, ids: set[str], links: Iterable[_Link]) -> None:
        """Add a page's ids and links."""
        self._ids[name] = "\n".join(("", *sorted(ids), ""))
        for _, _, target, fragment in links:
            if fragment and target in self._files and (target != name or fragment not in ids):
                self._asked.add((sys.intern(target), sys.intern(fragment)))

    @property
    def pages(self) -> Iterable[str]:
        """The pages that were added."""
        return self._ids

    def dead(self) -> set[tuple[str, str]]:
        """Return each (page, id) that a link leads to and that does not exist."""
        return {(page, name) for page, name in self._asked if f"\n{name}\n" not in self._ids.get(page, "")}


def _dead_places(site: Path, places: _Places) -> Iterator[Problem]:
    """Yield the links to ids that do not exist; pages are read again only if there are any."""
    dead = places.dead()
    for name in places.pages if dead else ():
        text = (site / name).read_text(encoding="utf-8", errors="replace")
        for _, line, target, fragment in _links(name, scan_html(text)):
            if (target, fragment) in dead:
                yield Problem(name, line, f"the link {target}#{fragment} has no such id")


def _links(name: str, scan: Scan) -> Iterator[_Link]:
    """Yield a page's links, except data: URIs, which hold their own content."""
    for link, line in [*scan.links, *_relative(scan)]:
        if not link.startswith("data:"):
            address, _, fragment = link.partition("#")
            yield link, line, _target(name, address), fragment


def _files(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (address, bytes) of every file, except hidden files, which are not published."""
    for folder, folders, names in os.walk(site):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(folder, name)
                yield sys.intern(path.relative_to(site).as_posix()), path.stat().st_size


def _leaks(name: str, text: str) -> Iterator[Problem]:
    # Base64 text of a picture may look like a path by chance.
    bare = re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    for match in _LEAK.finditer(bare):
        line = bare.count("\n", 0, match.start()) + 1
        yield Problem(name, line, f"{match[0]!r} reveals a path of the machine that built the site")


def _page_faults(name: str, files: dict[str, int], scan: Scan, links: Iterable[_Link]) -> Iterator[Problem]:
    """Yield the faults of one page, except links to ids, which `_dead_places` checks."""
    for line, message in scan.faults:
        yield Problem(name, line, message)
    for link, line, target, _ in links:
        if target is None:
            yield Problem(name, line, f"the link {link} leads out of the site")
        elif target not in files:
            yield Problem(name, line, f"the link {link} leads nowhere")
    for link, line in scan.canonical:
        if _WEB.match(link) and not _names_a_file(link, files):
            yield Problem(name, line, f"the canonical address {link} is no page of this site")


def _relative(scan: Scan) -> list[tuple[str, int]]:
    return [(link, line) for link, line in scan.canonical if not _WEB.match(link)]


def _names_a_file(address: str, files: dict[str, int]) -> bool:
    """Return whether an address on a host ends in a file's address; the site's folder there is unknown."""
    parts = address.split("/")[3:]
    return parts[-1:] == [""] or any("/".join(parts[at:]) in files for at in range(len(parts)))


def _target(page: str, address: str) -> str | None:
    """Return the file that a relative address names; None if it is not relative, or leads out of the site."""
    if not address:
        return page
    if address.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address):
        return None
    joined = os.path.normpath(os.path.join(os.path.dirname(page), unquote(address)))
    return None if joined.startswith("..") else joined.replace(os.sep, "/")


def _size_faults(files: dict[str, int]) -> Iterator[Problem]:
    for name, size in files.items():
        limit = MAX_EMBED_BYTES if name.startswith(f"{urls.EMBEDS}/") else MAX_PAGE_BYTES
        if _NEURON_PAGE.search(name) and size > limit:
            yield Problem(name, 0, f"{size:,} bytes, expected at most {limit:,}", "warning")
    total = sum(files.values())
    if total > MAX_SITE_BYTES:
        yield Problem(
            "", 0, f"the site has {total:,} bytes, GitHub Pages takes {MAX_SITE_BYTES:,}", "warning"
        )
