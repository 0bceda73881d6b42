"""One writer at a time: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from atlas.errors import StoreError


class Lock:
    """The write lock of a store's folder; the file `lock.holder` names who has it."""

    def __init__(self, lock: FileLock) -> None:
        """Use `Lock.take`."""
        self._lock = lock

    @classmethod
    def take(cls, folder: Path) -> Lock:
        """Take the lock, making the folder; raises StoreError that names the holder when it is taken."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        holder = folder / "lock.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text() if holder.exists() else "another process"
            raise StoreError(
                f"the store {folder} is being written by {who}",
                remedy="wait for it to end, or give --store another folder",
            ) from None
        holder.write_text(f"process {os.getpid()} on {platform.node()}")
        return cls(lock)

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()
