"""Artefacts in a folder: put, read, damage, copies, disks that refuse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.core.errors import DamagedError, StoreError
from atlas.store import Status, Store
from atlas.store.index import JOURNAL

INPUTS = {"model": "ab", "stage": "1", "nmf.factors": "3"}
FRESH = Status(True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.from_regex(r"[a-z]{1,5}/[a-z0-9]{1,5}\.[a-z]{3}", fullmatch=True)
META = st.dictionaries(st.text(max_size=5), st.none() | st.integers(-9, 9) | FINITE | st.text(max_size=5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of two artefacts."""
    with Store.open(tmp_path / "store", write=True) as store:
        store.put("nmf/a/1.json", b"one", inputs=INPUTS, meta={"n": 1})
        store.put("nmf/a/2.json", b"two", inputs=INPUTS)
    return tmp_path / "store"


def status(folder: Path, key: str = "nmf/a/1.json", **inputs: str) -> Status:
    """Return an artefact's status as another process would see it."""
    with Store.open(folder) as store:
        return store.status(key, INPUTS | inputs)


def flip(path: Path, at: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


class TestPutAndRead:
    """put(), read(), meta(), keys()."""

    @settings(max_examples=15, deadline=None)
    @given(st.dictionaries(KEYS, st.tuples(st.binary(max_size=50), META), max_size=4))
    def test_what_is_put_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, items: dict[str, tuple[bytes, dict[str, object]]]
    ) -> None:
        """Any bytes and finite small values come back as they were, also in the next process."""
        folder = tmp_path_factory.mktemp("store")
        with Store.open(folder, write=True) as store:
            for key, (data, meta) in items.items():
                store.put(key, data, inputs={"x": key}, meta=meta)  # type: ignore[arg-type]
        with Store.open(folder) as store:
            assert store.keys() == sorted(items)
            for key, (data, meta) in items.items():
                assert store.read(key) == data
                assert store.meta(key) == meta
                assert store.status(key, {"x": key}) == FRESH

    def test_the_last_put_counts(self, folder: Path) -> None:
        """An artefact that is put again is the new one, and nothing else is left of the old."""
        with Store.open(folder, write=True) as store:
            store.put("nmf/a/1.json", b"new", inputs=INPUTS | {"nmf.factors": "4"})
        with Store.open(folder) as store:
            assert store.read("nmf/a/1.json") == b"new"
            assert store.meta("nmf/a/1.json") == {}
        assert [p.name for p in (folder / "nmf/a").iterdir() if p.name.startswith(".")] == []

    def test_an_unknown_key_is_an_error(self, folder: Path) -> None:
        """What was never put cannot be read, and the message names it."""
        with Store.open(folder) as store, pytest.raises(StoreError, match=r"holds no nmf/a/3\.json"):
            store.read("nmf/a/3.json")


