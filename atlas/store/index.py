"""The store's journal: one JSON line for each artefact that was put; the last line about a key counts.

index.jsonl holds two kinds of lines, shared inputs standing once:
    {"fingerprint": "9f…", "inputs": {"model": "ab…", "featurevis.preset": "standard"}}
    {"key": "nmf/mixed3a/3.json", "fingerprint": "9f…", "sha256": "…", "stat": [size, mtime, ctime], "meta": {}}
A line that a killed build left half-written is the last one, and is dropped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import msgspec

from atlas.store.fingerprint import Inputs, fingerprint

JOURNAL = "index.jsonl"
Stat = tuple[int, int, int]


class Entry(msgspec.Struct, frozen=True):
    """What the index knows of one artefact; `stat` is (bytes, mtime_ns, ctime_ns)."""

    key: str
    fingerprint: str
    sha256: str
    stat: Stat
    meta: dict[str, int | float | str | None] = {}


class _Line(msgspec.Struct, omit_defaults=True):
    key: str = ""
    fingerprint: str = ""
    sha256: str = ""
    stat: Stat = (0, 0, 0)
    meta: dict[str, int | float | str | None] = {}
    inputs: dict[str, str] = {}


class Index:
    """Entries by key, read from the journal and, when open for writing, appended to it."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Read the journal of a store's folder; `write` opens it for appending and mends its end."""
        self._path = folder / JOURNAL
        self.entries: dict[str, Entry] = {}
        self.inputs: dict[str, dict[str, str]] = {}
        n_lines = self._load()
        self._file: IO[bytes] | None = None
        if write:
            if n_lines > 2 * len(self.entries) + len(self.inputs) + 100 or not self._whole:
                self._rewrite()
            self._file = self._path.open("ab")

    def add(self, entry: Entry, inputs: Inputs) -> None:
        """Append an entry; it is there for the next process as soon as this returns."""
        lines = b""
        if entry.fingerprint not in self.inputs:
            self.inputs[entry.fingerprint] = dict(inputs)
            lines += _inputs_line(entry.fingerprint, self.inputs[entry.fingerprint])
        self.entries[entry.key] = entry
        assert self._file is not None, "the index is open for reading only"
        self._file.write(lines + _entry_line(entry))
        self._file.flush()

    def close(self) -> None:
        """Bring the journal to the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _load(self) -> int:
        data = self._path.read_bytes() if self._path.exists() else b""
        self._whole = not data or data.endswith(b"\n")
        decoder = msgspec.json.Decoder(_Line)
        lines = data.split(b"\n")
        for line in lines:
            try:
                self._take(decoder.decode(line))
            except msgspec.MsgspecError:
                self._whole = self._whole and not line
        return len(lines)

    def _take(self, line: _Line) -> None:
        if line.key:
            self.entries[line.key] = Entry(line.key, line.fingerprint, line.sha256, line.stat, line.meta)
        elif fingerprint(line.inputs) == line.fingerprint:
            self.inputs[line.fingerprint] = line.inputs

    def _rewrite(self) -> None:
        used = {entry.fingerprint for entry in self.entries.values()}
        lines = [_inputs_line(name, inputs) for name, inputs in self.inputs.items() if name in used]
        lines += map(_entry_line, self.entries.values())
        aside = self._path.with_suffix(".aside")
        aside.write_bytes(b"".join(lines))
        os.replace(aside, self._path)


def _entry_line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _inputs_line(name: str, inputs: dict[str, str]) -> bytes:
    return msgspec.json.encode(_Line(fingerprint=name, inputs=inputs)) + b"\n"
