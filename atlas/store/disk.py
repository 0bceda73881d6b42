"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Bytes, and the times in nanoseconds of the last change of content and of anything.
Stat = tuple[int, int, int]


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
