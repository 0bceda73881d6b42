"""Power cuts, full and read-only disks, clocks and former versions: what a store makes of them."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atlas.core.errors import StoreError
from atlas.store import Status, Store
from atlas.store.disk import write_aside
from atlas.store.index import JOURNAL

INPUTS = {"model": "ab", "stage": "1"}
KEY = "nmf/a/1.json"
FRESH = Status(True)


class Trace:
    """The calls by which a store changes a disk, in their order; `broken` makes them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.broken: dict[str, int] = {}
        self._names: dict[int, str] = {}
        for name in ("open", "fsync", "replace", "write", "ftruncate"):
            monkeypatch.setattr(os, name, self._heard(name, getattr(os, name)))

    def _heard(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def heard(*arguments: Any, **options: Any) -> Any:
            told = [self._told(one) for one in arguments[:2]]
            self.calls.append((name, *told[: 2 if name == "replace" else 1]))
            if name == "fsync":
                os.lseek(arguments[0], 0, os.SEEK_CUR)
                path = Path(f"/proc/self/fd/{arguments[0]}")
                self.calls[-1] += (path.read_bytes().decode(errors="replace")[-9:],)
            if name in self.broken:
                raise OSError(self.broken[name], os.strerror(self.broken[name]))
            return call(*arguments, **options)

        return heard

    @staticmethod
    def _told(argument: Any) -> str:
        """Return the name of a file that is given by its path or number."""
        path = os.readlink(f"/proc/self/fd/{argument}") if isinstance(argument, int) else os.fspath(argument)
        return os.path.basename(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc that names open files")
class TestOrder:
    """What a power cut may find on the disk."""

    def test_bytes_are_on_the_disk_before_their_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An artefact is written aside, brought to the disk, renamed, and only then told to the index."""
        with Store.open(tmp_path, write=True) as store:
            trace = Trace(monkeypatch)
            store.put(KEY, b"all of it", inputs=INPUTS)
            calls = [call for call in trace.calls if call[0] != "open"]
            monkeypatch.undo()
        assert calls == [
            ("fsync", ".1.json.aside", "all of it"),
            ("replace", ".1.json.aside", "1.json"),
            ("write", JOURNAL),
        ]

    def test_the_index_is_brought_to_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the end of a build, before the lock is let go; a rewritten index before it takes its name."""
        store = Store.open(tmp_path, write=True)
        store.put(KEY, b"x", inputs=INPUTS)
        trace = Trace(monkeypatch)
        store.close()
        write_aside(tmp_path / JOURNAL, b"new lines")
        calls = [call[:2] for call in trace.calls if call[0] in ("fsync", "replace")]
        monkeypatch.undo()
        assert calls == [
            ("fsync", JOURNAL),
            ("fsync", f".{JOURNAL}.aside"),
            ("replace", f".{JOURNAL}.aside"),
        ]

    @pytest.mark.parametrize("call", ["fsync", "replace", "write"])
    @pytest.mark.parametrize(
        ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the disk is read-only")]
    )
    def test_a_disk_that_refuses_costs_one_artefact(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, words: str
    ) -> None:
        """Wherever it refuses: the message says why, the rest is kept, nothing half-made stays."""
        with Store.open(tmp_path, write=True) as store:
            store.put("nmf/a/0.json", b"zero", inputs=INPUTS)
            store.put(KEY, b"old", inputs=INPUTS)
            trace = Trace(monkeypatch)
            trace.broken = {call: code}
            with pytest.raises(StoreError, match=rf"cannot write the store's {KEY}: {words}"):
                store.put(KEY, b"newer", inputs=INPUTS)
            monkeypatch.undo()
        assert sorted(p.name for p in (tmp_path / "nmf/a").iterdir()) == ["0.json", "1.json"]
        with Store.open(tmp_path) as store:
            assert store.status("nmf/a/0.json", INPUTS) == FRESH
            # Named but not told to the index: it will be made again.
            after = Status(False, "damaged") if call == "write" else FRESH
            assert store.status(KEY, INPUTS) == after


class TestCutIndex:
    """An index of which a power cut left a part."""

    def test_any_part_of_it_will_do(self, tmp_path: Path) -> None:
        """Cut at every byte: what it still tells is true, and the next build makes the rest, no more."""
        with Store.open(tmp_path, write=True) as store:
            for number in range(3):
                store.put(f"a/{number}.json", b"%d" % number, inputs=INPUTS | {"n": str(number % 2)})
        data = (tmp_path / JOURNAL).read_bytes()
        counts = []
        for end in range(len(data) + 1):
            (tmp_path / JOURNAL).write_bytes(data[:end])
            with Store.open(tmp_path) as store:
                known = {key: store.read(key) for key in store.keys()}  # noqa: SIM118
                found = [
                    store.status(f"a/{n}.json", INPUTS | {"n": str(n % 2)}).reason or "fresh"
                    for n in range(3)
                ]
            assert known == {f"a/{n}.json": b"%d" % n for n in range(len(known))}
            assert found == ["fresh"] * len(known) + ["missing"] * (3 - len(known))
            counts.append(len(known))
        assert counts == sorted(counts)
        assert set(counts) == {0, 1, 2, 3}


class TestClock:
    """Times, which copies, zones and dead batteries change."""

    def test_a_clock_that_was_set_back_changes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is put in 1970 is fresh, and gives the same lines of the index but for its times."""
        lines = []
        for folder, now in ((tmp_path / "a", time.time()), (tmp_path / "b", 0.0)):
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda now=now: now)
                patch.setattr(time, "time_ns", lambda now=now: int(now * 1e9))
                with Store.open(folder, write=True) as store:
                    store.put(KEY, b"x", inputs=INPUTS)
                    assert store.status(KEY, INPUTS) == FRESH
            entry = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
            lines.append([{k: v for k, v in line.items() if k != "stat"} for line in entry])
        assert lines[0] == lines[1]

    @pytest.mark.parametrize("when", [0, 315_532_800, 4_102_444_800], ids=["1970", "1980", "2100"])
    def test_files_of_any_time_are_fresh(self, tmp_path: Path, when: int) -> None:
        """Only bytes count: an older file is not stale, and a damaged one is not saved by its time."""
        with Store.open(tmp_path, write=True) as store:
            store.put(KEY, b"x", inputs=INPUTS)
        os.utime(tmp_path / KEY, (when, when))
        with Store.open(tmp_path) as store:
            assert store.status(KEY, INPUTS) == FRESH
        (tmp_path / KEY).write_bytes(b"y")
        os.utime(tmp_path / KEY, (when, when))
        with Store.open(tmp_path) as store:
            assert store.status(KEY, INPUTS) == Status(False, "damaged")


class TestFormerVersions:
    """Stores that another version of the program wrote."""

    def test_what_it_made_otherwise_is_made_again(self, tmp_path: Path) -> None:
        """An artefact of a former stage is stale, with the reason; those of unchanged stages stay."""
        with Store.open(tmp_path, write=True) as store:
            store.put(KEY, b"old", inputs=INPUTS)
            store.put("nmf/a/2.json", b"same", inputs=INPUTS | {"stage": "2"})
        with Store.open(tmp_path) as store:
            now = INPUTS | {"stage": "2"}
            assert store.status(KEY, now) == Status(False, "program changed")
            assert store.status("nmf/a/2.json", now) == FRESH

    def test_lines_of_another_kind_are_passed_over(self, tmp_path: Path) -> None:
        """What this version does not know in the index costs nothing of what it knows."""
        with Store.open(tmp_path, write=True) as store:
            store.put(KEY, b"x", inputs=INPUTS)
        with (tmp_path / JOURNAL).open("ab") as journal:
            journal.write(b'{"format": 9, "tables": [1, 2]}\n{"key": 7}\n[]\n')
            journal.write(b'{"key": "nmf/a/2.json", "fingerprint": "f", "sha256": "s"}\n')
        with Store.open(tmp_path, write=True) as store:
            assert store.status(KEY, INPUTS) == FRESH
            assert not store.status("nmf/a/2.json", INPUTS).fresh
            store.put("nmf/a/2.json", b"y", inputs=INPUTS)
        with Store.open(tmp_path) as store:
            assert store.status("nmf/a/2.json", INPUTS) == FRESH
