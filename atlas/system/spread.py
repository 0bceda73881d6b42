"""A function applied to many small things, spread over fresh interpreters."""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

from atlas.system import processes

# An order costs about 0.2 ms.
N_AT_ONCE = 64
_CODE = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from atlas.system.spread import main
main()
"""
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Spread:
    """Helpers that apply functions. Use it as a context manager; on exit the helpers end."""

    def __init__(self, n: int) -> None:
        """Start `n` helpers, or fewer where the system refuses more; with none everything is done here."""
        self._helpers: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        # A helper that fails is quiet, because its work is done again here, and the error raised here.
        with contextlib.suppress(OSError):
            for _ in range(n):
                self._helpers.put(processes.started(_CODE, quiet=True))
        self._n = self._helpers.qsize()
        self._threads = ThreadPoolExecutor(max(self._n, 1))

    def __enter__(self) -> Spread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for _ in range(self._n):
            # The pipe of a helper that ended early is broken.
            with contextlib.suppress(OSError), self._helpers.get():
                pass

    def map(self, function: Callable[[_Item], _Answer], items: Iterable[_Item]) -> Iterator[_Answer]:
        """Yield function(item) for each item, in order; both, and what is returned, can be pickled."""
        if not self._n:
            yield from map(function, items)
            return
        rest = iter(items)
        waiting: deque[Future[list[_Answer]]] = deque()
        while chunk := list(islice(rest, N_AT_ONCE)):
            waiting.append(self._threads.submit(self._answers, function, chunk))
            # All items and answers at once would take gigabytes.
            if len(waiting) > 2 * self._n:
                yield from waiting.popleft().result()
        for future in waiting:
            yield from future.result()

    def _answers(self, function: Callable[[_Item], _Answer], chunk: list[_Item]) -> list[_Answer]:
        """Return a helper's answers; if it fails, those of this process."""
        helper = self._helpers.get()
        try:
            assert helper.stdout is not None, "it was started with pipes"
            processes.send(helper, (function, chunk))
            answers: list[_Answer] = pickle.load(helper.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            answers = [function(item) for item in chunk]
        finally:
            self._helpers.put(helper)
        return answers


def main() -> None:
    """Apply functions until the process that asks closes the pipe."""
    # Ctrl-C reaches every process of a terminal. Only the one that asks reacts, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    # Printed text must not get between the answers.
    sys.stdout = sys.stderr
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, chunk = pickle.load(source)
            pickle.dump([function(item) for item in chunk], sink)
            sink.flush()
