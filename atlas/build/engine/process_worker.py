"""A process worker: it has the network open, takes orders from one pipe and writes replies to the other."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

from atlas.build.engine.serialized_network import SerializedNetwork, deserialized, reply
from atlas.build.engine.shard import WorkerContext

# Seconds between two looks at whether the coordinator still runs.
_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ProcessSetup:
    """The first message to a process worker."""

    network: SerializedNetwork
    """The network that its orders are about."""
    parent: int
    """Process id of the coordinator; the worker ends soon after it."""
    level: int
    """Lowest level of log messages to print, as in `logging`."""


def main() -> None:
    """Carry out orders until the pipe is closed or the coordinator ends."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Printed text must not get between the replies, not even that of C++ libraries: send it to stderr.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(source, sink)
    # Nothing is left to clean up, and an ordinary exit would wait for TensorFlow.
    os._exit(0)


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    setup: ProcessSetup = pickle.load(source)
    threading.Thread(target=_watch, args=(setup.parent,), daemon=True).start()
    logging.basicConfig(level=setup.level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    context = WorkerContext(deserialized(setup.network), n_sessions=1)
    answer = b""
    while True:
        pickle.dump(answer, sink)
        sink.flush()
        answer = reply(context, pickle.load(source))


def _watch(parent: int) -> None:
    """End this process soon after the coordinator: an order may take minutes."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
