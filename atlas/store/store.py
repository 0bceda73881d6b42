"""The store: artefacts in a folder, each put whole or not at all, each checked when it is read."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from atlas.errors import DamagedError, StoreError
from atlas.store import codec
from atlas.store.fingerprint import Inputs, difference, fingerprint, sha256
from atlas.store.index import Entry, Index, Stat
from atlas.store.lock import Lock

T = TypeVar("T")
REMEDY = "run the build again: it makes what is missing"


@dataclass(frozen=True, slots=True)
class Status:
    """Whether an artefact is what a config asks for; `reason` says why not."""

    fresh: bool
    reason: str = ""


class Store:
    """A folder of artefacts and its index. Open one with `Store.open`, as a context manager."""

    def __init__(self, folder: Path, index: Index, lock: Lock | None) -> None:
        """Use `Store.open`."""
        self.folder = folder
        self._index = index
        self._lock = lock

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Store:
        """Open a store; `write` makes the folder and takes its lock. Raises StoreError."""
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"the store {folder.name}", found="a file", expected="a folder")
        if not write and not (folder / "index.jsonl").exists():
            raise StoreError(f"there is no store in {folder}", remedy="run `compute` or `build` first")
        try:
            lock = Lock.take(folder) if write else None
            return cls(folder, Index(folder, write=write), lock)
        except OSError as error:
            raise StoreError(f"cannot open the store {folder}: {reason_of(error)}") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Bring the index to the disk and let go of the lock."""
        self._index.close()
        if self._lock is not None:
            self._lock.release()

    def keys(self) -> list[str]:
        """Return the keys of all artefacts that were put, sorted."""
        return sorted(self._index.entries)

    def has(self, key: str) -> bool:
        """Return whether an artefact was put; its file is not looked at."""
        return key in self._index.entries

    def sha256(self, key: str) -> str:
        """Return the SHA-256 that the index keeps of an artefact."""
        return self._entry(key).sha256

    def meta(self, key: str) -> dict[str, int | float | str | None]:
        """Return the small values that were put beside an artefact."""
        return self._entry(key).meta

    def status(self, key: str, inputs: Inputs) -> Status:
        """Return whether an artefact is there, whole, and made from `inputs`."""
        entry = self._index.entries.get(key)
        if entry is None:
            return Status(False, "missing")
        if entry.fingerprint != fingerprint(inputs):
            before = self._index.inputs.get(entry.fingerprint, {})
            return Status(False, difference(before, inputs) or "its settings are not known")
        return self._wholeness(entry)

    def read(self, key: str) -> bytes:
        """Return an artefact's bytes; raises DamagedError unless they are the ones that were put."""
        entry = self._entry(key)
        try:
            data = (self.folder / key).read_bytes()
        except FileNotFoundError:
            raise StoreError(f"the store's {key} is missing", remedy=REMEDY) from None
        if sha256(data) != entry.sha256:
            raise DamagedError(f"the store's {key} is damaged", remedy=REMEDY)
        return data

    def record(self, key: str, kind: type[T]) -> T:
        """Return the record of class `kind` that was put at `key`."""
        return codec.decode(kind, self.read(key), key=key)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        inputs: Inputs | None = None,
        meta: Mapping[str, int | float | str | None] | None = None,
    ) -> None:
        """Keep bytes under `key`: written aside, brought to the disk, renamed, then told to the index."""
        path = self.folder / key
        try:
            write_aside(path, data)
            stat = _stat(path)
            name = fingerprint(inputs or {})
            self._index.add(Entry(key, name, sha256(data), stat, dict(meta or {})), inputs or {})
        except OSError as error:
            raise StoreError(f"cannot write the store's {key}: {reason_of(error)}") from error

    def put_record(self, key: str, record: Any, *, inputs: Inputs | None = None) -> None:
        """Keep a record under `key`."""
        self.put(key, codec.encode(record), inputs=inputs)

    def _entry(self, key: str) -> Entry:
        entry = self._index.entries.get(key)
        if entry is None:
            raise StoreError(f"the store holds no {key}", remedy=REMEDY)
        return entry

    def _wholeness(self, entry: Entry) -> Status:
        path = self.folder / entry.key
        try:
            stat = _stat(path)
        except FileNotFoundError:
            return Status(False, "missing")
        if stat == entry.stat:
            return Status(True)
        # Copying a store changes times only: the bytes decide, and the index learns the new times.
        if stat[0] != entry.stat[0] or sha256(path.read_bytes()) != entry.sha256:
            return Status(False, "damaged")
        if self._lock is not None:
            inputs = self._index.inputs[entry.fingerprint]
            self._index.add(Entry(entry.key, entry.fingerprint, entry.sha256, stat, entry.meta), inputs)
        return Status(True)


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that it is either wholly there or not at all, through crashes as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def reason_of(error: OSError) -> str:
    """Return an operating system's error in a user's words."""
    words = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "no permission to write there",
        errno.EROFS: "the disk is read-only",
        errno.ENOTDIR: "a part of the path is a file",
    }
    return words.get(error.errno or 0, error.strerror or str(error))


def _stat(path: Path) -> Stat:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
