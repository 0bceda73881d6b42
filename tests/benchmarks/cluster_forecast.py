"""What a shard costs a Dask cluster besides the work in it, and from that what more workers would take."""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from distributed import Client, get_task_stream

from atlas.build.engine import Shard, engine_of
from atlas.core.config import EngineConfig
from atlas.store import Store
from clusters import LocalCluster
from featurevis_toy import network
from hazards import Weighty

# A shard of feature visualizations: 16 pictures of 8 kB.
N_SHARDS, N_PICTURES, PICTURE_BYTES = 200, 16, 8_000
# GoogLeNet's graph.
MODEL_BYTES = 28_000_000


@dataclass(frozen=True, slots=True)
class DaskTask:
    """A task that a worker carried out."""

    worker: str
    start: float
    stop: float
    n_bytes: int
    is_order: bool


def client_of(cluster: LocalCluster) -> Any:
    """Return a client of the cluster, a context manager."""
    return Client(scheduler_file=str(cluster.file), set_as_default=False)  # type: ignore[no-untyped-call]


def until_there(cluster: LocalCluster, n: int) -> None:
    """Wait until the cluster has so many workers."""
    with client_of(cluster) as client:
        client.wait_for_workers(n, timeout=120)


@contextmanager
def watched(cluster: LocalCluster) -> Iterator[list[DaskTask]]:
    """Yield a list that holds the tasks carried out meanwhile, once the context is left."""
    tasks: list[DaskTask] = []
    with client_of(cluster) as client:
        with get_task_stream(client=client, plot=False) as stream:
            yield tasks
        for row in stream.data:
            tasks += [
                DaskTask(
                    row["worker"], span["start"], span["stop"], row["nbytes"], "carried_out" in row["key"]
                )
                for span in row["startstops"]
                if span["action"] == "compute"
            ]


def of_tasks(tasks: Sequence[DaskTask], n_workers: int) -> dict[str, float]:
    """Return the figures of a build's tasks: of its shards, and of the first task, which opens the model."""
    orders = [task for task in tasks if task.is_order]
    by_worker: dict[str, list[DaskTask]] = defaultdict(list)
    for task in orders:
        by_worker[task.worker].append(task)
    gaps = []
    for line in by_worker.values():
        line.sort(key=lambda task: task.start)
        gaps += [after.start - before.stop for before, after in itertools.pairwise(line)]
    busy = sum(task.stop - task.start for task in orders)
    span = max(task.stop for task in orders) - min(task.start for task in orders)
    figures = {
        "shards": len(orders),
        "shard_seconds": busy / len(orders),
        "busy_seconds": busy,
        "span_seconds": span,
        "busy_share": busy / span / n_workers,
        "gap_median": median(gaps),
        "gap_90": sorted(gaps)[len(gaps) * 9 // 10],
        "answer_bytes": mean(task.n_bytes for task in orders),
        "opening_seconds": mean(task.stop - task.start for task in tasks if not task.is_order),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def dispatch(cluster: LocalCluster, folder: Path) -> dict[str, float]:
    """Return what shards without work cost: seconds, and the processor's of coordinator and scheduler.

    Their pieces are as large as pictures, and stored. `transfer` is the seconds of a model to one worker.
    """
    with client_of(cluster) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        start = time.monotonic()
        for worker in workers:
            client.scatter(os.urandom(MODEL_BYTES), workers=[worker], hash=False)
        transfer = (time.monotonic() - start) / len(workers)
    shards = [
        Shard(f"no. {i}", ("a",), partial(Weighty, f"key{i}", N_PICTURES, PICTURE_BYTES))
        for i in range(N_SHARDS + len(workers))
    ]
    config = EngineConfig(scheduler_file=str(cluster.file), patience=60.0)
    with engine_of(config, network()) as engine, Store.open(folder, write=True) as store:
        # The first ones wait until the network is open.
        list(engine.run(shards[N_SHARDS:]))
        start, own, other = time.monotonic(), time.process_time(), scheduler_cpu(cluster)
        for piece in engine.run(shards[:N_SHARDS]):
            store.put(f"featurevis/{piece.key}.jpg", piece.data, inputs={"a": "b"}, meta=piece.meta)
        figures = {
            "seconds": (time.monotonic() - start) / N_SHARDS,
            "coordinator_cpu": (time.process_time() - own) / N_SHARDS,
            "scheduler_cpu": (scheduler_cpu(cluster) - other) / N_SHARDS,
            "transfer": transfer,
        }
    return {name: round(value, 5) for name, value in figures.items()}


def scheduler_cpu(cluster: LocalCluster) -> float:
    """Return the processor's seconds that the scheduler has taken."""
    fields = Path(f"/proc/{cluster.scheduler.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forecast(
    tasks: Sequence[DaskTask], n_workers: int, *, own: float, costs: dict[str, float]
) -> dict[str, float]:
    """Return the seconds and the efficiency of a build on workers that nobody else needs.

    The longest shards come last, the worst case. Workers get the model one after the other, and each shard
    takes the coordinator's time for itself. `own` is the seconds that the coordinator works alone.
    """
    orders = sorted(task.stop - task.start for task in tasks if task.is_order)
    opening = mean(task.stop - task.start for task in tasks if not task.is_order)
    serial = max(costs["coordinator_cpu"], costs["scheduler_cpu"])
    free = [(i + 1) * costs["transfer"] + opening for i in range(n_workers)]
    last, coordinator = 0.0, 0.0
    for seconds in orders:
        coordinator = max(coordinator, free[0]) + serial
        last = max(last, coordinator + seconds)
        heapq.heapreplace(free, coordinator + seconds)
    return {
        "workers": n_workers,
        "shards": len(orders),
        "seconds": round(own + last, 1),
        "of_shards": round(last, 1),
        "efficiency_of_shards": round(sum(orders) / (n_workers * last), 3),
        "serial_seconds": round(serial * len(orders), 1),
    }
