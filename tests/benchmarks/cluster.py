"""Builds an atlas in one process, on two local workers, and on a Dask cluster whose workers are killed.

The cluster has three worker processes on this machine; every so many seconds one of them, at random, is
killed with SIGKILL and another is started. Prints one JSON line; exits with 1 when a site differs from that
of one process, or nobody was killed.

    python tests/benchmarks/cluster.py --kill-every 10 --seed 0 -- --preset draft
    python tests/benchmarks/cluster.py --only workers -- --preset draft
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from clusters import LocalCluster, local_cluster
from trees import tree


def build(folder: Path, arguments: Sequence[str]) -> float:
    """Build into a folder; return the seconds, or end with what the build said."""
    folder.mkdir()
    command = [sys.executable, str(ROOT / "build.py"), "build", *arguments]
    command += ["--store", str(folder / "store"), "--site", str(folder / "site")]
    start = time.monotonic()
    with (folder / "log.txt").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=log).returncode
    if code:
        raise SystemExit((folder / "log.txt").read_text())
    return time.monotonic() - start


def drawing_seconds(folder: Path) -> float:
    """Return how long a build drew feature visualizations, from its log."""
    lines = (folder / "log.txt").read_text().splitlines()
    last = [line for line in lines if line.startswith("feature visualization: ") and " in " in line][-1]
    return float(last.split(" in ")[1].split()[0])


class Killer(threading.Thread):
    """Kills a worker every `seconds` and starts another, until it is told to stop."""

    def __init__(self, cluster: LocalCluster, seconds: float, seed: int) -> None:
        """Choose by `seed`."""
        super().__init__(daemon=True)
        self._cluster, self._seconds, self._random = cluster, seconds, random.Random(seed)
        self.stop = threading.Event()
        self.n_killed = 0

    def run(self) -> None:
        """Kill."""
        while not self.stop.wait(self._seconds):
            self._cluster.kill(self._random.randrange(len(self._cluster.workers)))
            self._cluster.add()
            self.n_killed += 1


def measure(root: Path, arguments: Sequence[str], *, every: float, seed: int, only: str) -> dict[str, object]:
    """Return the figures."""
    figures: dict[str, object] = {"arguments": list(arguments)}
    figures["one_process_seconds"] = round(build(root / "one", arguments), 1)
    figures["one_process_drawing_seconds"] = drawing_seconds(root / "one")
    expected = tree(root / "one" / "site")
    figures["files"] = len(expected)
    if only != "cluster":
        figures["two_workers_seconds"] = round(build(root / "two", [*arguments, "--workers", "2"]), 1)
        figures["two_workers_drawing_seconds"] = drawing_seconds(root / "two")
        figures["two_workers_identical"] = tree(root / "two" / "site") == expected
    if only != "workers":
        threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
        with local_cluster(root / "dask", 3, environment=threads) as cluster:
            killer = Killer(cluster, every, seed)
            killer.start()
            place = ["--scheduler-file", str(cluster.file)]
            figures["cluster_seconds"] = round(build(root / "three", [*arguments, *place]), 1)
            killer.stop.set()
            killer.join()
        figures["workers_killed"] = killer.n_killed
        figures["shards_lost"] = (root / "three" / "log.txt").read_text().count("lost its worker")
        figures["cluster_identical"] = tree(root / "three" / "site") == expected
    return figures


def main() -> None:
    """Read the arguments, measure, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kill-every", type=float, default=10, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of which worker is killed")
    parser.add_argument("--only", choices=["workers", "cluster"], default="", help="leave the other out")
    parser.add_argument("options", nargs="*", help="options of `build`, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            Path(folder), given.options, every=given.kill_every, seed=given.seed, only=given.only
        )
    print(json.dumps(figures))
    same = all(value for name, value in figures.items() if name.endswith("identical"))
    sys.exit(0 if same and figures.get("workers_killed", 1) else 1)


if __name__ == "__main__":
    main()
