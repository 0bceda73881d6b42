"""What a shard costs a Dask cluster besides the work in it, and from that what more workers would take."""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from distributed import Client, get_task_stream

from atlas.build.engine import Shard, engine_of
from atlas.build.engine.shard import Group
from atlas.build.engine.shard_queue import ShardQueue
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
    title: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.stop - self.start

    @property
    def layer(self) -> str:
        """What its shard belongs to: "neuron pictures of mixed3b"."""
        return self.title.partition(":")[0]


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
                    row["worker"],
                    span["start"],
                    span["stop"],
                    row["nbytes"],
                    row["key"].rpartition(" no. ")[0],
                )
                for span in row["startstops"]
                if span["action"] == "compute"
            ]


def of_shards(tasks: Sequence[DaskTask]) -> list[DaskTask]:
    """Return the tasks that are shards, in the order in which they began."""
    return sorted((task for task in tasks if task.title != "model"), key=lambda task: task.start)


def of_tasks(tasks: Sequence[DaskTask], n_workers: int) -> dict[str, float]:
    """Return the figures of a build's shards; the span is of the feature visualizations alone."""
    shards = of_shards(tasks)
    by_worker: dict[str, list[DaskTask]] = defaultdict(list)
    for task in shards:
        by_worker[task.worker].append(task)
    gaps = sorted(
        after.start - before.stop for line in by_worker.values() for before, after in itertools.pairwise(line)
    )
    pictures = [task for task in shards if "pictures" in task.title]
    span = max(task.stop for task in pictures) - min(task.start for task in pictures)
    figures = {
        "shards": len(shards),
        "busy_seconds": sum(task.seconds for task in shards),
        "drawing_shards": len(pictures),
        "drawing_busy_seconds": sum(task.seconds for task in pictures),
        "drawing_span_seconds": span,
        "drawing_busy_share": sum(task.seconds for task in pictures) / span / n_workers,
        "gap_median": median(gaps),
        "gap_90": gaps[len(gaps) * 9 // 10],
        "answer_bytes": mean(task.n_bytes for task in pictures),
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


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What the shards of a layer cost: seconds to build graphs, once a worker, and to draw each."""

    build: float
    draw: float
    n_shards: int


def layer_costs(tasks: Sequence[DaskTask]) -> dict[str, LayerCost]:
    """Return the costs of each layer's feature visualizations from what some workers took."""
    firsts: dict[tuple[str, str], float] = {}
    later: dict[str, list[float]] = defaultdict(list)
    for task in of_shards(tasks):
        if (
            "pictures" in task.title
            and firsts.setdefault((task.layer, task.worker), task.seconds) != task.seconds
        ):
            later[task.layer].append(task.seconds)
    costs = {}
    for layer in dict.fromkeys(layer for layer, _ in firsts):
        own = [seconds for (name, _), seconds in firsts.items() if name == layer]
        # Where each worker drew one shard of a layer, all of its time is taken for drawing.
        draw = mean(later[layer] or own)
        costs[layer] = LayerCost(max(mean(own) - draw, 0.0), draw, len(own) + len(later[layer]))
    return costs


def _unmade(layer: str) -> Shard:
    """Return a shard of a layer that nobody makes."""
    return Shard(layer, (layer,), lambda: Weighty(layer, 0, 0))


def forecast(
    costs: Mapping[str, LayerCost], n_workers: int, times: int, overheads: Mapping[str, float]
) -> dict[str, float]:
    """Return what feature visualization takes on workers with a core each, for `times` as many shards.

    A simulation with the real queue: workers get the model one after the other and build a layer's graphs
    when they come to it; the busier of coordinator and scheduler serves one shard at a time.
    """
    now = coordinator = last = 0.0
    everything = [_unmade(name) for name, cost in costs.items() for _ in range(cost.n_shards * times)]
    queue = ShardQueue(everything, clock=lambda: now)
    serial = max(overheads["coordinator_cpu"], overheads["scheduler_cpu"])
    groups: dict[int, Group] = dict.fromkeys(range(n_workers), ())
    events: list[tuple[float, int, Shard | None]]
    events = [((i + 1) * overheads["transfer"], i, None) for i in range(n_workers)]
    useful = sum(cost.draw * cost.n_shards * times for cost in costs.values())
    while queue.n_unfinished:
        now, worker, done = heapq.heappop(events)
        if done is not None and queue.done(done):
            last = now
        shard = queue.next(groups[worker])
        if shard is None:
            heapq.heappush(events, (now + 1.0, worker, None))
            continue
        coordinator = max(coordinator, now) + serial
        cost = costs[shard.group[0]]
        seconds = cost.draw + (cost.build if groups[worker] != shard.group else 0.0)
        groups[worker] = shard.group
        heapq.heappush(events, (coordinator + seconds, worker, shard))
    return {
        "workers": n_workers,
        "shards": len(everything),
        "seconds": round(last, 1),
        "efficiency": round(useful / n_workers / last, 3),
        "serial_seconds": round(serial * len(everything), 2),
        "last_model_after": round(n_workers * overheads["transfer"], 1),
    }
