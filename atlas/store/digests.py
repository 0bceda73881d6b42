"""SHA-256 of files outside the store, cached by size and times, so that each file is read only once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from atlas.store.disk import Stat, stat_of, write_aside

DIGESTS = "digests.json"
# Absolute path -> size and times of the file, and its SHA-256 in hexadecimal digits.
_Cache = dict[str, tuple[Stat, str]]


class Digests:
    """A cache of the digests of files, read from a JSON file and written back by `save`."""

    def __init__(self, path: Path) -> None:
        """Use the JSON file at `path`; it is not read yet."""
        self._path = path
        self._cache: _Cache | None = None
        self._changed = False

    def of(self, file: Path) -> str:
        """Return the SHA-256 of a file in hexadecimal digits; raises OSError."""
        if self._cache is None:
            self._cache = self._load()
        name, stat = os.path.abspath(file), stat_of(file)
        entry = self._cache.get(name)
        if entry is None or entry[0] != stat:
            with file.open("rb") as stream:
                entry = stat, hashlib.file_digest(stream, "sha256").hexdigest()
            self._cache[name] = entry
            self._changed = True
        return entry[1]

    def save(self) -> None:
        """Write the cache if it has changed; raises OSError."""
        if self._changed:
            write_aside(self._path, msgspec.json.encode(self._cache))
            self._changed = False

    def _load(self) -> _Cache:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Cache)
        except (OSError, ValueError):
            return {}
