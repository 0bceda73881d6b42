"""The journal: what a killed build leaves of it, and how it is kept short."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.store.entries import IndexEntry
from atlas.store.fingerprint import fingerprint
from atlas.store.index import JOURNAL, Index

INPUTS = {"model": "ab"}


def entry(key: str, size: int = 1) -> IndexEntry:
    """Return an entry of this key."""
    return IndexEntry(key, fingerprint(INPUTS), "5a", (size, 2, 3), {"n": size})


def journal(folder: Path, *keys: str) -> bytes:
    """Write a journal of these keys; return its bytes."""
    index = Index(folder, write=True)
    for key in keys:
        index.add(entry(key), INPUTS)
    index.close()
    return (folder / JOURNAL).read_bytes()


class TestIndex:
    """Reading, mending and shortening."""

    def test_a_half_written_line_is_dropped(self, tmp_path: Path) -> None:
        """Wherever a kill cuts the last line, the others are read, and the next writer mends the file."""
        whole = journal(tmp_path, "a", "b")
        last = whole.splitlines(keepends=True)[-1]
        for cut in range(len(last)):
            (tmp_path / JOURNAL).write_bytes(whole[: len(whole) - len(last) + cut])
            index = Index(tmp_path, write=True)
            assert index.entries["a"] == entry("a")
            index.add(entry("c"), INPUTS)
            index.close()
            # A line that lacks nothing but its end of line says nothing certain, and may be dropped.
            assert {"a", "c"} <= set(Index(tmp_path, write=False).entries) <= {"a", "b", "c"}

    @settings(max_examples=30, deadline=None)
    @given(garbage=st.binary(min_size=1, max_size=60), at=st.integers(0, 3))
    def test_garbage_costs_its_lines_only(
        self, tmp_path_factory: pytest.TempPathFactory, garbage: bytes, at: int
    ) -> None:
        """Any bytes between the lines are dropped, and every whole line is still read."""
        folder = tmp_path_factory.mktemp("index")
        lines = journal(folder, "a", "b", "c").splitlines(keepends=True)
        (folder / JOURNAL).write_bytes(b"".join([*lines[:at], garbage, b"\n", *lines[at:]]))
        index = Index(folder, write=True)
        index.close()
        assert {key: index.entries[key] for key in "abc"} == {key: entry(key) for key in "abc"}

    @pytest.mark.parametrize("part", ['"sha256":"5z"', '"stat":[1,2,9999999999999999999999]', '"meta":3'])
    def test_a_line_that_cannot_be_is_dropped(self, tmp_path: Path, part: str) -> None:
        """Values that no artefact has cost their line, and the next writer mends the file."""
        whole = journal(tmp_path, "a")
        (tmp_path / JOURNAL).write_bytes(whole + f'{{"key":"b","fingerprint":"9f",{part}}}\n'.encode())
        assert Index(tmp_path, write=False).entries == {"a": entry("a")}
        Index(tmp_path, write=True).close()
        assert (tmp_path / JOURNAL).read_bytes() == whole

    def test_the_last_line_of_a_key_counts(self, tmp_path: Path) -> None:
        """A key that was added twice has its newer entry."""
        index = Index(tmp_path, write=True)
        index.add(entry("a", 1), INPUTS)
        index.add(entry("a", 7), INPUTS)
        index.close()
        assert Index(tmp_path, write=False).entries == {"a": entry("a", 7)}

    def test_inputs_stand_once(self, tmp_path: Path) -> None:
        """Entries with the same inputs share one line of them."""
        assert journal(tmp_path, "a", "b", "c").count(b'"inputs"') == 1

    def test_a_long_journal_is_rewritten(self, tmp_path: Path) -> None:
        """Lines that newer ones replaced do not pile up over many builds."""
        journal(tmp_path, *["a"] * 500, "b")
        assert journal(tmp_path, "c").count(b"\n") == 4
        assert set(Index(tmp_path, write=False).entries) == {"a", "b", "c"}

    def test_an_index_that_is_read_takes_nothing(self, tmp_path: Path) -> None:
        """Adding to an index that is open for reading is a mistake of the program."""
        with pytest.raises(ValueError, match="reading only"):
            Index(tmp_path, write=False).add(entry("a"), INPUTS)
