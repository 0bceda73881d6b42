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

# Between two looks at whether the coordinator still lives.
_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ProcessSetup:
    """What is sent to a process worker first: the network, the coordinator's process, how much to say."""

    network: SerializedNetwork
    parent: int
    level: int


def main() -> None:
    """Serve until the pipe ends, or the coordinator does."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Nothing that is printed, below Python too, may get between the replies.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(source, sink)
    # The coordinator is done, or gone; nothing is left to tidy up, and TensorFlow takes its time for it.
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
