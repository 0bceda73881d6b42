"""Zip files of members as they are, with no clock and no platform in them.

zipfile writes the same bytes in six times the time, and every neuron's page has such a file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from atlas.errors import SiteError

# PKWARE's APPNOTE.TXT 6.3.10, 4.3: local header, central directory header, its end.
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
# Version 2.0; made on Unix, as which zipfile's members are read everywhere.
_VERSION, _UNIX = 20, 3
# The first of January 1980, the format's first day.
_TIME, _DATE = 0, (1 << 5) | 1
# rw-------, as zipfile has it.
_ATTRIBUTES = 0o600 << 16
# Sizes and offsets are 32 bits; more wants another format.
_MOST = 0xFFFFFFFF


def stored_zip(members: Mapping[str, bytes]) -> bytes:
    """Return a zip file of members, uncompressed; names are ASCII. Raises SiteError above 4 GiB."""
    if sum(map(len, members.values())) + 200 * len(members) > _MOST:
        raise SiteError("the arrays of one page", found="more than 4 GiB", expected="less")
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, data in members.items():
        path, crc, size = name.encode("ascii"), zlib.crc32(data), len(data)
        known = (0, 0, _TIME, _DATE, crc, size, size, len(path), 0)
        parts += (_LOCAL.pack(b"PK\3\4", _VERSION, *known), path, data)
        directory += (
            _CENTRAL.pack(b"PK\1\2", _VERSION, _UNIX, _VERSION, 0, *known, 0, 0, 0, _ATTRIBUTES, offset),
            path,
        )
        offset += _LOCAL.size + len(path) + size
    n, length = len(members), sum(map(len, directory))
    return b"".join((*parts, *directory, _END.pack(b"PK\5\6", 0, 0, n, n, length, offset, 0)))
