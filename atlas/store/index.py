"""The store's journal: one JSON line for each artefact that was put; the last line about a key counts.

index.jsonl holds two kinds of lines, shared inputs standing once:
    {"fingerprint": "9f…", "inputs": {"model": "ab…", "featurevis.preset": "standard"}}
    {"key": "nmf/mixed3a/3.json", "fingerprint": "9f…", "sha256": "…", "stat": [1, 2, 3], "meta": {}}
A line that cannot be read, like the last one of a killed build, is dropped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from atlas.store.disk import Stat, write_aside
from atlas.store.fingerprint import Inputs, fingerprint

JOURNAL = "index.jsonl"
# The value, beside an artefact that could not be made, that says why.
FAILED = "failed"
# Lines that say nothing new are worth a rewrite from here on.
_SPARE_LINES = 100

Meta = dict[str, int | float | str | None]


class IndexEntry(msgspec.Struct, frozen=True):
    """What the index knows of one artefact; `stat` is (bytes, mtime_ns, ctime_ns)."""

    key: str
    fingerprint: str
    sha256: str
    stat: Stat
    meta: Meta = {}


class _Line(msgspec.Struct, omit_defaults=True):
    key: str = ""
    fingerprint: str = ""
    sha256: str = ""
    stat: Stat = (0, 0, 0)
    meta: Meta = {}
    inputs: dict[str, str] = {}


class _Packed(msgspec.Struct, array_like=True):
    """An entry without its key; its fingerprint is a number."""

    fingerprint: int
    sha256: bytes
    stat: Stat
    meta: Meta


class Entries(Mapping[str, IndexEntry]):
    """Entries by key, held as a third of the bytes: an atlas of 100,000 neurons has 400,000 and more."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._packed: dict[str, bytes] = {}
        self.failed: set[str] = set()
        # Most artefacts of a stage share their fingerprint.
        self._fingerprints: list[str] = []
        self._numbers: dict[str, int] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Packed).decode

    def put(self, entry: IndexEntry | _Line) -> None:
        """Hold an entry; raises ValueError for a SHA-256 or times that cannot be."""
        name = entry.fingerprint
        if name not in self._numbers:
            self._numbers[name] = len(self._fingerprints)
            self._fingerprints.append(name)
        try:
            packed = _Packed(self._numbers[name], bytes.fromhex(entry.sha256), entry.stat, entry.meta)
            self._packed[entry.key] = self._encode(packed)
            (self.failed.add if FAILED in entry.meta else self.failed.discard)(entry.key)
        except OverflowError as error:
            raise ValueError(f"{entry.key}: {error}") from error

    def __getitem__(self, key: str) -> IndexEntry:
        packed = self._decode(self._packed[key])
        name = self._fingerprints[packed.fingerprint]
        return IndexEntry(key, name, packed.sha256.hex(), packed.stat, packed.meta)

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


class Index:
    """Entries by key, read from the journal and, when open for writing, appended to it."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Read the journal of a store's folder; `write` opens it for appending and mends it."""
        self._path = folder / JOURNAL
        self.entries = Entries()
        self.inputs: dict[str, dict[str, str]] = {}
        n_lines, whole = self._load()
        self._file: int | None = None
        if write:
            if not whole or n_lines > 2 * len(self.entries) + len(self.inputs) + _SPARE_LINES:
                self._rewrite()
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def add(self, entry: IndexEntry, inputs: Inputs) -> None:
        """Append an entry; it is there for the next process as soon as this returns."""
        known = entry.fingerprint in self.inputs
        line = b"" if known else _inputs_line(entry.fingerprint, inputs)
        self._append(line + _entry_line(entry))
        self.inputs.setdefault(entry.fingerprint, dict(inputs))
        self.entries.put(entry)

    def close(self) -> None:
        """Bring the journal to the disk."""
        if self._file is None:
            return
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)
            self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            raise ValueError("the store is open for reading only")
        end = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            # Half a line on a full disk would spoil the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, end)
            raise

    def _load(self) -> tuple[int, bool]:
        """Read the journal; return its number of lines and whether every one could be read."""
        if not self._path.exists():
            return 0, True
        decoder, n_lines, whole = msgspec.json.Decoder(_Line), 0, True
        # Line by line: of an atlas of 100,000 neurons the journal has 250 MB.
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return n_lines, False
                n_lines += 1
                try:
                    self._take(decoder.decode(line))
                except ValueError:  # msgspec's own, and UnicodeDecodeError
                    whole = False
        return n_lines, whole

    def _take(self, line: _Line) -> None:
        if line.key:
            self.entries.put(line)
        elif fingerprint(line.inputs) == line.fingerprint:
            self.inputs[line.fingerprint] = line.inputs

    def _rewrite(self) -> None:
        used = {entry.fingerprint for entry in self.entries.values()}
        lines = [_inputs_line(name, inputs) for name, inputs in self.inputs.items() if name in used]
        lines += map(_entry_line, self.entries.values())
        write_aside(self._path, b"".join(lines))


def _entry_line(entry: IndexEntry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _inputs_line(name: str, inputs: Inputs) -> bytes:
    return msgspec.json.encode(_Line(fingerprint=name, inputs=dict(inputs))) + b"\n"
