"""Workers of a Dask cluster: the same bytes as one process, whatever ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

import atlas.build.engine
from atlas.build.compute import compute
from atlas.build.engine import Shard, cluster, dask_worker, engine_of
from atlas.build.stages import featurevis
from atlas.core.config import EngineConfig
from atlas.core.errors import EngineError
from atlas.store import Store
from atlases import contents, toy_config
from clusters import LocalCluster, local_cluster
from featurevis_toy import network
from hazards import MARK, Fatal, Frozen, Full, Plain, pictures_lost_once

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the first worker that ends leaves behind."""
    return tmp_path_factory.mktemp("mark") / "mark"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, mark: Path) -> Iterator[LocalCluster]:
    """A cluster without workers."""
    with local_cluster(tmp_path_factory.mktemp("cluster"), 0, environment={MARK: str(mark)}) as cluster:
        yield cluster


@pytest.fixture
def three(started: LocalCluster) -> LocalCluster:
    """The cluster with three workers, each of which says that it has a lamp: as many again as tests ended."""
    started.workers = [worker for worker in started.workers if worker.poll() is None]
    while len(started.workers) < 3:
        started.add("--resources", "LAMP=1")
    with Client(scheduler_file=str(started.file)) as client:
        client.wait_for_workers(3, timeout=60)
    return started


@pytest.mark.slow
def test_the_same_bytes_with_a_worker_lost(
    toy_graph: Path,
    toy_store: Path,
    tmp_path: Path,
    three: LocalCluster,
    mark: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Three processes of a cluster, the first that draws killed amid it, make the store of one process."""
    monkeypatch.setattr(atlas.build.engine, "_PICTURES", 2)
    monkeypatch.setattr(featurevis, "draw_neurons", pictures_lost_once)
    folder = tmp_path / "store"
    with Store.open(folder, write=True) as store:
        compute(toy_config(toy_graph, folder, engine__scheduler_file=str(three.file)), store)
    assert contents(folder) == contents(toy_store)
    assert mark.exists()
    assert "made again" in caplog.text


def config(three: LocalCluster, **fields: object) -> EngineConfig:
    """Return the settings that lead to a cluster."""
    return EngineConfig(scheduler_file=str(three.file), patience=60.0, **fields)  # type: ignore[arg-type]


def _holds_a_network() -> bool:
    """Runs on a worker."""
    return dask_worker._context is not None


@pytest.mark.slow
def test_workers_forget_the_network_after_the_build(three: LocalCluster) -> None:
    """Its memory, a GPU's too, is free for the next build, while the workers stay."""
    shards = [Shard(f"no. {i}", (str(i),), lambda i=i: Plain(f"key{i}")) for i in range(3)]  # type: ignore[misc]
    with Client(scheduler_file=str(three.file)) as client:
        with engine_of(config(three), network()) as engine:
            assert len(list(engine.run(shards))) == 3
            assert any(client.run(_holds_a_network).values())
        until = time.monotonic() + 30
        while any(client.run(_holds_a_network).values()):
            assert time.monotonic() < until, "a worker still holds the network"
            time.sleep(0.1)


@pytest.mark.slow
def test_a_poisoned_shard_is_given_up(three: LocalCluster) -> None:
    """It ends two workers and no third; the last one, and one that comes late, make the rest."""
    three.add("--resources", "LAMP=1")
    shards = [Shard("poison", ("p",), Fatal)]
    shards += [Shard(f"no. {i}", (str(i),), lambda i=i: Plain(f"key{i}")) for i in range(6)]  # type: ignore[misc]
    with engine_of(config(three, resources={"LAMP": 1}), network()) as engine:
        assert len(list(engine.run(shards))) == 6
    assert [told.partition(" (")[0] for told in engine.given_up] == ["poison"]
    assert sum(worker.poll() is None for worker in three.workers) >= 1


@pytest.mark.slow
def test_a_worker_without_room_is_refused(three: LocalCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Its disk is full; others make its shard, and whatever else there is."""
    full = iter([Full()])
    shards = [Shard("a", ("a",), lambda: next(full, Plain("a")))]
    shards += [Shard(f"no. {i}", (str(i),), lambda i=i: Plain(f"key{i}")) for i in range(6)]  # type: ignore[misc]
    with engine_of(config(three), network()) as engine:
        assert [piece.failed for piece in engine.run(shards)] == [""] * 7
    assert "is not used: OSError(28" in caplog.text


@pytest.mark.slow
def test_a_worker_that_stands_still_holds_nothing_up(three: LocalCluster, tmp_path: Path) -> None:
    """Another makes its shard, the next stage goes on without it, and the build ends at once."""
    frozen = [Shard("a", ("a",), lambda: Frozen("a", tmp_path / "mark"))]
    shards = [Shard(f"no. {i}", (str(i),), lambda i=i: Plain(f"key{i}")) for i in range(9)]  # type: ignore[misc]
    with engine_of(config(three), network()) as engine:
        # Each has opened the network before one of them stands still.
        assert len(list(engine.run(shards))) == 9
        start = time.monotonic()
        try:
            assert len(list(engine.run(frozen + shards))) == 10
            assert len(list(engine.run(shards))) == 9
            engine.__exit__(None, None, None)
            assert time.monotonic() - start < 20
        finally:
            os.kill(int((tmp_path / "mark").read_text()), signal.SIGCONT)


@pytest.mark.slow
def test_what_a_cluster_lacks_is_told(three: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker with the resources; workers of other versions."""
    three.add("--resources", "LAMP=1")
    shards = [Shard("a", (), lambda: Plain("a"))]
    wanting = EngineConfig(scheduler_file=str(three.file), patience=0.5, resources={"GPU": 2})
    with engine_of(wanting, network()) as engine, pytest.raises(EngineError, match="the resources GPU 2"):
        list(engine.run(shards))
    monkeypatch.setattr(cluster, "versions", lambda: {"tensorflow": "0.1"})
    with (
        engine_of(config(three), network()) as engine,
        pytest.raises(EngineError, match=r"tensorflow 2.*, not 0\.1"),
    ):
        list(engine.run(shards))


class TestNoCluster:
    def test_dask_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command that installs it is told."""
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(EngineError, match=r"pip install 'circuit-atlas\[cluster\]'"):
            engine_of(EngineConfig(scheduler="tcp://127.0.0.1:9"), network())

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """Told at once."""
        with pytest.raises(EngineError, match="no scheduler file"):
            engine_of(EngineConfig(scheduler_file=str(tmp_path / "none.json")), network())

    @pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
    def test_nobody_who_answers(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Told with the address."""
        monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1.0)
        with pytest.raises(EngineError, match=f"no Dask scheduler answers at {address}"):
            engine_of(EngineConfig(scheduler=address), network())

    def test_a_file_that_tells_no_address(self, tmp_path: Path) -> None:
        """Told with its name."""
        (tmp_path / "file.json").write_text("{}")
        with pytest.raises(EngineError, match=r"no Dask scheduler answers at .*file\.json: found no address"):
            engine_of(EngineConfig(scheduler_file=str(tmp_path / "file.json")), network())

    def test_the_process_ends_at_once(self) -> None:
        """A client that could not connect does not keep the process waiting, and says nothing at its end."""
        code = """
from atlas.build.engine.cluster import _client
from atlas.core.errors import EngineError
try:
    _client("nonsense", "")
except EngineError as error:
    print(error)
    kept = error
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, cwd=ROOT, check=True
        )
        assert (done.stdout.startswith("no Dask scheduler answers at nonsense"), done.stderr) == (True, "")
