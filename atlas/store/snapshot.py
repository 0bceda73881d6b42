"""What a journal says, in a form of which a part can be read: index.snapshot, which may always be deleted.

A build of many artefacts leaves it beside the journal. Entries lie folder by folder, each folder with a
checksum; the header says at the end which bytes are whose, and which journal it tells. A snapshot counts only
if all checksums are right and the journal's size and times are those that it names: after anything else
that happened to the journal, the journal is read.
"""

from __future__ import annotations

import os
import struct
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
_TICK_NS = 50_000_000

# Names of a folder's files -> their entries, each as MessagePack.
_Names = dict[str, bytes]


class Header(msgspec.Struct, array_like=True):
    """What a snapshot says besides the entries."""

    journal: Stat
    """(bytes, mtime_ns, ctime_ns) of the journal that it tells."""
    n_lines: int
    """Number of lines of that journal."""
    fingerprints: list[str]
    """What entries name by its position."""
    inputs: dict[str, dict[str, str]]
    """Named values by their fingerprint."""
    failed: list[str]
    """Keys of the artefacts that could not be made."""
    folders: dict[str, tuple[int, int, int, int]] = {}
    """Folder -> place and length of its bytes, their CRC-32, number of entries; filled as it is written."""


class Snapshot:
    """A snapshot that is right about the journal, open for reading."""

    def __init__(self, file: int, header: Header) -> None:
        """Take over an open file. Open snapshots with `Snapshot.of`."""
        self._file, self._header = file, header
        self._decode = msgspec.msgpack.Decoder(_Names).decode
        self.n_entries = sum(n for *_, n in header.folders.values())
        self.n_lines, self.inputs, self.failed = header.n_lines, header.inputs, header.failed
        self.fingerprints, self.folders = header.fingerprints, header.folders

    @classmethod
    def of(cls, journal: Path) -> Snapshot | None:
        """Open the snapshot of a journal; None if there is none, or none that is right about it."""
        try:
            file = os.open(journal.with_name(SNAPSHOT), os.O_RDONLY)
        except OSError:
            return None
        try:
            header = _header(file)
            stat = stat_of(journal)
            if header.journal == stat and os.fstat(file).st_mtime_ns - stat[1] >= _TICK_NS:
                found = cls(file, header)
                if all(
                    zlib.crc32(found.bytes_of(name)) == crc for name, (*_, crc, _) in found.folders.items()
                ):
                    return found
        except (OSError, ValueError, struct.error):
            pass
        os.close(file)
        return None

    def entries(self, folder: str) -> _Names:
        """Return the entries of a folder by their names, {} for a folder without any."""
        return self._decode(self.bytes_of(folder)) if folder in self.folders else {}

    def bytes_of(self, folder: str) -> bytes:
        """Return the bytes of a folder's entries."""
        start, length, *_ = self.folders[folder]
        return os.pread(self._file, length, start)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def write_snapshot(
    journal: Path, header: Header, folders: Iterable[tuple[str, _Names | None]], before: Snapshot | None
) -> None:
    """Write the snapshot of a journal; raises OSError.

    `folders` are the entries by name, None for a folder that is as in the snapshot `before`.
    """
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
