"""The snapshot of a journal: it says what the journal says, and nothing else that was ever so."""

from __future__ import annotations

import gc
import os
import random
import shutil
from pathlib import Path

import pytest

from atlas.core.errors import StoreError
from atlas.store import Status, Store
from atlas.store import index as index_module
from atlas.store import snapshot as snapshot_module
from atlas.store.entries import Entries
from atlas.store.index import JOURNAL, Index
from atlas.store.snapshot import SNAPSHOT

INPUTS = {"model": "ab", "stage": "1"}
KEYS = ["atlas.json", *(f"{folder}/{n}.json" for folder in ("nmf/a", "nmf/b", "strips/a") for n in range(4))]


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a snapshot of every journal, however short and young."""
    monkeypatch.setattr(index_module, "_MANY", 1)
    monkeypatch.setattr(snapshot_module, "_TICK_NS", -(10**12))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with artefacts in several folders, one of which could not be made."""
    with Store.open(tmp_path / "store", write=True) as store:
        for at, key in enumerate(KEYS):
            store.put(key, key.encode(), inputs=INPUTS | {"n": str(at % 3)}, meta={"n": at, "x": None})
        store.put_failure("nmf/a/2.json", "no gradient", inputs=INPUTS)
    return tmp_path / "store"


def from_journal(folder: Path) -> tuple[Entries, dict[str, dict[str, str]]]:
    """Return what the journal alone says."""
    (folder.with_name("alone")).mkdir(exist_ok=True)
    shutil.copyfile(folder / JOURNAL, folder.with_name("alone") / JOURNAL)
    index = Index(folder.with_name("alone"), write=False)
    return index.entries, index.inputs


