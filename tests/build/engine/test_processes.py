"""Workers on this machine: the same bytes as one process, whatever ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import atlas.build.engine
from atlas.build.compute import compute
from atlas.build.engine import Shard
from atlas.build.engine import processes as module
from atlas.build.engine.coordination import Coordinator
from atlas.build.engine.processes import Processes
from atlas.build.engine.serialized_network import serialized
from atlas.build.stages import featurevis
from atlas.core.errors import EngineError, LayerError
from atlas.store import Store, keys
from atlases import contents, toy_config
from featurevis_toy import network
from hazards import MARK, Fatal, FatalOnce, Faulty, Plain, pictures_lost_once, poisoned_pictures

ROOT = Path(__file__).parents[3]
DRAWN = {
    "directions__positions": "all",
    "directions__factors": "all",
    "featurevis__variants": ["neuron", "channel-negative"],
}


def built(graph: Path, folder: Path, **flags: object) -> dict[str, Any]:
    """Compute the toy network's atlas with all kinds of drawings; return the store's contents."""
    with Store.open(folder, write=True) as store:
        compute(toy_config(graph, folder, **{**DRAWN, **flags}), store)
    return contents(folder)


@pytest.fixture(scope="module")
def alone(toy_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process makes."""
    return built(toy_graph, tmp_path_factory.mktemp("alone") / "store")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of two pictures: a layer is several."""
    monkeypatch.setattr(atlas.build.engine, "_PICTURES", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_the_same_bytes_with_a_worker_lost(
    toy_graph: Path,
    tmp_path: Path,
    alone: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two processes make what one does: factors, neurons, positions; the first that draws is killed."""
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    monkeypatch.setattr(featurevis, "draw_neurons", pictures_lost_once)
    found = built(toy_graph, tmp_path / "store", engine__workers=2)
    assert found == alone
    assert len([key for key in found if key.startswith("featurevis/")]) == 18
    assert "lost its worker (it was ended by SIGKILL); made again" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_a_poisoned_shard_costs_its_pictures(
    toy_graph: Path, tmp_path: Path, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures are kept as failed, all else is made, and one process that retries makes the rest."""
    monkeypatch.setattr(featurevis, "draw_neurons", poisoned_pictures)
    drawn = DRAWN | {"featurevis__variants": ["neuron"]}
    config = toy_config(toy_graph, tmp_path / "store", engine__workers=2, **drawn)
    with Store.open(config.store_path, write=True) as store:
        made = compute(config, store)
    assert {(artefact.key, why) for artefact, why in made.failed} == {
        (
            keys.featurevis("neuron", "second", index),
            "it ended every worker that tried (it was ended by SIGKILL)",
        )
        for index in (2, 3)
    }
    monkeypatch.undo()
    config = toy_config(toy_graph, tmp_path / "store", **drawn)
    with Store.open(config.store_path, write=True) as store:
        store.retry_failed = True
        compute(config, store)
    of_variant = {key: value for key, value in alone.items() if "channel-negative" not in key}
    found = contents(tmp_path / "store")
    assert {key: found[key] for key in of_variant if key != keys.ATLAS} == {
        key: value for key, value in of_variant.items() if key != keys.ATLAS
    }


def coordinator(n: int) -> Coordinator:
    """Return an engine of local processes."""
    return Coordinator(Processes(serialized(network()), n), shard_size=16)


@pytest.mark.slow
def test_workers_are_replaced_and_errors_come_back(tmp_path: Path) -> None:
    """One worker, ended once by a shard and twice by another, makes the rest; errors are raised here."""
    with coordinator(1) as engine:
        orders = [FatalOnce("once", tmp_path / "mark"), Fatal(), Plain("a"), Plain("b")]
        shards = [Shard(f"no. {i}", (str(i),), lambda i=i: orders[i]) for i in range(4)]  # type: ignore[misc]
        assert {piece.key for piece in engine.run(shards)} == {"once", "a", "b"}
        assert engine.given_up == ["no. 1 (it was ended by SIGKILL)"]
        with pytest.raises(LayerError, match="that it is odd"):
            list(engine.run([Shard("odd", (), lambda: Faulty(True))]))


def test_workers_that_cannot_start_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of being started for ever."""
    monkeypatch.setattr(module, "_CODE", "raise SystemExit(3)")
    with (
        coordinator(2) as engine,
        pytest.raises(EngineError, match="cannot start: found it ended with exit code 3"),
    ):
        list(engine.run([Shard("a", (), lambda: Plain("a"))]))


def alive(pid: int) -> bool:
    """Return whether a process runs, and is not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_workers_end_with_the_coordinator(tmp_path: Path, how: signal.Signals) -> None:
    """After kill -9 and after Ctrl-C, though they are in the midst of a long order."""
    code = """
import sys
from pathlib import Path
from typing import Any
from atlas.build.engine import Shard
from atlas.build.engine.coordination import Coordinator
from atlas.build.engine.serialized_network import serialized
from atlas.build.engine.processes import Processes
from featurevis_toy import network
from hazards import Slow
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
with Coordinator(Processes(serialized(network()), 2), shard_size=16) as engine:
    list(engine.run([Shard(str(i), (str(i),), lambda: Slow(Path(sys.argv[1]))) for i in range(2)]))
"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.1)
        workers = [int(file.name) for file in tmp_path.iterdir()]
        assert all(alive(pid) for pid in workers)
        process.send_signal(how)
        process.wait(30)
        until = time.monotonic() + 10
        while any(alive(pid) for pid in workers):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
