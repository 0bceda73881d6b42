"""The store: a folder of artefacts. Each is written completely or not at all, and checked when it is read."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import msgspec

from atlas import __version__
from atlas.core.errors import DamagedError, NotMadeError, StoreError, reason_of
from atlas.store import codec
from atlas.store.digests import DIGESTS, Digests
from atlas.store.disk import stat_of, write_aside
from atlas.store.entries import FAILED, IndexEntry, Packed
from atlas.store.fingerprint import Inputs, difference, fingerprint, sha256
from atlas.store.index import JOURNAL, Index
from atlas.store.lock import Lock

# Small values that the index keeps with an artefact.
Meta = Mapping[str, int | float | str | None]
T = TypeVar("T")
W = TypeVar("W", bound="Wanted")
# Errors of the operating system when something else, such as a folder, is at the path of an artefact.
_IN_THE_WAY = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP})
REMEDY = "run the build again: it makes what is missing"


@dataclass(frozen=True, slots=True)
class Status:
    """Whether an artefact is there, intact, and made from the inputs of a config."""

    fresh: bool
    """Whether the artefact need not be made; also true if it could not be made, as it would fail again."""
    reason: str = ""
    """Why the artefact is not fresh, such as "missing" or "model changed"; "" if it is fresh."""
    failed: str = ""
    """Why a fresh artefact could not be made; "" if it was made."""


_FRESH = Status(True)


class Wanted(Protocol):
    """An artefact that is asked for."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def inputs(self) -> Inputs:
        """The values that it is to be made from."""


