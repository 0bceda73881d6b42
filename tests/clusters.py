"""A Dask cluster on this machine: a scheduler and workers that can be ended, started as the docs tell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LOOPBACK = ["--host", "127.0.0.1", "--no-dashboard"]


class LocalCluster:
    """A scheduler, told by its file, and worker processes of one thread each."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start the scheduler; `folder` takes its file and what workers leave."""
        self.folder, self.file = folder, folder / "scheduler.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._environment = dict(environment or {})
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._dask(
            "scheduler", *_LOOPBACK, "--port", "0", "--scheduler-file", str(self.file)
        )
        until = time.monotonic() + 60
        while not self.file.exists():
            assert self.scheduler.poll() is None, "the scheduler ended"
            assert time.monotonic() < until, "no scheduler within a minute"
            time.sleep(0.05)

    def add(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a worker."""
        own = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--local-directory", str(self.folder)]
        file = ["--scheduler-file", str(self.file)]
        self.workers.append(self._dask("worker", *_LOOPBACK, *file, *own, *options, environment=environment))

    def kill(self, number: int) -> None:
        """End a worker as a crash would."""
        worker = self.workers.pop(number)
        worker.kill()
        worker.wait()

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _dask(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        environment = {**os.environ, "PYTHONPATH": paths, **self._environment, **(environment or {})}
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log, env=environment
            )


@contextmanager
def local_cluster(
    folder: Path,
    n_workers: int,
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalCluster]:
    """Return a cluster as a context manager that ends all of its processes."""
    cluster = LocalCluster(folder, environment)
    try:
        for _ in range(n_workers):
            cluster.add(*options)
        yield cluster
    finally:
        cluster.close()
