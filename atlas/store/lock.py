"""One writer at a time: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from atlas.core.errors import StoreError


class Lock:
    """The write lock of a store's folder; the file `lock.holder` names who has it."""

    def __init__(self, lock: FileLock, holder: Path) -> None:
        """Use `Lock.take`."""
        self._lock, self._holder = lock, holder

    @classmethod
    def take(cls, folder: Path) -> Lock:
        """Take the lock, making the folder; raises StoreError that names the holder when it is taken."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        holder = folder / "lock.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"the store {folder} is being written by {_read(holder) or 'another process'}",
                remedy="wait for it to end, or give --store another folder",
            ) from None
        except NotImplementedError as error:
            raise StoreError(f"the store {folder} is on a disk without locks: {error}") from None
        holder.write_text(f"process {os.getpid()} on {platform.node()}")
        return cls(lock, holder)

    def release(self) -> None:
        """Let go of the lock."""
        with contextlib.suppress(OSError):
            self._holder.unlink()
        self._lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text()
    except OSError:
        return ""
