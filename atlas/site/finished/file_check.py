"""One text file of a site -> what is wrong in it, and what its links ask of other files.

Each is a function of the file alone, so that files can be read in any process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from atlas.site.html.html_scan import Scan, scan_html

_LEAK = re.compile(r"/home/|/root/|/tmp/|/Users/|file://|\b[A-Za-z]:\\")
# What starts with a certain character is searched for twenty times as fast.
_MAYBE_LEAK = re.compile(r"/(?:home/|root/|tmp/|Users/|(?<=file:/)/)")
_WEB = re.compile(r"https?://")
# File, line from 1 (0: the whole file), what is wrong.
Fault = tuple[str, int, str]
# File that a link leads to, or a canonical address on a host, and the id in it ("": none).
Place = tuple[str, str]


class FileReport(NamedTuple):
    """What one text file says."""

    name: str
    """Address of the file."""
    faults: list[Fault]
    """What is wrong whatever the other files are."""
    ids: str = ""
    """The ids of a page, each between line feeds; a set would take far more memory."""
    targets: frozenset[str] = frozenset()
    """The files that a page's links lead to."""
    asked: bytes = b""
    """{file: ids that a page's links name there} as MessagePack; of the page's own only those it lacks."""
    published: tuple[str, ...] = ()
    """The canonical addresses on a host."""


def file_report(site: Path, images: str, name: str) -> FileReport:
    """Return what a text file says; `name` is its address in the site.

    `images` is the address of the folder that holds images/, "" where that is the site's own.
    """
    text = _text(site, name)
    faults = list(_leaks(name, text))
    if not name.endswith(".html"):
        return FileReport(name, faults)
    scan = scan_html(text)
    faults += ((name, line, message) for line, message in scan.faults)
    targets: set[str] = set()
    asked: dict[str, set[str]] = {}
    for link, tag, target, fragment in _links(name, scan, images):
        if target is None:
            faults.append((name, scan.lines[tag], f"the link {link} leads out of the site"))
            continue
        targets.add(target)
        if fragment and (target != name or fragment not in scan.ids):
            asked.setdefault(target, set()).add(fragment)
    ids = "\n".join(("", *scan.ids, ""))
    published = tuple(link for link, _ in scan.canonical if _WEB.match(link))
    return FileReport(name, faults, ids, frozenset(targets), msgspec.msgpack.encode(asked), published)


def dead_links(site: Path, images: str, dead: tuple[str, set[Place]]) -> list[Fault]:
    """Return a fault for each of a page's links to a place that is dead; `dead` is (address, places).

    `images` is as in `file_report`.
    """
    name, places = dead
    scan = scan_html(_text(site, name))
    faults = []
    for link, tag, target, fragment in _links(name, scan, images):
        if (target, "") in places:
            faults.append((name, scan.lines[tag], f"the link {link} leads nowhere"))
        elif (target, fragment) in places:
            faults.append((name, scan.lines[tag], f"the link {target}#{fragment} has no such id"))
    for link, tag in scan.canonical:
        if _WEB.match(link) and (link, "") in places:
            message = f"the canonical address {link} is no page of this site"
            faults.append((name, scan.lines[tag], message))
    return faults


def _text(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8", errors="replace")


def _leaks(name: str, text: str) -> Iterator[Fault]:
    if not (_MAYBE_LEAK.search(text) or ":\\" in text):
        return
    # Base64 text of a picture may look like a path by chance.
    bare = re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    for match in _LEAK.finditer(bare):
        line = bare.count("\n", 0, match.start()) + 1
        yield name, line, f"{match[0]!r} reveals a path of the machine that built the site"


def _links(name: str, scan: Scan, images: str) -> Iterator[tuple[str, int, str | None, str]]:
    """Yield (link as written, number of its tag, file or None outside of the site, id or "") of a page.

    data: URIs are left out, which hold their own content, and canonical addresses on a host.
    """
    folder = os.path.dirname(name)
    for link, tag in [*scan.links, *(found for found in scan.canonical if not _WEB.match(found[0]))]:
        if not link.startswith("data:"):
            # Pictures on another host are those of the site's own folder.
            is_there = bool(images) and link.startswith(f"{images}images/")
            target, fragment = _place("", link.removeprefix(images)) if is_there else _place(folder, link)
            yield link, tag, name if target == "" else target, fragment


@lru_cache(1 << 14)
def _place(folder: str, link: str) -> tuple[str | None, str]:
    """Return the file and the id that a link in a folder's page names.

    The file is "" for the page itself, None if the link is not relative or leads out of the site.
    """
    address, _, fragment = link.partition("#")
    if address.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address):
        return None, fragment
    if not address:
        return "", fragment
    joined = os.path.normpath(os.path.join(folder, unquote(address)))
    return None if joined.startswith("..") else joined.replace(os.sep, "/"), fragment
