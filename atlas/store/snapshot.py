"""A copy of the journal that can be read in parts: index.snapshot, which may always be deleted.

A build of many artefacts leaves it beside the journal. Entries lie folder by folder, each folder with a
checksum; the header, at the end, lists the folders and names the journal. A snapshot counts only
if all checksums are right and the journal still has the size and times that it names; else the journal is
read.
"""

from __future__ import annotations

import os
import struct
import time
import weakref
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from atlas.store.disk import Stat, stat_of, write_parts

SNAPSHOT = "index.snapshot"
# At the end of the file: place, length and CRC-32 of the header, and the version of the format.
_END = struct.Struct("<QQI8s")
_FORMAT = b"entries1"
# A journal that changed just before the snapshot may have changed again without another time.
_TICK_NS = 20_000_000

# Names of a folder's files -> their entries, each as MessagePack.
_Names = dict[str, bytes]


class Header(msgspec.Struct, array_like=True):
    """All of a snapshot but the entries."""

    journal: Stat
    """(bytes, mtime_ns, ctime_ns) of the journal that it copies."""
    n_lines: int
    """Number of lines of that journal."""
    fingerprints: list[str]
    """Fingerprints; entries hold positions in this list."""
    inputs: dict[str, dict[str, str]]
    """Named values by their fingerprint."""
    failed: list[str]
    """Keys of the artefacts that could not be made."""
    folders: dict[str, tuple[int, int, int, int]] = {}
    """Folder -> place and length of its bytes, their CRC-32, number of entries; filled as it is written."""


class Snapshot:
    """A whole snapshot, open for reading."""

    def __init__(self, path: Path) -> None:
        """Open a snapshot; raises OSError, ValueError or struct.error where there is no whole one."""
        self._file = os.open(path, os.O_RDONLY)
        # Not when the store is closed: entries may be asked for later, as those of a journal may.
        weakref.finalize(self, os.close, self._file)
        header = _header(self._file)
        self.journal, self.n_lines, self.inputs = header.journal, header.n_lines, header.inputs
        self.fingerprints, self.failed, self.folders = header.fingerprints, header.failed, header.folders
        self.n_entries = sum(n for *_, n in header.folders.values())
        self._decode = msgspec.msgpack.Decoder(_Names).decode
        if any(zlib.crc32(self.bytes_of(folder)) != crc for folder, (*_, crc, _) in self.folders.items()):
            raise ValueError("damaged")

    @classmethod
    def of(cls, journal: Path) -> Snapshot | None:
        """Open the snapshot of a journal; None if there is none that is whole and current."""
        path = journal.with_name(SNAPSHOT)
        try:
            found, stat = cls(path), stat_of(journal)
            is_later = stat_of(path)[1] - stat[1] >= _TICK_NS
            return found if found.journal == stat and is_later else None
        except (OSError, ValueError, struct.error):
            return None

    def entries(self, folder: str) -> _Names:
        """Return the entries of a folder by their names, {} for a folder without any."""
        return self._decode(self.bytes_of(folder)) if folder in self.folders else {}

    def bytes_of(self, folder: str) -> bytes:
        """Return the bytes of a folder's entries."""
        start, length, *_ = self.folders[folder]
        return os.pread(self._file, length, start)


def write_snapshot(
    journal: Path, header: Header, folders: Iterable[tuple[str, _Names | None]], before: Snapshot | None
) -> None:
    """Write the snapshot of a journal, after a wait that tells the two apart by their times; raises OSError.

    `folders` are the entries by name, None for a folder that is as in the snapshot `before`.
    """
    time.sleep(max(0, 2 * _TICK_NS / 1e9))
    write_parts(journal.with_name(SNAPSHOT), _parts(header, folders, before))


def _parts(
    header: Header, folders: Iterable[tuple[str, _Names | None]], before: Snapshot | None
) -> Iterator[bytes]:
    start = 0
    for folder, names in folders:
        if names is not None:
            data, n = msgspec.msgpack.encode(names), len(names)
        elif before is not None:
            data, n = before.bytes_of(folder), before.folders[folder][3]
        header.folders[folder] = start, len(data), zlib.crc32(data), n
        start += len(data)
        yield data
    end = msgspec.msgpack.encode(header)
    yield end
    yield _END.pack(start, len(end), zlib.crc32(end), _FORMAT)


def _header(file: int) -> Header:
    """Return the header of a snapshot; raises ValueError, OSError or struct.error for any other file."""
    size = os.fstat(file).st_size
    start, length, crc, form = _END.unpack(os.pread(file, _END.size, max(0, size - _END.size)))
    if form != _FORMAT or start + length + _END.size != size:
        raise ValueError("no snapshot")
    data = os.pread(file, length, start)
    if zlib.crc32(data) != crc:
        raise ValueError("damaged")
    return msgspec.msgpack.decode(data, type=Header)