class TestStatus:
    """Why an artefact is fresh or stale."""

    @pytest.mark.parametrize(
        ("inputs", "reason"),
        [
            ({}, ""),
            ({"model": "cd"}, "model changed"),
            ({"model": "cd", "nmf.factors": "4"}, "model changed"),
            ({"nmf.factors": "4"}, "setting nmf.factors changed"),
            ({"seed": "1"}, "setting seed changed"),
            ({"stage": "2"}, "program changed"),
        ],
    )
    def test_a_change_has_a_name(self, folder: Path, inputs: dict[str, str], reason: str) -> None:
        """The reason names the model, the program, or the setting that changed."""
        assert status(folder, **inputs) == Status(not reason, reason)

    def test_what_was_never_put_is_missing(self, folder: Path) -> None:
        """A key without an entry is missing."""
        assert status(folder, "nmf/a/3.json") == Status(False, "missing")

    def test_a_deleted_file_is_missing(self, folder: Path) -> None:
        """A file that went is missing; its neighbour stays fresh."""
        (folder / "nmf/a/1.json").unlink()
        assert status(folder) == Status(False, "missing")
        assert status(folder, "nmf/a/2.json") == FRESH

    def test_a_deleted_folder_is_missing(self, folder: Path) -> None:
        """A file where the artefact's folder was does not hide that it is gone."""
        shutil.rmtree(folder / "nmf/a")
        (folder / "nmf/a").write_text("x")
        assert status(folder) == Status(False, "missing")

    @pytest.mark.parametrize("at", [0, 1, 2])
    def test_a_flipped_byte_is_damage(self, folder: Path, at: int) -> None:
        """One changed bit anywhere is noticed, by status and when read."""
        flip(folder / "nmf/a/1.json", at)
        assert status(folder) == Status(False, "damaged")
        with Store.open(folder) as store, pytest.raises(DamagedError, match=r"nmf/a/1\.json is damaged"):
            store.read("nmf/a/1.json")

    def test_a_truncated_file_is_damage(self, folder: Path) -> None:
        """A file of another length is damaged."""
        (folder / "nmf/a/1.json").write_bytes(b"on")
        assert status(folder) == Status(False, "damaged")

    def test_a_folder_in_its_place_is_damage(self, folder: Path) -> None:
        """A folder with an artefact's name is not the artefact."""
        (folder / "nmf/a/1.json").unlink()
        (folder / "nmf/a/1.json").mkdir()
        assert not status(folder).fresh

    def test_damage_that_left_the_times_is_made_again(self, folder: Path) -> None:
        """Bytes that a disk lost without a trace are found when read, and stale for the next build."""
        path = folder / "nmf/a/1.json"
        flip(path)
        stat = os.stat(path)
        journal = folder / JOURNAL
        lines = journal.read_text().splitlines(keepends=True)
        old = next(line for line in lines if '"nmf/a/1.json"' in line)
        head = old.partition('"stat":')[0]
        stats = f'"stat":[{stat.st_size},{stat.st_mtime_ns},{stat.st_ctime_ns}],"meta":{{}}}}\n'
        journal.write_text("".join([*lines, head + stats]))
        assert status(folder) == FRESH
        with Store.open(folder) as store, pytest.raises(DamagedError):
            store.read("nmf/a/1.json")
        assert status(folder) == Status(False, "damaged")

    def test_a_copied_store_is_fresh(self, folder: Path, tmp_path: Path) -> None:
        """New times with the same bytes change nothing; a writer learns them."""
        shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
        assert status(tmp_path / "copy") == FRESH
        before = (tmp_path / "copy" / JOURNAL).stat().st_size
        with Store.open(tmp_path / "copy", write=True) as store:
            assert store.status("nmf/a/1.json", INPUTS) == FRESH
            learned = (tmp_path / "copy" / JOURNAL).stat().st_size
            assert store.status("nmf/a/1.json", INPUTS) == FRESH
        assert before < learned == (tmp_path / "copy" / JOURNAL).stat().st_size


class TestPlaces:
    """Folders that cannot be a store, and disks that refuse."""

    def test_a_file_is_not_a_store(self, tmp_path: Path) -> None:
        """A store's path that is a file is an error that says so."""
        (tmp_path / "file").write_text("mine")
        for write in (True, False):
            with pytest.raises(StoreError, match="found a file, expected a folder"):
                Store.open(tmp_path / "file", write=write)
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize(("below", "reason"), [("file/store", "is a file"), ("n" * 300, "too long")])
    def test_an_impossible_path_is_an_error(self, tmp_path: Path, below: str, reason: str) -> None:
        """A path below a file, or with too long a name, is an error of the store."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(StoreError, match=reason):
            Store.open(tmp_path / below, write=True)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_read_only_folder_is_an_error(self, tmp_path: Path) -> None:
        """A folder that may not be written is an error that says so."""
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(StoreError, match="no permission"):
                Store.open(tmp_path / "store", write=True)
        finally:
            tmp_path.chmod(0o700)

    def test_no_store_is_an_error(self, tmp_path: Path) -> None:
        """Reading where there is none tells which commands make one, and makes nothing."""
        with pytest.raises(StoreError, match="run `compute` or `build` first"):
            Store.open(tmp_path / "store")
        assert not (tmp_path / "store").exists()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_a_full_disk_is_an_error(self, folder: Path) -> None:
        """A disk that fills up costs the artefact that was being put, and no other."""
        (folder / "nmf/a/.1.json.aside").symlink_to("/dev/full")
        with Store.open(folder, write=True) as store:
            with pytest.raises(StoreError, match=r"cannot write .*1\.json: the disk is full"):
                store.put("nmf/a/1.json", b"new", inputs=INPUTS)
            assert store.read("nmf/a/1.json") == b"one"
            store.put("nmf/a/1.json", b"new", inputs=INPUTS)
        assert status(folder) == FRESH

    def test_a_store_that_is_read_writes_nothing(self, folder: Path) -> None:
        """Opening to read takes no lock and leaves every byte as it was."""
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        with Store.open(folder, write=True), Store.open(folder) as store:
            assert store.read("nmf/a/2.json") == b"two"
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
