"""The workers of an existing Dask cluster: each is sent the network, then one order at a time.

An order is sent to one named worker, so that the order which a lost worker was carrying out is known. Dask
itself would count the loss against every task that the worker held, and try each of them four times.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import pickle
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from atlas.build.engine import dask_worker
from atlas.build.engine.coordination import Event, Gone, Ready, Replied
from atlas.build.engine.serialized_network import SerializedNetwork, versions
from atlas.core.errors import EngineError

# Seconds between two looks at the list of workers.
LOOK_SECONDS = 1.0
# A scheduler usually answers at once; on a busy or distant machine it may take this long.
_CONNECT_SECONDS = 30.0
# A shard's pictures are some hundred kilobytes; a worker that has not sent them after this time is lost.
_GATHER_SECONDS = 60.0
# Transfers at a time, of the network to workers and of answers back. A worker that stands still holds up one.
_TRANSFERS = 8
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seat:
    """One process of a Dask worker that this build uses."""

    name: str
    """The address with a number, never used twice."""
    address: str
    """Dask's address of the worker."""
    network: Any = None
    """Dask's future of the network in the worker's memory, None until it is there."""
    future: Any = None
    """Dask's future of the task that was submitted last, None before the first."""
    is_ready: bool = False
    """Whether the worker has the network open and the right versions."""


