"""What the index knows of each artefact, folder by folder, in the compact form that its snapshot has too."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import msgspec

from atlas.store.disk import Stat
from atlas.store.snapshot import Snapshot

# Key in `meta` for the reason why an artefact could not be made.
FAILED = "failed"
# Folders of a snapshot that are kept decoded: more than those that one layer's artefacts lie in.
_KEPT = 32

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


class Packed(msgspec.Struct, array_like=True, gc=False):
    """An entry without its key, as it is kept in memory and in a snapshot."""

    fingerprint: int
    """Position of the fingerprint in Entries.fingerprints."""
    sha256: bytes
    """The 32 bytes of the digest."""
    stat: Stat
    """(bytes, mtime_ns, ctime_ns) of the file."""
    meta: msgspec.Raw
    """Small values put with the artefact, as MessagePack: most readers of an entry need none of them."""


class Entries(Mapping[str, IndexEntry]):
    """Entries by key; those of a snapshot are decoded when a key of their folder is asked for, and let go."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Start with the entries of a snapshot, or without any."""
        self._snapshot = snapshot
        self._read = functools.lru_cache(_KEPT)(snapshot.entries if snapshot else lambda folder: {})
        # Folders that differ from the snapshot: all of them where there is none.
        self._changed: dict[str, dict[str, bytes]] = {}
        self._n = snapshot.n_entries if snapshot else 0
        self.failed = set(snapshot.failed if snapshot else ())
        # Most artefacts of a stage share their fingerprint.
        self.fingerprints = list(snapshot.fingerprints if snapshot else ())
        self._numbers = {name: number for number, name in enumerate(self.fingerprints)}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Packed).decode

    def put(self, entry: IndexEntry) -> None:
        """Add or replace an entry; raises ValueError for an impossible SHA-256 or time."""
        number = self._numbers.setdefault(entry.fingerprint, len(self.fingerprints))
        if number == len(self.fingerprints):
            self.fingerprints.append(entry.fingerprint)
        try:
            meta = msgspec.Raw(self._encode(entry.meta))
            packed = self._encode(Packed(number, bytes.fromhex(entry.sha256), entry.stat, meta))
        except OverflowError as error:
            raise ValueError(f"{entry.key}: {error}") from error
        folder, _, name = entry.key.rpartition("/")
        if folder not in self._changed:
            self._changed[folder] = dict(self._read(folder))
        self._n += name not in self._changed[folder]
        self._changed[folder][name] = packed
        (self.failed.add if FAILED in entry.meta else self.failed.discard)(entry.key)

    def packed(self, key: str) -> Packed | None:
        """Return an entry in its compact form, None if there is none."""
        folder, _, name = key.rpartition("/")
        names = self._changed.get(folder)
        packed = (self._read(folder) if names is None else names).get(name)
        return None if packed is None else self._decode(packed)

    def folders(self) -> Iterator[tuple[str, dict[str, bytes] | None]]:
        """Yield each folder with its entries by name, None for those of the snapshot, unchanged."""
        yield from self._changed.items()
        if self._snapshot is not None:
            yield from ((folder, None) for folder in self._snapshot.folders if folder not in self._changed)

    def __getitem__(self, key: str) -> IndexEntry:
        packed = self.packed(key)
        if packed is None:
            raise KeyError(key)
        name = self.fingerprints[packed.fingerprint]
        meta = msgspec.msgpack.decode(packed.meta, type=Meta)
        return IndexEntry(key, name, packed.sha256.hex(), packed.stat, meta)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.packed(key) is not None

    def __iter__(self) -> Iterator[str]:
        for folder, _ in self.folders():
            names = self._changed.get(folder, {}) or self._read(folder)
            yield from (f"{folder}/{name}" if folder else name for name in names)

    def __len__(self) -> int:
        return self._n
