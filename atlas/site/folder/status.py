"""What a render leaves for the next one, to know what is fresh: `.atlas-site.json` in the site folder.

    {"version": 1,
     "shared": "9f…",                      hash of all that every page depends on
     "pages": {"mixed3b_379": "ab…"},      hash of what this page depends on beside it
     "files": {"mixed3b_379.html": ["c0…", 41233]}}     SHA-256 and bytes of each file written

Nothing in it is a clock, so that it too is a function of the store. A file counts as untouched while
it has its size and is older than the status file, which is written last; else its bytes decide.
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
# A status file may come from anywhere: nothing outside the site is ever looked at or removed.
_SAFE_PATH = re.compile(r"(?:(?!\.{1,2}/)[A-Za-z0-9._-]+/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")

FileState = tuple[str, int]


class SiteStatus(msgspec.Struct):
    """The content of a status file."""

    version: int = VERSION
    shared: str = ""
    pages: dict[str, str] = {}
    files: dict[str, FileState] = {}


def load_status(site: Path) -> SiteStatus:
    """Return a site's status; an empty one, by which all is stale, when there is none that can be read."""
    try:
        status = msgspec.json.decode((site / NAME).read_bytes(), type=SiteStatus)
    except (FileNotFoundError, msgspec.MsgspecError):
        return SiteStatus()
    if status.version != VERSION:
        return SiteStatus(files=_safe(status.files))
    status.files = _safe(status.files)
    return status


def encode_status(status: SiteStatus) -> bytes:
    """Return the bytes of a status file, names sorted."""
    ordered = SiteStatus(
        shared=status.shared,
        pages={name: status.pages[name] for name in sorted(status.pages)},
        files={path: status.files[path] for path in sorted(status.files)},
    )
    return msgspec.json.encode(ordered) + b"\n"


def intact_files(site: Path, files: Mapping[str, FileState]) -> tuple[set[str], bool]:
    """Return which recorded files still hold their bytes, and whether any had to be read for that."""
    reference = _changed_ns(os.stat(site / NAME)) if (site / NAME).exists() else 0
    intact, doubtful = set(), []
    by_folder: dict[str, list[str]] = {}
    for path in files:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    # Folder by folder: the times of all of a large atlas's files would take as much memory as their states.
    for folder, paths in by_folder.items():
        found = _scan(site / folder)
        for path in paths:
            stat = found.get(path.rpartition("/")[2])
            if stat is None or stat[0] != files[path][1]:
                continue
            if stat[1] < reference:
                intact.add(path)
            else:
                doubtful.append(path)
    intact.update(path for path in doubtful if file_sha256(site / path) == files[path][0])
    return intact, bool(doubtful)


def is_safe(path: str) -> bool:
    """Return whether an address is one that a site's files may have: inside of it, and not hidden."""
    return _SAFE_PATH.fullmatch(path) is not None


def _safe(files: Mapping[str, FileState]) -> dict[str, FileState]:
    return {path: state for path, state in files.items() if is_safe(path)}


def _scan(folder: Path) -> dict[str, tuple[int, int]]:
    """Return (bytes, time of the last change) of the plain files in a folder, by name."""
    found = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                found[entry.name] = (stat.st_size, _changed_ns(stat))
    return found


def _changed_ns(stat: os.stat_result) -> int:
    # A copy may keep the time of the content, never that of the change.
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256, reading a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
