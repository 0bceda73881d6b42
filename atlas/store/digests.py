"""SHA-256 of files outside the store, remembered by size and times: only content counts, and is read once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from atlas.store.disk import Stat, stat_of, write_aside

DIGESTS = "digests.json"
_Known = dict[str, tuple[Stat, str]]


class Digests:
    """Digests of files by their paths, read from a JSON file and, on request, written back."""

    def __init__(self, path: Path) -> None:
        """Hold on to the path; nothing is read."""
        self._path = path
        self._known: _Known | None = None
        self._changed = False

    def of(self, file: Path) -> str:
        """Return the SHA-256 of a file; raises OSError."""
        if self._known is None:
            self._known = self._load()
        name, stat = os.path.abspath(file), stat_of(file)
        known = self._known.get(name)
        if known is None or known[0] != stat:
            with file.open("rb") as stream:
                known = stat, hashlib.file_digest(stream, "sha256").hexdigest()
            self._known[name] = known
            self._changed = True
        return known[1]

    def save(self) -> None:
        """Write what was learned; raises OSError."""
        if self._changed:
            write_aside(self._path, msgspec.json.encode(self._known))
            self._changed = False

    def _load(self) -> _Known:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Known)
        except (OSError, ValueError):
            return {}
