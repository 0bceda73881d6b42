"""The write lock of a store, for one writer at a time; the operating system frees it when its holder dies."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from atlas.core.errors import StoreError


class Lock:
    """The write lock of a store's folder; the file `lock.holder` names the process that holds it."""

    def __init__(self, lock: FileLock, holder: Path) -> None:
        """Hold a lock that is already taken. Create locks with `Lock.take`."""
        self._lock, self._holder = lock, holder

    @classmethod
    def take(cls, folder: Path) -> Lock:
        """Make the folder and take its lock; raises StoreError, which names the holder, if it is taken."""
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
        """Release the lock."""
        with contextlib.suppress(OSError):
            self._holder.unlink()
        self._lock.release()


def _read(holder: Path) -> str:
    """Return the text of a holder file, "" if it cannot be read."""
    try:
        return holder.read_text()
    except OSError:
        return ""
