"""Helpers write the same bytes as one process alone, and cost nothing when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from atlas.core.errors import DamagedError, SiteError
from atlas.core.records import Factorization
from atlas.site import render_site
from atlas.site.folder import status
from atlas.site.writing import batches, worker_pool
from atlas.site.writing.batches import BatchQueue, PageBatch
from atlas.store import Store, keys
from trees import tree

ROOT = Path(__file__).parents[2]


@pytest.fixture
def by_helpers(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function: the coordinator waits until helpers have taken so many shards, of one neuron each."""
    taken, change, original = [0], threading.Condition(), BatchQueue.next
    wanted = [0]

    def next_shard(self: BatchQueue, layer: str = "") -> PageBatch | None:
        if threading.current_thread() is threading.main_thread():
            with change:
                assert change.wait_for(lambda: taken[0] >= wanted[0], 30)
            return original(self, layer)
        with change:
            taken[0] += 1
            change.notify()
        return original(self, layer)

    def until(n: int) -> None:
        wanted[0], taken[0] = n, 0

    monkeypatch.setattr(batches, "N_NEURONS", 1)
    monkeypatch.setattr(BatchQueue, "next", next_shard)
    return until


def test_the_same_bytes(
    store: Store, rendered: Path, tmp_path: Path, by_helpers: Callable[[int], None]
) -> None:
    """Written by two helpers and the coordinator, or by helpers nearly alone, a site is the same."""
    counts: list[tuple[int, int]] = []
    for jobs, n_taken in ((2, 40), (3, 20)):
        by_helpers(n_taken)
        site = tmp_path / f"site{jobs}"
        result = render_site(store, site, jobs=jobs, progress=lambda *count: counts.append(count))
        assert tree(site) == tree(rendered)
        assert result.n_written == len(set(result.written)) == len(tree(site)) - 1
        done, total = counts[-1]
        assert done == total
        assert render_site(store, site, jobs=jobs).n_written == 0


def test_what_is_fresh_is_left_alone(store: Store, tmp_path: Path, by_helpers: Callable[[int], None]) -> None:
    """A helper writes no file anew that has its bytes already."""
    site = tmp_path / "site"
    render_site(store, site, jobs=1)
    key = keys.factorization("mixed3b", 2)
    record = store.record(key, Factorization)
    store.put_record(key, Factorization(record.source, record.n_factors, 0.7, record.factors))
    by_helpers(1)
    result = render_site(store, site, jobs=2)
    lists = {"data/atlas.json", "data/checksums.txt"}
    assert set(result.written) == {"mixed3b_2.html", "data/mixed3b_2.json", "mixed3b.html"} | lists


@pytest.mark.parametrize(
    ("code", "n_taken"),
    [
        ("raise SystemExit", 0),
        (
            "import os, pickle; pickle.load(sys.stdin.buffer); os.write(1, pickle.dumps({})); "
            "pickle.load(sys.stdin.buffer); os.kill(os.getpid(), 9)",
            1,
        ),
        ("import os; os.write(1, b'no pickle'); sys.stdin.buffer.read()", 0),
    ],
    ids=["at once", "in a shard", "nonsense"],
)
def test_a_helper_that_dies_costs_nothing(
    store: Store,
    rendered: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_helpers: Callable[[int], None],
    code: str,
    n_taken: int,
) -> None:
    """Its shard is done by the coordinator."""
    by_helpers(n_taken)
    monkeypatch.setattr(worker_pool, "_CODE", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}")
    render_site(store, tmp_path / "site", jobs=2)
    assert tree(tmp_path / "site") == tree(rendered)


def test_a_helper_s_error_is_the_coordinator_s(
    store: Store, tmp_path: Path, by_helpers: Callable[[int], None]
) -> None:
    """A damaged artefact is told as one process alone tells it; what was done is known to the next run."""
    artefact_keys = [keys.factorization("mixed3b", n) for n in range(7)]
    (store.folder / artefact_keys[5]).write_bytes(b"spoilt")
    by_helpers(8)
    with pytest.raises(DamagedError, match=r"nmf/mixed3b/5.json is damaged"):
        render_site(store, tmp_path / "site", jobs=2)
    before = tree(tmp_path / "site")
    assert before
    store.put_record(artefact_keys[5], store.record(artefact_keys[4], Factorization))
    result = render_site(store, tmp_path / "site", jobs=1)
    assert result.n_unchanged > 0
    # A shard here is one picture or page; that which the helper was at when it was ended is done again.
    assert len(before.keys() & {path for path in result.written if path.startswith("images/")}) <= 1


def test_a_full_disk_is_a_site_error(store: Store, tmp_path: Path, by_helpers: Callable[[int], None]) -> None:
    """What the operating system refuses a helper is told in words."""
    site = tmp_path / "site"
    (site / "data/mixed3b_3.json").mkdir(parents=True)
    (site / status.NAME).write_text("{}")
    by_helpers(3)
    with pytest.raises(SiteError, match="cannot write the site"):
        render_site(store, site, jobs=2)


@pytest.mark.slow
def test_a_killed_render_leaves_nothing_behind(store: Store, rendered: Path, tmp_path: Path) -> None:
    """After kill -9 the helpers end too, the lock is free, and the next render ends with the same bytes."""
    code = """
import sys
from pathlib import Path
from atlas.site import render_site
from atlas.site.writing import batches, writing
from atlas.store import Store

batches.N_NEURONS = 1
original = writing.Writing.write_batch
def slow(self, renderer, shard):
    print("at work", flush=True)
    import time
    time.sleep(60)
writing.Writing.write_batch = slow
with Store.open(Path(sys.argv[1])) as store:
    render_site(store, Path(sys.argv[2]), jobs=3)
"""
    arguments = [sys.executable, "-c", code, str(store.folder), str(tmp_path / "site")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_for(lambda: len(list((tmp_path / "site").glob("*.html"))) > 2)
        os.kill(process.pid, signal.SIGKILL)
    render_site(store, tmp_path / "site", jobs=1)
    assert tree(tmp_path / "site") == tree(rendered)


def wait_for(done: Callable[[], bool]) -> None:
    """Wait until something is so, half a minute at most."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_small_sites_get_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers are started for as many pages as are worth it, on as many cores as there are."""
    monkeypatch.setattr(worker_pool, "n_cores", lambda: 4)
    assert [worker_pool.n_helpers(None, n) for n in (0, 50, 200, 400, 1000, 10_000)] == [0, 0, 1, 2, 3, 3]
    assert [worker_pool.n_helpers(jobs, 1000) for jobs in (1, 2, 9)] == [0, 1, 8]