class Store:
    """A folder of artefacts and its index. Open it with `Store.open`, as a context manager."""

    def __init__(self, folder: Path, index: Index, lock: Lock | None) -> None:
        """Wrap an open index. Open stores with `Store.open`."""
        self.folder = folder
        # As a text: joining paths takes longer than the operating system needs to find a file.
        self._prefix = os.path.join(folder, "")
        self._index = index
        self._lock = lock
        self._digests = Digests(folder / DIGESTS)
        # Whether artefacts that could not be made count as stale.
        self.retry_failed = False

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Store:
        """Open a store for reading; with `write` make its folder and take its lock. Raises StoreError."""
        try:
            if os.path.lexists(folder) and not folder.is_dir():
                found = "a file" if folder.exists() else "a link that leads nowhere"
                remedy = "choose another with --store"
                raise StoreError(f"the store {folder}", found=found, expected="a folder", remedy=remedy)
            if not write and not (folder / JOURNAL).exists():
                raise StoreError(f"there is no store in {folder}", remedy="run `compute` or `build` first")
            return cls._opened(folder, write=write)
        except OSError as error:
            raise StoreError(f"cannot open the store {folder}: {reason_of(error)}") from error

    @classmethod
    def _opened(cls, folder: Path, *, write: bool) -> Store:
        if not write:
            return cls(folder, Index(folder, write=False), None)
        lock = Lock.take(folder)
        try:
            return cls(folder, Index(folder, write=True), lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Flush the index to the disk and release the lock; raises StoreError."""
        try:
            if self._lock is not None:
                self._digests.save()
            self._index.close()
        except OSError as error:
            raise StoreError(f"cannot write the store {self.folder}: {reason_of(error)}") from error
        finally:
            if self._lock is not None:
                self._lock.release()

    def keys(self) -> list[str]:
        """Return the keys of all entries, sorted, failures included."""
        return sorted(self._index.entries)

    def has(self, key: str) -> bool:
        """Return whether an artefact was put and is not a failure; its file is not checked."""
        return key in self._index.entries and key not in self._index.entries.failed

    def failure(self, key: str) -> str:
        """Return why an artefact could not be made; "" if it was made or never tried."""
        return str(self._index.entries[key].meta[FAILED]) if key in self._index.entries.failed else ""

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an artefact from the index; raises StoreError if there is none."""
        return self._entry(key).sha256

    def meta(self, key: str) -> dict[str, int | float | str | None]:
        """Return the small values that were put with an artefact; raises StoreError if there is none."""
        return self._entry(key).meta

    def status(self, key: str, inputs: Inputs) -> Status:
        """Return whether an artefact is there, intact, and made from `inputs`."""
        return self._status(key, inputs, fingerprint(inputs))

    def statuses(self, wanted: Iterable[W]) -> Iterator[tuple[W, Status]]:
        """Yield each artefact with its status.

        Inputs that are one object for artefacts in a row, as those of a layer are, are hashed once.
        """
        last, name = None, ""
        for artefact in wanted:
            inputs = artefact.inputs
            if inputs is not last:
                last, name = inputs, fingerprint(inputs)
            yield artefact, self._status(artefact.key, inputs, name)

    def _status(self, key: str, inputs: Inputs, name: str) -> Status:
        """Return the status of an artefact; `name` is the fingerprint of `inputs`."""
        entry = self._index.entries.packed(key)
        if entry is None:
            return Status(False, "missing")
        before = self._index.entries.fingerprints[entry.fingerprint]
        if before != name:
            known = self._index.inputs.get(before)
            reason = "its settings are not known" if known is None else difference(known, inputs)
            return Status(False, reason)
        if key not in self._index.entries.failed:
            return self._wholeness(key, entry, inputs)
        if self.retry_failed or self.meta(key).get("version") != __version__:
            return Status(False, "it could not be made before")
        return Status(True, failed=self.failure(key))

    def read(self, key: str) -> bytes:
        """Return an artefact's bytes.

        Raises DamagedError if they are not the bytes that were put, NotMadeError if the artefact could not
        be made, StoreError if it is missing or cannot be read.
        """
        entry = self._entry(key)
        if key in self._index.entries.failed:
            raise NotMadeError(f"{key} could not be made: {self.failure(key)}")
        path = self.folder / key
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"the store's {key} is missing", remedy=REMEDY) from None
        except OSError as error:
            raise StoreError(f"cannot read the store's {key}: {reason_of(error)}") from error
        if sha256(data) != entry.sha256:
            # A disk may lose bytes without changing times. A new time makes the next build check the bytes.
            with contextlib.suppress(OSError):
                os.utime(path)
            raise DamagedError(f"the store's {key} is damaged", remedy=REMEDY)
        return data

    def record(self, key: str, kind: type[T]) -> T:
        """Return the record of class `kind` at `key`; raises the errors of `read`, and StoreError."""
        return codec.decode(kind, self.read(key), key=key)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        inputs: Inputs | None = None,
        meta: Meta | None = None,
    ) -> None:
        """Write bytes to the file of `key`, then enter it in the index. Raises StoreError.

        The bytes are flushed to a temporary file, which is renamed, so the file is never incomplete.
        """
        path = self.folder / key
        try:
            write_aside(path, data)
            entry = IndexEntry(key, fingerprint(inputs or {}), sha256(data), stat_of(path), dict(meta or {}))
            self._index.add(entry, inputs or {})
        except OSError as error:
            raise _not_written(key, path, error) from error

    def put_failure(self, key: str, why: str, *, inputs: Inputs | None = None) -> None:
        """Record that an artefact could not be made; builds by this version of atlas do not try again."""
        self.put(key, f"{why}\n".encode(), inputs=inputs, meta={FAILED: why, "version": __version__})

    def digest(self, file: Path) -> str:
        """Return the SHA-256 of any file, cached by its size and times; raises OSError."""
        return self._digests.of(file)

    def put_record(
        self, key: str, record: Any, *, inputs: Inputs | None = None, meta: Meta | None = None
    ) -> None:
        """Encode a record and put it at `key`, with small values in `meta`."""
        self.put(key, codec.encode(record), inputs=inputs, meta=meta)

    def _entry(self, key: str) -> IndexEntry:
        entry = self._index.entries.get(key)
        if entry is None:
            raise StoreError(f"the store holds no {key}", remedy=REMEDY)
        return entry

    def _wholeness(self, key: str, entry: Packed, inputs: Inputs) -> Status:
        """Return whether an artefact's file has the bytes that were put."""
        path = f"{self._prefix}{key}"
        try:
            stat = stat_of(path)
            if stat == entry.stat:
                return _FRESH
            # Copying a store changes only times. So compare the bytes, then enter the new times in the index.
            if stat[0] != entry.stat[0] or sha256(Path(path).read_bytes()) != entry.sha256.hex():
                return Status(False, "damaged")
        except (FileNotFoundError, NotADirectoryError):
            return Status(False, "missing")
        except OSError:
            return Status(False, "damaged")
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._index.add(msgspec.structs.replace(self._entry(key), stat=stat), inputs)
        return _FRESH


def _not_written(key: str, path: Path, error: OSError) -> StoreError:
    remedy = None
    if error.errno in _IN_THE_WAY:
        files = (part for part in reversed(path.parents) if os.path.lexists(part) and not part.is_dir())
        remedy = f"move away what is at {next(files, path)}, or give --store another folder"
    return StoreError(f"cannot write the store's {key}: {reason_of(error)}", remedy=remedy)