class Cluster:
    """The workers of a Dask cluster that have certain resources; they may join and leave at any time."""

    def __init__(
        self,
        network: SerializedNetwork,
        *,
        scheduler: str = "",
        scheduler_file: str = "",
        resources: Mapping[str, float],
        patience: float,
    ) -> None:
        """Join the cluster; raises EngineError. `patience` is how many seconds to wait without any worker."""
        self._network, self._resources, self._patience = network, dict(resources), patience
        self._client = _client(scheduler, scheduler_file)
        self._where = scheduler or scheduler_file
        self._seats: dict[str, _Seat] = {}
        self._refused: dict[str, str] = {}
        self._answers: SimpleQueue[tuple[_Seat, bytes | Exception]] = SimpleQueue()
        self._transfers = ThreadPoolExecutor(_TRANSFERS)
        self._events: deque[Event] = deque()
        self._numbers = itertools.count(1)
        self._was_welcoming = False
        self._looked = self._alone_since = time.monotonic()

    def begin(self, n_shards: int) -> None:
        """Send the network to the workers that the cluster has."""
        self._alone_since = time.monotonic()
        self._look()

    def event(self) -> Event | None:
        """Return the next event, None where there is none within LOOK_SECONDS."""
        if not self._events:
            with contextlib.suppress(Empty):
                self._take(*self._answers.get(timeout=LOOK_SECONDS))
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look()
        return self._events.popleft() if self._events else None

    def give(self, worker: str, order: object, title: str) -> None:
        """Send an order to a worker, by its name; Dask's dashboard shows the title."""
        if seat := self._seat(worker):
            self._ask(seat, title, dask_worker.carried_out, pickle.dumps(order))

    def refuse(self, worker: str, error: Exception) -> None:
        """Give a worker no more orders: its disk or its memory is full, others' may not be."""
        if seat := self._seat(worker):
            self._refuse(seat, repr(error))

    def close(self) -> None:
        """Have the workers forget the network, then disconnect; the cluster stays as it was."""
        from distributed import fire_and_forget

        try:
            for seat in self._seats.values():
                # Also where the network is being opened still: orders are carried out one after another.
                if seat.future is not None:
                    # Nobody waits for it: a worker that stands still would never answer.
                    end = self._submit(seat, "end", dask_worker.left, self._network.sha256)
                    fire_and_forget(end)  # type: ignore[no-untyped-call]
        except Exception as error:  # the cluster may be gone, which does no harm now
            _log.info("the cluster's workers could not be told that the build is over: %r", error)
        self._client.close(timeout=5)
        self._transfers.shutdown(wait=False, cancel_futures=True)

    def _seat(self, worker: str) -> _Seat | None:
        """Return the seat of a worker, None where the worker is lost: then a Gone waits among the events."""
        return next((seat for seat in self._seats.values() if seat.name == worker), None)

    def _look(self) -> None:
        """Compare the cluster's workers with the seats: drop those that left, greet new ones."""
        self._looked = time.monotonic()
        workers = self._there()
        for address in self._seats.keys() - workers.keys():
            self._lose(self._seats[address], "it left the cluster")
        self._refused = {address: why for address, why in self._refused.items() if address in workers}
        suitable = [address for address, facts in workers.items() if self._has_resources(facts)]
        for address in suitable:
            if address not in self._seats and address not in self._refused:
                self._greet(address)
        if self._seats or self._events:
            self._alone_since = time.monotonic()
        elif (
            self._refused and not self._was_welcoming
        ) or time.monotonic() - self._alone_since > self._patience:
            raise self._no_worker(len(workers))

    def _there(self) -> dict[str, Any]:
        """Return the scheduler's facts about its workers, by address; raises EngineError."""
        reason: object = "a closed connection"
        try:
            info: dict[str, Any] = self._client.scheduler_info(n_workers=-1)
        except (OSError, TimeoutError, ValueError) as error:
            info, reason = {}, error
        # A client that could not reconnect returns no list of workers, not even an empty one.
        if "workers" not in info:
            raise EngineError(
                f"the Dask scheduler {self._where} no longer answers",
                found=reason,
                remedy="what is done is kept, the same command goes on from there",
            )
        workers: dict[str, Any] = info["workers"]
        return workers

    def _has_resources(self, facts: Mapping[str, Any]) -> bool:
        resources = facts.get("resources", {})
        return all(resources.get(name, 0) >= amount for name, amount in self._resources.items())

    def _greet(self, address: str) -> None:
        """Have the network sent to a worker and opened there."""
        self._seats[address] = seat = _Seat(f"{address} no. {next(self._numbers)}", address)
        self._transfers.submit(self._send_network, seat)

    def _send_network(self, seat: _Seat) -> None:
        """Send the network to a worker, and have it opened there; runs on a thread of its own."""
        try:
            # With hash=False the data belong to this worker alone, and are dropped when it ends.
            seat.network = self._client.scatter(self._network.data, workers=[seat.address], hash=False)
            self._ask(seat, "model", dask_worker.greeted)
        except Exception as error:  # Dask raises many kinds of errors where a worker leaves meanwhile
            self._answers.put((seat, error))

    def _ask(self, seat: _Seat, title: str, task: Any, *arguments: bytes) -> None:
        """Submit a task whose answer becomes an event."""
        seat.future = self._submit(seat, title, task, seat.network, self._network.sha256, *arguments)
        seat.future.add_done_callback(functools.partial(self._fetch, seat))

    def _submit(self, seat: _Seat, title: str, task: Any, *arguments: Any) -> Any:
        return self._client.submit(
            task,
            *arguments,
            workers=[seat.address],
            resources=self._resources or None,
            # No key may come twice, and a shard may.
            key=f"{title} no. {next(self._numbers)} of {self._client.id}",
        )

    def _fetch(self, seat: _Seat, future: Any) -> None:
        """Have a task's answer fetched; Dask calls this on a thread that all tasks share."""
        with contextlib.suppress(RuntimeError):  # the build is over
            self._transfers.submit(_fetched, self._answers, seat, future)

    def _take(self, seat: _Seat, answer: bytes | Exception) -> None:
        """Turn the answer to a task into an event; drop an answer that is no longer awaited."""
        if self._seats.get(seat.address) is not seat:
            return
        if seat.future is None:
            _log.info("%s did not take the network: %r", seat.address, answer)
            del self._seats[seat.address]
        elif isinstance(answer, Exception):
            self._failed(seat, answer)
        elif seat.is_ready:
            self._events.append(Replied(seat.name, answer))
        else:
            self._welcome(seat, pickle.loads(answer))

    def _failed(self, seat: _Seat, error: Exception) -> None:
        """Give up a worker after an error of Dask: errors that an order raises come back in its reply."""
        if seat.future.status == "error" and type(error).__name__ != "KilledWorker" and not seat.is_ready:
            self._refuse(seat, f"it cannot run circuit-atlas: {error!r}")
        else:
            self._lose(seat, f"Dask says {error!r}")

    def _welcome(self, seat: _Seat, theirs: dict[str, str] | str) -> None:
        """Accept a worker with the same versions as this process: others would make other bytes."""
        ours = versions()
        if isinstance(theirs, str):
            self._refuse(seat, f"it cannot open the model: {theirs}")
        elif other := [
            f"{name} {theirs.get(name)}, not {v}" for name, v in ours.items() if theirs.get(name) != v
        ]:
            self._refuse(seat, f"it has {'; '.join(other)}")
        else:
            seat.is_ready = self._was_welcoming = True
            self._events.append(Ready(seat.name))

    def _refuse(self, seat: _Seat, why: str) -> None:
        _log.warning("the worker %s is not used: %s", seat.address, why)
        self._refused[seat.address] = why
        del self._seats[seat.address]

    def _lose(self, seat: _Seat, why: str) -> None:
        del self._seats[seat.address]
        if seat.future is not None:
            seat.future.cancel()
        self._events.append(Gone(seat.name, why))

    def _no_worker(self, n_there: int) -> EngineError:
        if self._refused:
            address, why = next(iter(self._refused.items()))
            return EngineError(
                f"no worker of {self._where} can be used",
                found=f"{address}: {why}",
                remedy="workers need what is installed here, and room on their disks and in memory",
            )
        resources = ", ".join(f"{name} {amount:g}" for name, amount in self._resources.items())
        return EngineError(
            f"no worker of {self._where} to give work to for {self._patience:g} s",
            found=f"{n_there} workers",
            expected=f"one with the resources {resources}" if resources else "one at least",
            remedy="start workers; what is done is kept, the same command goes on from there",
        )


