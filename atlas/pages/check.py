"""A site's faults: dead links, faulty HTML, paths of a machine, damaged files, pages and sites too large.

Checked are the files of a folder alone; an address on another host is a fault, because an atlas works
offline. Only a page's canonical address names the place where it is published.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from atlas.errors import SiteError
from atlas.pages import checksums, urls
from atlas.pages.html_scan import Scan, scan_html

# Of a neuron's page; a layer's grows with its neurons.
MAX_PAGE_BYTES = 100_000
_NEURON_PAGE = re.compile(r"_\d+\.html$")
# Of a page for an iframe, of which an article may hold many.
MAX_EMBED_BYTES = 25_000
# GitHub Pages' limit of a published site.
MAX_SITE_BYTES = 10**9
_LEAK = re.compile(r"/home/|/root/|/tmp/|/Users/|file://|\b[A-Za-z]:\\")
_WEB = re.compile(r"https?://")
_TEXT = (".html", ".json", ".js", ".css", ".svg")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: the file it is in, its line (0: the whole file), what is wrong; a warning or an error."""

    file: str
    line: int
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        """Return "mixed3b_1.html:12: message"."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (" (warning)" if self.severity == "warning" else "")


def check_site(site: Path) -> tuple[Problem, ...]:
    """Return all faults of a site folder, by file and line. Raises SiteError when there is no folder."""
    if not (site / "index.html").is_file():
        raise SiteError(f"there is no site in {site}", expected="a folder with an index.html")
    files = dict(_files(site))
    texts = [name for name in sorted(files) if name.endswith(_TEXT)]
    problems: list[Problem] = []
    ids: dict[str, set[str]] = {}
    fragments: list[tuple[str, int, str, str]] = []
    for name in texts:
        text = (site / name).read_text(encoding="utf-8", errors="replace")
        problems += _leaks(name, text)
        if name.endswith(".html"):
            scan = scan_html(text)
            ids[name] = scan.ids
            problems += _page_faults(name, files, scan, fragments)
    problems += [
        Problem(name, line, f"the link {target}#{fragment} has no such id")
        for name, line, target, fragment in fragments
        if fragment not in ids.get(target, ())
    ]
    problems += _size_faults(files)
    problems += [Problem(*fault) for fault in checksums.faults(site)]
    return tuple(sorted(problems, key=lambda p: (p.file, p.line, p.message)))


def _files(site: Path) -> Iterator[tuple[str, int]]:
    """Yield (address, bytes) of every file but hidden ones, which are no part of what is published."""
    for folder, folders, names in os.walk(site):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(folder, name)
                yield path.relative_to(site).as_posix(), path.stat().st_size


def _leaks(name: str, text: str) -> Iterator[Problem]:
    # What looks like a path inside of a picture's letters is chance.
    bare = re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    for match in _LEAK.finditer(bare):
        line = bare.count("\n", 0, match.start()) + 1
        yield Problem(name, line, f"{match[0]!r} tells a path of the machine that made it")


def _page_faults(
    name: str, files: dict[str, int], scan: Scan, fragments: list[tuple[str, int, str, str]]
) -> Iterator[Problem]:
    """Yield the faults of one page; links to a place in a page are put into `fragments` for later."""
    for line, message in scan.faults:
        yield Problem(name, line, message)
    for link, line in [*scan.links, *_relative(scan)]:
        if link.startswith("data:"):
            continue
        address, _, fragment = link.partition("#")
        target = _target(name, address)
        if target is None:
            yield Problem(name, line, f"the link {link} leads out of the site")
        elif target not in files:
            yield Problem(name, line, f"the link {link} leads nowhere")
        elif fragment:
            fragments.append((name, line, target, fragment))
    for link, line in scan.canonical:
        if _WEB.match(link) and not _names_a_file(link, files):
            yield Problem(name, line, f"the canonical address {link} is no page of this site")


def _relative(scan: Scan) -> list[tuple[str, int]]:
    return [(link, line) for link, line in scan.canonical if not _WEB.match(link)]


def _names_a_file(address: str, files: dict[str, int]) -> bool:
    """Return whether an address on a host, whose folder nobody knows here, ends in that of a file."""
    parts = address.split("/")[3:]
    return parts[-1:] == [""] or any("/".join(parts[at:]) in files for at in range(len(parts)))


def _target(page: str, address: str) -> str | None:
    """Return the file that a relative address names, None when it is not relative or leaves the site."""
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
