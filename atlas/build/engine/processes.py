"""A pool of worker processes on this machine, each with one session and its share of the cores."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import signal
import subprocess
import threading
from queue import Empty, SimpleQueue

from atlas.build.engine.coordination import Event, Gone, Ready, Replied
from atlas.build.engine.process_worker import ProcessSetup
from atlas.build.engine.serialized_network import SerializedNetwork
from atlas.core.errors import EngineError
from atlas.system import processes
from atlas.system.cores import n_cores

# The coordinator looks after so many seconds whether a shard is late.
_LOOK_SECONDS = 1.0
# After so many in a row that end before they are ready, no other is started.
_FAILED_STARTS = 3
# Ctrl-C reaches every process of a terminal: workers ignore it, and the coordinator ends them.
_CODE = """import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from atlas.build.engine.process_worker import main
main()
"""


class _Leader(threading.Thread):
    """The thread that exchanges messages with one worker process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], events: SimpleQueue[Event]) -> None:
        super().__init__(name=name, daemon=True)
        self.process = process
        self.messages: SimpleQueue[object] = SimpleQueue()
        self.was_ready = False
        self._events = events

    def run(self) -> None:
        """Send messages and turn replies into events, until the message None or the end of the process."""
        assert self.process.stdout is not None, "it was started with pipes"
        try:
            while (message := self.messages.get()) is not None:
                processes.send(self.process, message)
                reply: bytes = pickle.load(self.process.stdout)
                event = Replied(self.name, reply) if self.was_ready else Ready(self.name)
                self.was_ready = True
                self._events.put(event)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._events.put(Gone(self.name, self._end()))

    def _end(self) -> str:
        """End the process and return how it ended, in words."""
        self.process.kill()
        code = self.process.wait()
        if code >= 0:
            return f"it ended with exit code {code}"
        return f"it was ended by {signal.Signals(-code).name}"


class Processes:
    """A pool of `n` workers on this machine; one that ends is replaced."""

    def __init__(self, network: SerializedNetwork, n: int) -> None:
        """Start nothing yet."""
        self._setup = ProcessSetup(network, os.getpid(), logging.getLogger().getEffectiveLevel())
        self._n = n
        self._leaders: dict[str, _Leader] = {}
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._numbers = itertools.count(1)
        self._failed_starts = 0

    def begin(self, n_shards: int) -> None:
        """Start a worker for each shard, up to the size of the pool."""
        while len(self._leaders) < min(self._n, n_shards):
            self._start()

    def event(self) -> Event | None:
        """Return the next event, None after a second; replace a worker that ended. Raises EngineError."""
        try:
            event = self._events.get(timeout=_LOOK_SECONDS)
        except Empty:
            return None
        if isinstance(event, Ready):
            self._failed_starts = 0
        elif isinstance(event, Gone):
            leader = self._leaders.pop(event.worker)
            _dismiss(leader)
            self._failed_starts += not leader.was_ready
            if self._failed_starts >= _FAILED_STARTS:
                raise EngineError(
                    "worker processes cannot start", found=event.why, remedy="build without --workers"
                )
            self._start()
        return event

    def give(self, worker: str, order: object, title: str) -> None:
        """Send an order to a worker."""
        self._leaders[worker].messages.put(pickle.dumps(order))

    def refuse(self, worker: str, error: Exception) -> None:
        """Raise the error: all workers share the disk and the memory of this machine."""
        raise error

    def close(self) -> None:
        """End all workers at once; the work that they hold is lost."""
        for leader in self._leaders.values():
            leader.messages.put(None)
            leader.process.kill()
        for leader in self._leaders.values():
            _dismiss(leader)

    def _start(self) -> None:
        share = str(max(1, n_cores() // self._n))
        threads = {"TF_NUM_INTRAOP_THREADS": share, "TF_NUM_INTEROP_THREADS": "1"}
        environment = {name: os.environ.get(name, value) for name, value in threads.items()}
        try:
            process = processes.started(_CODE, environment=environment)
        except OSError as error:
            raise EngineError("worker processes cannot start", found=error.strerror) from error
        leader = _Leader(f"worker {next(self._numbers)}", process, self._events)
        self._leaders[leader.name] = leader
        leader.messages.put(self._setup)
        leader.start()


def _dismiss(leader: _Leader) -> None:
    """Wait for the end of a worker that was killed, and close its pipes."""
    leader.join()
    # Closing a pipe writes the rest of an order that the worker did not read, which fails.
    with contextlib.suppress(OSError), leader.process:
        pass
