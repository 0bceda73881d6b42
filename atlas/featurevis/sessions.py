"""TensorFlow sessions on one graph that work at the same time, each with variables of its own.

On a CPU, as many sessions as cores, each mostly on one core, draw faster than one session on all cores: most
ops of a step are small, and splitting each of them over the cores costs more than it saves.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

from atlas.featurevis.memory import on_gpu
from atlas.model.graph.backend import tf as tensorflow
from atlas.system.cores import n_cores

tf = tensorflow.compat.v1

Task = TypeVar("Task")
Result = TypeVar("Result")


class Sessions:
    """A graph and sessions on it. `stopping` is set when what is in work is to be dropped."""

    def __init__(self, n_sessions: int) -> None:
        """Open the sessions; on a GPU, memory grows as it is needed."""
        self.graph = tf.Graph()
        self.n_sessions = n_sessions
        self.stopping = Event()
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        if n_sessions > 1:
            # A session of several inter-op threads would take the others' cores.
            config.inter_op_parallelism_threads = 1
            config.use_per_session_threads = True
        self._sessions = [tf.Session(graph=self.graph, config=config) for _ in range(n_sessions)]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for session in self._sessions:
            self._free.put(session)

    def run(self, work: Callable[[Any, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield `work(session, task)` for each task, in order; what a task raises is raised."""
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
    """Return how many sessions this machine draws fastest on: one for each core, one on a GPU."""
    if on_gpu():
        return 1
    return n_cores()
