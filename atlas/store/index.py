"""The store's journal: one JSON line for each artefact that was put; the last line about a key is valid.

index.jsonl holds two kinds of lines. Inputs that artefacts share are written only once:
    {"fingerprint": "9f…", "inputs": {"model": "ab…", "featurevis.preset": "standard"}}
    {"key": "nmf/mixed3a/3.json", "fingerprint": "9f…", "sha256": "…", "stat": [1, 2, 3], "meta": {}}
A line that cannot be read, such as the last line of a killed build, is ignored.
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
# Key in `meta` for the reason why an artefact could not be made.
FAILED = "failed"
# The journal is rewritten when it has this many outdated lines more than valid ones.
_SPARE_LINES = 100

Meta = dict[str, int | float | str | None]


class IndexEntry(msgspec.Struct, frozen=True):
    """The index's entry on one artefact."""

    key: str
    """Path of the artefact in the store's folder, as `atlas.store.keys` makes it."""
    fingerprint: str
    """Hash of the inputs that it was made from."""
    sha256: str
    """Hexadecimal SHA-256 of its bytes."""
    stat: Stat
    """(bytes, mtime_ns, ctime_ns) of its file."""
    meta: Meta = {}
    """Small values put with it, which can be read without opening its file."""


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


class _Packed(msgspec.Struct, array_like=True):
    """An entry in the compact form that is kept in memory, without its key."""

    fingerprint: int
    """Position of the fingerprint in Entries._fingerprints."""
    sha256: bytes
    """The 32 bytes of the digest."""
    stat: Stat
    """(bytes, mtime_ns, ctime_ns) of the file."""
    meta: Meta
    """Small values put with the artefact."""


class Entries(Mapping[str, IndexEntry]):
    """Entries by key, packed to a third of their size: an atlas of 100,000 neurons has more than 400,000."""

    def __init__(self) -> None:
        """Start without entries."""
        self._packed: dict[str, bytes] = {}
        self.failed: set[str] = set()
        # Most artefacts of a stage share their fingerprint.
        self._fingerprints: list[str] = []
        self._numbers: dict[str, int] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Packed).decode

    def put(self, entry: IndexEntry | _Line) -> None:
        """Add or replace an entry; raises ValueError for an impossible SHA-256 or time."""
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
    """Entries by key, read from the journal; new ones are appended if it is open for writing."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        """Read the journal of a store's folder; `write` also repairs it and opens it for appending."""
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
        """Append an entry; other processes can read it as soon as this returns.

        Raises OSError, and ValueError if the index is open for reading only.
        """
        is_written = entry.fingerprint in self.inputs
        line = b"" if is_written else _inputs_line(entry.fingerprint, inputs)
        self._append(line + _entry_line(entry))
        self.inputs.setdefault(entry.fingerprint, dict(inputs))
        self.entries.put(entry)

    def close(self) -> None:
        """Flush the journal to the disk and close it; raises OSError."""
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
            # Remove half a line from a full disk; the next line would be appended to it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, end)
            raise

    def _load(self) -> tuple[int, bool]:
        """Read the journal; return its number of lines, and whether all of them could be read."""
        if not self._path.exists():
            return 0, True
        decoder, n_lines, whole = msgspec.json.Decoder(_Line), 0, True
        # Line by line, because the journal of an atlas of 100,000 neurons has 250 MB.
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return n_lines, False
                n_lines += 1
                try:
                    self._take(decoder.decode(line))
                except ValueError:  # errors of msgspec, and UnicodeDecodeError
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
