"""Builds an atlas in one process and on Dask clusters, one calm, one in trouble: the same bytes?

The calm cluster has two worker processes of one thread, as many as one process has sessions on two cores:
`efficiency` is the seconds of the one process over those of the cluster. From the times of its tasks come the
busy seconds, the gap between two shards of a worker, the size of an answer, and what other numbers of workers
would take (`cluster_forecast.py`). The other cluster has four: one is killed once and not replaced (with
--kill-every 10 one at random every 10 s, and another is started), one stands still nine tenths of the time
(SIGSTOP and SIGCONT), one has its folders on a tmpfs that is full, mounted by root, and is told to move what
it holds to that disk.

    python tests/benchmarks/cluster.py -- --preset draft
    python tests/benchmarks/cluster.py --parts local,hazards --kill-every 10 --seed 0 -- --preset draft

Prints one JSON line; exits with 1 when a site differs from that of one process, or nobody was killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(1, str(ROOT / "tests"))

from benchmarks.cluster_forecast import dispatch, forecast, layer_costs, of_tasks, until_there, watched

from clusters import LocalCluster, local_cluster
from trees import tree

PARTS = ("local", "calm", "hazards")
# Numbers of workers to foresee, for as many neurons and for so many times as many.
WORKERS, TIMES = (2, 16, 64), 8
# TensorFlow is there before the first order.
PRELOAD = ["--preload", "atlas.build.engine.dask_worker"]
# One thread each, else every worker would start as many as there are cores.
THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
# A worker that moves everything to its disk at once, and goes on where that fails.
SPILLING = {
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "0.001",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "0.001",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
}
# Seconds that the slow worker works, and then stands still.
WORKS, STANDS = 0.1, 0.9


def build(folder: Path, arguments: Sequence[str]) -> dict[str, float]:
    """Build into a folder; return seconds, of it those of handed-out stages, and the processor's.

    Ends with what the build said where it failed.
    """
    folder.mkdir()
    command = [sys.executable, str(ROOT / "build.py"), "--verbose", "build", *arguments]
    command += ["--store", str(folder / "store"), "--site", str(folder / "site")]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with (folder / "log.txt").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=log).returncode
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        raise SystemExit((folder / "log.txt").read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shared = [stage_seconds(folder, f"{stage}: ") for stage in ("factors", "feature visualization")]
    shared += [stage_seconds(folder, f"{stage}: ") for stage in ("positions", "factor pictures")]
    drawing = shared[1]
    figures = {"seconds": seconds, "drawing": drawing, "shared": sum(shared), "cpu": cpu}
    return {name: round(value, 1) for name, value in figures.items()}


def stage_seconds(folder: Path, stage: str) -> float:
    """Return how long a build was at a stage, from its log; 0 where it had nothing to do there."""
    lines = (folder / "log.txt").read_text().splitlines()
    last = [line for line in lines if line.startswith(stage) and " in " in line][-1:]
    return float(last[0].split(" in ")[1].split()[0]) if last else 0.0


class Killer(threading.Thread):
    """Kills the first worker once; or one at random every `every` seconds, and starts another."""

    def __init__(self, cluster: LocalCluster, log: Path, *, after: float, every: float, seed: int) -> None:
        """The one is killed `after` seconds of drawing, which the log tells; choose by `seed`."""
        super().__init__(daemon=True)
        self._cluster, self._log, self._after, self._every = cluster, log, after, every
        self._random = random.Random(seed)
        self.stop = threading.Event()
        self.n_killed = 0

    def run(self) -> None:
        """Kill."""
        while not self._every and not self.stop.wait(0.5):
            if self._log.exists() and "feature visualization: " in self._log.read_text():
                break
        while not self.stop.wait(self._every or self._after):
            self._cluster.kill(self._random.randrange(len(self._cluster.workers)) if self._every else 0)
            self.n_killed += 1
            if not self._every:
                return
            self._cluster.add()


class Brake(threading.Thread):
    """Lets a process work a tenth of the time, until it is told to stop or the process is gone."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Do nothing yet."""
        super().__init__(daemon=True)
        self._process = process
        self.stop = threading.Event()

    def run(self) -> None:
        """Stop and continue it in turns; `send_signal` reaches no process that has ended."""
        while not self.stop.wait(WORKS):
            self._process.send_signal(signal.SIGSTOP)
            self.stop.wait(STANDS)
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """Yield a folder on a disk of 4 MiB; fill the disk by calling `fill` once its user has started."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Fill a disk to its last page."""
    with (disk / "filled").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def calm(root: Path, arguments: Sequence[str], one: Mapping[str, float]) -> dict[str, object]:
    """Build on two workers that nothing happens to; return the figures of their tasks."""
    with local_cluster(root / "calm_cluster", 2, options=PRELOAD, environment=THREADS) as cluster:
        until_there(cluster, 2)
        with watched(cluster) as tasks:
            built = build(root / "calm", [*arguments, "--scheduler-file", str(cluster.file)])
        costs = dispatch(cluster, root / "dispatch")
    layers = layer_costs(tasks)
    return {
        "calm": built,
        "efficiency": round(one["seconds"] / built["seconds"], 3),
        "drawing_efficiency": round(one["drawing"] / built["drawing"], 3),
        "tasks": of_tasks(tasks, 2),
        "dispatch": costs,
        "layers": {name: dataclasses.asdict(cost) for name, cost in layers.items()},
        "forecast": [forecast(layers, n, times, costs) for times in (1, TIMES) for n in WORKERS],
    }


