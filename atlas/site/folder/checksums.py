"""The SHA-256 of every file of a site: a list that `sha256sum -c data/checksums.txt` reads in the root.

The list names every file except itself. `data/atlas.json` holds the SHA-256 of the list without the line of
`data/atlas.json`, so that this one hash stands for the whole site.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path

import msgspec

from atlas.site import urls
from atlas.site.data.atlas_document import Contents
from atlas.site.folder.status import FileState, file_sha256, is_safe
from atlas.system.spread import Spread

_CHANGED = f"the file is damaged or was changed: its SHA-256 is not that in {urls.CHECKSUMS}"
_Fault = tuple[str, int, str]
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


class _List(msgspec.Struct):
    """The part of atlas.json's `files` that is checked."""

    sha256: str
    """Hexadecimal SHA-256 of the list of files, without the line of atlas.json."""


class _Index(msgspec.Struct):
    """The part of atlas.json that is checked."""

    files: _List
    """The entries on all other files of the site."""


def listing(files: Mapping[str, FileState]) -> bytes:
    """Return the list of files, sorted by address; `files` is {address: (SHA-256, bytes)}."""
    # Joining the lines would hold every line of a large atlas in memory twice.
    whole = BytesIO()
    whole.writelines(_lines(files))
    return whole.getvalue()


def contents(files: Mapping[str, FileState]) -> Contents:
    """Return the entry of atlas.json on all files except atlas.json and the list."""
    digest = hashlib.sha256()
    for line in _lines(files):
        digest.update(line)
    n_bytes = sum(size for _, size in files.values())
    return Contents(urls.CHECKSUMS, digest.hexdigest(), len(files), n_bytes)


def _lines(files: Mapping[str, FileState]) -> Iterator[bytes]:
    return (f"{files[path][0]}  {path}\n".encode() for path in sorted(files))


def faults(site: Path, spread: Spread) -> Iterator[_Fault]:
    """Yield (file, line, message) for each file that differs from a site's list, if there is a list."""
    path = site / urls.CHECKSUMS
    if not path.is_file():
        return
    others = hashlib.sha256()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for counted, fault in spread.map(partial(_checked, site), enumerate(lines, 1)):
            others.update(counted)
            if fault:
                yield fault
    yield from _index_faults(site, others.hexdigest())


def _checked(site: Path, numbered: tuple[int, str]) -> tuple[bytes, _Fault | None]:
    """Return what a (number, line) of the list adds to atlas.json's hash, and what is wrong with its file."""
    number, line = numbered
    match = _LINE.fullmatch(line.removesuffix("\n"))
    if match is None or not is_safe(match[2]):
        message = "the line is not a SHA-256, two spaces and a file of the site"
        return b"", (urls.CHECKSUMS, number, message)
    digest, name = match.groups()
    counted = b"" if name == urls.ATLAS_JSON else f"{match[0]}\n".encode()
    if not (site / name).is_file():
        return counted, (name, 0, f"the file is missing, but {urls.CHECKSUMS} lists it")
    return counted, None if file_sha256(site / name) == digest else (name, 0, _CHANGED)


def _index_faults(site: Path, sha256: str) -> Iterator[_Fault]:
    """Yield a fault if the list is not the one that atlas.json was written with; `sha256` is the list's."""
    try:
        index = msgspec.json.decode((site / urls.ATLAS_JSON).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return  # `faults` has already reported a missing or damaged file.
    if index.files.sha256 != sha256:
        yield urls.CHECKSUMS, 0, f"the list is not the one that {urls.ATLAS_JSON} was written with"
