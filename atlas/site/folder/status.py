"""The status of a site, which shows the next render what is fresh: `.atlas-site.json` in the site folder.

    {"version": 1,
     "shared": "9f…",                      hash of what every page depends on
     "pages": {"mixed3b_379": "ab…"},      hash of what only this page depends on
     "files": {"mixed3b_379.html": ["c0…", 41233]}}     SHA-256 and bytes of each file written

It holds no times, so it too is a function of the store alone. A file counts as intact if it has its recorded
size and is older than the status file, which is written last. Otherwise its bytes are read and compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

NAME = ".atlas-site.json"
VERSION = 1
# A status file may come from an untrusted source: it must not make a render read or remove other files.
_SAFE_PATH = re.compile(r"(?:(?!\.{1,2}/)[A-Za-z0-9._-]+/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")

# SHA-256 in hexadecimal digits, and size in bytes.
FileState = tuple[str, int]


class SiteStatus(msgspec.Struct):
    """The content of a status file."""

    version: int = VERSION
    """Version of the file's format; of another version only `files` are used."""
    shared: str = ""
    """Hash of what every page depends on, SitePlan.shared; "" before the first render."""
    pages: dict[str, str] = {}
    """Name of a page -> hash of what only this page depends on, Page.inputs."""
    files: dict[str, FileState] = {}
    """Address of each file that a render wrote -> (SHA-256, bytes)."""


def load_status(site: Path) -> SiteStatus:
    """Return a site's status; if it cannot be read, an empty one, with which everything is stale."""
    try:
        status = msgspec.json.decode((site / NAME).read_bytes(), type=SiteStatus)
    except (FileNotFoundError, msgspec.MsgspecError):
        return SiteStatus()
    if status.version != VERSION:
        return SiteStatus(files=_safe(status.files))
    status.files = _safe(status.files)
    return status


def encode_status(status: SiteStatus) -> bytes:
    """Return the bytes of a status file, with names sorted."""
    ordered = SiteStatus(
        shared=status.shared,
        pages={name: status.pages[name] for name in sorted(status.pages)},
        files={path: status.files[path] for path in sorted(status.files)},
    )
    return msgspec.json.encode(ordered) + b"\n"


def intact_files(site: Path, files: Mapping[str, FileState]) -> tuple[set[str], bool]:
    """Return which recorded files still have their bytes, and whether any file was read to decide it."""
    reference = _changed_ns(os.stat(site / NAME)) if (site / NAME).exists() else 0
    intact, doubtful = set(), []
    by_folder: dict[str, list[str]] = {}
    for path in files:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    # Folder by folder, because the times of all files of a large atlas would take as much memory as `files`.
    for folder, paths in by_folder.items():
        stats = _scan(site / folder)
        for path in paths:
            stat = stats.get(path.rpartition("/")[2])
            if stat is None or stat[0] != files[path][1]:
                continue
            if stat[1] < reference:
                intact.add(path)
            else:
                doubtful.append(path)
    intact.update(path for path in doubtful if file_sha256(site / path) == files[path][0])
    return intact, bool(doubtful)


def is_safe(path: str) -> bool:
    """Return whether an address is valid for a site's file: inside of the site, and not hidden."""
    return _SAFE_PATH.fullmatch(path) is not None


def _safe(files: Mapping[str, FileState]) -> dict[str, FileState]:
    return {path: state for path, state in files.items() if is_safe(path)}


def _scan(folder: Path) -> dict[str, tuple[int, int]]:
    """Return {name: (bytes, time of the last change in ns)} of the plain files in a folder."""
    stats = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                stats[entry.name] = (stat.st_size, _changed_ns(stat))
    return stats


def _changed_ns(stat: os.stat_result) -> int:
    # A copy may preserve mtime, but never ctime.
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits, without reading the whole file into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