def _fetched(answers: SimpleQueue[tuple[_Seat, bytes | Exception]], seat: _Seat, future: Any) -> None:
    """Wait for a task's answer and put it, or the error, among the answers."""
    try:
        answers.put((seat, future.result(timeout=_GATHER_SECONDS)))
    except Exception as error:
        answers.put((seat, error))


def _client(scheduler: str, scheduler_file: str) -> Any:
    """Return a client of the cluster; imports Dask."""
    try:
        from distributed import Client
    except ImportError as error:
        raise EngineError(
            "work on a Dask cluster needs dask.distributed",
            found=error,
            remedy="pip install 'circuit-atlas[cluster]'",
        ) from error
    if scheduler_file and not Path(scheduler_file).is_file():
        raise EngineError(
            f"no scheduler file {scheduler_file}",
            remedy="start `dask scheduler --scheduler-file FILE` first, in a folder that both see",
        )
    # Made before it connects, so that a failed client can be closed: else the process ends a minute late.
    client: Any = Client.__new__(Client)
    try:
        where = {"scheduler_file": scheduler_file} if scheduler_file else {"address": scheduler}
        client.__init__(timeout=_CONNECT_SECONDS, set_as_default=False, **where)
    except Exception as error:  # Dask raises many kinds of errors for a wrong address or file
        with contextlib.suppress(Exception):
            client.close(timeout=5)
        raise EngineError(
            f"no Dask scheduler answers at {scheduler or scheduler_file}",
            found=str(error) or "no address",
            expected="an address like tcp://10.0.0.1:8786",
            remedy="see docs/scaling.md",
        ) from error
    return client
