"""One writer at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atlas.core.errors import StoreError
from atlas.store import Store

HOLD = """
import sys, time
from pathlib import Path
from atlas.store import Store
store = Store.open(Path(sys.argv[1]), write=True)
store.put("a.json", b"one")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that writes the store."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


class TestLock:
    """Two writers, and one that dies."""

    def test_a_second_writer_is_told_who_holds_it(
        self, tmp_path: Path, holder: subprocess.Popen[str]
    ) -> None:
        """The message names the holder's process and what to do; reading is still possible."""
        with pytest.raises(StoreError, match=rf"being written by process {holder.pid} .*--store"):
            Store.open(tmp_path, write=True)
        with Store.open(tmp_path) as store:
            assert store.read("a.json") == b"one"

    def test_a_killed_holder_frees_it(self, tmp_path: Path, holder: subprocess.Popen[str]) -> None:
        """After kill -9 the next writer gets the lock, and what was done is there."""
        holder.kill()
        holder.wait()
        with Store.open(tmp_path, write=True) as store:
            assert store.read("a.json") == b"one"

    def test_it_is_free_again_after_an_error(self, tmp_path: Path) -> None:
        """A writer that could not open the index, or failed at work, leaves no lock behind."""
        (tmp_path / "index.jsonl").mkdir()
        with pytest.raises(StoreError, match="cannot open"):
            Store.open(tmp_path, write=True)
        (tmp_path / "index.jsonl").rmdir()
        with pytest.raises(ZeroDivisionError), Store.open(tmp_path, write=True):
            raise ZeroDivisionError
        with Store.open(tmp_path, write=True):
            pass
        assert not (tmp_path / "lock.holder").exists()
