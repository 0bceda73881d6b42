"""Files written whole or not at all, and an operating system's errors in a user's words."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

# Bytes, and the times in nanoseconds of the last change of content and of anything.
Stat = tuple[int, int, int]

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EISDIR: "a folder is in its place",
}


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that it is either wholly there or not at all, through crashes as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def stat_of(path: Path) -> Stat:
    """Return what changes whenever a file's bytes do."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def reason_of(error: OSError) -> str:
    """Return an operating system's error in a user's words."""
    return _WORDS.get(error.errno or 0, error.strerror or str(error))