def hazards(
    root: Path, arguments: Sequence[str], *, after: float, every: float, seed: int
) -> dict[str, object]:
    """Build on four workers of which one dies, one is slow, and one has a full disk."""
    with ExitStack() as stack:
        disk = stack.enter_context(full_disk(root / "disk"))
        cluster = stack.enter_context(
            local_cluster(root / "hazards_cluster", 3, options=PRELOAD, environment=THREADS)
        )
        own = ["--local-directory", str(disk), "--memory-limit", "8GiB", "--name", "full", *PRELOAD]
        cluster.add(*own, environment={"TMPDIR": str(disk), **SPILLING})
        until_there(cluster, 4)
        fill(disk)
        killer = Killer(cluster, root / "hazards/log.txt", after=after, every=every, seed=seed)
        brake = Brake(cluster.workers[1])
        for thread in (killer, brake):
            thread.start()
            stack.callback(thread.stop.set)
        with watched(cluster) as tasks:
            built = build(root / "hazards", [*arguments, "--scheduler-file", str(cluster.file)])
    log = (root / "hazards" / "log.txt").read_text()
    return {
        "hazards": built,
        "workers_killed": killer.n_killed,
        "shards_lost": log.count("lost its worker"),
        "shards_dealt_twice": log.count("is late"),
        "refused_by_the_full_disk": (root / "hazards_cluster/log.txt")
        .read_text()
        .count("Spill to disk failed"),
        "hazards_tasks": of_tasks(tasks, 4),
    }


def measure(root: Path, arguments: Sequence[str], given: argparse.Namespace) -> dict[str, object]:
    """Return the figures."""
    one = build(root / "one", arguments)
    expected = tree(root / "one" / "site")
    figures: dict[str, object] = {"arguments": list(arguments), "one_process": one, "files": len(expected)}
    parts = given.parts.split(",")
    if "local" in parts:
        figures["local"] = build(root / "local", [*arguments, "--workers", "2"])
    if "calm" in parts:
        figures |= calm(root, arguments, one)
    if "hazards" in parts:
        figures |= hazards(root, arguments, after=given.kill_after, every=given.kill_every, seed=given.seed)
    return figures | {f"{part}_identical": tree(root / part / "site") == expected for part in parts}


def main() -> None:
    """Read the arguments, measure, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}; default: all")
    parser.add_argument("--kill-after", type=float, default=10, help="seconds of drawing until it is killed")
    parser.add_argument("--kill-every", type=float, default=0, help="seconds between two kills instead")
    parser.add_argument("--seed", type=int, default=0, help="seed of which worker is killed")
    parser.add_argument("options", nargs="*", help="options of `build`, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.options, given)
    print(json.dumps(figures))
    same = all(value for name, value in figures.items() if name.endswith("identical"))
    sys.exit(0 if same and figures.get("workers_killed", 1) else 1)


if __name__ == "__main__":
    main()
