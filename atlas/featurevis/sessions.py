"""TensorFlow sessions on one graph that work at the same time, each with its own variables.

On a CPU, one session per core draws faster than one session on all cores: most ops of a step are small, and
splitting each of them over the cores costs more than it saves.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from atlas.featurevis.memory import on_gpu
from atlas.model.graph.backend import DEFAULT
from atlas.model.graph.backend import tf as tensorflow
from atlas.system.cores import n_cores

tf = tensorflow.compat.v1

Task = TypeVar("Task")
Result = TypeVar("Result")


class Sessions:
    """A graph and sessions on it. `stopping` is set when running tasks should stop early."""

    def __init__(self, n_sessions: int, remapping: int = DEFAULT) -> None:
        """Open the sessions. For `remapping` see `graph.fusions`."""
        self.graph = tf.Graph()
        self.n_sessions = n_sessions
        self.stopping = Event()
        config = tf.ConfigProto()
        config.graph_options.rewrite_options.remapping = remapping
        if n_sessions > 1:
            # A session with several inter-op threads would take the cores of the others.
            config.inter_op_parallelism_threads = 1
            config.use_per_session_threads = True
        self._sessions = [tf.Session(graph=self.graph, config=config) for _ in range(n_sessions)]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for session in self._sessions:
            self._free.put(session)

    def run(self, work: Callable[[Any, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield `work(session, task)` for each task, in order. Raises the errors of tasks."""
        waiting: deque[Future[Result]] = deque()
        self.stopping.clear()
        with ThreadPoolExecutor(self.n_sessions) as pool:
            try:
                for task in tasks:
                    waiting.append(pool.submit(self._on_a_session, work, task))
                    if len(waiting) > self.n_sessions:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                self.stopping.set()
                for future in waiting:
                    future.cancel()

    def close(self) -> None:
        """Free the sessions and their memory."""
        for session in self._sessions:
            session.close()

    def _on_a_session(self, work: Callable[[Any, Task], Result], task: Task) -> Result:
        session = self._free.get()
        try:
            return work(session, task)
        finally:
            self._free.put(session)


def default_sessions() -> int:
    """Return the number of sessions that is fastest on this machine: one per core, or one on a GPU."""
    if on_gpu():
        return 1
    return n_cores()
