"""The store's journal: one JSON line for each artefact that was put; the last line about a key is valid.

index.jsonl holds two kinds of lines. Inputs that artefacts share are written only once:
    {"fingerprint": "9f…", "inputs": {"model": "ab…", "featurevis.preset": "standard"}}
    {"key": "nmf/mixed3a/3.json", "fingerprint": "9f…", "sha256": "…", "stat": [1, 2, 3], "meta": {}}
A line that cannot be read, such as the last line of a killed build, is ignored. A journal of many artefacts
has a snapshot beside it, which is quicker to read (`atlas.store.snapshot`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import msgspec

from atlas.store.disk import Stat, stat_of, write_parts
from atlas.store.entries import Entries, IndexEntry, Meta
from atlas.store.fingerprint import Inputs, fingerprint
from atlas.store.snapshot import Header, Snapshot, write_snapshot

JOURNAL = "index.jsonl"
# The journal is rewritten when it has this many outdated lines more than valid ones.
_SPARE_LINES = 100
# From this number of entries on, reading the journal takes long enough for a snapshot.
_MANY = 4_000


class _Line(msgspec.Struct, omit_defaults=True):
    """A line of either kind."""

    key: str = ""
    """Key of an artefact; "" in a line that holds inputs."""
    fingerprint: str = ""
    """Hash of the inputs, in both kinds."""
    sha256: str = ""
    """As in IndexEntry."""
    stat: Stat = (0, 0, 0)
    """As in IndexEntry."""
    meta: Meta = {}
    """As in IndexEntry."""
    inputs: dict[str, str] = {}
    """Named values with this fingerprint; empty in an artefact's line."""


class Index:
    """Entries by key, read from the journal; new ones are appended if it is open for writing."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Read the journal of a store's folder; `write` also repairs it and opens it for appending."""
        self._path = folder / JOURNAL
        self._snapshot = Snapshot.of(self._path)
        self.entries = Entries(self._snapshot)
        self.inputs: dict[str, dict[str, str]] = dict(self._snapshot.inputs if self._snapshot else {})
        self._n_lines = self._snapshot.n_lines if self._snapshot else 0
        # Whether the snapshot describes all of the journal.
        self._is_current = self._snapshot is not None
        whole = self._is_current or self._load()
        self._file: int | None = None
        if write:
            if not whole or self._n_lines > 2 * len(self.entries) + len(self.inputs) + _SPARE_LINES:
                self._rewrite()
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def add(self, entry: IndexEntry, inputs: Inputs) -> None:
        """Append an entry; other processes can read it as soon as this returns.

        Raises OSError, and ValueError if the index is open for reading only.
        """
        is_written = entry.fingerprint in self.inputs
        line = b"" if is_written else _inputs_line(entry.fingerprint, inputs)
        self._append(line + _entry_line(entry))
        self._n_lines += 1 if is_written else 2
        self.inputs.setdefault(entry.fingerprint, dict(inputs))
        self.entries.put(entry)

    def close(self) -> None:
        """Flush the journal to the disk and close it; raises OSError."""
        try:
            if self._file is not None:
                os.fsync(self._file)
                if len(self.entries) >= _MANY and not self._is_current:
                    self._take_snapshot()
        finally:
            if self._file is not None:
                os.close(self._file)
            self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            raise ValueError("the store is open for reading only")
        self._is_current = False
        end = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            # Remove half a line from a full disk; the next line would be appended to it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, end)
            raise

    def _load(self) -> bool:
        """Read the journal; return whether all of its lines could be read."""
        if not self._path.exists():
            return True
        decoder, whole = msgspec.json.Decoder(_Line), True
        # Line by line, because the journal of an atlas of 100,000 neurons has 250 MB.
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return False
                self._n_lines += 1
                try:
                    self._take(decoder.decode(line))
                except ValueError:  # errors of msgspec, and UnicodeDecodeError
                    whole = False
        return whole

    def _take(self, line: _Line) -> None:
        if line.key:
            self.entries.put(IndexEntry(line.key, line.fingerprint, line.sha256, line.stat, line.meta))
        elif fingerprint(line.inputs) == line.fingerprint:
            self.inputs[line.fingerprint] = line.inputs

    def _rewrite(self) -> None:
        used = {entry.fingerprint for entry in self.entries.values()}
        inputs = [_inputs_line(name, values) for name, values in self.inputs.items() if name in used]
        write_parts(self._path, itertools.chain(inputs, map(_entry_line, self.entries.values())))
        self._n_lines, self._is_current = len(inputs) + len(self.entries), False

    def _take_snapshot(self) -> None:
        failed = sorted(self.entries.failed)
        header = Header(stat_of(self._path), self._n_lines, self.entries.fingerprints, self.inputs, failed)
        # A build without a snapshot is as good: the next one reads the journal.
        with contextlib.suppress(OSError):
            write_snapshot(self._path, header, self.entries.folders(), self._snapshot)


def _entry_line(entry: IndexEntry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _inputs_line(name: str, inputs: Inputs) -> bytes:
    return msgspec.json.encode(_Line(fingerprint=name, inputs=dict(inputs))) + b"\n"
