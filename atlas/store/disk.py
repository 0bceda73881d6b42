"""Writing files completely or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

# Size in bytes, mtime and ctime in nanoseconds.
Stat = tuple[int, int, int]


def write_aside(path: Path, data: bytes) -> None:
    """Write a file completely or not at all, even if the process or the machine crashes; raises OSError."""
    write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file as `write_aside` does, part by part, so that it need not fit into memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    try:
        with aside.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def stat_of(path: Path | str) -> Stat:
    """Return a file's size and times, which change whenever its bytes do; raises OSError."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