def is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether the next to open the store reads the snapshot and not the journal."""
    loads: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(Index, "_load", lambda self: not loads.append(True))
        Index(folder, write=False)
    return not loads


class TestWhatItSays:
    """The same as the journal."""

    def test_it_says_what_the_journal_says(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Entries, inputs and failures are equal, and so is what a store makes of them."""
        assert is_read(folder, monkeypatch)
        index, (entries, inputs) = Index(folder, write=False), from_journal(folder)
        assert dict(index.entries) == dict(entries)
        assert (index.inputs, index.entries.failed) == (inputs, entries.failed) != ({}, set())
        assert len(index.entries) == len(entries) == len(KEYS)
        with Store.open(folder) as store:
            assert store.keys() == sorted(KEYS)
            assert store.failure("nmf/a/2.json") == "no gradient"
            assert store.meta("atlas.json") == {"n": 0, "x": None}
            assert not store.has("nmf/c/1.json")
            assert not store.has("nmf/a")
            with pytest.raises(StoreError):
                store.sha256("nmf/a/9.json")

    def test_what_is_put_later_is_in_the_next(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """New, replaced and unchanged entries all stand in the snapshot of the next writer."""
        with Store.open(folder, write=True) as store:
            store.put("nmf/a/2.json", b"made at last", inputs={"model": "cd"})
            store.put("nmf/c/1.json", b"new", inputs=INPUTS)
        assert is_read(folder, monkeypatch)
        index, (entries, inputs) = Index(folder, write=False), from_journal(folder)
        assert dict(index.entries) == dict(entries)
        assert index.inputs == inputs
        assert not index.entries.failed
        assert len(index.entries) == len(KEYS) + 1

    def test_a_build_with_nothing_to_do_leaves_it(self, folder: Path) -> None:
        """It is written only when the journal has changed."""
        before = os.stat(folder / SNAPSHOT)
        Store.open(folder, write=True).close()
        assert os.stat(folder / SNAPSHOT) == before

    def test_a_long_journal_is_rewritten(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Outdated lines are counted on, and the shortened journal has a snapshot of its own."""
        for _ in range(3):
            with Store.open(folder, write=True) as store:
                for _ in range(60):
                    store.put("nmf/a/0.json", b"again", inputs=INPUTS)
        Store.open(folder, write=True).close()
        assert (folder / JOURNAL).read_bytes().count(b"\n") < 140
        assert is_read(folder, monkeypatch)
        assert dict(Index(folder, write=False).entries) == dict(from_journal(folder)[0])

    def test_it_is_there_after_the_store_was_closed(self, folder: Path) -> None:
        """Entries can be asked for after the end, also when a build has replaced the snapshot."""
        with Store.open(folder) as store:
            pass
        with Store.open(folder, write=True) as other:
            other.put("nmf/a/1.json", b"longer than before", inputs=INPUTS)
        assert store.meta("nmf/a/1.json") == {"n": 2, "x": None}
        n_open = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 1
        del store
        gc.collect()
        assert not Path("/proc/self/fd").exists() or len(os.listdir("/proc/self/fd")) == n_open - 1


class TestWhenItCounts:
    """Only as long as it is right about the journal."""

    @pytest.mark.parametrize("change", ["longer", "shorter", "other", "touched", "gone"])
    def test_another_journal_counts_alone(
        self, folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever else wrote or cut the journal: what it says is what counts."""
        path = folder / JOURNAL
        lines = path.read_bytes().splitlines(keepends=True)
        line = next(line for line in lines if b'"key":"nmf/b/1.json"' in line)
        if change == "longer":
            path.write_bytes(b"".join(lines) + line.replace(b"nmf/b/1.json", b"nmf/b/7.json"))
        elif change == "shorter":
            path.write_bytes(b"".join(lines[:-1]))
        elif change == "other":
            path.write_bytes(b"".join(lines).replace(b'"n":6', b'"n":5'))
        elif change == "touched":
            os.utime(path)
        else:
            path.unlink()
        assert not is_read(folder, monkeypatch)
        if change != "gone":
            assert dict(Index(folder, write=False).entries) == dict(from_journal(folder)[0])
        assert len(Index(folder, write=False).entries) == len(KEYS) + {"longer": 1, "gone": -len(KEYS)}.get(
            change, 0
        )

    def test_a_journal_of_the_same_moment_is_read(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Clocks tick: a journal might change twice at one time, so a snapshot just as old does not count."""
        monkeypatch.setattr(snapshot_module, "_TICK_NS", 50_000_000)
        times = os.stat(folder / JOURNAL)
        for later, counts in ((0, False), (49_000_000, False), (51_000_000, True)):
            os.utime(folder / SNAPSHOT, ns=(times.st_mtime_ns, times.st_mtime_ns + later))
            assert is_read(folder, monkeypatch) == counts

    def test_damage_anywhere_is_noticed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A flipped bit, wherever it is, or a missing end: the journal is read in its place."""
        whole, random_bits = (folder / SNAPSHOT).read_bytes(), random.Random(0)
        for at in range(len(whole)):
            data = bytearray(whole)
            data[at] ^= 1 << random_bits.randrange(8)
            (folder / SNAPSHOT).write_bytes(data)
            assert not is_read(folder, monkeypatch), at
        for end in range(0, len(whole), 7):
            (folder / SNAPSHOT).write_bytes(whole[:end])
            assert not is_read(folder, monkeypatch), end
        assert dict(Index(folder, write=False).entries) == dict(from_journal(folder)[0])
        Store.open(folder, write=True).close()
        assert is_read(folder, monkeypatch)

    def test_a_copied_store_is_fresh(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A copy has other times: its journal is read, and its next writer makes a snapshot of its own."""
        copy = folder.with_name("copy")
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        assert not is_read(copy, monkeypatch)
        with Store.open(copy, write=True) as store:
            assert store.status("nmf/b/0.json", INPUTS | {"n": "2"}) == Status(True)
        assert is_read(copy, monkeypatch)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_a_full_disk_costs_the_snapshot_only(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A build that cannot write it is as good without; the former one does not count any more."""
        (folder / f".{SNAPSHOT}.aside").symlink_to("/dev/full")
        with Store.open(folder, write=True) as store:
            store.put("nmf/b/0.json", b"new", inputs=INPUTS)
        assert not is_read(folder, monkeypatch)
        with Store.open(folder) as store:
            assert store.read("nmf/b/0.json") == b"new"


class TestArtefacts:
    """What happened to artefacts is noticed as without a snapshot."""

    @pytest.mark.parametrize(
        ("happened", "reason"),
        [("nothing", ""), ("changed", "damaged"), ("cut", "damaged"), ("removed", "missing")],
    )
    def test_every_file_is_looked_at(
        self, folder: Path, happened: str, reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One file that changed, lost its end or went is stale, with the reason."""
        path = folder / "strips/a/3.json"
        data = path.read_bytes()
        if happened == "removed":
            path.unlink()
        elif happened != "nothing":
            path.write_bytes(data[:-1] + b"!" * (happened == "changed"))
        assert is_read(folder, monkeypatch)
        with Store.open(folder) as store:
            for at, key in enumerate(KEYS):
                expected = reason if key == "strips/a/3.json" else ""
                if key != "nmf/a/2.json":
                    assert store.status(key, INPUTS | {"n": str(at % 3)}).reason == expected
